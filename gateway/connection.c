/* Connections: from octets to a handler and back.
 *
 * HTTP/1.1: one request at a time; while a handler works nothing is read, so a client that pipelines waits in its own
 * socket. HTTP/2 (ALPN): `streams` has the requests, and this file moves octets between them and the network.
 * Everything here but is_answered() and hand_back() happens on the connection's loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/connection.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "gateway/exchange.h"
#include "gateway/streams.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#define OUT_MAX ((size_t)4 << 20)
#define KEEP_CAPACITY ((size_t)65536)
#define LARGE_PIECE ((size_t)65536)

/* A client that reads slowly is served as long as it takes this much within each write deadline. */
#define WRITE_PROGRESS ((size_t)8192)

enum state {
	STATE_READING,   /* the handshake, a request, or nothing yet */
	STATE_WORKING,   /* a handler has the request */
	STATE_WRITING,   /* the reply is not gone yet */
	STATE_LINGERING, /* the last reply is gone; what still comes is thrown away */
	STATE_CLOSED,
};

enum deadline { DEADLINE_NONE, DEADLINE_HANDSHAKE, DEADLINE_HEAD, DEADLINE_BODY, DEADLINE_IDLE, DEADLINE_WRITE,
		DEADLINE_LINGER, DEADLINE_LAST_CHANCE };

#define LAST_CHANCE_MS 1000 /* for the first request of a connection that was new when the stop began */

struct gw_connection {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_write_t write;
	struct gw_loop *loop;
	struct gw_listener *listener;
	struct gw_connection *next, **link; /* the loop's list */
	struct gw_connection *queue_next;   /* the loop's queue of finished ones */
	struct gw_connection *turn_next, **turn_link; /* the loop's queue of handshakes; NULL: not in it */
	struct gw_tls *tls;                 /* NULL: plain */
	char peer[INET6_ADDRSTRLEN];
	struct gw_peer_key peer_key;
	enum state state;
	enum deadline deadline;
	unsigned refs;                      /* open handles, and a handler at work */
	bool is_advancing, is_writing, is_reading, is_last, had_request, wants_continue;
	bool is_queued;                     /* in the loop's queue; guarded by its lock, as `finished` */
	struct gw_exchange *finished;       /* of `streams`, on their way back */
	size_t left_to_write;               /* at the last write deadline */
	struct gw_streams *streams;         /* NULL: not HTTP/2 */
	int64_t write_by_ms;                /* HTTP/2: until when the network must have taken `out`; 0: it has */
	struct http1 http;
	int64_t received_ms;

	struct gw_exchange x;               /* the request at the worker, and its reply */
	struct buf wire;                    /* the reply as octets, before TLS */
	struct http_octets *large;          /* what follows it, in pieces; NULL: nothing */
	uint64_t large_sent;

	struct buf out, late;               /* to the network: being written, and what came meanwhile */
};

static void advance(struct gw_connection *c);

struct gw_connection *gw_connection_get_next(struct gw_connection *c)
{
	return c->next;
}

struct gw_connection **gw_connection_queue_link(struct gw_connection *c)
{
	return &c->queue_next;
}

/* ---- life and death ---- */

void gw_connection_end_loop(struct gw_loop *loop)
{
	if (!loop->is_stopping || loop->connections || uv_is_closing((uv_handle_t *)&loop->wake))
		return;
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->stop_timer, NULL);
	uv_close((uv_handle_t *)&loop->turn, NULL);
}

static void unref(struct gw_connection *c)
{
	struct gw_loop *loop = c->loop;

	if (--c->refs)
		return;
	gw_peers_leave(loop->server->peers, &c->peer_key);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	gw_streams_drop(&c->streams);
	gw_exchange_fini(&c->x);
	gw_tls_drop(&c->tls);
	http1_fini(&c->http);
	buf_fini(&c->wire);
	http_octets_drop(&c->large);
	buf_fini(&c->out);
	buf_fini(&c->late);
	free(c);
	atomic_fetch_sub(&loop->server->connections, 1);
	gw_connection_end_loop(loop);
}

