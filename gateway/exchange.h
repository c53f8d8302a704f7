/* An exchange: one request at a worker, and its reply; the same for every version of HTTP.
 *
 * The loop finds the route and fills the request, a worker runs the handler, and `finished` (on that worker) brings
 * the exchange back to its loop. Between gw_exchange_submit() and that moment the worker owns it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/pool.h"
#include "gateway/listener.h"

struct gw_exchange {
	struct pool_job job;
	struct gw_listener *listener;  /* borrowed, as `peer` */
	const char *peer;
	struct gw_tls *tls;            /* of the connection, borrowed; NULL: plain, or HTTP/2 */
	enum gw_http_version version;
	struct arena *arena;           /* of the request, and of the reply's headers */
	struct http_request request;
	struct gw_match match;
	struct http_reply reply;
	uint64_t began_ns;             /* 0: it never was a whole request */
	void (*finished)(struct gw_exchange *x);
	struct gw_exchange *next;      /* of those that are on their way back to the loop */
};

/* What a handler may take from the arena besides the request. */
#define GW_EXCHANGE_ARENA ((size_t)4 << 20)

void gw_exchange_fini(struct gw_exchange *x);

/* Find the route. 0 or an outcome of gw_router_find(); the largest body that may follow in `*body_max`. */
int gw_exchange_route(struct gw_exchange *x, const char *method, const char *path, size_t *body_max);

/* Complete the request, whose method, path, query, headers and body are there, with what the route and the connection
 * know. `host` may be NULL. 0 or -ENOMEM. */
int gw_exchange_complete(struct gw_exchange *x, const char *host, int64_t received_ms);

/* 0: `finished` will be called; POOL_FULL: it will not. */
int gw_exchange_submit(struct gw_exchange *x, struct pool *workers);

/* An empty reply in place of what was there. */
void gw_exchange_begin_reply(struct gw_exchange *x);

/* A reply of the gateway itself, in the form of the endpoint that the route belongs to; `extra` (name NULL: none) must
 * live as long as the reply. */
void gw_exchange_say(struct gw_exchange *x, int status, const char *text, struct http_header extra);
/* For an outcome of gw_exchange_route(). */
void gw_exchange_say_unrouted(struct gw_exchange *x, int outcome);
void gw_exchange_say_busy(struct gw_exchange *x);

/* The reply is complete: count it. Once an exchange. `method`, `path`: for the log; may be NULL. */
void gw_exchange_end(struct gw_exchange *x, const char *method, const char *path);
