/* HTTP/2 over TLS on 127.0.0.1: polite clients, wrong ones, and floods.
 *
 *     test_gateway_http2                 run the tests
 *     test_gateway_http2 --seeds FOLDER  write what the floods send, for tests/fuzz/corpus/http2
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "gateway/loop.h"
#include "tests/unit/gateway/h2_client.h"

#define LARGE (900u << 10)
#define MIDDLE (64u << 10)
#define FRAMES_MAX 200                       /* until a flood is cut */
#ifdef __SANITIZE_THREAD__
#define GROWTH_MAX LONG_MAX                  /* shadow memory of each worker's stack */
#else
#define GROWTH_MAX ((long)8 << 20)
#endif
#define FLOOD_SIZE ((size_t)1 << 20)
#define NOTHING ((struct bytes){ 0 })

/* Freed memory is to go back, so that what a flood leaves behind can be measured under a sanitizer too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}

/* ---- the adapter ---- */

static atomic_uint entered;
static atomic_bool gate_is_open;

static int handle_hello(void *state, const struct http_request *q, struct http_reply *r)
{
	return http_reply_text(r, 200, "hello");
}

static int handle_echo(void *state, const struct http_request *q, struct http_reply *r)
{
	return http_reply_body(r, 200, "application/octet-stream", q->body);
}

static int handle_item(void *state, const struct http_request *q, struct http_reply *r)
{
	const char *kind = http_request_header(q, "x-kind");
	char text[512];

	snprintf(text, sizeof(text), "%s|%s|%s|%s|%d|%s|%s", q->params[0], q->query ? q->query : "-",
		 q->peer_address, q->base_url, q->is_tls, kind ? kind : "-", http_request_header(q, "host"));
	http_reply_header(r, "Location", "%s", "/t/item/new");
	http_reply_header(r, "Connection", "%s", "close");
	return http_reply_text(r, 201, text);
}

/* Blocks until the test opens the gate. */
static int handle_slow(void *state, const struct http_request *q, struct http_reply *r)
{
	atomic_fetch_add(&entered, 1);
	while (!atomic_load(&gate_is_open))
		usleep(1000);
	return http_reply_text(r, 200, "slow");
}

static int fill(struct http_reply *r, size_t n)
{
	uint8_t *room = buf_room(&r->body, n);

	if (!room)
		return -ENOMEM;
	memset(room, 'x', n);
	buf_added(&r->body, n);
	r->status = 200;
	return 0;
}

static int handle_large(void *state, const struct http_request *q, struct http_reply *r)
{
	return fill(r, LARGE);
}

static int handle_middle(void *state, const struct http_request *q, struct http_reply *r)
{
	return fill(r, MIDDLE);
}

static int handle_fail(void *state, const struct http_request *q, struct http_reply *r)
{
	http_reply_text(r, 200, "secret");
	return -EIO;
}

static int handle_split(void *state, const struct http_request *q, struct http_reply *r)
{
	http_reply_header(r, "Location", "%s", "/\r\nSet-Cookie: x");
	return http_reply_text(r, 200, "x");
}

static const struct proto_route routes[] = {
	{ "GET", "/hello", handle_hello }, { "POST", "/echo", handle_echo },     { "GET", "/item/{id}", handle_item },
	{ "GET", "/slow", handle_slow },   { "GET", "/large", handle_large },    { "GET", "/fail", handle_fail },
	{ "GET", "/split", handle_split }, { "GET", "/middle", handle_middle }, { 0 },
};

/* ---- the server ---- */

struct fixture {
	struct gw_workers *workers;
	struct gw_server *server;
	struct gw_router *router;
	struct gw_stats stats;
	struct gw_mount mount;
	struct gw_listener *listener;
};

static void use_certificate(struct fixture *f)
{
	OWNED_BUF certificate = BUF_INIT(65536), key = BUF_INIT(65536);
	struct ssl_ctx_st *context;
	char why[256];

	assert_true(tls_client_certificate("ca.example", 10, &certificate, &key));
	assert_int_equal(gw_tls_context_new(&context, buf_bytes(&certificate), buf_bytes(&key), why, sizeof(why)), 0);
	gw_listener_set_tls(f->listener, context);
	gw_tls_context_drop(&context);
}

