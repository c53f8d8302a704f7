/* HTTP/2 over TLS on 127.0.0.1: polite clients and wrong ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <signal.h>
#include <unistd.h>

#include "tests/unit/gateway/h2_server.h"
#include "tests/unit/gateway/wire.h"

/* ---- what a polite client gets ---- */

static void serves_requests_as_over_http_1(void **state)
{
	static const struct h2_header kind[] = { { "x-kind", "a\tb" }, { 0 } };
	struct h2_answer a;
	struct h2_server f;
	struct h2_caller c;

	h2_server_start(&f);
	c = h2_call(&f);
	h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello\n");
	h2_expect(&c, "POST", "/t/echo", bytes_of_str("abc"), 200, "abc");
	h2_expect(&c, "POST", "/t/echo", bytes_of_str(""), 200, "");
	h2_expect(&c, "GET", "/t/none", NOTHING, 404, "not found");
	h2_expect(&c, "GET", "/t//hello", NOTHING, 404, "not found");
	h2_expect(&c, "GET", "/t/fail", NOTHING, 500, "server error\n");
	h2_expect(&c, "GET", "/t/split", NOTHING, 500, "server error\n");
	a = h2_ask(&c, "GET", "/t/item/a%20b?x=y", kind, NOTHING);
	assert_int_equal(a.status, 201);
	assert_string_equal(buf_str(&a.body), "a%20b|x=y|127.0.0.1|https://ca.example|1|a b|ca.example\n");
	assert_string_equal(a.location, "/t/item/new");
	buf_fini(&a.body);
	a = h2_ask(&c, "HEAD", "/t/hello", NULL, NOTHING);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.length, "6");
	assert_int_equal(a.body.len, 0);
	a = h2_ask(&c, "GET", "/t/echo", NULL, NOTHING);
	assert_int_equal(a.status, 405);
	assert_string_equal(a.allow, "POST");
	buf_fini(&a.body);
	a = h2_ask(&c, "PUT", "/t/echo", NULL, NOTHING);
	assert_int_equal(a.status, 405);
	assert_string_equal(a.allow, "POST");
	buf_fini(&a.body);
	a = h2_ask(&c, "GET", "/t/large", NULL, NOTHING);
	assert_int_equal(a.body.len, H2_LARGE);
	buf_fini(&a.body);
	a = h2_ask(&c, "GET", "/t/shared", NULL, NOTHING);
	assert_int_equal(a.body.len, H2_LARGE);
	assert_int_equal(a.body.ptr[H2_LARGE - 1], 'y');
	assert_int_equal(strtoul(a.length, NULL, 10), H2_LARGE);
	buf_fini(&a.body);
	h2_hang_up(&c);
	h2_server_stop(&f);
	assert_int_equal(atomic_load(&f.stats.by_version[GW_HTTP_2]), 11);
	assert_int_equal(atomic_load(&f.stats.by_version[GW_HTTP_1_1]), 0);
}

/* Refused bodies leave the connection usable. */
static void refuses_bodies_that_are_too_large(void **state)
{
	static const struct h2_header honest[] = { { "content-length", "1001" }, { 0 } };
	static const struct h2_header expects[] = { { "expect", "100-continue" }, { 0 } };
	static const struct h2_header strange[] = { { "expect", "magic" }, { 0 } };
	static uint8_t zeros[30000];
	struct h2_answer a;
	struct h2_server f;
	struct h2_caller c;

	h2_server_start(&f);
	c = h2_call(&f);
	h2_expect(&c, "POST", "/t/echo", bytes_of(zeros, 1001), 413, "too large");
	h2_expect(&c, "POST", "/t/echo", bytes_of(zeros, sizeof(zeros)), 413, "too large");
	a = h2_ask(&c, "POST", "/t/echo", honest, bytes_of(zeros, 1001));
	assert_int_equal(a.status, 413);
	buf_fini(&a.body);
	a = h2_ask(&c, "POST", "/t/echo", expects, bytes_of_str("abc"));
	assert_true(a.was_continued);
	assert_int_equal(a.status, 200);
	buf_fini(&a.body);
	a = h2_ask(&c, "POST", "/t/none", expects, bytes_of_str("abc"));
	assert_int_equal(a.status, 404);
	assert_false(a.was_continued);
	buf_fini(&a.body);
	a = h2_ask(&c, "POST", "/t/echo", strange, bytes_of_str("abc"));
	assert_int_equal(a.status, 417);
	buf_fini(&a.body);
	h2_expect(&c, "POST", "/t/echo", bytes_of(zeros, 1000), 200, "");
	h2_hang_up(&c);
	h2_server_stop(&f);
}

