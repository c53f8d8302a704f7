/* Requests at workers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/exchange.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "core/base/log.h"
#include "gateway/tls_peer.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void gw_exchange_fini(struct gw_exchange *x)
{
	arena_drop(&x->arena);
	buf_fini(&x->reply.body);
	http_octets_drop(&x->reply.large);
}

int gw_exchange_route(struct gw_exchange *x, const char *method, const char *path, size_t *body_max)
{
	const struct gw_listener_options *o = &x->listener->options;
	int r = gw_router_find(o->router, method, path, &x->match);

	*body_max = !r && x->match.mount->body_max ? x->match.mount->body_max : o->limits.body_max;
	x->began_ns = now_ns();
	return r;
}

static int tell_peer(struct gw_exchange *x)
{
	struct http_request *q = &x->request;
	const struct gw_tls_peer *peer;
	int r;

	if (!x->tls || !x->match.mount->sees_peer)
		return 0;
	r = gw_tls_get_peer(x->tls, &peer);
	if (r)
		return r;
	q->peer_certificate = peer->certificate;
	q->peer_chain = peer->chain;
	q->tls_unique = peer->unique;
	q->tls_exporter = peer->exporter;
	return 0;
}

int gw_exchange_complete(struct gw_exchange *x, const char *host, int64_t received_ms)
{
	struct http_request *q = &x->request;
	size_t i;

	for (i = 0; i < x->match.n_params; i++) {
		q->params[i] = arena_strndup(x->arena, x->match.params[i]);
		if (!q->params[i])
			return -ENOMEM;
	}
	q->peer_address = x->peer;
	q->is_tls = x->listener->options.is_tls;
	q->received_ms = received_ms;
	q->base_url = gw_listener_base_url(x->listener, host, x->arena);
	return q->base_url ? tell_peer(x) : -ENOMEM;
}

/* On a worker. */
static void run_handler(struct pool_job *job)
{
	struct gw_exchange *x = (struct gw_exchange *)((char *)job - offsetof(struct gw_exchange, job));
	int e = x->match.route->handle(x->match.mount->state, &x->request, &x->reply);

	if (e < 0) {
		log_error("http.handler.failed", "endpoint", x->match.mount->name, "path", x->request.path, "error",
			  strerror(-e));
		gw_exchange_begin_reply(x);
		x->reply.status = 500;
		buf_append_str(&x->reply.body, "server error\n");
	}
	x->finished(x);
}

int gw_exchange_submit(struct gw_exchange *x, struct pool *workers)
{
	gw_exchange_begin_reply(x);
	x->job = (struct pool_job){ .run = run_handler };
	return pool_submit(workers, &x->job);
}

void gw_exchange_begin_reply(struct gw_exchange *x)
{
	struct buf body = x->reply.body;

	body.max = HTTP_REPLY_BODY_MAX;
	buf_reset(&body);
	http_octets_drop(&x->reply.large);
	x->reply = (struct http_reply){ .body = body, .arena = x->arena };
}

void gw_exchange_say(struct gw_exchange *x, int status, const char *text, struct http_header extra)
{
	const struct proto_refusal *form = x->match.mount ? x->match.mount->refusal : NULL;
	const char *type = form ? form->type : "text/plain; charset=utf-8";
	struct http_reply *r = &x->reply;

	gw_exchange_begin_reply(x);
	r->status = status;
	r->headers[r->n_headers++] = (struct http_header){ "Content-Type", type };
	if (extra.name)
		r->headers[r->n_headers++] = extra;
	if (form) {
		form->print(&r->body, status, text);
		return;
	}
	buf_append_str(&r->body, text);
	buf_append_char(&r->body, '\n');
}

void gw_exchange_say_unrouted(struct gw_exchange *x, int outcome)
{
	if (outcome == GW_ROUTE_NOT_ALLOWED)
		gw_exchange_say(x, 405, "method not allowed", (struct http_header){ "Allow", x->match.allow });
	else
		gw_exchange_say(x, 404, "not found", (struct http_header){ 0 });
}

void gw_exchange_say_busy(struct gw_exchange *x)
{
	gw_exchange_say(x, 503, "busy, try again", (struct http_header){ "Retry-After", "2" });
}

void gw_exchange_end(struct gw_exchange *x, const char *method, const char *path)
{
	const struct gw_mount *mount = x->match.mount;
	struct gw_stats *stats = mount && mount->stats ? mount->stats : &x->listener->unrouted;
	uint64_t us = x->began_ns ? (now_ns() - x->began_ns) / 1000 : 0;

	gw_stats_count(stats, x->version, x->reply.status, us);
	log_debug("http.request", "listener", x->listener->options.name, "endpoint", mount ? mount->name : NULL,
		  "peer", x->peer, "version", gw_http_version_name(x->version), "method", method, "path", path,
		  "status", LOG_NUMBER(x->reply.status), "us", LOG_NUMBER(us));
}