static void start_with(struct fixture *f, struct gw_deadlines deadlines, bool http1_only)
{
	static const char *const names[] = { "ca.example" };
	struct gw_server_options server_options = { .loops = 2, .max_connections = 100 };
	struct gw_listener_options options = {
		.name = "test", .address = "127.0.0.1", .is_tls = true, .names = names, .n_names = 1,
		.limits = HTTP1_LIMITS_DEFAULT, .deadlines = deadlines, .http1_only = http1_only,
	};
	char why[256];

	*f = (struct fixture){ 0 };
	atomic_store(&gate_is_open, false);
	atomic_store(&entered, 0);
	f->mount = (struct gw_mount) { .name = "test", .prefix = "/t", .routes = routes, .body_max = 1000,
				       .stats = &f->stats };
	assert_int_equal(gw_workers_new(&f->workers, &(struct gw_workers_options){ 0 }), 0);
	assert_int_equal(gw_router_new(&f->router), 0);
	assert_int_equal(gw_router_add(f->router, &f->mount), 0);
	server_options.workers = f->workers;
	options.router = f->router;
	assert_int_equal(gw_server_new(&f->server, &server_options), 0);
	assert_int_equal(gw_server_listen(f->server, &options, &f->listener, why, sizeof(why)), 0);
	use_certificate(f);
	assert_int_equal(gw_server_start(f->server), 0);
	gw_server_open(f->server, f->listener);
}

static void start(struct fixture *f)
{
	start_with(f, GW_DEADLINES_DEFAULT, false);
}

static void stop(struct fixture *f)
{
	atomic_store(&gate_is_open, true);
	gw_server_stop(f->server, 1000);
	gw_workers_drop(&f->workers);
	gw_server_drop(&f->server);
	gw_router_drop(&f->router);
}

static struct gw_server_stats stats_of(struct fixture *f)
{
	struct gw_server_stats stats;

	gw_server_count(f->server, &stats);
	return stats;
}

static void wait_for_connections(struct fixture *f, unsigned n)
{
	int i;

	for (i = 0; i < 2000 && stats_of(f).connections != n; i++)
		usleep(2000);
	assert_int_equal(stats_of(f).connections, n);
}

/* ---- clients ---- */