static void answers_a_quick_stream_while_another_is_slow(void **state)
{
	struct h2_answer slow = { .body = BUF_INIT(1000) };
	struct h2_server f;
	struct h2_caller c;

	h2_server_start(&f);
	c = h2_call(&f);
	h2_client_ask(c.client, "GET", "/t/slow", NULL, NOTHING, &slow);
	h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	assert_false(slow.is_over);
	atomic_store(&h2_gate_is_open, true);
	assert_true(h2_client_wait(c.client, &slow));
	assert_int_equal(slow.status, 200);
	assert_string_equal(buf_str(&slow.body), "slow\n");
	buf_fini(&slow.body);
	h2_hang_up(&c);
	h2_server_stop(&f);
}

/* The workers' limit of one connection and what waits for a client that reads are passed, and nothing is lost. */
static void serves_many_streams_at_once(void **state)
{
	static struct h2_answer answers[32];
	struct h2_server f;
	struct h2_caller c;
	size_t i, round;

	h2_server_start(&f);
	c = h2_call(&f);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 32; i++) {
			answers[i] = (struct h2_answer){ .body = BUF_INIT(1 << 20) };
			h2_client_ask(c.client, "GET", round == 1 ? "/t/large" : "/t/hello", NULL, NOTHING,
				      &answers[i]);
		}
		for (i = 0; i < 32; i++) {
			assert_true(h2_client_wait(c.client, &answers[i]));
			assert_int_equal(answers[i].status, 200);
			assert_int_equal(answers[i].body.len, round == 1 ? H2_LARGE : 6);
			buf_fini(&answers[i].body);
		}
	}
	h2_hang_up(&c);
	h2_server_stop(&f);
}

/* A client that works is no flood: what its frames cost is earned back by replies. */
static void never_cuts_a_busy_client(void **state)
{
	struct h2_server f;
	struct h2_caller c;
	int i;

	h2_server_start(&f);
	c = h2_call(&f);
	for (i = 0; i < 1000; i++)
		h2_expect(&c, "POST", "/t/echo", bytes_of_str("abc"), 200, "abc");
	h2_hang_up(&c);
	h2_server_stop(&f);
}

/* Header section and body in one record of TLS, and that in one write. */
static void sends_each_reply_at_once(void **state)
{
	unsigned records, segments;
	struct h2_server f;
	struct h2_caller c;
	int i;

	h2_server_start(&f);
	c = h2_call(&f);
	h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	assert_true(wire_is_undelayed(c.fd));
	records = h2_client_records(c.client);
	segments = wire_segments(c.fd);
	for (i = 0; i < 20; i++) {
		h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
		h2_expect(&c, "POST", "/t/echo", bytes_of_str("abc"), 200, "abc");
		h2_expect(&c, "GET", "/t/none", NOTHING, 404, "not found");
	}
	assert_int_equal(h2_client_records(c.client) - records, 60);
	assert_int_equal(wire_segments(c.fd) - segments, 60);
	h2_hang_up(&c);
	h2_server_stop(&f);
}

static void *open_gate_later(void *arg)
{
	usleep(100000);
	atomic_store(&h2_gate_is_open, true);
	return NULL;
}

