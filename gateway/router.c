/* Routes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct gw_router {
	const struct gw_mount **mounts;
	size_t n_mounts;
};

int gw_router_new(struct gw_router **out)
{
	struct gw_router *router = calloc(1, sizeof(*router));

	if (!router)
		return -ENOMEM;
	*out = router;
	return 0;
}

void gw_router_drop(struct gw_router **router)
{
	if (!*router)
		return;
	free((void *)(*router)->mounts);
	free(*router);
	*router = NULL;
}

static size_t count_params(const char *pattern)
{
	size_t n = 0;

	for (; *pattern; pattern++)
		n += *pattern == '{';
	return n;
}

int gw_router_add(struct gw_router *router, const struct gw_mount *mount)
{
	const struct gw_mount **grown;
	const struct proto_route *r;

	for (r = mount->routes; r->method; r++)
		if (count_params(r->pattern) > HTTP_PARAMS_MAX)
			return -EINVAL;
	grown = realloc((void *)router->mounts, (router->n_mounts + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[router->n_mounts++] = mount;
	router->mounts = grown;
	return 0;
}

static bool match_pattern(const char *pattern, const char *path, struct gw_match *out)
{
	size_t n;

	out->n_params = 0;
	while (*pattern) {
		if (*pattern == '{') {
			const char *end = pattern + strcspn(pattern, "}");

			n = end[-1] == '.' ? strlen(path) : strcspn(path, "/");
			if (n == 0)
				return false;
			out->params[out->n_params++] = bytes_of(path, n);
			path += n;
			pattern = *end ? end + 1 : end;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == 0;
}

static bool serves(const struct proto_route *r, const char *method)
{
	return strcmp(r->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
}

static void add_allowed(struct gw_match *out, const struct proto_route *r)
{
	const char *words = strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method;
	size_t used = strlen(out->allow);

	if (!strstr(out->allow, words))
		snprintf(out->allow + used, sizeof(out->allow) - used, "%s%s", used ? ", " : "", words);
}

/* True when a route of the mount serves this; remembers the methods of those that match the path only. */
static bool find_in(const struct gw_mount *mount, const char *method, const char *path, struct gw_match *out)
{
	size_t n = strlen(mount->prefix);
	const struct proto_route *r;

	if (strncmp(mount->prefix, path, n) != 0)
		return false;
	for (r = mount->routes; r->method; r++) {
		if (!match_pattern(r->pattern, path + n, out))
			continue;
		if (serves(r, method)) {
			out->mount = mount;
			out->route = r;
			return true;
		}
		if (!out->mount)
			out->mount = mount;
		add_allowed(out, r);
	}
	return false;
}

int gw_router_find(const struct gw_router *router, const char *method, const char *path, struct gw_match *out)
{
	size_t i;

	*out = (struct gw_match){ 0 };
	for (i = 0; i < router->n_mounts; i++)
		if (find_in(router->mounts[i], method, path, out))
			return 0;
	return *out->allow ? GW_ROUTE_NOT_ALLOWED : GW_ROUTE_NOT_FOUND;
}