static int dial(const struct fixture *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(f->listener->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

struct caller {
	int fd;
	struct h2_client *client;
};

static struct caller call(const struct fixture *f)
{
	struct caller c = { .fd = dial(f) };

	c.client = h2_client_new(c.fd);
	assert_non_null(c.client);
	return c;
}

static void hang_up(struct caller *c)
{
	h2_client_drop(&c->client);
	close(c->fd);
}

static struct h2_answer ask(struct caller *c, const char *method, const char *path, const struct h2_header *headers,
			    struct bytes body)
{
	struct h2_answer a = { .body = BUF_INIT(2 << 20) };

	h2_client_ask(c->client, method, path, headers, body, &a);
	assert_true(h2_client_wait(c->client, &a));
	return a;
}

static void expect(struct caller *c, const char *method, const char *path, struct bytes body, int status,
		   const char *contains)
{
	struct h2_answer a = ask(c, method, path, NULL, body);

	assert_int_equal(a.status, status);
	if (!strstr(buf_str(&a.body), contains))
		fail_msg("no '%s' in: %s", contains, buf_str(&a.body));
	buf_fini(&a.body);
}

/* ---- what a polite client gets ---- */

static void serves_requests_as_over_http_1(void **state)
{
	static const struct h2_header kind[] = { { "x-kind", "a\tb" }, { 0 } };
	struct h2_answer a;
	struct fixture f;
	struct caller c;

	start(&f);
	c = call(&f);
	expect(&c, "GET", "/t/hello", NOTHING, 200, "hello\n");
	expect(&c, "POST", "/t/echo", bytes_of_str("abc"), 200, "abc");
	expect(&c, "POST", "/t/echo", bytes_of_str(""), 200, "");
	expect(&c, "GET", "/t/none", NOTHING, 404, "not found");
	expect(&c, "GET", "/t//hello", NOTHING, 404, "not found");
	expect(&c, "GET", "/t/fail", NOTHING, 500, "server error\n");
	expect(&c, "GET", "/t/split", NOTHING, 500, "server error\n");
	a = ask(&c, "GET", "/t/item/a%20b?x=y", kind, NOTHING);
	assert_int_equal(a.status, 201);
	assert_string_equal(buf_str(&a.body), "a%20b|x=y|127.0.0.1|https://ca.example|1|a b|ca.example\n");
	assert_string_equal(a.location, "/t/item/new");
	buf_fini(&a.body);
	a = ask(&c, "HEAD", "/t/hello", NULL, NOTHING);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.length, "6");
	assert_int_equal(a.body.len, 0);
	a = ask(&c, "GET", "/t/echo", NULL, NOTHING);
	assert_int_equal(a.status, 405);
	assert_string_equal(a.allow, "POST");
	buf_fini(&a.body);
	a = ask(&c, "PUT", "/t/echo", NULL, NOTHING);
	assert_int_equal(a.status, 405);
	assert_string_equal(a.allow, "GET, HEAD, POST");
	buf_fini(&a.body);
	a = ask(&c, "GET", "/t/large", NULL, NOTHING);
	assert_int_equal(a.body.len, LARGE);
	buf_fini(&a.body);
	hang_up(&c);
	stop(&f);
	assert_int_equal(atomic_load(&f.stats.by_version[GW_HTTP_2]), 9);
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
	struct fixture f;
	struct caller c;

	start(&f);
	c = call(&f);
	expect(&c, "POST", "/t/echo", bytes_of(zeros, 1001), 413, "too large");
	expect(&c, "POST", "/t/echo", bytes_of(zeros, sizeof(zeros)), 413, "too large");
	a = ask(&c, "POST", "/t/echo", honest, bytes_of(zeros, 1001));
	assert_int_equal(a.status, 413);
	buf_fini(&a.body);
	a = ask(&c, "POST", "/t/echo", expects, bytes_of_str("abc"));
	assert_true(a.was_continued);
	assert_int_equal(a.status, 200);
	buf_fini(&a.body);
	a = ask(&c, "POST", "/t/none", expects, bytes_of_str("abc"));
	assert_int_equal(a.status, 404);
	assert_false(a.was_continued);
	buf_fini(&a.body);
	a = ask(&c, "POST", "/t/echo", strange, bytes_of_str("abc"));
	assert_int_equal(a.status, 417);
	buf_fini(&a.body);
	expect(&c, "POST", "/t/echo", bytes_of(zeros, 1000), 200, "");
	hang_up(&c);
	stop(&f);
}

static void answers_a_quick_stream_while_another_is_slow(void **state)
{
	struct h2_answer slow = { .body = BUF_INIT(1000) };
	struct fixture f;
	struct caller c;

	start(&f);
	c = call(&f);
	h2_client_ask(c.client, "GET", "/t/slow", NULL, NOTHING, &slow);
	expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	assert_false(slow.is_over);
	atomic_store(&gate_is_open, true);
	assert_true(h2_client_wait(c.client, &slow));
	assert_int_equal(slow.status, 200);
	assert_string_equal(buf_str(&slow.body), "slow\n");
	buf_fini(&slow.body);
	hang_up(&c);
	stop(&f);
}

/* The workers' limit of one connection and what waits for a client that reads are passed, and nothing is lost. */
static void serves_many_streams_at_once(void **state)
{
	static struct h2_answer answers[32];
	struct fixture f;
	struct caller c;
	size_t i, round;

	start(&f);
	c = call(&f);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 32; i++) {
			answers[i] = (struct h2_answer){ .body = BUF_INIT(1 << 20) };
			h2_client_ask(c.client, "GET", round == 1 ? "/t/large" : "/t/hello", NULL, NOTHING,
				      &answers[i]);
		}
		for (i = 0; i < 32; i++) {
			assert_true(h2_client_wait(c.client, &answers[i]));
			assert_int_equal(answers[i].status, 200);
			assert_int_equal(answers[i].body.len, round == 1 ? LARGE : 6);
			buf_fini(&answers[i].body);
		}
	}
	hang_up(&c);
	stop(&f);
}