static void leave_turn(struct gw_connection *c)
{
	if (!c->turn_link)
		return;
	*c->turn_link = c->turn_next;
	if (c->turn_next)
		c->turn_next->turn_link = c->turn_link;
	else
		c->loop->last_shaking = c->turn_link;
	c->turn_link = NULL;
}

static void on_closed(uv_handle_t *handle)
{
	unref(handle->data);
}

void gw_connection_cut(struct gw_connection *c)
{
	if (c->state == STATE_CLOSED)
		return;
	c->state = STATE_CLOSED;
	leave_turn(c);
	if (c->streams)
		atomic_fetch_add(&c->loop->server->h2_frames, http2_frames(gw_streams_session(c->streams)));
	uv_close((uv_handle_t *)&c->tcp, on_closed);
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

static const struct gw_deadlines *deadlines(const struct gw_connection *c)
{
	return &c->listener->options.deadlines;
}

static size_t unwritten(const struct gw_connection *c)
{
	return uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

static void on_deadline(uv_timer_t *timer)
{
	struct gw_connection *c = timer->data;
	size_t left = unwritten(c);

	if (c->deadline == DEADLINE_WRITE && left + WRITE_PROGRESS <= c->left_to_write) {
		c->left_to_write = left;
		uv_timer_start(&c->timer, on_deadline, deadlines(c)->write, 0);
		return;
	}
	if (c->deadline != DEADLINE_IDLE && c->deadline != DEADLINE_LINGER && c->deadline != DEADLINE_LAST_CHANCE)
		atomic_fetch_add(&c->loop->server->timeouts, 1);
	gw_connection_cut(c);
}

/* A deadline runs from the moment its kind begins; asking for the same kind again does not prolong it. */
static void set_deadline(struct gw_connection *c, enum deadline kind)
{
	const struct gw_deadlines *d = deadlines(c);
	const unsigned ms[] = {
		[DEADLINE_NONE] = 0, [DEADLINE_HANDSHAKE] = d->handshake, [DEADLINE_HEAD] = d->head,
		[DEADLINE_BODY] = d->body, [DEADLINE_IDLE] = d->idle, [DEADLINE_WRITE] = d->write,
		[DEADLINE_LINGER] = d->linger, [DEADLINE_LAST_CHANCE] = LAST_CHANCE_MS,
	};

	if (c->state == STATE_CLOSED || c->deadline == kind)
		return;
	c->deadline = kind;
	c->left_to_write = unwritten(c);
	if (kind == DEADLINE_NONE)
		uv_timer_stop(&c->timer);
	else
		uv_timer_start(&c->timer, on_deadline, ms[kind], 0);
}

/* ---- writing ---- */

static void flush(struct gw_connection *c);
static void send_rest(struct gw_connection *c);
static void move_streams(struct gw_connection *c);

static void swap(struct buf *a, struct buf *b)
{
	struct buf t = *a;

	*a = *b;
	*b = t;
}

static void on_written(uv_write_t *write, int status)
{
	struct gw_connection *c = write->data;

	c->is_writing = false;
	buf_reset(&c->out);
	swap(&c->out, &c->late);
	if (c->state == STATE_CLOSED)
		return;
	if (status < 0) {
		gw_connection_cut(c);
		return;
	}
	c->write_by_ms = 0;
	flush(c);
	if (c->streams && c->state == STATE_READING)
		move_streams(c);
	else if (!c->is_writing && c->state == STATE_WRITING)
		send_rest(c);
}

/* Give the kernel what it takes at once; only what is left needs a callback. */
static void flush(struct gw_connection *c)
{
	uv_buf_t piece;
	int n;

	if (c->state == STATE_CLOSED || c->is_writing || c->out.len == 0)
		return;
	piece = uv_buf_init((char *)c->out.ptr, (unsigned)c->out.len);
	n = uv_try_write((uv_stream_t *)&c->tcp, &piece, 1);
	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0) {
		gw_connection_cut(c);
		return;
	}
	if ((size_t)n == c->out.len) {
		buf_reset(&c->out);
		if (c->out.capacity > KEEP_CAPACITY)
			buf_fini(&c->out);
		return;
	}
	piece.base += n;
	piece.len -= (size_t)n;
	c->write.data = c;
	c->is_writing = uv_write(&c->write, (uv_stream_t *)&c->tcp, &piece, 1, on_written) == 0;
	if (!c->is_writing)
		gw_connection_cut(c);
}

/* Octets of the application go out, through TLS if there is TLS. Plain octets of `data` are taken, not copied. */
static void transmit(struct gw_connection *c, struct buf *data)
{
	struct buf *to = c->is_writing ? &c->late : &c->out;
	int r = 0;

	if (c->tls) {
		r = gw_tls_write(c->tls, buf_bytes(data));
		if (!r)
			r = gw_tls_take(c->tls, to);
	} else if (to->len == 0) {
		swap(to, data);
	} else {
		r = buf_append(to, buf_bytes(data));
	}
	buf_reset(data);
	if (r)
		gw_connection_cut(c);
	else
		flush(c);
}

/* What TLS itself wants to say: handshake, tickets, alerts. */
static void flush_tls(struct gw_connection *c)
{
	if (!c->tls || c->state == STATE_CLOSED)
		return;
	if (gw_tls_take(c->tls, c->is_writing ? &c->late : &c->out))
		gw_connection_cut(c);
	else
		flush(c);
}

/* ---- reading on and off ---- */

/* The one request of the connection is not answered yet. Nothing is read, but the loop goes on looking for octets until
 * there are some: nearly every client waits for its answer, and reading need not be switched off and on for it. */
static bool is_busy(const struct gw_connection *c)
{
	return c->state == STATE_WORKING || c->state == STATE_WRITING;
}

static void set_reading(struct gw_connection *c, bool reads);

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct gw_connection *c = handle->data;
	size_t size = 0;
	uint8_t *room = NULL;

	if (is_busy(c)) {
		*out = uv_buf_init(NULL, 0);
		return;
	}
	if (c->tls || c->state != STATE_READING) {
		*out = uv_buf_init((char *)c->loop->scratch, GW_SCRATCH_SIZE);
		return;
	}
	room = http1_room(&c->http, &size);
	*out = uv_buf_init((char *)room, room ? (unsigned)size : 0);
}

