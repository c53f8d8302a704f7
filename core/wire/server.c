/* Answering calls.
 *
 * The one reading thread alone closes descriptors and frees peers. A peer is freed when it is cut and none of its calls
 * runs. Whoever has an answer writes as much as the stream takes; the reading thread writes the rest.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/wire/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/wire/frame.h"

#define UNREAD_MAX (8u << 20) /* octets of answers that a peer leaves unread */

struct wire_peer {
	struct wire_peer *next;
	struct wire_server *server;
	void *arg;
	int fd;
	struct frame_in in;    /* the reading thread's, as the next two */
	bool is_greeted;
	int64_t greet_by_ms;
	pthread_mutex_t lock;  /* guards all below */
	struct frame_out out;
	unsigned n_calls;      /* in flight */
	bool is_full;          /* nothing is read: as many as the window are */
	bool is_cut;
};

struct incoming {
	struct pool_job job;
	struct wire_peer *peer;
	uint64_t id;
	int64_t until_ms; /* 0: however late */
	size_t len;
	uint8_t octets[];
};

struct wire_server {
	struct wire_server_options options;
	pthread_t thread;
	int wake_fd;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	bool has_begun;          /* the reading thread runs */
	struct wire_peer *added; /* not seen by the reading thread yet */
	unsigned n_peers;
	bool ends;
	/* the reading thread's */
	struct wire_peer *peers;
};

static void wake(struct wire_server *s)
{
	uint64_t one = 1;

	(void)!write(s->wake_fd, &one, sizeof(one));
}

/* With the peer's lock held. */
static void cut(struct wire_peer *p)
{
	if (!p->is_cut)
		shutdown(p->fd, SHUT_RDWR);
	p->is_cut = true;
}

static void cut_with_reason(struct wire_peer *p, const char *why)
{
	pthread_mutex_lock(&p->lock);
	if (!p->is_cut)
		log_warn("wire.cut", "server", p->server->options.name, "why", why);
	cut(p);
	pthread_mutex_unlock(&p->lock);
}

/* ---- a call, on a thread of the pool ---- */

/* With the peer's lock held. */
static void send_answer(struct wire_peer *p, uint64_t id, struct bytes reply)
{
	bool was_empty = frame_out_is_empty(&p->out);
	int e = p->is_cut ? -EPIPE : frame_out_add(&p->out, id, reply);

	if (!e && was_empty)
		e = frame_out_flush(&p->out, p->fd);
	if (e < 0)
		cut(p);
}

static void run_call(struct pool_job *job)
{
	struct incoming *call = (struct incoming *)job;
	struct wire_peer *p = call->peer;
	OWNED_BUF reply = BUF_INIT(FRAME_MAX);
	bool is_late = call->until_ms && clock_mono_ms() > call->until_ms, wakes;
	int e = is_late ? 0 : p->server->options.answer(p->arg, bytes_of(call->octets, call->len), &reply);

	pthread_mutex_lock(&p->lock);
	if (!is_late && (!e || reply.len))
		send_answer(p, call->id, buf_bytes(&reply));
	if (e)
		cut(p);
	p->n_calls--;
	wakes = p->is_cut || p->is_full || !frame_out_is_empty(&p->out);
	/* The reading thread frees the peer as soon as nothing is in flight: it is not touched after this. */
	if (wakes)
		wake(p->server);
	pthread_mutex_unlock(&p->lock);
	explicit_bzero(call->octets, call->len);
	free(call);
}

/* ---- the reading thread ---- */

static int greet(struct wire_peer *p, struct bytes message)
{
	OWNED_BUF reply = BUF_INIT(FRAME_MAX);
	uint64_t id;
	int e = frame_id(message, &id);

	if (e)
		return e;
	e = p->server->options.greet(p->arg, message, &reply);
	pthread_mutex_lock(&p->lock);
	if (!e || reply.len)
		send_answer(p, id, buf_bytes(&reply));
	if (e)
		cut(p);
	pthread_mutex_unlock(&p->lock);
	p->is_greeted = true;
	return e ? -EACCES : 0;
}

/* When a call is too late. Whoever gives no deadline waits for ever. */
static int read_deadline(const struct wire_peer *p, struct bytes message, int64_t *until_ms)
{
	unsigned field = p->server->options.deadline_field;
	uint64_t wait_ms = 0;
	int e = field ? frame_number(message, field, &wait_ms) : 0;

	*until_ms = wait_ms && wait_ms <= INT32_MAX ? clock_mono_ms() + (int64_t)wait_ms : 0;
	return e;
}