static void finishes_streams_in_flight_before_it_stops(void **state)
{
	struct h2_answer slow = { .body = BUF_INIT(1000) };
	struct h2_caller c, idle;
	struct h2_server f;
	pthread_t thread;

	h2_server_start(&f);
	idle = h2_call(&f);
	h2_expect(&idle, "GET", "/t/hello", NOTHING, 200, "hello");
	c = h2_call(&f);
	h2_client_ask(c.client, "GET", "/t/slow", NULL, NOTHING, &slow);
	while (!atomic_load(&h2_entered))
		usleep(1000);
	assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
	gw_server_stop(f.server, 5000);
	pthread_join(thread, NULL);
	assert_true(h2_client_wait(c.client, &slow));
	assert_int_equal(slow.status, 200);
	assert_true(h2_client_is_going_away(c.client));
	buf_fini(&slow.body);
	h2_hang_up(&c);
	h2_hang_up(&idle);
	h2_server_stop(&f);
}

static void drops_the_reply_of_a_stream_that_went_away(void **state)
{
	struct h2_answer slow = { .body = BUF_INIT(1000) };
	struct h2_server f;
	struct h2_caller c;

	h2_server_start(&f);
	c = h2_call(&f);
	h2_client_ask(c.client, "GET", "/t/slow", NULL, NOTHING, &slow);
	while (!atomic_load(&h2_entered))
		usleep(1000);
	h2_hang_up(&c);
	usleep(20000);
	atomic_store(&h2_gate_is_open, true);
	h2_server_wait_for(&f, 0);
	h2_server_stop(&f);
}

static void offers_http_2_only_where_it_may(void **state)
{
	struct tls_client *c;
	struct h2_server f;
	int fd;

	h2_server_start_with(&f, GW_DEADLINES_DEFAULT, true, 0);
	fd = h2_server_dial(&f);
	c = tls_client_new(fd, 0x0304, "\x02h2\x08http/1.1");
	assert_non_null(c);
	assert_string_equal(tls_client_protocol(c), "http/1.1");
	tls_client_drop(&c);
	close(fd);
	h2_server_stop(&f);
	h2_server_start(&f);
	fd = h2_server_dial(&f);
	c = tls_client_new(fd, 0x0303, "\x08http/1.1\x02h2");
	assert_string_equal(tls_client_protocol(c), "h2");
	tls_client_drop(&c);
	close(fd);
	fd = h2_server_dial(&f);
	c = tls_client_new(fd, 0x0304, "\x08http/1.1");
	assert_string_equal(tls_client_protocol(c), "http/1.1");
	tls_client_drop(&c);
	close(fd);
	h2_server_stop(&f);
}

/* ---- wrong requests ---- */

#define GET { ":method", "GET" }
#define HTTPS { ":scheme", "https" }
#define HELLO { ":path", "/t/hello" }
#define HERE { ":authority", "ca.example" }
#define GOOD GET, HTTPS, HELLO, HERE

/* What RFC 9113 8 calls malformed ends the stream; what HTTP/1.1 would refuse too is 400. Never a handler. */
static void refuses_malformed_requests(void **state)
{
	static const struct h2_header requests[][8] = {
		{ GOOD, { "connection", "close" } },
		{ GOOD, { "transfer-encoding", "chunked" } },
		{ GOOD, { "keep-alive", "1" } },
		{ GOOD, { "upgrade", "h2c" } },
		{ GOOD, { "proxy-connection", "close" } },
		{ GOOD, { "te", "gzip" } },
		{ GOOD, { "", "1" } },
		{ GOOD, { "a b", "1" } },
		{ GOOD, { "a:b", "1" } },
		{ GOOD, { "x", "a\r\nb: c" } },
		{ GOOD, { "x", "a\nb" } },
		{ GOOD, { "x", " a" } },
		{ GOOD, { ":method", "POST" } },
		{ GOOD, { ":path", "/t/large" } },
		{ GOOD, { ":status", "200" } },
		{ GOOD, { "x", "1" }, { ":authority", "late" } },
		{ GOOD, { "host", "other.example" } },
		{ GOOD, { "content-length", "5" } },
		{ GOOD, { "content-length", "0" }, { "content-length", "0" } },
		{ GOOD, { "content-length", "+1" } },
		{ GET, HTTPS, HELLO },
		{ GET, HTTPS, HERE },
		{ HTTPS, HELLO, HERE },
		{ GET, HELLO, HERE },
		{ GET, { ":scheme", "http" }, HELLO, HERE },
		{ GET, HTTPS, { ":path", "" }, HERE },
		{ GET, HTTPS, { ":path", "t/hello" }, HERE },
		{ GET, HTTPS, { ":path", "/t /x" }, HERE },
		{ GET, HTTPS, { ":path", "/t#x" }, HERE },
		{ GET, HTTPS, HELLO, { ":authority", "u@ca.example" } },
		{ { ":method", "G T" }, HTTPS, HELLO, HERE },
	};
	struct h2_server f;
	struct h2_caller c;
	size_t i;

	h2_server_start(&f);
	c = h2_call(&f);
	for (i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct h2_answer a = { .body = BUF_INIT(4096) };

		h2_client_ask_raw(c.client, requests[i], NOTHING, &a);
		assert_true(h2_client_wait(c.client, &a));
		if (a.status != 400 && (a.status != 0 || a.error == 0))
			fail_msg("request %zu got %d %u", i, a.status, a.error);
		buf_fini(&a.body);
	}
	h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	h2_hang_up(&c);
	h2_server_stop(&f);
	assert_int_equal(atomic_load(&f.stats.by_status[100]), 1);
}