static void on_octets(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct gw_connection *c = stream->data;

	if (n == 0 || c->state == STATE_CLOSED)
		return;
	if (n == UV_ENOBUFS && is_busy(c)) {
		set_reading(c, false);
		return;
	}
	if (n < 0) {
		gw_connection_cut(c);
		return;
	}
	if (c->state != STATE_READING)
		return; /* lingering */
	if (!c->tls) {
		if (!http1_has_begun(&c->http))
			c->received_ms = clock_wall_ms();
		http1_added(&c->http, (size_t)n);
	} else if (gw_tls_feed(c->tls, bytes_of(buf->base, (size_t)n))) {
		gw_connection_cut(c);
		return;
	}
	advance(c);
}

static void set_reading(struct gw_connection *c, bool reads)
{
	if (c->state == STATE_CLOSED || c->is_reading == reads)
		return;
	c->is_reading = reads;
	if (!reads)
		uv_read_stop((uv_stream_t *)&c->tcp);
	else if (uv_read_start((uv_stream_t *)&c->tcp, on_room, on_octets) < 0)
		gw_connection_cut(c);
}

/* ---- replies ---- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
	free(request);
}

/* Closing with unread octets would reset the connection and could take the reply with it: say that nothing more
 * comes, then read until the client is done too, for a short while. */
static void linger(struct gw_connection *c)
{
	uv_shutdown_t *request = malloc(sizeof(*request));

	if (c->tls) {
		gw_tls_close(c->tls);
		flush_tls(c);
	}
	if (!request || c->state == STATE_CLOSED || uv_shutdown(request, (uv_stream_t *)&c->tcp, on_shutdown) < 0) {
		free(request);
		gw_connection_cut(c);
		return;
	}
	c->state = STATE_LINGERING;
	set_deadline(c, DEADLINE_LINGER);
	set_reading(c, true);
}

