/* The answering side against peers that misbehave.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/wire/frame.h"
#include "core/wire/link.h"
#include "core/wire/server.h"

/* What a peer of the server is to the test: counts, and a gate at which its calls stop. */
struct subject {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_shut;          /* calls wait */
	unsigned running, done, gone;
	size_t answer_size;
	int result;
};

#define SUBJECT_INIT { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .answer_size = 4 }

static int answer(void *arg, struct bytes message, struct buf *reply)
{
	struct subject *s = arg;
	uint8_t *room;
	int result;

	pthread_mutex_lock(&s->lock);
	s->running++;
	pthread_cond_broadcast(&s->changed);
	while (s->is_shut)
		pthread_cond_wait(&s->changed, &s->lock);
	room = buf_room(reply, s->answer_size);
	if (room) {
		memset(room, 'x', s->answer_size);
		memcpy(room, "\x12\x02", 2);
		buf_added(reply, s->answer_size);
	}
	s->running--;
	s->done++;
	result = s->result;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return result;
}

static void gone(void *arg)
{
	struct subject *s = arg;

	pthread_mutex_lock(&s->lock);
	assert_int_equal(s->running, 0);
	s->gone++;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void wait_until(struct subject *s, const unsigned *what, unsigned n)
{
	pthread_mutex_lock(&s->lock);
	while (*what < n)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void open_gate(struct subject *s)
{
	pthread_mutex_lock(&s->lock);
	s->is_shut = false;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

struct server_rig {
	struct pool *pool;
	struct wire_server *server;
};

static void rig_init_as(struct server_rig *r, unsigned window, unsigned queue, bool is_quick)
{
	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	assert_int_equal(pool_new(&r->pool, &(struct pool_options){ .threads = 4, .queue = queue }), 0);
	assert_int_equal(wire_server_new(&r->server, &(struct wire_server_options){
		.name = "test", .pool = r->pool, .window = window, .is_quick = is_quick, .answer = answer,
		.gone = gone }), 0);
}

static void rig_init(struct server_rig *r, unsigned window, unsigned queue)
{
	rig_init_as(r, window, queue, false);
}

static void rig_fini(struct server_rig *r)
{
	wire_server_drop(&r->server);
	assert_null(r->server);
	pool_drop(&r->pool);
}

static int add(struct server_rig *r, struct subject *s)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(wire_server_add(r->server, ends[1], s), 0);
	return ends[0];
}

static void ask(int fd, unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		uint8_t call[] = { 0, 0, 0, 4, 0x08, (uint8_t)i, 0x12, 0x00 };

		assert_int_equal(send(fd, call, sizeof(call), MSG_NOSIGNAL), sizeof(call));
	}
}

/* True when the server has cut the connection; reads what comes before that. */
static bool is_cut(int fd)
{
	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };
		uint8_t octets[4096];
		ssize_t n;

		if (poll(&p, 1, 5000) != 1)
			return false;
		n = recv(fd, octets, sizeof(octets), 0);
		if (n <= 0)
			return true;
	}
}

static void what_is_no_message_cuts_and_its_peer_is_gone_once(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
	} garbage[] = {
		{ "\x00\x00\x00\x00", 4 }, { "\x00\x04\x00\x01", 4 }, { "GET / HTTP/1.1\r\n\r\n", 18 },
		{ "\x00\x00\x00\x01\x80", 5 }, { "\x00\x00\x00\x03\x0a\x01x", 7 },
	};
	struct server_rig r;

	rig_init(&r, 8, 64);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		struct subject s = SUBJECT_INIT;
		int fd = add(&r, &s);

		assert_int_equal(send(fd, garbage[i].octets, garbage[i].len, MSG_NOSIGNAL), garbage[i].len);
		assert_true(is_cut(fd));
		wait_until(&s, &s.gone, 1);
		assert_int_equal(s.done, 0);
		close(fd);
		assert_int_equal(s.gone, 1);
	}
	rig_fini(&r);
}

static void more_calls_than_the_window_wait(void **state)
{
	struct subject s = SUBJECT_INIT;
	struct server_rig r;
	int fd;

	rig_init(&r, 4, 64);
	s.is_shut = true;
	fd = add(&r, &s);
	ask(fd, 9);
	wait_until(&s, &s.running, 4);
	usleep(20000);
	assert_int_equal(s.running, 4);
	open_gate(&s);
	wait_until(&s, &s.done, 9);
	assert_int_equal(s.gone, 0);
	close(fd);
	wait_until(&s, &s.gone, 1);
	rig_fini(&r);
}

