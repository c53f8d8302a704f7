/* Routes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

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
	size_t at;

	for (r = mount->routes; r->method; r++)
		if (count_params(r->pattern) > HTTP_PARAMS_MAX)
			return -EINVAL;
	grown = realloc((void *)router->mounts, (router->n_mounts + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	router->mounts = grown;
	for (at = router->n_mounts++; at && strlen(grown[at - 1]->prefix) < strlen(mount->prefix); at--)
		grown[at] = grown[at - 1];
	grown[at] = mount;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Take one octet of a path, an escape for what it stands for. -1: the path ends, or what stands there is none. */
static int take_decoded(const char **path)
{
	const char *p = *path;

	if (!*p)
		return -1;
	*path = p + 1;
	if (*p != '%')
		return (unsigned char)*p;
	if (hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
		return -1;
	*path = p + 3;
	return hex_digit(p[1]) << 4 | hex_digit(p[2]);
}

/* What comes behind the prefix of a mount; NULL: something else than that prefix stands there. An escape never stands
 * for a '/': it would move the borders of segments. */
static const char *skip_prefix(const struct gw_mount *mount, const char *path)
{
	const char *prefix = mount->prefix;
	size_t n = strlen(prefix);

	if (mount->ignores_case)
		return strncasecmp(prefix, path, n) == 0 ? path + n : NULL;
	if (!mount->decodes_prefix)
		return strncmp(prefix, path, n) == 0 ? path + n : NULL;
	for (; *prefix; prefix++)
		if ((*prefix == '/' && *path != '/') || take_decoded(&path) != (unsigned char)*prefix)
			return NULL;
	return path;
}

static char fold(const struct gw_mount *mount, char c)
{
	return mount->ignores_case && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool match_pattern(const struct gw_mount *mount, const char *pattern, const char *path, struct gw_match *out)
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
		} else if (fold(mount, *pattern++) != fold(mount, *path++)) {
			return false;
		}
	}
	return *path == 0;
}

static bool serves(const struct gw_mount *mount, const struct proto_route *r, const char *method)
{
	return strcmp(r->method, method) == 0 ||
	       (!mount->refuses_head && strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
}

static void add_allowed(struct gw_match *out, const struct gw_mount *mount, const struct proto_route *r)
{
	const char *words = !mount->refuses_head && strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method;
	size_t used = strlen(out->allow);

	if (!strstr(out->allow, words))
		snprintf(out->allow + used, sizeof(out->allow) - used, "%s%s", used ? ", " : "", words);
}

/* True when a route of the mount serves this; remembers the methods of those that match the path only. */
static bool find_in(const struct gw_mount *mount, const char *method, const char *path, struct gw_match *out)
{
	const char *rest = skip_prefix(mount, path);
	const struct proto_route *r;

	if (!rest)
		return false;
	for (r = mount->routes; r->method; r++) {
		if (!match_pattern(mount, r->pattern, rest, out))
			continue;
		if (serves(mount, r, method)) {
			out->mount = mount;
			out->route = r;
			return true;
		}
		if (!out->mount)
			out->mount = mount;
		add_allowed(out, mount, r);
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