static void reply_is_gone(struct gw_connection *c)
{
	set_deadline(c, DEADLINE_NONE);
	if (c->is_last) {
		linger(c);
		return;
	}
	if (c->wire.capacity > KEEP_CAPACITY)
		buf_fini(&c->wire);
	http1_next(&c->http);
	c->had_request = true;
	c->received_ms = clock_wall_ms();
	c->state = STATE_READING;
	/* A stop that began while the handler worked: only what was already sent is answered. */
	if (c->loop->is_stopping && !http1_has_begun(&c->http)) {
		c->is_last = true;
		linger(c);
		return;
	}
	advance(c);
}

/* A large body goes piece by piece: of what a client does not read no more than one is kept for it. */
static void send_rest(struct gw_connection *c)
{
	while (c->large && !c->is_writing && c->state != STATE_CLOSED) {
		if (http_octets_next(&c->large, &c->large_sent, LARGE_PIECE, &c->wire)) {
			gw_connection_cut(c);
			return;
		}
		transmit(c, &c->wire);
		set_deadline(c, DEADLINE_NONE);
	}
	if (c->state == STATE_CLOSED)
		return;
	if (c->is_writing)
		set_deadline(c, DEADLINE_WRITE);
	else
		reply_is_gone(c);
}

static void send_reply(struct gw_connection *c)
{
	c->state = STATE_WRITING;
	transmit(c, &c->wire);
	send_rest(c);
}

static bool closes_after(const struct gw_connection *c)
{
	return c->is_last || !c->http.keeps_alive || atomic_load(&c->loop->server->is_stopping);
}

/* The reply as octets, counted. */
static void print_reply(struct gw_connection *c)
{
	struct http_reply *r = &c->x.reply;
	struct http1_reply_options options = {
		.is_head = c->http.method && strcmp(c->http.method, "HEAD") == 0,
		.is_http10 = c->http.is_http10,
		.closes = c->is_last,
		.now_s = clock_wall_s(),
	};
	int e;

	buf_reset(&c->wire);
	e = r->status ? http1_reply_print(&c->wire, r, &options) : -1;
	if (e) {
		log_error("http.reply.failed", "endpoint", c->x.match.mount ? c->x.match.mount->name : NULL, "path",
			  c->http.path, "error", LOG_NUMBER(e));
		buf_reset(&c->wire);
		r->status = 500;
		r->n_headers = 0;
		buf_reset(&r->body);
		http_octets_drop(&r->large);
		buf_append_str(&r->body, "server error\n");
		http1_reply_print(&c->wire, r, &options);
	}
	c->large = options.is_head || r->status == 304 ? NULL : MOVE(r->large);
	c->large_sent = 0;
	/* It may have had a secret in it, and the connection may be idle from now on. */
	if (r->body.capacity > KEEP_CAPACITY)
		buf_fini(&r->body);
	else
		buf_reset(&r->body);
	c->x.version = c->http.is_http10 ? GW_HTTP_1_0 : GW_HTTP_1_1;
	gw_exchange_end(&c->x, c->http.method, c->http.method ? c->http.path : NULL);
	arena_drop(&c->x.arena);
}

/* Send the reply of the gateway itself that stands in the exchange. */
static void answer(struct gw_connection *c)
{
	print_reply(c);
	set_reading(c, false);
	send_reply(c);
}

static void answer_bad(struct gw_connection *c)
{
	size_t body_max;

	atomic_fetch_add(&c->loop->server->bad_requests, 1);
	c->is_last = true;
	/* A request that was refused for its body has a route, and the form of its endpoint. */
	if (!c->http.method || gw_exchange_route(&c->x, c->http.method, c->http.path, &body_max))
		c->x.match.mount = NULL;
	c->x.began_ns = 0;
	gw_exchange_say(&c->x, c->http.status, c->http.why, (struct http_header){ 0 });
	answer(c);
}

/* ---- handlers ---- */

