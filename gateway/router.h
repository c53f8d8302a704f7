/* Which handler serves a path: routes of mounts, compared octet for octet with what was sent.
 *
 * A mount is what stands below one path prefix: an adapter's instance, or the gateway's own pages. A pattern is the
 * prefix followed by the route's pattern; `{name}` matches one non-empty segment as it was sent, `{name...}` at the end
 * of a pattern all that is left, which is not empty either; everything else matches literally. Nothing is decoded or
 * normalized, so `//`, `/./`, `%2e` or `;x` never reach another route. Mounts that say so are the exception: in the
 * prefix of one `ca%3A1` is `ca:1`, decoded once, and `%2F` is no `/`; for another small and capital letters are the
 * same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

struct gw_stats;

struct gw_mount {
	const char *name;                 /* the endpoint's name; for the log and metrics */
	const char *prefix;               /* "/acme"; "" for the gateway's own pages */
	const struct proto_route *routes; /* ends with {0} */
	void *state;                      /* what handlers get */
	size_t body_max;                  /* 0: the listener's */
	bool decodes_prefix;              /* percent escapes in the prefix that a client sends are decoded */
	bool ignores_case;                /* ASCII letters match in either case */
	bool refuses_head;                /* a GET route does not serve HEAD */
	bool sees_peer;                   /* its handlers are told of the client's certificate and of the channel */
	struct gw_stats *stats;           /* NULL: not counted */
	const struct proto_refusal *refusal; /* NULL: text/plain */
};

struct gw_router;

struct gw_match {
	const struct gw_mount *mount;
	const struct proto_route *route;
	struct bytes params[HTTP_PARAMS_MAX]; /* point into the path */
	size_t n_params;
	char allow[32];                       /* "GET, HEAD, POST", with GW_ROUTE_NOT_ALLOWED */
};

enum {
	GW_ROUTE_NOT_FOUND = 1,   /* 404 */
	GW_ROUTE_NOT_ALLOWED = 2, /* 405; `allow` says what is */
};

int gw_router_new(struct gw_router **out);
void gw_router_drop(struct gw_router **router);

/* `mount` and what it points to must outlive the router. 0, -ENOMEM, or -EINVAL for a pattern with more than
 * HTTP_PARAMS_MAX parameters. Not while anybody searches. */
int gw_router_add(struct gw_router *router, const struct gw_mount *mount);

/* 0 or an outcome above. Mounts with longer prefixes are tried first, of equally long ones that which was added
 * first, routes in the order of their mount; HEAD is served by a GET route. */
int gw_router_find(const struct gw_router *router, const char *method, const char *path, struct gw_match *out);
