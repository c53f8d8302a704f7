/* The server and its loops.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/loop.h"

#include "gateway/connection.h"

#include "core/base/clock.h"
#include "core/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 511

static void on_client(uv_stream_t *stream, int status)
{
	struct gw_accept *a = stream->data;

	if (status < 0)
		log_warn("listener.accept.failed", "listener", a->listener->options.name, "error",
			 uv_strerror(status));
	else
		gw_connection_accept(a);
}

static void start_listening(struct gw_accept *a)
{
	int fd = a->listener->sockets[a->loop->number], r;

	if (fd < 0)
		return;
	a->listener->sockets[a->loop->number] = -1;
	uv_tcp_init(&a->loop->uv, &a->tcp);
	a->tcp.data = a;
	a->is_listening = true;
	r = uv_tcp_open(&a->tcp, fd);
	if (r < 0)
		close(fd);
	else
		r = uv_listen((uv_stream_t *)&a->tcp, BACKLOG, on_client);
	if (r < 0)
		log_error("listener.failed", "listener", a->listener->options.name, "error", uv_strerror(r));
}

static void open_listeners(struct gw_loop *loop)
{
	size_t i;

	for (i = 0; i < loop->n_accepts; i++)
		if (!loop->accepts[i].is_listening && atomic_load(&loop->accepts[i].listener->is_open))
			start_listening(&loop->accepts[i]);
}

static void cut_all(struct gw_loop *loop)
{
	struct gw_connection *c, *next;

	loop->is_cut = true;
	for (c = loop->connections; c; c = next) {
		next = gw_connection_get_next(c);
		gw_connection_cut(c);
	}
}

static void on_stop_deadline(uv_timer_t *timer)
{
	cut_all(timer->data);
}

static void begin_stop(struct gw_loop *loop)
{
	struct gw_connection *c, *next;
	size_t i;

	loop->is_stopping = true;
	for (i = 0; i < loop->n_accepts; i++)
		if (loop->accepts[i].is_listening)
			uv_close((uv_handle_t *)&loop->accepts[i].tcp, NULL);
	uv_timer_start(&loop->stop_timer, on_stop_deadline, atomic_load(&loop->server->stop_ms), 0);
	for (c = loop->connections; c; c = next) {
		next = gw_connection_get_next(c);
		gw_connection_finish(c);
	}
	gw_connection_end_loop(loop);
}

static void answer_finished(struct gw_loop *loop)
{
	struct gw_connection *c, *next;

	pthread_mutex_lock(&loop->lock);
	c = loop->finished;
	loop->finished = NULL;
	pthread_mutex_unlock(&loop->lock);
	for (; c; c = next) {
		next = *gw_connection_queue_link(c);
		gw_connection_reply(c);
	}
}

static void on_wake(uv_async_t *wake)
{
	struct gw_loop *loop = wake->data;

	answer_finished(loop);
	if (atomic_load(&loop->server->is_stopping)) {
		if (!loop->is_stopping)
			begin_stop(loop);
	} else {
		open_listeners(loop);
	}
}

static void *run_loop(void *arg)
{
	struct gw_loop *loop = arg;

	uv_run(&loop->uv, UV_RUN_DEFAULT);
	return NULL;
}

static int init_loop(struct gw_loop *loop)
{
	struct gw_listener *l;
	size_t n = 0;
	int r;

	for (l = loop->server->listeners; l; l = l->next)
		n++;
	loop->accepts = calloc(n + 1, sizeof(*loop->accepts));
	if (!loop->accepts)
		return -ENOMEM;
	for (l = loop->server->listeners; l; l = l->next)
		loop->accepts[loop->n_accepts++] = (struct gw_accept){ .loop = loop, .listener = l };
	r = uv_loop_init(&loop->uv);
	if (r < 0)
		return r;
	r = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (r < 0) {
		uv_loop_close(&loop->uv);
		return r;
	}
	uv_timer_init(&loop->uv, &loop->stop_timer);
	uv_idle_init(&loop->uv, &loop->turn);
	loop->wake.data = loop->stop_timer.data = loop->turn.data = loop;
	uv_async_send(&loop->wake); /* listeners that were opened before the start */
	r = -pthread_create(&loop->thread, NULL, run_loop, loop);
	loop->is_running = r == 0;
	if (r < 0) {
		uv_close((uv_handle_t *)&loop->wake, NULL);
		uv_close((uv_handle_t *)&loop->stop_timer, NULL);
		uv_close((uv_handle_t *)&loop->turn, NULL);
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		uv_loop_close(&loop->uv);
	}
	return r;
}