/* A worker hands a connection of which a reply is ready back to its loop. */
static void hand_back(void *connection, struct gw_exchange *x)
{
	struct gw_connection *c = connection;
	struct gw_loop *loop = c->loop;

	/* Sent with the lock held: the loop may end as soon as it took the last connection. */
	pthread_mutex_lock(&loop->lock);
	x->next = c->finished;
	c->finished = x;
	if (!c->is_queued) {
		c->is_queued = true;
		c->queue_next = loop->finished;
		loop->finished = c;
	}
	uv_async_send(&loop->wake);
	pthread_mutex_unlock(&loop->lock);
}

/* On a worker: the only code here that is not on the loop. It owns the exchange and `wire` until it hands the
 * connection back. */
static void is_answered(struct gw_exchange *x)
{
	struct gw_connection *c = (struct gw_connection *)((char *)x - offsetof(struct gw_connection, x));

	c->is_last = closes_after(c);
	print_reply(c);
	hand_back(c, x);
}

static void hold(void *connection)
{
	struct gw_connection *c = connection;

	c->refs++;
}

/* Each exchange held the connection. */
static void answer_streams(struct gw_connection *c, struct gw_exchange *x)
{
	struct gw_exchange *next;
	unsigned n = 0;

	for (; x; x = next, n++) {
		next = x->next;
		gw_streams_answer(c->streams, x, clock_mono_ms());
	}
	if (c->state == STATE_READING)
		move_streams(c);
	while (n--)
		unref(c);
}

void gw_connection_reply(struct gw_connection *c)
{
	struct gw_exchange *x;

	pthread_mutex_lock(&c->loop->lock);
	x = c->finished;
	c->finished = NULL;
	c->is_queued = false;
	pthread_mutex_unlock(&c->loop->lock);
	if (c->streams) {
		answer_streams(c, x);
		return;
	}
	if (c->state != STATE_CLOSED)
		send_reply(c);
	unref(c);
}

static int prepare(struct gw_connection *c)
{
	const struct http1_limits *limits = &c->listener->options.limits;
	int r = arena_new(&c->x.arena, GW_EXCHANGE_ARENA + limits->line_max + limits->head_max + c->http.body.len);

	if (!r)
		r = http1_copy(&c->http, c->x.arena, &c->x.request);
	return r ? r : gw_exchange_complete(&c->x, c->http.host, c->received_ms);
}

static void dispatch(struct gw_connection *c)
{
	size_t body_max;
	int r = gw_exchange_route(&c->x, c->http.method, c->http.path, &body_max);

	c->is_last = closes_after(c);
	if (r) {
		gw_exchange_say_unrouted(&c->x, r);
		answer(c);
		return;
	}
	set_deadline(c, DEADLINE_NONE);
	if (!prepare(c)) {
		c->state = STATE_WORKING;
		c->refs++;
		if (!gw_exchange_submit(&c->x, c->loop->server->options.workers))
			return;
		c->refs--;
		c->state = STATE_READING;
	}
	gw_exchange_say_busy(&c->x);
	answer(c);
}

/* ---- reading ---- */

/* The header section is there: how much body may follow is the route's matter, and so is whether it may follow. */
static void check_head(struct gw_connection *c)
{
	size_t body_max;
	int r = gw_exchange_route(&c->x, c->http.method, c->http.path, &body_max);

	http1_limit_body(&c->http, body_max);
	c->wants_continue = c->http.expects_continue;
	if (r && c->http.expects_continue) {
		/* The client waits with the body: refuse it unread, and never take for a request what it may send. */
		c->is_last = true;
		gw_exchange_say_unrouted(&c->x, r);
		answer(c);
	}
}

/* Decrypt the next piece. False: nothing is there. */
static bool pull_tls(struct gw_connection *c)
{
	size_t size = 0, n = 0;
	uint8_t *room = http1_room(&c->http, &size);
	int r = room ? gw_tls_read(c->tls, room, size, &n) : -ENOMEM;

	if (r == 0) {
		if (!http1_has_begun(&c->http))
			c->received_ms = clock_wall_ms();
		http1_added(&c->http, n);
		return true;
	}
	if (r == GW_TLS_MORE)
		return false;
	flush_tls(c);
	if (c->is_writing || c->state == STATE_CLOSED || r < 0)
		gw_connection_cut(c);
	else
		linger(c);
	return false;
}