/* A client that works is no flood: what its frames cost is earned back by replies. */
static void never_cuts_a_busy_client(void **state)
{
	struct fixture f;
	struct caller c;
	int i;

	start(&f);
	c = call(&f);
	for (i = 0; i < 1000; i++)
		expect(&c, "POST", "/t/echo", bytes_of_str("abc"), 200, "abc");
	hang_up(&c);
	stop(&f);
}

static void *open_gate_later(void *arg)
{
	usleep(100000);
	atomic_store(&gate_is_open, true);
	return NULL;
}

static void finishes_streams_in_flight_before_it_stops(void **state)
{
	struct h2_answer slow = { .body = BUF_INIT(1000) };
	struct caller c, idle;
	struct fixture f;
	pthread_t thread;

	start(&f);
	idle = call(&f);
	expect(&idle, "GET", "/t/hello", NOTHING, 200, "hello");
	c = call(&f);
	h2_client_ask(c.client, "GET", "/t/slow", NULL, NOTHING, &slow);
	while (!atomic_load(&entered))
		usleep(1000);
	assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
	gw_server_stop(f.server, 5000);
	pthread_join(thread, NULL);
	assert_true(h2_client_wait(c.client, &slow));
	assert_int_equal(slow.status, 200);
	assert_true(h2_client_is_going_away(c.client));
	buf_fini(&slow.body);
	hang_up(&c);
	hang_up(&idle);
	stop(&f);
}

static void drops_the_reply_of_a_stream_that_went_away(void **state)
{
	struct h2_answer slow = { .body = BUF_INIT(1000) };
	struct fixture f;
	struct caller c;

	start(&f);
	c = call(&f);
	h2_client_ask(c.client, "GET", "/t/slow", NULL, NOTHING, &slow);
	while (!atomic_load(&entered))
		usleep(1000);
	hang_up(&c);
	usleep(20000);
	atomic_store(&gate_is_open, true);
	wait_for_connections(&f, 0);
	stop(&f);
}

static void offers_http_2_only_where_it_may(void **state)
{
	struct tls_client *c;
	struct fixture f;
	int fd;

	start_with(&f, GW_DEADLINES_DEFAULT, true);
	fd = dial(&f);
	c = tls_client_new(fd, 0x0304, "\x02h2\x08http/1.1");
	assert_non_null(c);
	assert_string_equal(tls_client_protocol(c), "http/1.1");
	tls_client_drop(&c);
	close(fd);
	stop(&f);
	start(&f);
	fd = dial(&f);
	c = tls_client_new(fd, 0x0303, "\x08http/1.1\x02h2");
	assert_string_equal(tls_client_protocol(c), "h2");
	tls_client_drop(&c);
	close(fd);
	fd = dial(&f);
	c = tls_client_new(fd, 0x0304, "\x08http/1.1");
	assert_string_equal(tls_client_protocol(c), "http/1.1");
	tls_client_drop(&c);
	close(fd);
	stop(&f);
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
	struct fixture f;
	struct caller c;
	size_t i;

	start(&f);
	c = call(&f);
	for (i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct h2_answer a = { .body = BUF_INIT(4096) };

		h2_client_ask_raw(c.client, requests[i], NOTHING, &a);
		assert_true(h2_client_wait(c.client, &a));
		if (a.status != 400 && (a.status != 0 || a.error == 0))
			fail_msg("request %zu got %d %u", i, a.status, a.error);
		buf_fini(&a.body);
	}
	expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	hang_up(&c);
	stop(&f);
	assert_int_equal(atomic_load(&f.stats.by_status[100]), 1);
}