int gw_server_new(struct gw_server **out, const struct gw_server_options *options)
{
	struct gw_server *s = calloc(1, sizeof(*s));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned i;

	if (!s)
		return -ENOMEM;
	s->options = *options;
	s->n_loops = options->loops ? options->loops : cores > 0 ? (unsigned)cores : 1;
	s->loops = calloc(s->n_loops, sizeof(*s->loops));
	if (!s->loops || gw_tickets_new(&s->tickets, clock_mono_ms()) ||
	    gw_peers_new(&s->peers, options->max_per_address, options->flood_pause_ms)) {
		gw_tickets_drop(&s->tickets);
		free(s->loops);
		free(s);
		return -ENOMEM;
	}
	for (i = 0; i < s->n_loops; i++) {
		s->loops[i].server = s;
		s->loops[i].number = i;
		s->loops[i].last_shaking = &s->loops[i].shaking;
		pthread_mutex_init(&s->loops[i].lock, NULL);
	}
	*out = s;
	return 0;
}

int gw_server_listen(struct gw_server *s, const struct gw_listener_options *options, struct gw_listener **out,
		     char *why, size_t why_size)
{
	struct gw_listener *l = NULL, **last = &s->listeners;
	int r = gw_listener_new(&l, options, s->n_loops, why, why_size);

	if (r)
		return r;
	l->tickets = s->tickets;
	while (*last)
		last = &(*last)->next;
	*last = *out = l;
	return 0;
}

int gw_server_start(struct gw_server *s)
{
	unsigned i;
	int r;

	s->is_started = true;
	for (i = 0; i < s->n_loops; i++) {
		r = init_loop(&s->loops[i]);
		if (r) {
			gw_server_stop(s, 0);
			return r;
		}
	}
	return 0;
}

static void wake_all(struct gw_server *s)
{
	unsigned i;

	for (i = 0; i < s->n_loops; i++)
		if (s->loops[i].is_running)
			uv_async_send(&s->loops[i].wake);
}

/* Whoever is told that it is open may connect at once, so it does not wait for the loops; no loop touches a socket
 * before `is_open` is set. */
static void listen_all(const struct gw_listener *l)
{
	unsigned i;

	for (i = 0; i < l->n_sockets; i++)
		if (l->sockets[i] >= 0 && listen(l->sockets[i], BACKLOG) < 0)
			log_error("listener.failed", "listener", l->options.name, "error", strerror(errno));
}

void gw_server_open(struct gw_server *s, struct gw_listener *listener)
{
	if (!atomic_load(&listener->is_open))
		listen_all(listener);
	atomic_store(&listener->is_open, true);
	wake_all(s);
}

/* What no loop took, because the stop came first. */
static void close_untaken(struct gw_server *s)
{
	struct gw_listener *l;
	unsigned i;

	for (l = s->listeners; l; l = l->next)
		for (i = 0; i < l->n_sockets; i++)
			if (l->sockets[i] >= 0) {
				close(l->sockets[i]);
				l->sockets[i] = -1;
			}
}

void gw_server_stop(struct gw_server *s, unsigned deadline_ms)
{
	unsigned i;

	if (!s->is_started)
		return;
	s->is_started = false;
	atomic_store(&s->stop_ms, deadline_ms);
	atomic_store(&s->is_stopping, true);
	wake_all(s);
	for (i = 0; i < s->n_loops; i++) {
		if (!s->loops[i].is_running)
			continue;
		pthread_join(s->loops[i].thread, NULL);
		s->loops[i].is_running = false;
		uv_loop_close(&s->loops[i].uv);
	}
	close_untaken(s);
}

void gw_server_drop(struct gw_server **server)
{
	struct gw_server *s = *server;
	struct gw_listener *l, *next;
	unsigned i;

	if (!s)
		return;
	gw_server_stop(s, 0);
	for (l = s->listeners; l; l = next) {
		next = l->next;
		gw_listener_drop(&l);
	}
	for (i = 0; i < s->n_loops; i++) {
		pthread_mutex_destroy(&s->loops[i].lock);
		free(s->loops[i].accepts);
	}
	gw_peers_drop(&s->peers);
	gw_tickets_drop(&s->tickets);
	free(s->loops);
	free(s);
	*server = NULL;
}

void gw_server_count(struct gw_server *s, struct gw_server_stats *out)
{
	int i;

	*out = (struct gw_server_stats){
		.accepted = atomic_load(&s->accepted),
		.refused = atomic_load(&s->refused),
		.paused = atomic_load(&s->paused),
		.bad_requests = atomic_load(&s->bad_requests),
		.timeouts = atomic_load(&s->timeouts),
		.tls_failures = atomic_load(&s->tls_failures),
		.client_certificates = { atomic_load(&s->client_certificates[0]),
					 atomic_load(&s->client_certificates[1]) },
		.connections = atomic_load(&s->connections),
		.h2_connections = atomic_load(&s->h2_connections),
		.h2_frames = atomic_load(&s->h2_frames),
	};
	for (i = 0; i < HTTP2_CUTS_; i++)
		out->h2_cuts[i] = atomic_load(&s->h2_cuts[i]);
}

struct gw_listener *gw_server_listeners(struct gw_server *s)
{
	return s->listeners;
}