static void wait_for_more(struct gw_connection *c)
{
	OWNED_BUF go_on = BUF_INIT(OUT_MAX); /* transmit() may exchange it for `out` */

	if (c->wants_continue && http1_is_in_body(&c->http)) {
		c->wants_continue = false;
		buf_append_str(&go_on, HTTP1_CONTINUE);
		transmit(c, &go_on);
	}
	flush_tls(c);
	if (c->tls && !gw_tls_is_ready(c->tls))
		set_deadline(c, DEADLINE_HANDSHAKE);
	else if (http1_is_in_body(&c->http))
		set_deadline(c, DEADLINE_BODY);
	else if (http1_has_begun(&c->http) || !c->had_request)
		set_deadline(c, DEADLINE_HEAD);
	else
		set_deadline(c, DEADLINE_IDLE);
	set_reading(c, true);
}

/* ---- HTTP/2 ---- */

/* What the client sent is to blame, and not time or memory. */
static bool is_flood(enum http2_cut why)
{
	return why != HTTP2_CUT_STALLED && why != HTTP2_CUT_INTERNAL;
}

static void end_streams(struct gw_connection *c, enum http2_cut why)
{
	struct gw_server *s = c->loop->server;

	atomic_fetch_add(&s->h2_cuts[why], 1);
	if (why == HTTP2_CUT_STALLED)
		atomic_fetch_add(&s->timeouts, 1);
	log_info("http2.cut", "listener", c->listener->options.name, "peer", c->peer, "reason", http2_cut_name(why),
		 "frames", LOG_NUMBER(http2_frames(gw_streams_session(c->streams))));
	if (is_flood(why) && gw_peers_blame(s->peers, &c->peer_key, clock_mono_ms()))
		log_warn("peer.paused", "peer", c->peer, "reason", http2_cut_name(why), "for_ms",
			 LOG_NUMBER(s->options.flood_pause_ms));
	gw_connection_cut(c);
}

static void on_stream_deadline(uv_timer_t *timer)
{
	struct gw_connection *c = timer->data;
	int64_t now = clock_mono_ms();

	if (c->write_by_ms && now >= c->write_by_ms) {
		if (unwritten(c) + WRITE_PROGRESS > c->left_to_write) {
			end_streams(c, HTTP2_CUT_STALLED);
			return;
		}
		c->write_by_ms = 0;
	}
	http2_expire(gw_streams_session(c->streams), now);
	move_streams(c);
}

static void set_stream_deadline(struct gw_connection *c)
{
	int64_t now = clock_mono_ms(), by = http2_deadline(gw_streams_session(c->streams));

	if (!c->is_writing) {
		c->write_by_ms = 0;
	} else if (!c->write_by_ms) {
		c->write_by_ms = now + deadlines(c)->write;
		c->left_to_write = unwritten(c);
	}
	if (c->write_by_ms && c->write_by_ms < by)
		by = c->write_by_ms;
	if (by == INT64_MAX)
		uv_timer_stop(&c->timer);
	else
		uv_timer_start(&c->timer, on_stream_deadline, by > now ? (uint64_t)(by - now) : 0, 0);
}

/* Start what may start and send what is there, as long as the network takes it at once. */
static void move_streams(struct gw_connection *c)
{
	struct http2 *session = gw_streams_session(c->streams);
	int r = 0;

	gw_streams_start(c->streams, clock_mono_ms());
	while (!r && !c->is_writing && c->state == STATE_READING) {
		r = http2_take(session, &c->wire, clock_mono_ms());
		if (c->wire.len == 0)
			break;
		transmit(c, &c->wire);
		gw_streams_start(c->streams, clock_mono_ms());
	}
	flush_tls(c);
	if (c->state != STATE_READING)
		return;
	if (http2_cut_reason(session)) {
		end_streams(c, http2_cut_reason(session));
	} else if (http2_is_done(session) && !c->is_writing) {
		linger(c);
	} else {
		set_stream_deadline(c);
		set_reading(c, true);
	}
}

