/* Calls over one connection: who asks, against a real answering side or against one that misbehaves.
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

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/wire/frame.h"
#include "core/wire/link.h"
#include "core/wire/server.h"

/* A message of these tests is field 2, octets. */
static void pack(struct buf *message, const void *content, size_t n)
{
	buf_reset(message);
	buf_append_char(message, 0x12);
	assert_true(n < 16384);
	buf_append_char(message, (char)(n >= 128 ? (n & 0x7f) | 0x80 : n));
	if (n >= 128)
		buf_append_char(message, (char)(n >> 7));
	buf_append(message, bytes_of(content, n));
}

/* What stands behind field 1. */
static struct bytes rest_of(struct bytes message)
{
	size_t n = 0;

	if (message.len && message.ptr[0] == 0x08) {
		n = 1;
		while (message.ptr[n] & 0x80)
			n++;
		n++;
	}
	return bytes_of(message.ptr + n, message.len - n);
}

/* ---- an answering side that answers what it is asked ---- */

static int echo(void *peer_arg, struct bytes message, struct buf *reply)
{
	return buf_append(reply, rest_of(message));
}

struct echo_rig {
	struct pool *pool;
	struct wire_server *server;
	struct link *link;
};

static int serve_new_pair(struct wire_server *server)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(wire_server_add(server, ends[1], NULL), 0);
	return ends[0];
}

static void echo_init(struct echo_rig *r, unsigned window, int (*answer)(void *, struct bytes, struct buf *))
{
	assert_int_equal(pool_new(&r->pool, &(struct pool_options){ .threads = 4, .queue = 4096 }), 0);
	assert_int_equal(wire_server_new(&r->server, &(struct wire_server_options){
		.name = "test", .pool = r->pool, .window = window, .answer = answer }), 0);
	assert_int_equal(link_new(&r->link, &(struct link_options){ .window = window }), 0);
	link_attach(r->link, serve_new_pair(r->server));
}

static void echo_fini(struct echo_rig *r)
{
	link_drop(&r->link);
	wire_server_drop(&r->server);
	pool_drop(&r->pool);
}

struct caller {
	pthread_t thread;
	struct link *link;
	unsigned n, number;
	unsigned wrong, failed;
};

/* Messages of all sizes; each says who asks and which call it is. */
static void *call_often(void *arg)
{
	struct caller *c = arg;
	OWNED_BUF message = BUF_INIT(65536);
	OWNED_BUF reply = BUF_INIT(65536);

	for (unsigned i = 0; i < c->n; i++) {
		uint32_t content[2048] = { c->number, i };
		size_t size = sizeof(uint32_t) * (2 + (i * 37 + c->number) % (i % 64 == 0 ? 2000 : 40));

		pack(&message, content, size);
		if (link_call(c->link, buf_bytes(&message), 20000, &reply))
			c->failed++;
		else
			c->wrong += !bytes_equal(rest_of(buf_bytes(&reply)), buf_bytes(&message));
	}
	return NULL;
}

static void call_from(unsigned threads, unsigned calls)
{
	struct caller *callers = calloc(threads, sizeof(*callers));
	struct echo_rig r;

	assert_non_null(callers);
	echo_init(&r, 64, echo);
	for (unsigned i = 0; i < threads; i++) {
		callers[i] = (struct caller){ .link = r.link, .n = calls, .number = i };
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].failed, 0);
		assert_int_equal(callers[i].wrong, 0);
	}
	assert_true(link_is_well(r.link));
	echo_fini(&r);
	free(callers);
}

static void answers_match_their_calls_for_one_caller(void **state)
{
	call_from(1, 5000);
}

static void answers_match_their_calls_for_eight_callers(void **state)
{
	call_from(8, 2000);
}

/* Twice as many callers as the window has places: they wait for their turn. */
static void answers_match_their_calls_for_more_callers_than_the_window(void **state)
{
	call_from(128, 200);
}

/* ---- an answering side that the test plays itself ---- */

struct side {
	int fd;
	struct frame_in in;
	struct link *link;
};

static void side_attach(struct side *s)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	s->fd = ends[1];
	s->in = FRAME_IN_INIT;
	link_attach(s->link, ends[0]);
}

static void side_init(struct side *s, const struct link_options *options)
{
	*s = (struct side){ .fd = -1 };
	assert_int_equal(link_new(&s->link, options), 0);
	side_attach(s);
}

static void side_close(struct side *s)
{
	if (s->fd >= 0)
		close(s->fd);
	frame_in_fini(&s->in);
	s->fd = -1;
}

static void side_fini(struct side *s)
{
	link_drop(&s->link);
	side_close(s);
}