static int make_call(struct wire_peer *p, struct bytes message, struct incoming **out)
{
	struct incoming *call = malloc(sizeof(*call) + message.len);
	int e = call ? frame_id(message, &call->id) : -ENOMEM;

	if (!e)
		e = read_deadline(p, message, &call->until_ms);
	if (e) {
		free(call);
		return e;
	}
	call->job = (struct pool_job){ .run = run_call };
	call->peer = p;
	call->len = message.len;
	memcpy(call->octets, message.ptr, message.len);
	pthread_mutex_lock(&p->lock);
	p->n_calls++;
	pthread_mutex_unlock(&p->lock);
	*out = call;
	return 0;
}

static int hand_over(struct wire_peer *p, struct incoming *call)
{
	if (pool_submit(p->server->options.pool, &call->job) == 0)
		return 0;
	pthread_mutex_lock(&p->lock);
	p->n_calls--;
	pthread_mutex_unlock(&p->lock);
	free(call);
	return -EAGAIN;
}

/* A call goes to the pool, unless it is the last one so far and this thread may answer it itself. */
static int start_call(struct wire_peer *p, struct bytes message, struct incoming **last)
{
	struct incoming *call, *before = *last;
	int e = make_call(p, message, &call);

	if (e)
		return e;
	if (!p->server->options.is_quick)
		return hand_over(p, call);
	*last = call;
	return before ? hand_over(p, before) : 0;
}

/* It went while its calls run. */
static void leave_peer(struct wire_peer *p)
{
	pthread_mutex_lock(&p->lock);
	cut(p);
	pthread_mutex_unlock(&p->lock);
}

/* More than the window is not taken: whoever asks gave up on a call that is still running here, and asks again. */
static bool is_full(struct wire_peer *p)
{
	bool full;

	pthread_mutex_lock(&p->lock);
	full = p->is_full = p->n_calls >= p->server->options.window;
	pthread_mutex_unlock(&p->lock);
	return full;
}

/* Take what was read, as far as the window goes. */
static void take_calls(struct wire_peer *p, int e)
{
	struct incoming *last = NULL;
	struct bytes message;

	while (!e && !is_full(p)) {
		e = frame_in_take(&p->in, &message);
		if (!e)
			e = p->is_greeted ? start_call(p, message, &last) : greet(p, message);
	}
	if (last)
		run_call(&last->job);
	if (e == -EPIPE || e == -ECONNRESET) {
		leave_peer(p);
	} else if (e < 0) {
		cut_with_reason(p, e == -EAGAIN ? "too many calls for the threads" : "not a message");
	}
}

static void read_peer(struct wire_peer *p)
{
	take_calls(p, frame_in_fill(&p->in, p->fd));
}

/* Calls ended: what was read and not taken before comes first. */
static void go_on(struct wire_server *s)
{
	for (struct wire_peer *p = s->peers; p; p = p->next) {
		bool waits;

		pthread_mutex_lock(&p->lock);
		waits = p->is_full && !p->is_cut && p->n_calls < s->options.window;
		pthread_mutex_unlock(&p->lock);
		if (waits)
			take_calls(p, 0);
	}
}

static void write_peer(struct wire_peer *p)
{
	pthread_mutex_lock(&p->lock);
	if (!p->is_cut && frame_out_flush(&p->out, p->fd) < 0)
		cut(p);
	pthread_mutex_unlock(&p->lock);
}

/* Free the peers that are over. */
static void sweep(struct wire_server *s)
{
	struct wire_peer **link = &s->peers, *p;
	bool is_over;

	while ((p = *link) != NULL) {
		pthread_mutex_lock(&p->lock);
		is_over = p->is_cut && p->n_calls == 0;
		pthread_mutex_unlock(&p->lock);
		if (!is_over) {
			link = &p->next;
			continue;
		}
		*link = p->next;
		close(p->fd);
		if (s->options.gone)
			s->options.gone(p->arg);
		pthread_mutex_destroy(&p->lock);
		frame_in_fini(&p->in);
		frame_out_fini(&p->out);
		free(p);
		pthread_mutex_lock(&s->lock);
		s->n_peers--;
		pthread_mutex_unlock(&s->lock);
	}
}

/* Peers that came, and the end: true when it is time to go. */
static bool look_around(struct wire_server *s)
{
	struct wire_peer *p;
	uint64_t count;
	bool ends;

	(void)!read(s->wake_fd, &count, sizeof(count));
	pthread_mutex_lock(&s->lock);
	while ((p = s->added) != NULL) {
		s->added = p->next;
		p->next = s->peers;
		s->peers = p;
	}
	ends = s->ends;
	pthread_mutex_unlock(&s->lock);
	for (p = ends ? s->peers : NULL; p; p = p->next) {
		pthread_mutex_lock(&p->lock);
		cut(p);
		pthread_mutex_unlock(&p->lock);
	}
	return ends;
}