/* What was read is in the streams: the room is of all connections, and the next one may be long in coming. */
static int feed_streams(struct gw_connection *c, size_t n)
{
	int e = gw_streams_feed(c->streams, bytes_of(c->loop->scratch, n), clock_mono_ms());

	explicit_bzero(c->loop->scratch, n);
	return e;
}

static void advance_streams(struct gw_connection *c)
{
	size_t n = 0;
	int r;

	do {
		r = gw_tls_read(c->tls, c->loop->scratch, GW_SCRATCH_SIZE, &n);
	} while (!r && !feed_streams(c, n));
	move_streams(c);
	if (r != 0 && r != GW_TLS_MORE && c->state == STATE_READING)
		gw_connection_cut(c);
}

static void begin_streams(struct gw_connection *c)
{
	struct gw_streams_options options = {
		.listener = c->listener, .peer = c->peer, .workers = c->loop->server->options.workers,
		.connection = c, .hand_back = hand_back, .hold = hold,
		.bad_requests = &c->loop->server->bad_requests,
	};

	atomic_fetch_add(&c->loop->server->h2_connections, 1);
	if (gw_streams_new(&c->streams, &options, clock_mono_ms()))
		gw_connection_cut(c);
}

/* ---- the handshake ---- */

static void shake_hands(struct gw_connection *c)
{
	int r = gw_tls_handshake(c->tls);

	if (r == GW_TLS_MORE) {
		wait_for_more(c);
	} else if (r) {
		atomic_fetch_add(&c->loop->server->tls_failures, 1);
		flush_tls(c);
		gw_connection_cut(c);
	} else if (gw_tls_is_h2(c->tls)) {
		begin_streams(c);
	} else if (gw_tls_has_certificate(c->tls)) {
		atomic_fetch_add(&c->loop->server->client_certificates[gw_tls_is_resumed(c->tls)], 1);
	}
	if (!r && c->state == STATE_READING)
		advance(c);
}

/* Once in each round of the loop. */
static void on_turn(uv_idle_t *turn)
{
	struct gw_loop *loop = turn->data;
	struct gw_connection *c = loop->shaking;

	if (!c) {
		uv_idle_stop(turn);
		return;
	}
	leave_turn(c);
	shake_hands(c);
}

/* A step of a handshake costs as much as many requests: the loop makes one, then looks after all that is there, so
 * many clients that come at once take turns with those that came before. Until its turn a client is read no further:
 * what it says waits in its own socket, and so does the end of it. */
static void wait_for_turn(struct gw_connection *c)
{
	struct gw_loop *loop = c->loop;

	set_reading(c, false);
	if (c->turn_link)
		return;
	c->turn_next = NULL;
	c->turn_link = loop->last_shaking;
	*loop->last_shaking = c;
	loop->last_shaking = &c->turn_next;
	uv_idle_start(&loop->turn, on_turn);
}

/* Work off what is there. A reply that is written at once ends in reply_is_gone(), which comes back here for
 * pipelined requests: the flag turns that recursion into another round. */
static void advance(struct gw_connection *c)
{
	if (c->is_advancing)
		return;
	if (c->tls && !gw_tls_is_ready(c->tls)) {
		wait_for_turn(c);
		return;
	}
	if (c->streams) {
		advance_streams(c);
		return;
	}
	c->is_advancing = true;
	while (c->state == STATE_READING) {
		switch (http1_step(&c->http)) {
		case HTTP1_HEAD:
			check_head(c);
			break;
		case HTTP1_DONE:
			dispatch(c);
			break;
		case HTTP1_BAD:
			answer_bad(c);
			break;
		case HTTP1_MORE:
			if (c->tls && pull_tls(c))
				break;
			if (c->state == STATE_READING)
				wait_for_more(c);
			goto out;
		}
	}
out:
	c->is_advancing = false;
}