/* The id of the next call, which must come within 5 s. */
static uint64_t side_take(struct side *s)
{
	struct bytes message;
	uint64_t id;

	for (;;) {
		struct pollfd p = { s->fd, POLLIN, 0 };
		int e = frame_in_take(&s->in, &message);

		if (e == 0) {
			assert_int_equal(frame_id(message, &id), 0);
			return id;
		}
		assert_int_equal(e, FRAME_MORE);
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(frame_in_fill(&s->in, s->fd), 0);
	}
}

static void side_answer(struct side *s, uint64_t id, const char *text)
{
	struct frame_out out = FRAME_OUT_INIT(4096);
	OWNED_BUF message = BUF_INIT(4096);

	pack(&message, text, strlen(text));
	assert_int_equal(frame_out_add(&out, id, buf_bytes(&message)), 0);
	assert_int_equal(frame_out_flush(&out, s->fd), 0);
	frame_out_fini(&out);
}

/* A call on a thread of its own. */
struct one_call {
	pthread_t thread;
	struct link *link;
	const char *text;
	unsigned wait_ms;
	int result;
	int64_t took_ms;
	struct buf reply;
};

static void *run_one(void *arg)
{
	struct one_call *c = arg;
	OWNED_BUF message = BUF_INIT(65536);
	int64_t start_ms = clock_mono_ms();

	pack(&message, c->text, strlen(c->text));
	c->result = link_call(c->link, buf_bytes(&message), c->wait_ms, &c->reply);
	c->took_ms = clock_mono_ms() - start_ms;
	return NULL;
}

static void begin(struct one_call *c, struct link *link, const char *text, unsigned wait_ms)
{
	*c = (struct one_call){ .link = link, .text = text, .wait_ms = wait_ms, .reply = BUF_INIT(65536) };
	assert_int_equal(pthread_create(&c->thread, NULL, run_one, c), 0);
}

static int end(struct one_call *c, const char *answer)
{
	pthread_join(c->thread, NULL);
	if (answer)
		assert_true(c->reply.len >= strlen(answer) &&
			    memcmp(c->reply.ptr + c->reply.len - strlen(answer), answer, strlen(answer)) == 0);
	buf_fini(&c->reply);
	return c->result;
}

static void a_late_answer_is_dropped_and_the_next_call_gets_its_own(void **state)
{
	struct one_call late, next;
	struct side s;
	uint64_t id;

	side_init(&s, &(struct link_options){ .window = 4 });
	begin(&late, s.link, "late", 50);
	id = side_take(&s);
	assert_int_equal(end(&late, NULL), -ETIME);
	assert_false(link_is_well(s.link));
	begin(&next, s.link, "next", 5000);
	side_answer(&s, id, "too late");
	side_answer(&s, side_take(&s), "in time");
	assert_int_equal(end(&next, "in time"), 0);
	assert_true(link_is_well(s.link));
	side_fini(&s);
}

/* The one that reads gives up; another that waits must take over, not sleep until its own deadline. */
static void a_reader_that_gives_up_leaves_the_reading_to_another(void **state)
{
	struct one_call first, second;
	struct side s;
	uint64_t id;

	side_init(&s, &(struct link_options){ .window = 4 });
	begin(&first, s.link, "reads", 100);
	side_take(&s);
	begin(&second, s.link, "waits", 5000);
	id = side_take(&s);
	assert_int_equal(end(&first, NULL), -ETIME);
	side_answer(&s, id, "answer");
	assert_int_equal(end(&second, "answer"), 0);
	assert_true(second.took_ms < 3000);
	side_fini(&s);
}

static void every_call_in_flight_fails_with_its_connection_and_a_new_one_serves(void **state)
{
	struct one_call calls[8], again;
	struct side s;

	side_init(&s, &(struct link_options){ .window = 8 });
	for (size_t i = 0; i < 8; i++)
		begin(&calls[i], s.link, "x", 5000);
	for (size_t i = 0; i < 8; i++)
		side_take(&s);
	side_close(&s);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(end(&calls[i], NULL), -ECONNRESET);
	assert_false(link_is_well(s.link));
	begin(&again, s.link, "waits for a connection", 5000);
	side_attach(&s);
	side_answer(&s, side_take(&s), "here");
	assert_int_equal(end(&again, "here"), 0);
	side_fini(&s);
}

/* The old connection still lives: its calls end, its answers are nobody's. */
static void a_new_connection_takes_the_place_of_the_old_one(void **state)
{
	struct one_call old, new;
	struct side s, before;

	side_init(&s, &(struct link_options){ .window = 8 });
	begin(&old, s.link, "x", 5000);
	side_take(&s);
	before = s;
	side_attach(&s);
	assert_int_equal(end(&old, NULL), -ECONNRESET);
	begin(&new, s.link, "y", 5000);
	side_answer(&s, side_take(&s), "new");
	assert_int_equal(end(&new, "new"), 0);
	link_attach(s.link, -1);
	begin(&new, s.link, "z", 50);
	assert_int_equal(end(&new, NULL), -ENOTCONN);
	side_close(&before);
	side_fini(&s);
}