/* `running` of the calls that it asked run when it leaves: the others wait for room in the window and never begin. */
static void leave_with_calls(unsigned asked, unsigned running)
{
	struct subject s = SUBJECT_INIT;
	struct server_rig r;
	int fd;

	rig_init(&r, 4, 64);
	s.is_shut = true;
	fd = add(&r, &s);
	ask(fd, asked);
	wait_until(&s, &s.running, running);
	close(fd);
	usleep(20000);
	assert_int_equal(s.gone, 0);
	open_gate(&s);
	wait_until(&s, &s.gone, 1);
	assert_int_equal(s.gone, 1);
	assert_int_equal(s.done, running);
	rig_fini(&r);
}

static void a_peer_that_leaves_with_calls_in_flight_is_gone_when_they_end(void **state)
{
	leave_with_calls(3, 3);
}

static void a_peer_that_leaves_while_its_calls_wait_is_gone_when_they_end(void **state)
{
	leave_with_calls(6, 4);
}

/* Whoever asks gives up and asks again, more often than the window is wide: the connection outlives it. */
static void a_stall_longer_than_the_callers_patience_is_survived(void **state)
{
	struct subject s = SUBJECT_INIT;
	OWNED_BUF reply = BUF_INIT(FRAME_MAX);
	struct link *link = NULL;
	struct server_rig r;

	rig_init(&r, 4, 64);
	s.is_shut = true;
	assert_int_equal(link_new(&link, &(struct link_options){ .window = 4 }), 0);
	link_attach(link, add(&r, &s));
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(link_call(link, bytes_of("\x12\x00", 2), 20, &reply), -ETIME);
	open_gate(&s);
	assert_int_equal(link_call(link, bytes_of("\x12\x00", 2), 5000, &reply), 0);
	assert_int_equal(s.gone, 0);
	link_drop(&link);
	wait_until(&s, &s.gone, 1);
	rig_fini(&r);
}

static void the_window_is_for_calls_in_flight_not_for_all(void **state)
{
	struct subject s = SUBJECT_INIT;
	struct frame_in in = FRAME_IN_INIT;
	struct bytes message;
	struct server_rig r;
	int fd;

	rig_init(&r, 4, 64);
	fd = add(&r, &s);
	for (unsigned round = 0; round < 20; round++) {
		unsigned got = 0;

		ask(fd, 4);
		while (got < 4) {
			struct pollfd p = { fd, POLLIN, 0 };

			assert_int_equal(poll(&p, 1, 5000), 1);
			assert_int_equal(frame_in_fill(&in, fd), 0);
			while (frame_in_take(&in, &message) == 0)
				got++;
		}
		/* An answer may overtake the end of its call by a little. */
		wait_until(&s, &s.done, 4 * (round + 1));
	}
	assert_int_equal(s.gone, 0);
	close(fd);
	wait_until(&s, &s.gone, 1);
	frame_in_fini(&in);
	rig_fini(&r);
}

static void answers_that_nobody_reads_cut_at_their_limit(void **state)
{
	struct subject s = SUBJECT_INIT;
	struct server_rig r;
	int fd;

	rig_init(&r, 64, 64);
	s.answer_size = 200 * 1024;
	fd = add(&r, &s);
	ask(fd, 60); /* 12 MiB */
	wait_until(&s, &s.gone, 1);
	assert_int_equal(s.done, 60);
	assert_true(is_cut(fd));
	close(fd);
	rig_fini(&r);
}

static void a_slow_reader_gets_every_answer(void **state)
{
	struct subject s = SUBJECT_INIT;
	struct frame_in in = FRAME_IN_INIT;
	struct bytes message;
	struct server_rig r;
	unsigned got = 0;
	int fd;

	rig_init(&r, 64, 64);
	s.answer_size = 200 * 1024;
	fd = add(&r, &s);
	ask(fd, 30); /* 6 MiB: more than the socket holds */
	wait_until(&s, &s.done, 30);
	while (got < 30) {
		struct pollfd p = { fd, POLLIN, 0 };

		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(frame_in_fill(&in, fd), 0);
		while (frame_in_take(&in, &message) == 0)
			got += message.len == s.answer_size + 2;
	}
	close(fd);
	frame_in_fini(&in);
	rig_fini(&r);
	assert_int_equal(s.gone, 1);
}