/* Cut who has not said who it is. How long poll() may sleep until the next such moment; -1: for ever. */
static int expect_greetings(struct wire_server *s)
{
	int64_t now = clock_mono_ms(), next = INT64_MAX;

	for (struct wire_peer *p = s->peers; p; p = p->next) {
		if (p->is_greeted)
			continue;
		if (p->greet_by_ms <= now)
			cut_with_reason(p, "it did not begin");
		else if (p->greet_by_ms < next)
			next = p->greet_by_ms;
	}
	return next == INT64_MAX ? -1 : (int)(next - now) + 1;
}

static unsigned fill_poll(struct wire_server *s, struct pollfd *polls, struct wire_peer **peers, unsigned max)
{
	unsigned n = 0;

	for (struct wire_peer *p = s->peers; p && n < max; p = p->next) {
		pthread_mutex_lock(&p->lock);
		if (!p->is_cut) {
			peers[n] = p;
			polls[n++] = (struct pollfd){
				.fd = p->fd,
				.events = (short)((p->is_full ? 0 : POLLIN) |
						  (frame_out_is_empty(&p->out) ? 0 : POLLOUT)),
			};
		}
		pthread_mutex_unlock(&p->lock);
	}
	return n;
}

#define PEERS_MAX 64

static void *run(void *arg)
{
	struct wire_server *s = arg;
	struct wire_peer *peers[PEERS_MAX];
	struct pollfd polls[PEERS_MAX + 1];

	pthread_mutex_lock(&s->lock);
	s->has_begun = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	for (;;) {
		bool ends = look_around(s);
		int wait_ms = expect_greetings(s);
		unsigned n;

		go_on(s);
		sweep(s);
		if (ends && !s->peers)
			return NULL;
		n = fill_poll(s, polls, peers, PEERS_MAX);
		polls[n] = (struct pollfd){ s->wake_fd, POLLIN, 0 };
		if (poll(polls, n + 1, wait_ms) < 0)
			continue;
		for (unsigned i = 0; i < n; i++) {
			if (polls[i].revents & POLLOUT)
				write_peer(peers[i]);
			if (!(polls[i].events & POLLIN) && polls[i].revents & (POLLHUP | POLLERR))
				leave_peer(peers[i]);
			else if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
				read_peer(peers[i]);
		}
	}
}

int wire_server_new(struct wire_server **out, const struct wire_server_options *options)
{
	struct wire_server *s = calloc(1, sizeof(*s));
	int e;

	if (!s)
		return -ENOMEM;
	s->options = *options;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e = s->wake_fd < 0 ? -errno : -pthread_create(&s->thread, NULL, run, s);
	if (!e) {
		pthread_mutex_lock(&s->lock);
		while (!s->has_begun)
			pthread_cond_wait(&s->changed, &s->lock);
		pthread_mutex_unlock(&s->lock);
		*out = s;
		return 0;
	}
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	free(s);
	return e;
}

void wire_server_drop(struct wire_server **sp)
{
	struct wire_server *s = *sp;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ends = true;
	pthread_mutex_unlock(&s->lock);
	wake(s);
	pthread_join(s->thread, NULL);
	close(s->wake_fd);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
	*sp = NULL;
}

int wire_server_add(struct wire_server *s, int take_fd, void *peer_arg)
{
	struct wire_peer *p = calloc(1, sizeof(*p));
	int e = p ? 0 : -ENOMEM;

	pthread_mutex_lock(&s->lock);
	if (!e && (s->ends || s->n_peers == PEERS_MAX))
		e = -EBUSY;
	if (!e) {
		p->server = s;
		p->arg = peer_arg;
		p->fd = take_fd;
		p->is_greeted = !s->options.greet;
		p->greet_by_ms = clock_mono_ms() + WIRE_GREET_MS;
		p->in = FRAME_IN_INIT;
		p->out = FRAME_OUT_INIT(UNREAD_MAX);
		pthread_mutex_init(&p->lock, NULL);
		p->next = s->added;
		s->added = p;
		s->n_peers++;
	}
	pthread_mutex_unlock(&s->lock);
	if (e) {
		free(p);
		close(take_fd);
		return e;
	}
	wake(s);
	return 0;
}