static void refuses_header_sections_that_are_too_large(void **state)
{
	struct h2_header many[130] = { 0 };
	struct h2_answer a;
	static char text[20000];
	struct fixture f;
	struct caller c;
	size_t i;

	start(&f);
	c = call(&f);
	for (i = 0; i < 100; i++) /* and the authority */
		many[i] = (struct h2_header){ "x-many", "1" };
	a = ask(&c, "GET", "/t/hello", many, NOTHING);
	assert_int_equal(a.status, 431);
	buf_fini(&a.body);
	many[99].name = NULL;
	a = ask(&c, "GET", "/t/hello", many, NOTHING);
	assert_int_equal(a.status, 200);
	buf_fini(&a.body);
	memset(text, 'x', 9000);
	many[0] = many[1] = (struct h2_header){ "x-long", text };
	many[2].name = NULL;
	a = ask(&c, "GET", "/t/hello", many, NOTHING);
	assert_int_equal(a.status, 431);
	buf_fini(&a.body);
	text[0] = '/';
	a = ask(&c, "GET", text, NULL, NOTHING);
	assert_int_equal(a.status, 414);
	buf_fini(&a.body);
	expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	hang_up(&c);
	stop(&f);
}

/* ---- floods ---- */

static void rapid_reset(struct buf *out, unsigned n)
{
	h2_request(out, 2 * n + 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/t/slow");
	h2_frame_number(out, H2_RST_STREAM, 2 * n + 1, 8);
}

/* The client breaks the rules of a stream, so that we end it while a worker has its request. */
static void made_you_reset(struct buf *out, unsigned n)
{
	h2_request(out, 2 * n + 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/t/slow");
	h2_frame_number(out, H2_WINDOW_UPDATE, 2 * n + 1, 0x7fffffff);
}

static void wrong_length(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_field(&block, ":method", "POST", false);
	h2_field(&block, ":scheme", "https", false);
	h2_field(&block, ":path", "/t/echo", false);
	h2_field(&block, ":authority", "ca.example", false);
	h2_field(&block, "content-length", "3", false);
	h2_frame(out, H2_HEADERS, H2_END_HEADERS, 2 * n + 1, buf_bytes(&block));
	h2_frame(out, H2_DATA, H2_END_STREAM, 2 * n + 1, NOTHING);
}

static void empty_name(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_field(&block, ":method", "GET", false);
	h2_field(&block, "", "", false);
	h2_frame(out, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 2 * n + 1, buf_bytes(&block));
}

static void upper_name(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_field(&block, ":method", "GET", false);
	h2_field(&block, ":scheme", "https", false);
	h2_field(&block, ":path", "/t/hello", false);
	h2_field(&block, ":authority", "ca.example", false);
	h2_field(&block, "X-Upper", "1", false);
	h2_frame(out, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 2 * n + 1, buf_bytes(&block));
}

static void continuation(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_request(out, 1, H2_END_STREAM, "GET", "/t/hello");
	h2_frame(out, H2_CONTINUATION, 0, 1, bytes_of("\0\1a\1b", n % 2 ? 0 : 5));
}

static void ping(struct buf *out, unsigned n)
{
	h2_frame(out, H2_PING, 0, 0, bytes_of("12345678", 8));
}

static void settings(struct buf *out, unsigned n)
{
	h2_frame(out, H2_SETTINGS, 0, 0, bytes_of("\0\3\0\0\0\1", n % 2 ? 0 : 6));
}

static void empty_data(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_request(out, 1, H2_END_HEADERS, "POST", "/t/echo");
	h2_frame(out, H2_DATA, 0, 1, NOTHING);
}

static void priority(struct buf *out, unsigned n)
{
	h2_frame(out, H2_PRIORITY, 0, 2 * n + 3, bytes_of("\0\0\0\1\7", 5));
}

static void window_update(struct buf *out, unsigned n)
{
	h2_frame_number(out, H2_WINDOW_UPDATE, 0, 1);
}

static void unknown_frame(struct buf *out, unsigned n)
{
	h2_frame(out, 0xbb, 0, 0, bytes_of_str("what"));
}

static void header_bomb(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);
	char value[3900];
	int i;

	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = 0;
	h2_field(&block, ":method", "GET", false);
	h2_field(&block, ":scheme", "https", false);
	h2_field(&block, ":path", "/", false);
	h2_field(&block, ":authority", "ca.example", false);
	h2_field(&block, "x-bomb", value, true);
	for (i = 0; i < 10000; i++)
		buf_append_char(&block, (char)0xbe); /* the newest field of the table */
	h2_frame(out, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 2 * n + 1, buf_bytes(&block));
}

static void closed_window(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_frame(out, H2_SETTINGS, 0, 0, bytes_of("\0\4\0\0\0\0", 6));
	if (n < 32)
		h2_request(out, 2 * n + 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/t/middle");
}

static void open_header(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_request(out, 1, H2_END_STREAM, "GET", "/t/hello");
}

static void slow_body(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_request(out, 1, H2_END_HEADERS, "POST", "/t/echo");
}

static void not_http_2(struct buf *out, unsigned n)
{
	buf_append_str(out, "GET / HTTP/1.1\r\nHost: ca.example\r\n\r\n");
}

static const struct flood {
	const char *name;
	void (*add)(struct buf *out, unsigned n); /* the n-th piece */
	enum http2_cut cut;
} floods[] = {
	{ "rapid-reset", rapid_reset, HTTP2_CUT_RESETS },
	{ "made-you-reset", made_you_reset, HTTP2_CUT_CONTROL },
	{ "wrong-length", wrong_length, HTTP2_CUT_RESETS },
	{ "empty-name", empty_name, HTTP2_CUT_RESETS },
	{ "upper-name", upper_name, HTTP2_CUT_RESETS },
	{ "continuation", continuation, HTTP2_CUT_HEADERS },
	{ "ping", ping, HTTP2_CUT_CONTROL },
	{ "settings", settings, HTTP2_CUT_CONTROL },
	{ "empty-data", empty_data, HTTP2_CUT_CONTROL },
	{ "priority", priority, HTTP2_CUT_CONTROL },
	{ "window-update", window_update, HTTP2_CUT_CONTROL },
	{ "unknown-frame", unknown_frame, HTTP2_CUT_CONTROL },
	{ "header-bomb", header_bomb, HTTP2_CUT_HEADERS },
	{ "closed-window", closed_window, HTTP2_CUT_STALLED },
	{ "open-header", open_header, HTTP2_CUT_STALLED },
	{ "slow-body", slow_body, HTTP2_CUT_STALLED },
	{ "not-http-2", not_http_2, HTTP2_CUT_PROTOCOL },
};
#define N_FLOODS (sizeof(floods) / sizeof(*floods))

static void make_flood(const struct flood *flood, unsigned pieces, struct buf *out)
{
	unsigned n;

	if (flood->add != not_http_2)
		h2_preface(out);
	for (n = 0; n < pieces && out->len < FLOOD_SIZE; n++)
		flood->add(out, n);
}

static long resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long total = 0, pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &total, &pages), 2);
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

