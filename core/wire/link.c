/* Calls over one connection.
 *
 * One lock guards everything but the read itself. Of the threads that wait for an answer one is the reader: it polls
 * the stream and hands each answer to its waiter; when it has its own, another waiter takes over. Whoever adds a
 * message writes as much as the stream takes at once; the reader writes the rest when the stream has room.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/wire/link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/wire/frame.h"

#define RECONNECT_MS 100 /* between two tries to connect */

/* A call in flight. Its number is (generation << 16 | index + 1): an answer to a call that gave up fits nothing. */
struct call {
	pthread_cond_t changed; /* answered, or it is this waiter's turn to read */
	struct buf *reply;      /* NULL: nobody waits here */
	uint64_t generation;
	int result;
	bool is_over;
};

struct link {
	struct link_options options;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t room;  /* a call ended, or there is a connection */
	struct call *calls;
	unsigned n_calls;     /* in flight */
	int fd;               /* -1: none */
	int wake_fd;          /* makes the reader look again */
	int64_t tried_ms;     /* last try to connect */
	bool is_connecting;   /* one of the callers tries just now */
	bool is_reading;      /* one of the waiters is in poll(), on `read_fd` */
	int read_fd;
	bool is_closing;      /* that reader closes it when it comes back */
	bool is_well;
	struct frame_in in;
	struct frame_out out;
};

int link_new(struct link **out, const struct link_options *options)
{
	struct link *l = calloc(1, sizeof(*l));
	pthread_condattr_t attributes;

	if (!l)
		return -ENOMEM;
	l->options = *options;
	l->fd = -1;
	l->is_well = true;
	l->in = FRAME_IN_INIT;
	l->out = FRAME_OUT_INIT((size_t)options->window * 8192 + 2 * FRAME_MAX);
	l->calls = calloc(options->window, sizeof(*l->calls));
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!l->calls || l->wake_fd < 0) {
		if (l->wake_fd >= 0)
			close(l->wake_fd);
		free(l->calls);
		free(l);
		return -ENOMEM;
	}
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->room, &attributes);
	for (unsigned i = 0; i < options->window; i++)
		pthread_cond_init(&l->calls[i].changed, &attributes);
	pthread_condattr_destroy(&attributes);
	*out = l;
	return 0;
}

void link_drop(struct link **lp)
{
	struct link *l = *lp;

	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	close(l->wake_fd);
	for (unsigned i = 0; i < l->options.window; i++)
		pthread_cond_destroy(&l->calls[i].changed);
	pthread_cond_destroy(&l->room);
	pthread_mutex_destroy(&l->lock);
	frame_in_fini(&l->in);
	frame_out_fini(&l->out);
	free(l->calls);
	free(l);
	*lp = NULL;
}

/* ---- everything below with the lock held, unless it says otherwise ---- */

static void wake_reader(struct link *l)
{
	uint64_t one = 1;

	if (l->is_reading)
		(void)!write(l->wake_fd, &one, sizeof(one));
}

static void finish_call(struct link *l, struct call *c, int result)
{
	c->result = result;
	c->is_over = true;
	pthread_cond_signal(&c->changed);
}

/* The connection is gone. The reader may be in poll() on the descriptor: then it is only shut down here. */
static void break_connection(struct link *l)
{
	if (l->fd < 0)
		return;
	for (unsigned i = 0; i < l->options.window; i++)
		if (l->calls[i].reply && !l->calls[i].is_over)
			finish_call(l, &l->calls[i], -ECONNRESET);
	shutdown(l->fd, SHUT_RDWR);
	if (l->is_reading && l->read_fd == l->fd)
		l->is_closing = true;
	else
		close(l->fd);
	wake_reader(l);
	l->fd = -1;
	l->is_well = false;
	frame_in_fini(&l->in);
	frame_out_fini(&l->out);
	l->in = FRAME_IN_INIT;
	l->out = FRAME_OUT_INIT(l->out.octets.max);
}

static void lose_connection(struct link *l)
{
	break_connection(l);
	if (l->options.lost)
		l->options.lost(l->options.arg);
}

static void use_connection(struct link *l, int fd)
{
	break_connection(l);
	l->fd = fd;
	l->is_well = true;
	if (l->options.hello.len && frame_out_add(&l->out, 0, l->options.hello) == 0)
		(void)frame_out_flush(&l->out, fd);
	pthread_cond_broadcast(&l->room);
}

void link_attach(struct link *l, int take_fd)
{
	pthread_mutex_lock(&l->lock);
	if (take_fd < 0)
		break_connection(l);
	else
		use_connection(l, take_fd);
	pthread_mutex_unlock(&l->lock);
}

bool link_is_well(struct link *l)
{
	bool is_well;

	pthread_mutex_lock(&l->lock);
	is_well = l->is_well;
	pthread_mutex_unlock(&l->lock);
	return is_well;
}

/* One thread tries, without the lock; the others wait for it. */
static void try_to_connect(struct link *l)
{
	int64_t now = clock_mono_ms();
	int fd;

	if (!l->options.connect || l->is_connecting || (l->tried_ms && now - l->tried_ms < RECONNECT_MS))
		return;
	l->tried_ms = now;
	l->is_connecting = true;
	pthread_mutex_unlock(&l->lock);
	fd = l->options.connect(l->options.arg);
	pthread_mutex_lock(&l->lock);
	l->is_connecting = false;
	if (fd < 0)
		return;
	if (l->fd >= 0)
		close(fd);
	else
		use_connection(l, fd);
}

static bool is_past(const struct timespec *until)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

