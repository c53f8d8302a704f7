/* A live server on 127.0.0.1 with a small adapter behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/clock.h"
#include "gateway/loop.h"
#include "tests/unit/gateway/tls_client.h"
#include "tests/unit/gateway/wire.h"
#include "tests/unit/octets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS_1_2 0x0303
#define TLS_1_3 0x0304
#define LARGE (900u << 10)
#define SHARED (9u << 20)

/* ---- the adapter ---- */

static atomic_uint handled, entered;
static atomic_bool gate_is_open;

static void print_refusal(struct buf *body, int status, const char *text)
{
	buf_printf(body, "<refused %d: %s>", status, text);
}

static const struct proto_refusal refusal = { "text/refusal", print_refusal };

static int handle_hello(void *state, const struct http_request *q, struct http_reply *r)
{
	atomic_fetch_add(&handled, 1);
	return http_reply_text(r, 200, "hello");
}

static int handle_echo(void *state, const struct http_request *q, struct http_reply *r)
{
	return http_reply_body(r, 200, "application/octet-stream", q->body);
}

static int handle_item(void *state, const struct http_request *q, struct http_reply *r)
{
	char text[512];

	snprintf(text, sizeof(text), "%s|%s|%s|%s|%s|%d", q->params[0], q->query ? q->query : "-", q->peer_address,
		 q->base_url, (const char *)state, q->is_tls);
	return http_reply_text(r, 200, text);
}

/* Blocks until the test opens the gate. */
static int handle_slow(void *state, const struct http_request *q, struct http_reply *r)
{
	atomic_fetch_add(&entered, 1);
	while (!atomic_load(&gate_is_open))
		usleep(1000);
	return http_reply_text(r, 200, "slow");
}

static int handle_large(void *state, const struct http_request *q, struct http_reply *r)
{
	uint8_t *room = buf_room(&r->body, LARGE);

	if (!room)
		return -ENOMEM;
	memset(room, 'x', LARGE);
	buf_added(&r->body, LARGE);
	r->status = 200;
	return 0;
}

/* A body that all replies share. */
static struct http_octets *shared;
static struct buf shared_text = BUF_INIT(SHARED);

static int handle_shared(void *state, const struct http_request *q, struct http_reply *r)
{
	return http_reply_large(r, 200, "application/octet-stream", shared);
}

static void make_shared(void)
{
	buf_reset(&shared_text);
	for (uint32_t i = 0; i < SHARED / sizeof(i); i++)
		assert_int_equal(buf_append(&shared_text, bytes_of(&i, sizeof(i))), 0);
	shared = octets_in_file(buf_bytes(&shared_text));
}

static void drop_shared(void)
{
	http_octets_drop(&shared);
	buf_fini(&shared_text);
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
	{ "GET", "/hello", handle_hello }, { "POST", "/echo", handle_echo }, { "GET", "/item/{id}", handle_item },
	{ "GET", "/slow", handle_slow },   { "GET", "/large", handle_large }, { "GET", "/fail", handle_fail },
	{ "GET", "/split", handle_split }, { "GET", "/shared", handle_shared }, { 0 },
};

/* ---- the server ---- */

struct fixture {
	struct pool *workers;
	struct gw_server *server;
	struct gw_router *router;
	struct gw_stats stats;
	struct gw_mount mount;
	struct gw_listener *listener;
};

struct habits {
	bool is_tls;
	unsigned threads, queue, max_connections;
	struct gw_deadlines deadlines;
};

#define HABITS_DEFAULT ((struct habits){ .max_connections = 100, .deadlines = GW_DEADLINES_DEFAULT })