static void a_message_that_this_peer_may_not_send_is_answered_and_cuts(void **state)
{
	struct subject s = SUBJECT_INIT;
	struct server_rig r;
	uint8_t octets[64];
	int fd;

	rig_init(&r, 4, 64);
	s.result = -EPROTO;
	fd = add(&r, &s);
	ask(fd, 1);
	assert_int_equal(recv(fd, octets, sizeof(octets), 0), 4 + 2 + 4);
	assert_int_equal(recv(fd, octets, sizeof(octets), 0), 0);
	wait_until(&s, &s.gone, 1);
	close(fd);
	rig_fini(&r);
}

static void too_many_calls_for_the_threads_cut(void **state)
{
	struct subject s = SUBJECT_INIT;
	struct server_rig r;
	int fd;

	rig_init(&r, 64, 2);
	s.is_shut = true;
	fd = add(&r, &s);
	for (unsigned i = 1; i <= 4; i++) {
		ask(fd, 1);
		wait_until(&s, &s.running, i);
	}
	ask(fd, 3);
	assert_true(is_cut(fd));
	open_gate(&s);
	wait_until(&s, &s.gone, 1);
	assert_int_equal(s.done, 6);
	close(fd);
	rig_fini(&r);
}

static void *drop_server(void *arg)
{
	rig_fini(arg);
	return NULL;
}

static void dropping_waits_for_the_calls_that_run(void **state)
{
	struct subject subjects[2] = { SUBJECT_INIT, SUBJECT_INIT };
	struct server_rig r;
	pthread_t dropper;
	int fds[2];

	rig_init(&r, 4, 64);
	for (size_t i = 0; i < 2; i++) {
		subjects[i].is_shut = true;
		fds[i] = add(&r, &subjects[i]);
		ask(fds[i], 2);
		wait_until(&subjects[i], &subjects[i].running, 2);
	}
	assert_int_equal(pthread_create(&dropper, NULL, drop_server, &r), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_true(is_cut(fds[i]));
		assert_int_equal(subjects[i].gone, 0);
		open_gate(&subjects[i]);
	}
	pthread_join(dropper, NULL);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(subjects[i].gone, 1);
		assert_int_equal(subjects[i].done, 2);
		close(fds[i]);
	}
}

/* Only the pool's threads count: a call that is alone needs none of them. */
static void a_quick_call_that_is_alone_wakes_no_thread(void **state)
{
	struct subject s = SUBJECT_INIT;
	uint8_t burst[32][8], octets[4096];
	struct pool_stats stats;
	struct server_rig r;
	int fd;

	rig_init_as(&r, 64, 64, true);
	fd = add(&r, &s);
	for (unsigned i = 1; i <= 20; i++) {
		ask(fd, 1);
		assert_true(recv(fd, octets, sizeof(octets), 0) > 0);
	}
	pool_count(r.pool, &stats);
	assert_int_equal(stats.threads, 0);
	for (uint8_t i = 0; i < 32; i++)
		memcpy(burst[i], (uint8_t[]){ 0, 0, 0, 4, 0x08, (uint8_t)(i + 1), 0x12, 0x00 }, 8);
	assert_int_equal(send(fd, burst, sizeof(burst), MSG_NOSIGNAL), sizeof(burst));
	wait_until(&s, &s.done, 52);
	pool_count(r.pool, &stats);
	assert_true(stats.threads > 0);
	close(fd);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quick_call_that_is_alone_wakes_no_thread),
		cmocka_unit_test(what_is_no_message_cuts_and_its_peer_is_gone_once),
		cmocka_unit_test(more_calls_than_the_window_wait),
		cmocka_unit_test(a_peer_that_leaves_while_its_calls_wait_is_gone_when_they_end),
		cmocka_unit_test(a_stall_longer_than_the_callers_patience_is_survived),
		cmocka_unit_test(the_window_is_for_calls_in_flight_not_for_all),
		cmocka_unit_test(answers_that_nobody_reads_cut_at_their_limit),
		cmocka_unit_test(a_slow_reader_gets_every_answer),
		cmocka_unit_test(a_message_that_this_peer_may_not_send_is_answered_and_cuts),
		cmocka_unit_test(too_many_calls_for_the_threads_cut),
		cmocka_unit_test(dropping_waits_for_the_calls_that_run),
		cmocka_unit_test(a_peer_that_leaves_with_calls_in_flight_is_gone_when_they_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