/* ---- beginning and end ---- */

/* Who is it? False when this address has its share of connections already, or flooded. */
static bool meet_peer(struct gw_connection *c)
{
	struct gw_server *s = c->loop->server;
	struct sockaddr_storage a;
	int r;
	int size = sizeof(a);

	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&a, &size) < 0)
		return true;
	if (a.ss_family == AF_INET6)
		uv_ip6_name((struct sockaddr_in6 *)&a, c->peer, sizeof(c->peer));
	else
		uv_ip4_name((struct sockaddr_in *)&a, c->peer, sizeof(c->peer));
	r = gw_peers_enter(s->peers, (const struct sockaddr *)&a, clock_mono_ms(), &c->peer_key);
	if (r)
		atomic_fetch_add(r == GW_PEERS_PAUSED ? &s->paused : &s->refused, 1);
	return r == 0;
}

static struct gw_connection *new_connection(struct gw_accept *from)
{
	struct gw_loop *loop = from->loop;
	struct gw_connection *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = loop;
	c->listener = from->listener;
	c->refs = 2; /* two handles */
	c->out = c->late = c->wire = BUF_INIT(OUT_MAX);
	c->x = (struct gw_exchange){ .listener = c->listener, .peer = c->peer, .finished = is_answered };
	http1_init(&c->http, &c->listener->options.limits);
	uv_tcp_init(&loop->uv, &c->tcp);
	uv_timer_init(&loop->uv, &c->timer);
	c->tcp.data = c->timer.data = c;
	c->next = loop->connections;
	c->link = &loop->connections;
	if (c->next)
		c->next->link = &c->next;
	loop->connections = c;
	atomic_fetch_add(&loop->server->connections, 1);
	return c;
}

static int start_tls(struct gw_connection *c)
{
	struct ssl_ctx_st *context = gw_listener_get_tls(c->listener);
	int r = context ? gw_tls_new(&c->tls, context, c->listener->options.http1_only) : -EPROTO;

	gw_tls_context_drop(&context);
	c->x.tls = c->tls;
	return r;
}

static void on_refused(uv_handle_t *handle)
{
	free(handle);
}

/* Too many: take the client off the queue and let it go, or it would wait there for nothing. */
static void refuse(struct gw_accept *from)
{
	uv_tcp_t *tcp = malloc(sizeof(*tcp));

	atomic_fetch_add(&from->loop->server->refused, 1);
	if (!tcp)
		return;
	uv_tcp_init(&from->loop->uv, tcp);
	uv_accept((uv_stream_t *)&from->tcp, (uv_stream_t *)tcp);
	uv_close((uv_handle_t *)tcp, on_refused);
}

void gw_connection_accept(struct gw_accept *from)
{
	struct gw_server *s = from->loop->server;
	struct gw_connection *c = NULL;

	if (atomic_load(&s->connections) < s->options.max_connections)
		c = new_connection(from);
	if (!c) {
		refuse(from);
		return;
	}
	if (uv_accept((uv_stream_t *)&from->tcp, (uv_stream_t *)&c->tcp) < 0) {
		gw_connection_cut(c);
		return;
	}
	atomic_fetch_add(&s->accepted, 1);
	if (!meet_peer(c) || (c->listener->options.is_tls && start_tls(c))) {
		gw_connection_cut(c);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	wait_for_more(c);
}

void gw_connection_finish(struct gw_connection *c)
{
	if (c->state != STATE_READING)
		return;
	if (c->streams) {
		http2_finish(gw_streams_session(c->streams));
		move_streams(c);
	} else if (!http1_has_begun(&c->http)) {
		/* The first request is on its way: its client would take a cut for a failure. An idle client is told
		 * that this is the end, and nobody waits for it to agree. */
		if (c->had_request) {
			if (c->tls) {
				gw_tls_close(c->tls);
				flush_tls(c);
			}
			gw_connection_cut(c);
		} else {
			set_deadline(c, DEADLINE_LAST_CHANCE);
		}
	}
}