static void prepare(struct fixture *f, struct habits habits)
{
	static const char *const names[] = { "ca.example", "127.0.0.1" };
	struct gw_server_options server_options = { .loops = 2, .max_connections = habits.max_connections };
	struct gw_listener_options options = {
		.name = "test", .address = "127.0.0.1", .is_tls = habits.is_tls, .names = names, .n_names = 2,
		.limits = HTTP1_LIMITS_DEFAULT, .deadlines = habits.deadlines,
	};
	char why[256];

	*f = (struct fixture){ 0 };
	atomic_store(&gate_is_open, false);
	atomic_store(&entered, 0);
	atomic_store(&handled, 0);
	f->mount = (struct gw_mount) { .name = "test",
				       .prefix = "/t",
				       .routes = routes,
				       .state = (void *)(uintptr_t) "st",
				       .body_max = 1000,
				       .stats = &f->stats,
				       .refusal = &refusal };
	assert_int_equal(pool_new(&f->workers,
				  &(struct pool_options){ .threads = habits.threads, .queue = habits.queue }),
			 0);
	assert_int_equal(gw_router_new(&f->router), 0);
	assert_int_equal(gw_router_add(f->router, &f->mount), 0);
	server_options.workers = f->workers;
	options.router = f->router;
	assert_int_equal(gw_server_new(&f->server, &server_options), 0);
	assert_int_equal(gw_server_listen(f->server, &options, &f->listener, why, sizeof(why)), 0);
}

static void start(struct fixture *f, struct habits habits)
{
	prepare(f, habits);
	assert_int_equal(gw_server_start(f->server), 0);
	if (!habits.is_tls)
		gw_server_open(f->server, f->listener);
}

static void stop(struct fixture *f)
{
	atomic_store(&gate_is_open, true);
	gw_server_stop(f->server, 1000);
	pool_drop(&f->workers);
	gw_server_drop(&f->server);
	gw_router_drop(&f->router);
}

/* ---- the client ---- */