/* A client that goes on as if nothing happened; its slowest times are kept. */
struct healthy {
	const struct fixture *f;
	atomic_bool ends;
	unsigned n, failed;
	int64_t us[200000];
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *be_healthy(void *arg)
{
	struct healthy *h = arg;
	int fd = dial(h->f);
	struct h2_client *client = h2_client_new(fd);

	while (!atomic_load(&h->ends) && h->n < sizeof(h->us) / sizeof(*h->us)) {
		struct h2_answer a = { .body = BUF_INIT(1000) };
		int64_t began = now_us();

		h2_client_ask(client, "GET", "/t/hello", NULL, NOTHING, &a);
		if (!h2_client_wait(client, &a) || a.status != 200)
			h->failed++;
		buf_fini(&a.body);
		h->us[h->n++] = now_us() - began;
		usleep(500);
	}
	h2_client_drop(&client);
	close(fd);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t p99(struct healthy *h)
{
	qsort(h->us, h->n, sizeof(*h->us), compare);
	return h->n ? h->us[(h->n - 1) * 99 / 100] : 0;
}

/* One record of TLS, or one a frame: what a frame costs must be seen either way. */
static void send_flood(int fd, const struct flood *flood)
{
	struct tls_client *client = tls_client_new(fd, 0x0304, "\x02h2");
	OWNED_BUF all = BUF_INIT(FLOOD_SIZE + (1 << 20));
	size_t at, n;

	assert_non_null(client);
	make_flood(flood, 1000, &all);
	for (at = 0; at < all.len; at += n) {
		n = all.len - at < 16384 ? all.len - at : 16384;
		if (!tls_client_send(client, bytes_of(all.ptr + at, n)))
			break;
	}
	tls_client_drop(&client);
}

static void check_flood(struct fixture *f, const struct flood *flood)
{
	struct gw_server_stats before = stats_of(f), after;
	long was = resident(), most = was, is;
	unsigned others = before.connections;
	unsigned long long frames;
	int fd = dial(f), i;

	send_flood(fd, flood);
	for (i = 0; i < 3000; i++) {
		after = stats_of(f);
		is = resident();
		most = is > most ? is : most;
		if (after.h2_cuts[flood->cut] > before.h2_cuts[flood->cut] && after.connections <= others)
			break;
		usleep(1000);
		/* Those at workers come back when their handler ends. */
		if (i == 100)
			atomic_store(&gate_is_open, true);
	}
	close(fd);
	atomic_store(&gate_is_open, false);
	after = stats_of(f);
	frames = after.h2_frames - before.h2_frames;
	print_message("%-15s cut=%s frames=%llu growth=%ld KiB\n", flood->name, http2_cut_name(flood->cut), frames,
		      (most - was) / 1024);
	if (after.h2_cuts[flood->cut] == before.h2_cuts[flood->cut])
		fail_msg("%s was not cut", flood->name);
	assert_true(frames <= FRAMES_MAX);
	assert_true(most - was <= GROWTH_MAX);
}

static void cuts_floods_while_others_are_served(void **state)
{
	static struct healthy healthy, idle;
	struct gw_deadlines deadlines = GW_DEADLINES_DEFAULT;
	struct fixture f;
	pthread_t thread;
	size_t i;

	deadlines.write = deadlines.head = deadlines.body = 300;
	start_with(&f, deadlines, false);
	idle = healthy = (struct healthy){ .f = &f };
	assert_int_equal(pthread_create(&thread, NULL, be_healthy, &idle), 0);
	usleep(500000);
	atomic_store(&idle.ends, true);
	pthread_join(thread, NULL);
	wait_for_connections(&f, 0);
	assert_int_equal(pthread_create(&thread, NULL, be_healthy, &healthy), 0);
	wait_for_connections(&f, 1);
	for (i = 0; i < N_FLOODS; i++)
		check_flood(&f, &floods[i]);
	atomic_store(&healthy.ends, true);
	pthread_join(thread, NULL);
	print_message("p99 of another client: %lld us idle, %lld us meanwhile, %u requests\n", (long long)p99(&idle),
		      (long long)p99(&healthy), healthy.n);
	assert_true(healthy.n > 100);
	assert_int_equal(healthy.failed, 0);
	assert_true(healthy.us[healthy.n - 1] < 1000000);
	stop(&f);
}

/* A reply that the client does not take from the network at all. */
static void cuts_a_client_that_never_reads(void **state)
{
	struct gw_deadlines deadlines = GW_DEADLINES_DEFAULT;
	OWNED_BUF all = BUF_INIT(1 << 20);
	struct tls_client *client;
	struct fixture f;
	int fd, i, small = 4096;

	deadlines.write = 200;
	start_with(&f, deadlines, false);
	fd = dial(&f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client = tls_client_new(fd, 0x0304, "\x02h2");
	h2_preface(&all);
	h2_frame(&all, H2_SETTINGS, 0, 0, bytes_of("\0\4\x7f\xff\xff\xff", 6));
	h2_frame_number(&all, H2_WINDOW_UPDATE, 0, 0x7fff0000);
	for (i = 0; i < 16; i++)
		h2_request(&all, (uint32_t)(2 * i + 1), H2_END_HEADERS | H2_END_STREAM, "GET", "/t/large");
	assert_true(tls_client_send(client, buf_bytes(&all)));
	wait_for_connections(&f, 0);
	assert_int_equal(stats_of(&f).h2_cuts[HTTP2_CUT_STALLED], 1);
	tls_client_drop(&client);
	close(fd);
	stop(&f);
}

static void lets_idle_connections_go(void **state)
{
	struct gw_deadlines deadlines = GW_DEADLINES_DEFAULT;
	struct fixture f;
	struct caller c;

	deadlines.idle = 100;
	deadlines.linger = 50;
	start_with(&f, deadlines, false);
	c = call(&f);
	expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	wait_for_connections(&f, 0);
	assert_int_equal(stats_of(&f).timeouts, 0);
	assert_int_equal(stats_of(&f).h2_connections, 1);
	hang_up(&c);
	stop(&f);
}

/* A body with trailers, a header section in two frames, and requests that fuzz_http2.c answers later or never. */
static void add_polite(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_request(out, 1, H2_END_HEADERS, "POST", "/echo?a=b");
	h2_frame(out, H2_DATA, 0, 1, bytes_of_str("ab"));
	h2_frame(out, H2_DATA, 0, 1, bytes_of_str("c"));
	h2_field(&block, "x-trailer", "1", false);
	h2_frame(out, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, buf_bytes(&block));
	h2_request(out, 3, H2_END_STREAM, "GET", "/later");
	h2_frame(out, H2_CONTINUATION, H2_END_HEADERS, 3, buf_bytes(&block));
	h2_request(out, 5, H2_END_HEADERS | H2_END_STREAM, "HEAD", "/never");
	h2_request(out, 7, H2_END_HEADERS | H2_END_STREAM, "GET", "/hello");
	h2_frame(out, H2_GOAWAY, 0, 0, bytes_of("\0\0\0\0\0\0\0\0", 8));
}

static const struct flood polite = { "polite", add_polite, HTTP2_CUT_NONE };

static int write_seeds(const char *folder)
{
	size_t i;
	int r = 0;

	for (i = 0; i <= N_FLOODS && !r; i++) {
		const struct flood *flood = i < N_FLOODS ? &floods[i] : &polite;
		OWNED_BUF seed = BUF_INIT(1 << 20);
		char path[1024];
		int fd;

		buf_append_char(&seed, '\x20');
		make_flood(flood, flood->cut ? 3 : 1, &seed);
		snprintf(path, sizeof(path), "%s/%s", folder, flood->name);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		r = fd < 0 || write(fd, seed.ptr, seed.len) != (ssize_t)seed.len;
		if (fd >= 0)
			close(fd);
	}
	return r;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_requests_as_over_http_1),
		cmocka_unit_test(refuses_bodies_that_are_too_large),
		cmocka_unit_test(answers_a_quick_stream_while_another_is_slow),
		cmocka_unit_test(serves_many_streams_at_once),
		cmocka_unit_test(never_cuts_a_busy_client),
		cmocka_unit_test(finishes_streams_in_flight_before_it_stops),
		cmocka_unit_test(drops_the_reply_of_a_stream_that_went_away),
		cmocka_unit_test(offers_http_2_only_where_it_may),
		cmocka_unit_test(refuses_malformed_requests),
		cmocka_unit_test(refuses_header_sections_that_are_too_large),
		cmocka_unit_test(cuts_floods_while_others_are_served),
		cmocka_unit_test(cuts_a_client_that_never_reads),
		cmocka_unit_test(lets_idle_connections_go),
	};

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		return write_seeds(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