static void a_caller_waits_for_a_place_in_the_window(void **state)
{
	struct one_call calls[2], third, fourth;
	struct side s;
	uint64_t ids[2];

	side_init(&s, &(struct link_options){ .window = 2 });
	for (size_t i = 0; i < 2; i++) {
		begin(&calls[i], s.link, "x", 5000);
		ids[i] = side_take(&s);
	}
	begin(&third, s.link, "y", 100);
	assert_int_equal(end(&third, NULL), -ETIMEDOUT);
	begin(&fourth, s.link, "z", 5000);
	side_answer(&s, ids[1], "second");
	assert_int_equal(end(&calls[1], "second"), 0);
	side_answer(&s, side_take(&s), "fourth");
	assert_int_equal(end(&fourth, "fourth"), 0);
	side_answer(&s, ids[0], "first");
	assert_int_equal(end(&calls[0], "first"), 0);
	/* The one that got no place was never sent. */
	assert_int_equal(frame_in_fill(&s.in, s.fd), FRAME_MORE);
	side_fini(&s);
}

/* The socket is full, and the buffer behind it too: every call comes back in its time, none hangs in send(). */
static void a_peer_that_does_not_read_blocks_nobody(void **state)
{
	static char text[12000];
	struct one_call calls[200];
	struct side s;

	memset(text, 'x', sizeof(text) - 1);
	side_init(&s, &(struct link_options){ .window = 200 });
	for (size_t i = 0; i < 200; i++)
		begin(&calls[i], s.link, text, 300);
	for (size_t i = 0; i < 200; i++) {
		int e = end(&calls[i], NULL);

		assert_true(e == -ETIME || e == -ETIMEDOUT);
		assert_true(calls[i].took_ms < 5000);
	}
	/* What is not larger than one message may be is sent when there is room again. */
	begin(&calls[0], s.link, "last", 10000);
	for (int e = FRAME_MORE; e;) {
		struct bytes message;

		e = frame_in_take(&s.in, &message);
		if (e == FRAME_MORE)
			assert_true(frame_in_fill(&s.in, s.fd) >= 0);
		else if (!memmem(message.ptr, message.len, "last", 4))
			e = FRAME_MORE;
		else {
			uint64_t id;

			assert_int_equal(frame_id(message, &id), 0);
			side_answer(&s, id, "read at last");
		}
	}
	assert_int_equal(end(&calls[0], "read at last"), 0);
	side_fini(&s);
}

static void a_message_that_is_too_large_is_not_sent_and_harms_nobody(void **state)
{
	struct one_call call;
	OWNED_BUF large = BUF_INIT(FRAME_MAX + 1);
	OWNED_BUF reply = BUF_INIT(64);
	struct side s;

	side_init(&s, &(struct link_options){ .window = 2 });
	while (buf_append_char(&large, 'x') == 0)
		;
	assert_int_equal(link_call(s.link, bytes_of(large.ptr, FRAME_MAX + 1), 1000, &reply), -EMSGSIZE);
	begin(&call, s.link, "x", 5000);
	side_answer(&s, side_take(&s), "well");
	assert_int_equal(end(&call, "well"), 0);
	side_fini(&s);
}

static void garbage_cuts_the_connection(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
	} garbage[] = {
		{ "\x00\x00\x00\x00", 4 },             /* no length */
		{ "\xff\xff\xff\xff", 4 },
		{ "\x00\x00\x00\x02\x0a\x05", 6 },     /* field 1 is no number */
		{ "\x00\x00\x00\x02\x12\x00", 6 },     /* answers nothing, and nobody takes such messages */
		{ "\x00\x00\x00\x02\x08\x7f", 6 },     /* a call that there cannot be */
	};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		struct one_call call;
		struct side s;

		side_init(&s, &(struct link_options){ .window = 2 });
		begin(&call, s.link, "x", 5000);
		side_take(&s);
		assert_int_equal(send(s.fd, garbage[i].octets, garbage[i].len, MSG_NOSIGNAL), garbage[i].len);
		assert_int_equal(end(&call, NULL), -ECONNRESET);
		side_fini(&s);
	}
}

/* ---- hello, and messages that answer nothing ---- */

static int count_unasked(void *arg, struct bytes message)
{
	++*(unsigned *)arg;
	return rest_of(message).len > 4 ? -EPROTO : 0;
}