static int ms_until(const struct timespec *until)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec + 999999) / 1000000;
	return ms < 0 ? 0 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* A free place, and room for the message: the peer may not be reading. */
static bool has_room(const struct link *l, size_t message)
{
	return l->fd >= 0 && l->n_calls < l->options.window && frame_out_fits(&l->out, message);
}

/* Wait for a connection and for room. */
static int get_call(struct link *l, size_t message, const struct timespec *until, struct call **out)
{
	struct timespec again;

	while (!has_room(l, message)) {
		if (l->fd < 0)
			try_to_connect(l);
		if (has_room(l, message))
			break;
		if (is_past(until))
			return l->fd < 0 ? -ENOTCONN : -ETIMEDOUT;
		again = clock_deadline_after(ms_until(until) < RECONNECT_MS ? ms_until(until) : RECONNECT_MS);
		pthread_cond_timedwait(&l->room, &l->lock, &again);
	}
	for (struct call *c = l->calls;; c++) {
		if (c->reply)
			continue;
		l->n_calls++;
		*out = c;
		return 0;
	}
}

static void put_call(struct link *l, struct call *c)
{
	c->reply = NULL;
	c->generation++;
	l->n_calls--;
	pthread_cond_signal(&l->room);
}

static uint64_t number_of(const struct link *l, const struct call *c)
{
	return c->generation << 16 | (uint64_t)(c - l->calls + 1);
}

static int send_call(struct link *l, struct call *c, struct bytes message)
{
	int e = frame_out_add(&l->out, number_of(l, c), message);

	if (e) {
		/* A buffer that failed once stays so. */
		if (buf_status(&l->out.octets))
			lose_connection(l);
		return e;
	}
	e = frame_out_flush(&l->out, l->fd);
	if (e == FRAME_MORE)
		wake_reader(l);
	if (e < 0)
		lose_connection(l);
	return e < 0 ? -ECONNRESET : 0;
}

static int take_answer(struct link *l, struct bytes message)
{
	uint64_t id;
	struct call *c;

	if (frame_id(message, &id))
		return -EBADMSG;
	if (id == 0)
		return l->options.unasked ? l->options.unasked(l->options.arg, message) : -EBADMSG;
	if ((id & 0xffff) == 0 || (id & 0xffff) > l->options.window)
		return -EBADMSG;
	c = &l->calls[(id & 0xffff) - 1];
	if (!c->reply || c->is_over || c->generation != id >> 16)
		return 0; /* too late: nobody waits for it any more */
	buf_reset(c->reply);
	finish_call(l, c, buf_append(c->reply, message));
	l->is_well = true;
	return 0;
}

static int take_answers(struct link *l)
{
	struct bytes message;
	int e = frame_in_fill(&l->in, l->fd);

	while (!e) {
		e = frame_in_take(&l->in, &message);
		if (!e)
			e = take_answer(l, message);
	}
	return e == FRAME_MORE ? 0 : e;
}

/* The reader's part: poll once, without the lock, and hand out what came. */
static void read_once(struct link *l, const struct timespec *until)
{
	struct pollfd p[2] = {
		{ l->fd, (short)(POLLIN | (frame_out_is_empty(&l->out) ? 0 : POLLOUT)), 0 },
		{ l->wake_fd, POLLIN, 0 },
	};
	int wait_ms = ms_until(until), n, e = 0;
	uint64_t count;

	l->is_reading = true;
	l->read_fd = l->fd;
	pthread_mutex_unlock(&l->lock);
	n = poll(p, 2, wait_ms);
	pthread_mutex_lock(&l->lock);
	l->is_reading = false;
	if (p[1].revents)
		(void)!read(l->wake_fd, &count, sizeof(count));
	if (l->is_closing) {
		l->is_closing = false;
		close(p[0].fd);
		return;
	}
	if (n <= 0 || l->fd != p[0].fd)
		return;
	if (p[0].revents & POLLOUT) {
		e = frame_out_flush(&l->out, l->fd);
		pthread_cond_signal(&l->room);
	}
	if (e >= 0 && p[0].revents & (POLLIN | POLLHUP | POLLERR))
		e = take_answers(l);
	if (e < 0)
		lose_connection(l);
}

/* Somebody else must read now. */
static void hand_on_reading(struct link *l)
{
	for (unsigned i = 0; i < l->options.window; i++)
		if (l->calls[i].reply && !l->calls[i].is_over) {
			pthread_cond_signal(&l->calls[i].changed);
			return;
		}
}

static int wait_for_answer(struct link *l, struct call *c, const struct timespec *until)
{
	while (!c->is_over && !is_past(until)) {
		if (l->is_reading)
			pthread_cond_timedwait(&c->changed, &l->lock, until);
		else
			read_once(l, until);
	}
	if (!c->is_over) {
		/* Over before somebody is chosen to read on: it must not be this one. */
		l->is_well = false;
		c->result = -ETIME;
		c->is_over = true;
	}
	if (!l->is_reading)
		hand_on_reading(l);
	return c->result;
}

int link_call(struct link *l, struct bytes message, unsigned wait_ms, struct buf *reply)
{
	struct timespec until = clock_deadline_after(wait_ms);
	struct call *c;
	int e;

	if (message.len > FRAME_CONTENT_MAX)
		return -EMSGSIZE;
	pthread_mutex_lock(&l->lock);
	e = get_call(l, message.len, &until, &c);
	if (!e) {
		c->reply = reply;
		c->is_over = false;
		e = send_call(l, c, message);
		if (!e)
			e = wait_for_answer(l, c, &until);
		put_call(l, c);
	}
	pthread_mutex_unlock(&l->lock);
	return e;
}