static void refuses_header_sections_that_are_too_large(void **state)
{
	struct h2_header many[130] = { 0 };
	struct h2_answer a;
	static char text[20000];
	struct h2_server f;
	struct h2_caller c;
	size_t i;

	h2_server_start(&f);
	c = h2_call(&f);
	for (i = 0; i < 100; i++) /* and the authority */
		many[i] = (struct h2_header){ "x-many", "1" };
	a = h2_ask(&c, "GET", "/t/hello", many, NOTHING);
	assert_int_equal(a.status, 431);
	buf_fini(&a.body);
	many[99].name = NULL;
	a = h2_ask(&c, "GET", "/t/hello", many, NOTHING);
	assert_int_equal(a.status, 200);
	buf_fini(&a.body);
	memset(text, 'x', 9000);
	many[0] = many[1] = (struct h2_header){ "x-long", text };
	many[2].name = NULL;
	a = h2_ask(&c, "GET", "/t/hello", many, NOTHING);
	assert_int_equal(a.status, 431);
	buf_fini(&a.body);
	text[0] = '/';
	a = h2_ask(&c, "GET", text, NULL, NOTHING);
	assert_int_equal(a.status, 414);
	buf_fini(&a.body);
	h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	h2_hang_up(&c);
	h2_server_stop(&f);
}

static void lets_idle_connections_go(void **state)
{
	struct gw_deadlines deadlines = GW_DEADLINES_DEFAULT;
	struct h2_server f;
	struct h2_caller c;

	deadlines.idle = 100;
	deadlines.linger = 50;
	h2_server_start_with(&f, deadlines, false, 0);
	c = h2_call(&f);
	h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	h2_server_wait_for(&f, 0);
	assert_int_equal(h2_server_stats(&f).timeouts, 0);
	assert_int_equal(h2_server_stats(&f).h2_connections, 1);
	h2_hang_up(&c);
	h2_server_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_requests_as_over_http_1),
		cmocka_unit_test(refuses_bodies_that_are_too_large),
		cmocka_unit_test(answers_a_quick_stream_while_another_is_slow),
		cmocka_unit_test(serves_many_streams_at_once),
		cmocka_unit_test(never_cuts_a_busy_client),
		cmocka_unit_test(sends_each_reply_at_once),
		cmocka_unit_test(finishes_streams_in_flight_before_it_stops),
		cmocka_unit_test(drops_the_reply_of_a_stream_that_went_away),
		cmocka_unit_test(offers_http_2_only_where_it_may),
		cmocka_unit_test(refuses_malformed_requests),
		cmocka_unit_test(refuses_header_sections_that_are_too_large),
		cmocka_unit_test(lets_idle_connections_go),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