static void says_hello_first_on_every_connection_and_hears_what_was_not_asked(void **state)
{
	unsigned unasked = 0;
	struct one_call call;
	struct side s;

	side_init(&s, &(struct link_options){ .window = 2, .hello = bytes_of("\x12\x02hi", 4),
					      .unasked = count_unasked, .arg = &unasked });
	assert_int_equal(side_take(&s), 0);
	side_close(&s);
	side_attach(&s);
	assert_int_equal(side_take(&s), 0);
	begin(&call, s.link, "x", 5000);
	side_answer(&s, 0, "hi");
	side_answer(&s, side_take(&s), "yes");
	assert_int_equal(end(&call, "yes"), 0);
	assert_int_equal(unasked, 1);
	/* One that is not liked cuts the connection. */
	begin(&call, s.link, "x", 5000);
	side_take(&s);
	side_answer(&s, 0, "a long one");
	assert_int_equal(end(&call, NULL), -ECONNRESET);
	side_fini(&s);
}

/* ---- connections that the link makes itself ---- */

struct maker {
	struct wire_server *server;
	atomic_uint tried;
	unsigned refuse; /* so many times */
};

static int make_connection(void *arg)
{
	struct maker *m = arg;

	return m->tried++ < m->refuse ? -ECONNREFUSED : serve_new_pair(m->server);
}

static int echo_or_cut(void *peer_arg, struct bytes message, struct buf *reply)
{
	return memmem(message.ptr, message.len, "cut", 3) ? -EPROTO : echo(peer_arg, message, reply);
}

static void connects_when_there_is_no_connection_and_tries_again(void **state)
{
	struct maker m = { .refuse = 2 };
	struct one_call call;
	struct echo_rig r;

	echo_init(&r, 8, echo_or_cut);
	link_drop(&r.link);
	m.server = r.server;
	assert_int_equal(link_new(&r.link, &(struct link_options){ .window = 8, .connect = make_connection,
								   .arg = &m }), 0);
	begin(&call, r.link, "first", 5000);
	assert_int_equal(end(&call, "first"), 0);
	assert_int_equal(m.tried, 3);
	begin(&call, r.link, "second", 5000);
	assert_int_equal(end(&call, "second"), 0);
	assert_int_equal(m.tried, 3);
	begin(&call, r.link, "cut", 5000);
	assert_int_equal(end(&call, NULL), -ECONNRESET);
	begin(&call, r.link, "third", 5000);
	assert_int_equal(end(&call, "third"), 0);
	assert_int_equal(m.tried, 4);
	m.refuse = 1000;
	begin(&call, r.link, "cut", 5000);
	assert_int_equal(end(&call, NULL), -ECONNRESET);
	begin(&call, r.link, "nobody", 250);
	assert_int_equal(end(&call, NULL), -ENOTCONN);
	echo_fini(&r);
}

/* Connections come and go under callers that never stop: each call is answered rightly or told that it was not. */
static void callers_survive_connections_that_break_at_any_time(void **state)
{
	struct caller callers[8];
	struct echo_rig r;

	echo_init(&r, 4, echo);
	for (unsigned i = 0; i < 8; i++) {
		callers[i] = (struct caller){ .link = r.link, .n = 1500, .number = i };
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
	}
	for (unsigned i = 0; i < 100; i++) {
		usleep(2000);
		link_attach(r.link, i % 5 == 0 ? -1 : serve_new_pair(r.server));
	}
	link_attach(r.link, serve_new_pair(r.server));
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].wrong, 0);
		assert_true(callers[i].failed <= 101);
	}
	echo_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_match_their_calls_for_one_caller),
		cmocka_unit_test(answers_match_their_calls_for_eight_callers),
		cmocka_unit_test(answers_match_their_calls_for_more_callers_than_the_window),
		cmocka_unit_test(a_late_answer_is_dropped_and_the_next_call_gets_its_own),
		cmocka_unit_test(a_reader_that_gives_up_leaves_the_reading_to_another),
		cmocka_unit_test(every_call_in_flight_fails_with_its_connection_and_a_new_one_serves),
		cmocka_unit_test(a_new_connection_takes_the_place_of_the_old_one),
		cmocka_unit_test(a_caller_waits_for_a_place_in_the_window),
		cmocka_unit_test(a_peer_that_does_not_read_blocks_nobody),
		cmocka_unit_test(a_message_that_is_too_large_is_not_sent_and_harms_nobody),
		cmocka_unit_test(garbage_cuts_the_connection),
		cmocka_unit_test(says_hello_first_on_every_connection_and_hears_what_was_not_asked),
		cmocka_unit_test(connects_when_there_is_no_connection_and_tries_again),
		cmocka_unit_test(callers_survive_connections_that_break_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
