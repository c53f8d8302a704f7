/* Requests of HTTP/2 connections at workers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/streams.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/base/log.h"

/* While the client has this much to read, its requests wait: what they would add is not kept in memory. */
#define UNSENT_MAX ((size_t)1 << 20)

enum place { PLACE_READING, PLACE_WAITING, PLACE_WORKING };

struct entry {
	struct gw_exchange x;
	struct gw_streams *all;
	struct entry *next, **link;  /* of `entries`, the oldest first */
	struct http2_stream *stream; /* NULL: over */
	struct buf body;
	enum place place;
};

struct gw_streams {
	struct gw_streams_options options;
	struct http2 *session;
	struct entry *entries, **last;
	unsigned working;
	int64_t now_ms;
};

static void remove_entry(struct entry *e)
{
	struct gw_streams *all = e->all;

	*e->link = e->next;
	if (e->next)
		e->next->link = e->link;
	else
		all->last = e->link;
	gw_exchange_fini(&e->x);
	buf_fini(&e->body);
	free(e);
}

/* The reply stands in the exchange. */
static void send_reply(struct entry *e)
{
	struct http2_stream *s = e->stream;
	int status;

	if (!s)
		return;
	status = http2_reply(e->all->session, s, &e->x.reply, e->all->now_ms);
	if (status)
		log_error("http.reply.failed", "endpoint", e->x.match.mount ? e->x.match.mount->name : NULL);
	e->stream = NULL;
	s->owner = NULL;
}

/* A reply of the gateway itself that stands in the exchange. */
static void answer(struct entry *e)
{
	gw_exchange_end(&e->x, e->stream->method, e->stream->path);
	send_reply(e);
	remove_entry(e);
}

/* On a worker, which owns the entry until it hands it back. */
static void is_answered(struct gw_exchange *x)
{
	struct entry *e = (struct entry *)((char *)x - offsetof(struct entry, x));

	gw_exchange_end(x, x->request.method, x->request.path);
	e->all->options.hand_back(e->all->options.connection, x);
}

static struct entry *new_entry(struct gw_streams *all, struct http2_stream *s)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->x = (struct gw_exchange){ .listener = all->options.listener, .peer = all->options.peer,
				     .version = GW_HTTP_2, .finished = is_answered };
	e->all = all;
	e->link = all->last;
	*all->last = e;
	all->last = &e->next;
	e->stream = s;
	s->owner = e;
	return e;
}

/* ---- what the session says ---- */

/* Without memory there is no entry, and no answer: the stream's deadline ends the connection. */
static void on_head(void *owner, struct http2_stream *s)
{
	struct entry *e = new_entry(owner, s);
	int r;

	if (!e)
		return;
	r = gw_exchange_route(&e->x, s->method, s->path, &s->body_max);
	if (r && s->expects_continue) {
		/* The client waits with the body: refuse it unread. */
		gw_exchange_say_unrouted(&e->x, r);
		answer(e);
	}
}

static int take_request(struct entry *e)
{
	struct http2_stream *s = e->stream;

	e->body = s->body;
	s->body = BUF_INIT(0);
	e->x.arena = s->arena;
	s->arena = NULL;
	e->x.request = (struct http_request){
		.method = s->method, .path = s->path, .query = s->query, .headers = s->headers,
		.n_headers = s->n_headers, .body = buf_bytes(&e->body), .arena = e->x.arena,
	};
	return gw_exchange_complete(&e->x, s->host, s->received_ms);
}

static void on_request(void *owner, struct http2_stream *s)
{
	struct entry *e = s->owner;
	size_t body_max;
	int r;

	if (!e)
		return;
	r = gw_exchange_route(&e->x, s->method, s->path, &body_max);
	if (r) {
		gw_exchange_say_unrouted(&e->x, r);
		answer(e);
	} else if (take_request(e)) {
		gw_exchange_say_busy(&e->x);
		answer(e);
	} else {
		e->place = PLACE_WAITING;
	}
}

static void on_bad(void *owner, struct http2_stream *s, int status, const char *why)
{
	struct gw_streams *all = owner;
	struct entry *e = s->owner ? s->owner : new_entry(all, s);

	atomic_fetch_add(all->options.bad_requests, 1);
	if (!e)
		return;
	e->x.match.mount = NULL;
	e->x.began_ns = 0;
	gw_exchange_say(&e->x, status, why, (struct http_header){ 0 });
	answer(e);
}

/* What a worker has is left to it. */
static void on_gone(void *owner, struct http2_stream *s)
{
	struct entry *e = s->owner;

	if (!e)
		return;
	e->stream = NULL;
	if (e->place != PLACE_WORKING)
		remove_entry(e);
}

static const struct http2_owner events = { on_head, on_request, on_bad, on_gone };

/* ---- workers ---- */

static void submit(struct entry *e)
{
	struct gw_streams *all = e->all;

	e->place = PLACE_WORKING;
	all->working++;
	all->options.hold(all->options.connection);
	if (gw_exchange_submit(&e->x, all->options.workers) == 0)
		return;
	gw_exchange_say_busy(&e->x);
	is_answered(&e->x);
}

int gw_streams_feed(struct gw_streams *all, struct bytes in, int64_t now_ms)
{
	all->now_ms = now_ms;
	return http2_feed(all->session, in, now_ms);
}

void gw_streams_start(struct gw_streams *all, int64_t now_ms)
{
	struct entry *e;

	all->now_ms = now_ms;
	for (e = all->entries; e; e = e->next) {
		if (all->working == HTTP2_STREAMS_MAX || http2_unsent(all->session) > UNSENT_MAX)
			return;
		if (e->place == PLACE_WAITING)
			submit(e);
	}
}

void gw_streams_answer(struct gw_streams *all, struct gw_exchange *x, int64_t now_ms)
{
	struct entry *e = (struct entry *)((char *)x - offsetof(struct entry, x));

	all->now_ms = now_ms;
	all->working--;
	send_reply(e);
	remove_entry(e);
}

/* ---- life and death ---- */

int gw_streams_new(struct gw_streams **out, const struct gw_streams_options *options, int64_t now_ms)
{
	const struct gw_listener_options *o = &options->listener->options;
	struct http2_options session = {
		.line_max = o->limits.line_max, .head_max = o->limits.head_max, .body_max = o->limits.body_max,
		.arena_extra = GW_EXCHANGE_ARENA, .head_ms = o->deadlines.head, .body_ms = o->deadlines.body,
		.write_ms = o->deadlines.write, .idle_ms = o->deadlines.idle,
	};
	struct gw_streams *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return -ENOMEM;
	all->options = *options;
	all->last = &all->entries;
	all->now_ms = now_ms;
	r = http2_new(&all->session, &session, &events, all, now_ms);
	if (r)
		free(all);
	else
		*out = all;
	return r;
}

void gw_streams_drop(struct gw_streams **streams)
{
	struct gw_streams *all = *streams;

	if (!all)
		return;
	http2_drop(&all->session);
	while (all->entries)
		remove_entry(all->entries);
	free(all);
	*streams = NULL;
}

struct http2 *gw_streams_session(struct gw_streams *all)
{
	return all->session;
}
