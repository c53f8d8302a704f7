/* Fuzz target: which endpoint a path belongs to.
 *
 * The router is held against a slow answer of another making: cut the path at its slashes, decode what stands between
 * them, compare segment by segment. The first line is the path, as HTTP's own rules let it through.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http_rules.h"
#include "gateway/router.h"

#include <stdlib.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEGMENTS 8
#define TEXT_SIZE 1024

static int handle(void *state, const struct http_request *q, struct http_reply *r)
{
	return 0;
}

static const struct proto_route routes[] = { { "GET", "/cacerts", handle }, { "POST", "/enroll/{id}", handle }, { 0 } };

static const struct gw_mount mounts[] = {
	{ .name = "est", .prefix = "/est", .routes = routes, .decodes_prefix = true },
	{ .name = "label", .prefix = "/est/ca:1", .routes = routes, .decodes_prefix = true },
	{ .name = "longer", .prefix = "/est/ca:12", .routes = routes, .decodes_prefix = true },
	{ .name = "plain", .prefix = "/plain", .routes = routes },
	{ .name = "letters", .prefix = "/Letters/aZ", .routes = routes, .ignores_case = true },
};

#define MOUNTS (sizeof(mounts) / sizeof(*mounts))

struct path {
	char sent[SEGMENTS][TEXT_SIZE], decoded[SEGMENTS][TEXT_SIZE];
	bool is_broken[SEGMENTS]; /* has an escape that is none, or one for '/' or NUL */
	size_t n;
};

static int decode_octet(const char *at)
{
	char digits[3] = { at[1], at[1] ? at[2] : 0, 0 }, *end;
	long value = strtol(digits, &end, 16);

	return at[1] && end == digits + 2 && strchr("+- ", digits[0]) == NULL ? (int)value : 0;
}

static bool decode(const char *sent, char *out)
{
	int c;

	for (; *sent; sent++) {
		c = *sent;
		if (c == '%') {
			c = decode_octet(sent);
			if (!c || c == '/')
				return false;
			sent += 2;
		}
		*out++ = (char)c;
	}
	*out = 0;
	return true;
}

/* False for more segments than any route has. */
static bool cut(const char *text, struct path *out)
{
	size_t n;

	out->n = 0;
	while (*text == '/') {
		n = strcspn(++text, "/");
		if (out->n == SEGMENTS)
			return false;
		memcpy(out->sent[out->n], text, n);
		out->sent[out->n][n] = 0;
		out->is_broken[out->n] = !decode(out->sent[out->n], out->decoded[out->n]);
		out->n++;
		text += n;
	}
	return true;
}

static bool is_same(const struct gw_mount *mount, const char *ours, const char *sent)
{
	return (mount->ignores_case ? strcasecmp : strcmp)(ours, sent) == 0;
}

/* How many segments of the path are the mount's prefix; 0: another one. */
static size_t match_prefix(const struct gw_mount *mount, const struct path *p)
{
	struct path prefix;
	size_t i;

	if (!cut(mount->prefix, &prefix) || prefix.n > p->n)
		return 0;
	for (i = 0; i < prefix.n; i++) {
		if (!mount->decodes_prefix && !is_same(mount, prefix.sent[i], p->sent[i]))
			return 0;
		if (mount->decodes_prefix && (p->is_broken[i] || strcmp(prefix.sent[i], p->decoded[i]) != 0))
			return 0;
	}
	return prefix.n;
}

static const struct gw_mount *expect(const struct path *p, bool *is_enroll)
{
	size_t i, n;

	for (i = 0; i < MOUNTS; i++) {
		n = match_prefix(&mounts[i], p);
		*is_enroll = n && p->n == n + 2 && is_same(&mounts[i], "enroll", p->sent[n]) && *p->sent[n + 1];
		if (*is_enroll || (n && p->n == n + 1 && is_same(&mounts[i], "cacerts", p->sent[n])))
			return &mounts[i];
	}
	return NULL;
}

static void check(const struct gw_router *router, const char *text)
{
	const struct gw_mount *mount = NULL;
	struct gw_match match;
	bool is_enroll = false;
	struct path p;
	int r = gw_router_find(router, "GET", text, &match);

	if (cut(text, &p))
		mount = expect(&p, &is_enroll);
	if (mount != match.mount || r != (!mount ? GW_ROUTE_NOT_FOUND : is_enroll ? GW_ROUTE_NOT_ALLOWED : 0))
		abort();
	if (!is_enroll)
		return;
	if (gw_router_find(router, "POST", text, &match) || match.n_params != 1 ||
	    !bytes_equal_str(match.params[0], p.sent[p.n - 1]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_router *router;
	const char *why;
	char text[TEXT_SIZE];

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	text[strcspn(text, "?\n")] = 0;
	if (http_rule_target(text, &why))
		return 0;
	if (gw_router_new(&router))
		abort();
	for (size_t i = 0; i < MOUNTS; i++)
		if (gw_router_add(router, &mounts[i]))
			abort();
	check(router, text);
	gw_router_drop(&router);
	return 0;
}