static int try_dial(const struct fixture *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(f->listener->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int dial(const struct fixture *f)
{
	int fd = try_dial(f);

	assert_true(fd >= 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One reply: header section, then as much as Content-Length says unless `is_head`. Returns the status; 0 at the end.
 */
static int hear(int fd, bool is_head, struct buf *out)
{
	char c;
	const char *length;
	size_t head, want = 0;

	buf_reset(out);
	while (!strstr(buf_str(out), "\r\n\r\n")) {
		if (recv(fd, &c, 1, 0) != 1)
			return 0;
		buf_append_char(out, c);
	}
	head = out->len;
	length = strstr(buf_str(out), "Content-Length: ");
	if (length && !is_head)
		want = strtoul(length + 16, NULL, 10);
	while (out->len < head + want) {
		size_t left = head + want - out->len;
		ssize_t n = recv(fd, buf_room(out, left), left, 0);

		if (n <= 0)
			return 0;
		buf_added(out, (size_t)n);
	}
	return (int)strtol(buf_str(out) + 9, NULL, 10);
}

static bool is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) <= 0;
}

#define HOST "Host: ca.example\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

struct exchange {
	const char *request;
	int status;
	const char *contains; /* in the reply */
};

/* All on one connection, one after the other. */
static void exchange_all(const struct exchange *e, size_t n)
{
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct fixture f;
	size_t i;
	int fd;

	start(&f, HABITS_DEFAULT);
	fd = dial(&f);
	for (i = 0; i < n; i++) {
		say(fd, e[i].request);
		assert_int_equal(hear(fd, strncmp(e[i].request, "HEAD", 4) == 0, &reply), e[i].status);
		if (!strstr(buf_str(&reply), e[i].contains))
			fail_msg("no '%s' in: %s", e[i].contains, buf_str(&reply));
	}
	close(fd);
	stop(&f);
}

static void keeps_a_connection_for_many_requests(void **state)
{
	static const struct exchange e[] = {
		{ GET("/t/hello"), 200, "\r\n\r\nhello\n" },
		{ GET("/t/hello"), 200, "hello" },
		{ GET("/t/item/a%20b?x=y"), 200, "a%20b|x=y|127.0.0.1|http://ca.example|st|0" },
		{ "HEAD /t/hello HTTP/1.1\r\n" HOST "\r\n", 200, "Content-Length: 6\r\n" },
		{ GET("/t/none"), 404, "not found" },
		{ GET("/t/echo"), 405, "Allow: POST\r\n" },
		{ "POST /t/hello HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: GET, HEAD\r\n" },
		{ "PUT /t/hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 405, "Allow: GET, HEAD\r\n" },
		{ "OPTIONS /t/echo HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: POST\r\n" },
		{ "PUT / HTTP/1.1\r\n" HOST "\r\n", 404, "not found" },
		{ "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200, "\r\n\r\nabc" },
		{ "POST /t/echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
		  200, "\r\n\r\nabc" },
		{ "POST /none HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 404, "not found" },
		{ GET("/t/fail"), 500, "\r\n\r\nserver error\n" },
		{ GET("/t/split"), 500, "\r\n\r\nserver error\n" },
		{ GET("/t/hello"), 200, "hello" },
	};

	exchange_all(e, sizeof(e) / sizeof(*e));
}

static void makes_urls_only_from_hosts_it_answers_to(void **state)
{
	static const struct exchange e[] = {
		{ "GET /t/item/1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", 200, "|http://127.0.0.1:8080|" },
		{ "GET /t/item/1 HTTP/1.1\r\nHost: CA.example:80\r\n\r\n", 200, "|http://ca.example:80|" },
		{ "GET /t/item/1 HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200, "|http://ca.example:" },
		{ "GET /t/item/1 HTTP/1.1\r\nHost: ca.example:x\r\n\r\n", 200, "|http://ca.example:" },
	};

	exchange_all(e, sizeof(e) / sizeof(*e));
}

/* Each refused with its status, and the connection closed behind it. */
static void refuses_and_closes(void **state)
{
	static const struct exchange e[] = {
		{ "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", 413,
		  "<refused 413: the body is too large>" },
		{ "POST /none HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", 413, "too large" },
		{ "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n", 413,
		  "too large" },
		{ "POST /none HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", 404,
		  "not found" },
		{ "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: magic\r\n\r\n", 417,
		  "100-continue" },
		{ "GET / HTTP/1.0\r\n\r\n", 505, "HTTP/1.1" },
		{ "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", 501, "unknown method" },
		{ "GET / HTTP/1.1\r\n\r\n", 400, "Host" },
		{ "\x16\x03\x01\x02", 400, "HTTP" },
		{ "GET /t/hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 200, "Connection: close\r\n" },
	};
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct fixture f;
	size_t i;
	int fd;

	start(&f, HABITS_DEFAULT);
	for (i = 0; i < sizeof(e) / sizeof(*e); i++) {
		fd = dial(&f);
		say(fd, e[i].request);
		assert_int_equal(hear(fd, false, &reply), e[i].status);
		assert_non_null(strstr(buf_str(&reply), e[i].contains));
		assert_non_null(strstr(buf_str(&reply), "Connection: close\r\n"));
		assert_true(is_closed(fd));
		close(fd);
	}
	stop(&f);
}

/* The buffer grows between the head and the mistake: what was said about the head must still hold then. */
static void refuses_a_body_that_goes_wrong_late(void **state)
{
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct fixture f;
	int fd;

	start(&f, HABITS_DEFAULT);
	fd = dial(&f);
	say(fd, "POST /t/echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
	assert_int_equal(hear(fd, true, &reply), 100);
	say(fd, "3\r\nabcX");
	assert_int_equal(hear(fd, false, &reply), 400);
	assert_true(is_closed(fd));
	close(fd);
	stop(&f);
}

static void says_continue_only_when_it_wants_the_body(void **state)
{
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct fixture f;
	int fd;

	start(&f, HABITS_DEFAULT);
	fd = dial(&f);
	say(fd, "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	assert_int_equal(hear(fd, true, &reply), 100);
	say(fd, "abc");
	assert_int_equal(hear(fd, false, &reply), 200);
	assert_non_null(strstr(buf_str(&reply), "\r\n\r\nabc"));
	/* The body came along: nobody waits for a 100. */
	say(fd, "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nxyz");
	assert_int_equal(hear(fd, false, &reply), 200);
	close(fd);
	stop(&f);
}

static void answers_pipelined_requests_in_order(void **state)
{
	OWNED_BUF reply = BUF_INIT(1 << 20), all = BUF_INIT(1 << 20);
	struct fixture f;
	char want[32];
	int fd, i;

	start(&f, HABITS_DEFAULT);
	fd = dial(&f);
	for (i = 0; i < 200; i++)
		buf_printf(&all, "GET /t/item/%d HTTP/1.1\r\n" HOST "\r\nGET /none HTTP/1.1\r\n" HOST "\r\n", i);
	say(fd, buf_str(&all));
	for (i = 0; i < 200; i++) {
		assert_int_equal(hear(fd, false, &reply), 200);
		snprintf(want, sizeof(want), "\r\n\r\n%d|", i);
		assert_non_null(strstr(buf_str(&reply), want));
		assert_int_equal(hear(fd, false, &reply), 404);
	}
	close(fd);
	stop(&f);
	assert_int_equal(atomic_load(&f.stats.by_status[100]), 200);
}

static void sends_a_reply_that_does_not_fit_into_the_socket(void **state)
{
	OWNED_BUF reply = BUF_INIT(2 << 20);
	struct fixture f;
	int fd;

	start(&f, HABITS_DEFAULT);
	fd = dial(&f);
	say(fd, GET("/t/large") GET("/t/hello"));
	usleep(50000);
	assert_int_equal(hear(fd, false, &reply), 200);
	assert_true(reply.len > LARGE);
	assert_int_equal(hear(fd, false, &reply), 200);
	close(fd);
	stop(&f);
}

/* In pieces, whole and in order, to several clients at once. */
static void sends_a_body_that_many_replies_share(void **state)
{
	OWNED_BUF reply = BUF_INIT(SHARED + 4096);
	struct fixture f;
	int fds[4];

	make_shared();
	start(&f, HABITS_DEFAULT);
	for (int i = 0; i < 4; i++) {
		fds[i] = dial(&f);
		say(fds[i], GET("/t/shared") "HEAD /t/shared HTTP/1.1\r\n" HOST "\r\n" GET("/t/hello"));
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(hear(fds[i], false, &reply), 200);
		assert_memory_equal(reply.ptr + reply.len - SHARED, shared_text.ptr, SHARED);
		assert_int_equal(hear(fds[i], true, &reply), 200);
		assert_non_null(strstr(buf_str(&reply), "Content-Length: 9437184\r\n"));
		assert_int_equal(hear(fds[i], false, &reply), 200);
		assert_non_null(strstr(buf_str(&reply), "hello"));
		close(fds[i]);
	}
	stop(&f);
	drop_shared();
}

static void cuts_a_client_that_stops_reading_a_shared_body(void **state)
{
	struct habits habits = HABITS_DEFAULT;
	struct gw_server_stats stats;
	struct fixture f;
	int fd, i = 4096;

	make_shared();
	habits.deadlines.write = 100;
	start(&f, habits);
	fd = dial(&f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &i, sizeof(i));
	say(fd, GET("/t/shared"));
	for (i = 0; i < 1000; i++) {
		gw_server_count(f.server, &stats);
		if (stats.timeouts == 1 && stats.connections == 0)
			break;
		usleep(5000);
	}
	assert_int_equal(stats.timeouts, 1);
	assert_int_equal(stats.connections, 0);
	close(fd);
	stop(&f);
	drop_shared();
}

/* The file is given back at once, and nobody waits for a client that does not read. */
static void cuts_replies_whose_body_is_withdrawn(void **state)
{
	OWNED_BUF reply = BUF_INIT(SHARED + 4096);
	struct fixture f;
	int fd, size;

	make_shared();
	start(&f, HABITS_DEFAULT);
	fd = dial(&f);
	/* Unread, no more than what the sockets hold is on its way, which is less than all. */
	say(fd, GET("/t/shared"));
	while (http_octets_is_alone(shared))
		usleep(1000);
	http_octets_withdraw(shared);
	/* What was on its way arrives, and the length tells that there should be more. */
	while ((size = (int)read(fd, buf_room(&reply, 65536), 65536)) > 0)
		buf_added(&reply, (size_t)size);
	assert_non_null(strstr(buf_str(&reply), "Content-Length: 9437184\r\n"));
	assert_true(reply.len < SHARED);
	/* The end is seen before the connection is gone. */
	while (!http_octets_is_alone(shared))
		usleep(1000);
	close(fd);
	stop(&f);
	drop_shared();
}

static int64_t time_until_closed(struct fixture *f, const char *text)
{
	int64_t began = clock_mono_ms();
	int fd = dial(f);

	say(fd, text);
	assert_true(is_closed(fd));
	close(fd);
	return clock_mono_ms() - began;
}

static void cuts_slow_clients(void **state)
{
	struct habits habits = HABITS_DEFAULT;
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct gw_server_stats stats;
	struct fixture f;
	int fd, i;

	habits.deadlines = (struct gw_deadlines){ 100, 100, 100, 100, 150, 100 };
	start(&f, habits);
	assert_in_range(time_until_closed(&f, ""), 90, 2000);
	assert_in_range(time_until_closed(&f, "GET / HT"), 90, 2000);
	assert_in_range(time_until_closed(&f, "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab"), 90,
			2000);
	/* A header line now and then does not buy time. */
	fd = dial(&f);
	say(fd, "GET / HTTP/1.1\r\n");
	for (i = 0; i < 100 && send(fd, "A: b\r\n", 6, MSG_NOSIGNAL) == 6; i++)
		usleep(10000);
	assert_in_range(i, 1, 90);
	close(fd);
	/* Idle after a reply, and a reply that nobody reads. */
	fd = dial(&f);
	say(fd, GET("/t/hello"));
	assert_int_equal(hear(fd, false, &reply), 200);
	assert_true(is_closed(fd));
	close(fd);
	fd = dial(&f);
	i = 4096;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &i, sizeof(i));
	for (i = 0; i < 8; i++)
		say(fd, GET("/t/large"));
	for (i = 0; i < 1000; i++) {
		gw_server_count(f.server, &stats);
		if (stats.timeouts == 5 && stats.connections == 0)
			break;
		usleep(5000);
	}
	assert_int_equal(stats.timeouts, 5);
	assert_int_equal(stats.connections, 0);
	close(fd);
	stop(&f);
}

/* An empty line behind a body leaves the connection idle, as if it had not come. */
static void waits_for_the_next_request_behind_an_empty_line(void **state)
{
	static const char post[] = "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc\r\n";
	struct habits habits = HABITS_DEFAULT;
	OWNED_BUF reply = BUF_INIT(65536);
	struct gw_server_stats stats;
	struct fixture f;
	int fd;

	habits.deadlines.head = 60000;
	habits.deadlines.idle = 300;
	start(&f, habits);
	fd = dial(&f);
	say(fd, post);
	assert_int_equal(hear(fd, false, &reply), 200);
	say(fd, post);
	assert_int_equal(hear(fd, false, &reply), 200);
	assert_true(is_closed(fd));
	close(fd);
	gw_server_count(f.server, &stats);
	assert_int_equal(stats.timeouts, 0);
	stop(&f);
}

static void refuses_politely_when_the_workers_are_busy(void **state)
{
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct habits habits = HABITS_DEFAULT;
	struct fixture f;
	int busy, queued, fd;

	habits.threads = habits.queue = 1;
	start(&f, habits);
	busy = dial(&f);
	say(busy, GET("/t/slow"));
	while (!atomic_load(&entered))
		usleep(1000);
	queued = dial(&f);
	say(queued, GET("/t/hello"));
	for (;;) {
		struct pool_stats stats;

		pool_count(f.workers, &stats);
		if (stats.queued == 1)
			break;
		usleep(1000);
	}
	fd = dial(&f);
	say(fd, GET("/t/hello"));
	assert_int_equal(hear(fd, false, &reply), 503);
	assert_non_null(strstr(buf_str(&reply), "Retry-After: "));
	atomic_store(&gate_is_open, true);
	assert_int_equal(hear(queued, false, &reply), 200);
	say(fd, GET("/t/hello"));
	assert_int_equal(hear(fd, false, &reply), 200);
	close(fd);
	close(busy);
	close(queued);
	stop(&f);
}

static void drops_the_reply_of_a_client_that_went_away(void **state)
{
	struct gw_server_stats stats;
	struct fixture f;
	int fd, i;

	start(&f, HABITS_DEFAULT);
	fd = dial(&f);
	say(fd, GET("/t/slow"));
	while (!atomic_load(&entered))
		usleep(1000);
	close(fd);
	atomic_store(&gate_is_open, true);
	for (i = 0; i < 1000; i++) {
		gw_server_count(f.server, &stats);
		if (stats.connections == 0)
			break;
		usleep(5000);
	}
	assert_int_equal(stats.connections, 0);
	stop(&f);
}

static void closes_connections_beyond_the_maximum(void **state)
{
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct habits habits = HABITS_DEFAULT;
	struct fixture f;
	int fds[3], i;

	habits.max_connections = 2;
	start(&f, habits);
	for (i = 0; i < 2; i++) {
		fds[i] = dial(&f);
		say(fds[i], GET("/t/hello"));
		assert_int_equal(hear(fds[i], false, &reply), 200);
	}
	fds[2] = dial(&f);
	assert_true(is_closed(fds[2]));
	for (i = 0; i < 3; i++)
		close(fds[i]);
	stop(&f);
}

static void *open_gate_later(void *arg)
{
	usleep(100000);
	atomic_store(&gate_is_open, true);
	return NULL;
}

static void finishes_what_is_in_flight_before_it_stops(void **state)
{
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct fixture f;
	pthread_t thread;
	int fd, idle;

	start(&f, HABITS_DEFAULT);
	idle = dial(&f);
	say(idle, GET("/t/hello"));
	assert_int_equal(hear(idle, false, &reply), 200);
	fd = dial(&f);
	say(fd, GET("/t/slow"));
	while (!atomic_load(&entered))
		usleep(1000);
	assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
	gw_server_stop(f.server, 5000);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&gate_is_open));
	assert_int_equal(hear(fd, false, &reply), 200);
	assert_non_null(strstr(buf_str(&reply), "Connection: close"));
	assert_true(is_closed(fd));
	assert_true(is_closed(idle));
	assert_int_equal(try_dial(&f), -1);
	close(fd);
	close(idle);
	stop(&f);
}

static void says_which_address_is_in_use(void **state)
{
	struct gw_listener_options options = { .name = "web", .address = "127.0.0.1" };
	struct gw_listener *second = NULL;
	struct fixture f;
	char why[256];

	start(&f, HABITS_DEFAULT);
	close(dial(&f));
	options.port = f.listener->port;
	assert_int_equal(gw_listener_new(&second, &options, 2, why, sizeof(why)), -EADDRINUSE);
	assert_non_null(strstr(why, "listener 'web': 127.0.0.1:"));
	assert_non_null(strstr(why, "in use"));
	stop(&f);
}

static void use_certificate(struct fixture *f, const char *name)
{
	OWNED_BUF certificate = BUF_INIT(65536), key = BUF_INIT(65536);
	struct ssl_ctx_st *context;
	char why[256];

	assert_true(tls_client_certificate(name, 10, &certificate, &key));
	assert_int_equal(gw_tls_context_new(&context, buf_bytes(&certificate), buf_bytes(&key), why, sizeof(why)), 0);
	gw_listener_set_tls(f->listener, context);
	gw_tls_context_drop(&context);
}

static void check_over_tls(struct tls_client *c, const char *path, const char *want)
{
	char text[4096], request[256];
	size_t len = 0;
	long n;

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", path);
	assert_true(tls_client_write(c, request));
	do {
		n = tls_client_read(c, text + len, sizeof(text) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		text[len] = 0;
	} while (!strstr(text, want));
}

static void can_be_reached_as_soon_as_it_is_open(void **state)
{
	OWNED_BUF reply = BUF_INIT(65536);
	struct fixture f;
	int fd;

	prepare(&f, HABITS_DEFAULT);
	assert_int_equal(try_dial(&f), -1);
	gw_server_open(f.server, f.listener);
	fd = dial(&f);
	assert_int_equal(gw_server_start(f.server), 0);
	say(fd, GET("/t/hello"));
	assert_int_equal(hear(fd, false, &reply), 200);
	close(fd);
	stop(&f);
}

static void stays_closed_until_it_has_a_certificate(void **state)
{
	struct habits habits = HABITS_DEFAULT;
	struct tls_client *c;
	struct fixture f;
	int fd;

	habits.is_tls = true;
	start(&f, habits);
	assert_int_equal(try_dial(&f), -1);
	use_certificate(&f, "first");
	gw_server_open(f.server, f.listener);
	fd = dial(&f);
	c = tls_client_new(fd, TLS_1_3, "\x02h3\x08http/1.1");
	assert_non_null(c);
	assert_string_equal(tls_client_version(c), "TLSv1.3");
	check_over_tls(c, "/t/item/7", "\r\n\r\n7|-|127.0.0.1|https://ca.example|st|1\n");
	check_over_tls(c, "/t/hello", "hello\n");
	tls_client_drop(&c);
	close(fd);
	stop(&f);
}

static void sends_a_shared_body_over_tls(void **state)
{
	OWNED_BUF reply = BUF_INIT(SHARED + 4096);
	struct habits habits = HABITS_DEFAULT;
	struct tls_client *c;
	struct fixture f;
	int fd;

	make_shared();
	habits.is_tls = true;
	start(&f, habits);
	use_certificate(&f, "first");
	gw_server_open(f.server, f.listener);
	fd = dial(&f);
	c = tls_client_new(fd, TLS_1_3, NULL);
	assert_non_null(c);
	assert_true(tls_client_write(c, GET("/t/shared")));
	while (!strstr(buf_str(&reply), "\r\n\r\n") ||
	       reply.len < SHARED + (size_t)(strstr(buf_str(&reply), "\r\n\r\n") + 4 - buf_str(&reply))) {
		long n = tls_client_read(c, (char *)buf_room(&reply, 16384), 16384);

		assert_true(n > 0);
		buf_added(&reply, (size_t)n);
	}
	assert_memory_equal(reply.ptr + reply.len - SHARED, shared_text.ptr, SHARED);
	tls_client_drop(&c);
	close(fd);
	stop(&f);
	drop_shared();
}

static void changes_its_certificate_without_losing_connections(void **state)
{
	struct habits habits = HABITS_DEFAULT;
	struct tls_client *old, *new;
	struct fixture f;
	int fds[2];
	char *name;

	habits.is_tls = true;
	start(&f, habits);
	use_certificate(&f, "first");
	gw_server_open(f.server, f.listener);
	fds[0] = dial(&f);
	old = tls_client_new(fds[0], TLS_1_2, NULL);
	assert_non_null(old);
	assert_string_equal(tls_client_version(old), "TLSv1.2");
	use_certificate(&f, "second");
	fds[1] = dial(&f);
	new = tls_client_new(fds[1], TLS_1_3, NULL);
	assert_non_null(new);
	name = tls_client_peer_name(new);
	assert_string_equal(name, "second");
	free(name);
	check_over_tls(old, "/t/hello", "hello\n");
	check_over_tls(new, "/t/hello", "hello\n");
	tls_client_drop(&old);
	tls_client_drop(&new);
	close(fds[0]);
	close(fds[1]);
	stop(&f);
}

/* Header section and body in one write; over TLS in one record too. */
static void sends_each_reply_at_once(void **state)
{
	static const struct exchange e[] = {
		{ GET("/t/hello"), 200, "hello" },
		{ "POST /t/echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200, "abc" },
		{ GET("/t/none"), 404, "not found" },
	};
	OWNED_BUF reply = BUF_INIT(1 << 20);
	struct fixture f;
	unsigned i;
	int fd;

	start(&f, HABITS_DEFAULT);
	fd = dial(&f);
	for (i = 0; i < 60; i++) {
		say(fd, e[i % 3].request);
		assert_int_equal(hear(fd, false, &reply), e[i % 3].status);
		assert_int_equal(wire_segments(fd), i + 1);
	}
	assert_true(wire_is_undelayed(fd));
	close(fd);
	stop(&f);
}

static void sends_each_reply_at_once_over_tls(void **state)
{
	static const int versions[] = { TLS_1_2, TLS_1_3 };
	struct habits habits = HABITS_DEFAULT;
	unsigned segments, records;
	struct tls_client *c;
	struct fixture f;
	int fd, i, v;

	habits.is_tls = true;
	start(&f, habits);
	use_certificate(&f, "first");
	gw_server_open(f.server, f.listener);
	for (v = 0; v < 2; v++) {
		fd = dial(&f);
		c = tls_client_new(fd, versions[v], NULL);
		assert_non_null(c);
		check_over_tls(c, "/t/hello", "hello\n");
		assert_true(wire_is_undelayed(fd));
		segments = wire_segments(fd);
		records = tls_client_records(c);
		for (i = 0; i < 20; i++)
			check_over_tls(c, "/t/hello", "hello\n");
		assert_int_equal(tls_client_records(c) - records, 20);
		assert_int_equal(wire_segments(fd) - segments, 20);
		tls_client_drop(&c);
		close(fd);
	}
	stop(&f);
}

static void refuses_old_tls_other_protocols_and_stalled_handshakes(void **state)
{
	struct habits habits = HABITS_DEFAULT;
	struct gw_server_stats stats;
	struct fixture f;
	int fd;

	habits.is_tls = true;
	habits.deadlines.handshake = 100;
	start(&f, habits);
	use_certificate(&f, "first");
	gw_server_open(f.server, f.listener);
	fd = dial(&f);
	assert_null(tls_client_new(fd, 0x0302, NULL));
	close(fd);
	fd = dial(&f);
	assert_null(tls_client_new(fd, TLS_1_3, "\x02h3"));
	close(fd);
	fd = dial(&f);
	say(fd, GET("/t/hello"));
	while (!is_closed(fd))
		;
	close(fd);
	assert_in_range(time_until_closed(&f, "\x16\x03\x01"), 90, 2000);
	gw_server_count(f.server, &stats);
	assert_int_equal(stats.timeouts, 1);
	assert_true(stats.tls_failures >= 2);
	assert_int_equal(atomic_load(&handled), 0);
	stop(&f);
}

static void refuses_a_key_of_another_certificate(void **state)
{
	OWNED_BUF a = BUF_INIT(65536), b = BUF_INIT(65536), key_a = BUF_INIT(65536), key_b = BUF_INIT(65536);
	struct ssl_ctx_st *context = NULL;
	char why[256];

	assert_true(tls_client_certificate("a", 10, &a, &key_a));
	assert_true(tls_client_certificate("b", 10, &b, &key_b));
	assert_int_equal(gw_tls_context_new(&context, buf_bytes(&a), buf_bytes(&key_b), why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "does not belong"));
	assert_int_equal(gw_tls_context_new(&context, buf_bytes(&key_a), buf_bytes(&key_a), why, sizeof(why)),
			 -EINVAL);
	assert_int_equal(gw_tls_context_new(&context, buf_bytes(&a), buf_bytes(&a), why, sizeof(why)), -EINVAL);
	assert_null(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_a_connection_for_many_requests),
		cmocka_unit_test(makes_urls_only_from_hosts_it_answers_to),
		cmocka_unit_test(refuses_and_closes),
		cmocka_unit_test(refuses_a_body_that_goes_wrong_late),
		cmocka_unit_test(says_continue_only_when_it_wants_the_body),
		cmocka_unit_test(answers_pipelined_requests_in_order),
		cmocka_unit_test(sends_a_reply_that_does_not_fit_into_the_socket),
		cmocka_unit_test(sends_a_body_that_many_replies_share),
		cmocka_unit_test(sends_a_shared_body_over_tls),
		cmocka_unit_test(cuts_a_client_that_stops_reading_a_shared_body),
		cmocka_unit_test(cuts_replies_whose_body_is_withdrawn),
		cmocka_unit_test(cuts_slow_clients),
		cmocka_unit_test(waits_for_the_next_request_behind_an_empty_line),
		cmocka_unit_test(refuses_politely_when_the_workers_are_busy),
		cmocka_unit_test(drops_the_reply_of_a_client_that_went_away),
		cmocka_unit_test(closes_connections_beyond_the_maximum),
		cmocka_unit_test(finishes_what_is_in_flight_before_it_stops),
		cmocka_unit_test(says_which_address_is_in_use),
		cmocka_unit_test(can_be_reached_as_soon_as_it_is_open),
		cmocka_unit_test(stays_closed_until_it_has_a_certificate),
		cmocka_unit_test(changes_its_certificate_without_losing_connections),
		cmocka_unit_test(sends_each_reply_at_once),
		cmocka_unit_test(sends_each_reply_at_once_over_tls),
		cmocka_unit_test(refuses_old_tls_other_protocols_and_stalled_handshakes),
		cmocka_unit_test(refuses_a_key_of_another_certificate),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
