/* The validator against a small server of the test's own: the token in the path says how it misbehaves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "gateway/validator/validator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "tests/unit/validator/rows.h"
#include "tests/unit/validator/tls.h"

#define KEY_AUTHORIZATION "token.thumbprint"

/* Server */

static struct {
	int http_fd, tls_fd, silent_fd; /* the last is UDP: a DNS server that never answers */
	atomic_ushort http_port, tls_port, silent_port;
	void *tls;
	pthread_t http_thread, tls_thread;
	atomic_uint requests;
	atomic_ulong sent; /* octets of the last answer that were taken */
} server;

struct peer {
	int fd;
	void *tls; /* NULL: plain */
};

static bool put(const struct peer *p, const void *data, size_t len)
{
	ssize_t n = p->tls ? tls_write(p->tls, data, len) : send(p->fd, data, len, MSG_NOSIGNAL);

	if (n > 0)
		atomic_fetch_add(&server.sent, (unsigned long)n);
	return n == (ssize_t)len;
}

static bool put_str(const struct peer *p, const char *text)
{
	return put(p, text, strlen(text));
}

static void put_answer(const struct peer *p, const char *status, const char *body)
{
	char text[1024];

	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
	put_str(p, text);
}

static void put_redirect(const struct peer *p, const char *location)
{
	char text[1024];

	snprintf(text, sizeof(text), "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nmove", location);
	put_str(p, text);
}

static void pause_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static void be_huge(const struct peer *p)
{
	static const char piece[65536];
	unsigned i;

	put_str(p, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
	for (i = 0; i < 16384 && put(p, piece, sizeof(piece)); i++)
		;
}

static void be_huge_in_pieces(const struct peer *p)
{
	unsigned i;

	put_str(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (i = 0; i < 10000 && put_str(p, "10\r\n0123456789abcdef\r\n"); i++)
		;
}

static void drip(const struct peer *p)
{
	unsigned i;

	put_str(p, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	for (i = 0; i < 100 && put_str(p, "x"); i++)
		pause_ms(50);
}

static void never_end_headers(const struct peer *p)
{
	unsigned i;

	put_str(p, "HTTP/1.1 200 OK\r\n");
	for (i = 0; i < 100000 && put_str(p, "X-Filler: 0123456789012345678901234567890123456789\r\n"); i++)
		;
}

static void be_zipped(const struct peer *p)
{
	put_str(p, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 16\r\n\r\n" KEY_AUTHORIZATION);
}

static void be_no_http(const struct peer *p)
{
	put_str(p, KEY_AUTHORIZATION "\n");
}

static void have_two_locations(const struct peer *p)
{
	put_str(p, "HTTP/1.1 302 Found\r\nLocation: /good\r\nLocation: /good\r\nContent-Length: 0\r\n\r\n");
}

static const struct {
	const char *token, *status, *body;
	void (*misbehave)(const struct peer *p);
} answers[] = {
	{ "good", "200 OK", KEY_AUTHORIZATION, NULL },
	{ "newline", "200 OK", KEY_AUTHORIZATION "\r\n \t\n", NULL },
	{ "leading", "200 OK", " " KEY_AUTHORIZATION, NULL },
	{ "prefix", "200 OK", "token.thumb", NULL },
	{ "wrong", "200 OK", "secret-of-the-other-side", NULL },
	{ "longer", "200 OK", KEY_AUTHORIZATION "x", NULL },
	{ "empty", "200 OK", "", NULL },
	{ "absent", "404 Not Found", KEY_AUTHORIZATION, NULL },
	{ "created", "201 Created", KEY_AUTHORIZATION, NULL },
	{ "huge", NULL, NULL, be_huge },
	{ "chunks", NULL, NULL, be_huge_in_pieces },
	{ "drip", NULL, NULL, drip },
	{ "headers", NULL, NULL, never_end_headers },
	{ "zipped", NULL, NULL, be_zipped },
	{ "plain", NULL, NULL, be_no_http },
	{ "twoways", NULL, NULL, have_two_locations },
};

/* `%H` the HTTP port, `%T` the TLS port. */
static const struct {
	const char *token, *location;
} redirects[] = {
	{ "to-path", "good" },
	{ "to-name", "http://b.deep.test:%H/x/good" },
	{ "to-tls", "https://a.test:%T/good" },
	{ "to-address", "http://127.0.0.1:%H/good" },
	{ "to-decimal", "http://2130706433:%H/good" },
	{ "to-itself", "to-itself" },
	{ "to-file", "file:///etc/passwd" },
	{ "to-ftp", "ftp://a.test/good" },
	{ "to-gopher", "gopher://a.test:%H/good" },
	{ "to-ldap", "ldap://a.test/good" },
	{ "to-ssh", "http://a.test:22/good" },
	{ "to-database", "http://a.test:5432/good" },
	{ "to-private", "http://10.0.0.1:%H/good" },
	{ "to-private-name", "http://private.test:%H/good" },
	{ "to-metadata", "http://169.254.169.254:%H/good" },
	{ "to-loopback6", "http://[::1]:%H/good" },
	{ "to-mapped", "http://[::ffff:10.0.0.1]:%H/good" },
	{ "to-zero", "http://0.0.0.0:%H/good" },
	{ "to-octal", "http://012.0.0.1:%H/good" },
	{ "to-user", "http://user:pw@a.test:%H/good" },
};

static void expand(const char *location, char *out, size_t size)
{
	size_t n = 0;

	for (; *location && n + 8 < size; location++) {
		if (*location != '%')
			out[n++] = *location;
		else
			n += (size_t)snprintf(out + n, size - n, "%u",
					      *++location == 'H' ? server.http_port : server.tls_port);
	}
	out[n] = '\0';
}

static void answer(const struct peer *p, const char *token)
{
	char location[256];
	size_t i;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (strcmp(answers[i].token, token) == 0 && answers[i].misbehave)
			answers[i].misbehave(p);
		else if (strcmp(answers[i].token, token) == 0)
			put_answer(p, answers[i].status, answers[i].body);
	}
	for (i = 0; i < sizeof(redirects) / sizeof(redirects[0]); i++) {
		expand(redirects[i].location, location, sizeof(location));
		if (strcmp(redirects[i].token, token) == 0)
			put_redirect(p, location);
	}
	if (strncmp(token, "hop-", 4) == 0) {
		i = strtoul(token + 4, NULL, 10);
		snprintf(location, sizeof(location), "hop-%zu", i - 1);
		put_redirect(p, i > 1 ? location : "good");
	}
}

/* "GET /a/b/TOKEN HTTP/1.1" → TOKEN, in place. */
static char *token_of(char *request)
{
	char *end = strstr(request, " HTTP/1.1\r\n"), *slash;

	if (strncmp(request, "GET /", 5) != 0 || !end)
		return NULL;
	*end = '\0';
	slash = strrchr(request, '/');
	return slash + 1;
}

static void talk(const struct peer *p)
{
	char request[4096], *token;
	size_t n = 0;
	ssize_t got = 1;

	request[0] = '\0';
	while (got > 0 && !strstr(request, "\r\n\r\n") && n < sizeof(request) - 1) {
		got = p->tls ? tls_read(p->tls, request + n, sizeof(request) - 1 - n) :
			       recv(p->fd, request + n, sizeof(request) - 1 - n, 0);
		n += got > 0 ? (size_t)got : 0;
		request[n] = '\0';
		if (request[0] != 'G')
			return; /* TLS at the plain port */
	}
	token = token_of(request);
	atomic_fetch_add(&server.requests, 1);
	atomic_store(&server.sent, 0);
	if (token)
		answer(p, token);
}

static void *serve(void *arg)
{
	int listener = *(const int *)arg, fd;
	struct peer p;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		p = (struct peer){ .fd = fd };
		if (listener == server.tls_fd)
			p.tls = tls_accept(server.tls, fd);
		if (p.tls || listener != server.tls_fd)
			talk(&p);
		if (p.tls)
			tls_close(p.tls);
		close(fd);
	}
	return NULL;
}

static int open_port(int type, uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(in);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&in, size) || getsockname(fd, (struct sockaddr *)&in, &size))
		abort();
	if (type == SOCK_STREAM && listen(fd, 64))
		abort();
	*port = ntohs(in.sin_port);
	return fd;
}

static int start_server(void **state)
{
	uint16_t port;

	server.http_fd = open_port(SOCK_STREAM, &port);
	server.http_port = port;
	server.tls_fd = open_port(SOCK_STREAM, &port);
	server.tls_port = port;
	server.silent_fd = open_port(SOCK_DGRAM, &port);
	server.silent_port = port;
	server.tls = tls_new();
	return pthread_create(&server.http_thread, NULL, serve, &server.http_fd) |
	       pthread_create(&server.tls_thread, NULL, serve, &server.tls_fd);
}

static int stop_server(void **state)
{
	shutdown(server.http_fd, SHUT_RDWR);
	shutdown(server.tls_fd, SHUT_RDWR);
	pthread_join(server.http_thread, NULL);
	pthread_join(server.tls_thread, NULL);
	close(server.http_fd);
	close(server.tls_fd);
	close(server.silent_fd);
	tls_drop(server.tls);
	return 0;
}

/* Validator */

static struct conf *conf;
static struct validator *validator;

static void start(const char *more)
{
	struct conf_error error = { 0 };
	char text[1024];

	snprintf(text, sizeof(text),
		 "http-port: %u\ntls-port: %u\nresolver: 127.0.0.1@%u\n"
		 "hosts: {a.test: 127.0.0.1, '*.deep.test': 127.0.0.1, private.test: 10.0.0.1, six.test: '::1'}\n%s",
		 server.http_port, server.tls_port, server.silent_port, more);
	if (conf_parse(&conf, bytes_of_str(text), "t.yaml", validator_rows, &error) ||
	    validator_new(&validator, conf_root(conf), &error))
		fail_msg("%s", error.text);
}

static int setup(void **state)
{
	atomic_store(&server.requests, 0);
	start("allow: [127.0.0.0/8]\ntimeout: 10s\n");
	return 0;
}

static int setup_impatient(void **state)
{
	start("allow: [127.0.0.0/8]\ntimeout: 1s\n");
	return 0;
}

static int setup_strict(void **state)
{
	start("timeout: 5s\n");
	return 0;
}

static int setup_small(void **state)
{
	start("allow: [127.0.0.0/8]\ntimeout: 10s\njobs: 1\n");
	return 0;
}

static int setup_single(void **state)
{
	start("allow: [127.0.0.0/8]\ntimeout: 1s\njobs: 1\n");
	return 0;
}

static int teardown(void **state)
{
	validator_drop(&validator);
	conf_drop(&conf);
	return 0;
}

static struct validation challenge(uint64_t key, const char *name, const char *token)
{
	return (struct validation){ .key = key, .kind = VALIDATION_HTTP_01, .dns_name = name, .token = token,
				    .key_authorization = KEY_AUTHORIZATION };
}

static int check(const struct validation *what, unsigned wait_ms, struct validation_result *out)
{
	return validator->check(validator->state, what, wait_ms, out);
}

static struct validation_result run_for(const char *name, const char *token)
{
	struct validation what = challenge(1, name, token);
	struct validation_result result;

	assert_int_equal(check(&what, 20000, &result), 0);
	return result;
}

static struct validation_result run(const char *token)
{
	return run_for("a.test", token);
}

static void expect(const char *token, enum validation_problem problem, const char *detail)
{
	struct validation_result result = run(token);

	if (result.problem != problem || !strstr(result.detail, detail))
		fail_msg("%s: problem %d, %s", token, result.problem, result.detail);
}

static void validates_the_key_authorization(void **state)
{
	struct validation_result result = run("good");

	assert_int_equal(result.problem, VALIDATION_PROBLEM_NONE);
	assert_string_equal(result.address, "127.0.0.1");
	assert_string_equal(result.detail, "");
	assert_int_equal(atomic_load(&server.requests), 1);
}

static void validates_an_address(void **state)
{
	struct validation what = challenge(1, NULL, "good");
	struct validation_result result;

	what.ip_address = "127.0.0.1";
	assert_int_equal(check(&what, 20000, &result), 0);
	assert_int_equal(result.problem, VALIDATION_PROBLEM_NONE);
}

static void bears_white_space_behind_it_only(void **state)
{
	expect("newline", VALIDATION_PROBLEM_NONE, "");
	expect("leading", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "not the key authorization");
}

static void refuses_another_body(void **state)
{
	expect("wrong", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "not the key authorization");
	expect("prefix", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "not the key authorization");
	expect("longer", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "not the key authorization");
	expect("empty", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "not the key authorization");
}

static void never_repeats_what_the_other_side_sent(void **state)
{
	struct validation_result result = run("wrong");

	assert_null(strstr(result.detail, "secret"));
	result = run("to-file");
	assert_null(strstr(result.detail, "passwd"));
}

static void refuses_another_status(void **state)
{
	expect("absent", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "status 404");
	expect("created", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "status 201");
}

static void hangs_up_on_a_huge_body(void **state)
{
	expect("huge", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "longer than");
	/* What the kernel buffers between the two, and no more. */
	assert_true(atomic_load(&server.sent) < 64 << 20);
	expect("chunks", VALIDATION_PROBLEM_INCORRECT_RESPONSE, "longer than");
}

static void does_not_unpack(void **state)
{
	expect("zipped", VALIDATION_PROBLEM_NONE, "");
}

static void refuses_what_is_not_http(void **state)
{
	expect("plain", VALIDATION_PROBLEM_CONNECTION, "no HTTP answer");
}

static void refuses_endless_headers(void **state)
{
	expect("headers", VALIDATION_PROBLEM_CONNECTION, "no HTTP answer");
}

static void gives_up_on_a_slow_answer(void **state)
{
	int64_t start_ms = clock_mono_ms();

	expect("drip", VALIDATION_PROBLEM_CONNECTION, "in time");
	assert_in_range(clock_mono_ms() - start_ms, 900, 2500);
}

static void gives_up_on_a_silent_resolver(void **state)
{
	struct validation_result result = run_for("unknown.test", "good");

	assert_int_equal(result.problem, VALIDATION_PROBLEM_DNS);
	assert_string_equal(result.detail, "no DNS server answered in time");
	assert_string_equal(result.address, "");
}

static void follows_redirects(void **state)
{
	expect("to-path", VALIDATION_PROBLEM_NONE, "");
	expect("to-name", VALIDATION_PROBLEM_NONE, "");
	expect("to-address", VALIDATION_PROBLEM_NONE, "");
	expect("to-decimal", VALIDATION_PROBLEM_NONE, "");
}

static void follows_a_redirect_to_tls_with_any_certificate(void **state)
{
	expect("to-tls", VALIDATION_PROBLEM_NONE, "");
}

static void follows_ten_redirects_and_not_eleven(void **state)
{
	expect("hop-10", VALIDATION_PROBLEM_NONE, "");
	assert_int_equal(atomic_load(&server.requests), 11);
	expect("hop-11", VALIDATION_PROBLEM_CONNECTION, "more than 10 redirects");
	assert_int_equal(atomic_load(&server.requests), 22);
	expect("to-itself", VALIDATION_PROBLEM_CONNECTION, "more than 10 redirects");
}

static void follows_no_other_scheme(void **state)
{
	static const char *const tokens[] = { "to-file", "to-ftp", "to-gopher", "to-ldap", "to-user", "twoways" };
	size_t i;

	for (i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
		expect(tokens[i], VALIDATION_PROBLEM_CONNECTION, "does not lead to one http or https URL");
}

static void follows_to_its_two_ports_only(void **state)
{
	expect("to-ssh", VALIDATION_PROBLEM_CONNECTION, "port 22;");
	expect("to-database", VALIDATION_PROBLEM_CONNECTION, "port 5432;");
}

static void follows_to_no_forbidden_address(void **state)
{
	static const struct {
		const char *token, *address;
	} rows[] = {
		{ "to-private", "10.0.0.1 " }, { "to-private-name", "10.0.0.1 " },
		{ "to-metadata", "169.254.169.254 " },
		{ "to-loopback6", "::1 " }, { "to-mapped", "::ffff:10.0.0.1 " }, { "to-zero", "0.0.0.0 " },
		{ "to-octal", "10.0.0.1 " },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect(rows[i].token, VALIDATION_PROBLEM_FORBIDDEN_ADDRESS, rows[i].address);
		expect(rows[i].token, VALIDATION_PROBLEM_FORBIDDEN_ADDRESS, "validator.allow");
	}
	assert_int_equal(atomic_load(&server.requests), 2 * sizeof(rows) / sizeof(rows[0]));
}

static void contacts_no_forbidden_address(void **state)
{
	unsigned before = atomic_load(&server.requests);
	struct validation_result result = run("good");

	assert_int_equal(result.problem, VALIDATION_PROBLEM_FORBIDDEN_ADDRESS);
	assert_non_null(strstr(result.detail, "127.0.0.1 "));
	assert_string_equal(result.address, "");
	assert_int_equal(run_for("six.test", "good").problem, VALIDATION_PROBLEM_FORBIDDEN_ADDRESS);
	assert_int_equal(atomic_load(&server.requests), before);
}

static void says_that_nobody_listens(void **state)
{
	uint16_t port, http_port = server.http_port;
	char text[128];
	int fd = open_port(SOCK_STREAM, &port);
	struct validation_result result;

	close(fd);
	validator_drop(&validator);
	conf_drop(&conf);
	server.http_port = port;
	start("allow: [127.0.0.0/8]\n");
	server.http_port = http_port;
	snprintf(text, sizeof(text), "127.0.0.1 port %u cannot be connected to", port);
	result = run("good");
	assert_int_equal(result.problem, VALIDATION_PROBLEM_CONNECTION);
	assert_string_equal(result.detail, text);
}

static void says_that_tls_failed(void **state)
{
	uint16_t tls_port = server.tls_port;
	struct validation_result result;

	/* The plain port asked for TLS. */
	validator_drop(&validator);
	conf_drop(&conf);
	server.tls_port = server.http_port;
	start("allow: [127.0.0.0/8]\n");
	result = run("to-tls");
	server.tls_port = tls_port;
	assert_int_equal(result.problem, VALIDATION_PROBLEM_TLS);
}

static void ignores_proxies_of_the_environment(void **state)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		setenv(names[i], "http://127.0.0.1:1", 1);
	expect("good", VALIDATION_PROBLEM_NONE, "");
	expect("to-tls", VALIDATION_PROBLEM_NONE, "");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}

static void says_running_and_keeps_the_result_once(void **state)
{
	struct validation what = challenge(7, "a.test", "good");
	struct validation_result result;
	unsigned before = atomic_load(&server.requests);
	int e;

	e = check(&what, 0, &result);
	if (e == VALIDATION_RUNNING)
		e = check(&what, 5000, &result);
	assert_int_equal(e, 0);
	assert_int_equal(result.problem, VALIDATION_PROBLEM_NONE);
	assert_int_equal(atomic_load(&server.requests), before + 1);
	/* It was forgotten, so asking again starts anew. */
	assert_int_equal(check(&what, 5000, &result), 0);
	assert_int_equal(atomic_load(&server.requests), before + 2);
}

static void runs_one_job_for_one_key(void **state)
{
	struct validation what = challenge(8, "a.test", "drip");
	struct validation_result result;
	unsigned before = atomic_load(&server.requests), i;

	for (i = 0; i < 5; i++)
		assert_int_equal(check(&what, 10, &result), VALIDATION_RUNNING);
	assert_int_equal(check(&what, 5000, &result), 0);
	assert_int_equal(atomic_load(&server.requests), before + 1);
}

static void is_busy_when_the_table_is_full(void **state)
{
	struct validation what = challenge(100, "a.test", "drip");
	struct validation_result result;

	for (; what.key < 104; what.owner = ++what.key)
		assert_int_equal(check(&what, 0, &result), VALIDATION_RUNNING);
	assert_int_equal(check(&what, 1000, &result), VALIDATION_BUSY);
	/* Teardown stops in the middle of the first job. */
}

static void serves_others_while_one_owner_waits_for_nobody(void **state)
{
	struct validation hole = challenge(1000, "unknown.test", "good"), what = challenge(1, "a.test", "good");
	struct validation_result result;
	unsigned running = 0;

	hole.owner = 1;
	what.owner = 2;
	for (; hole.key < 1200; hole.key++)
		running += check(&hole, 0, &result) == VALIDATION_RUNNING;
	assert_int_equal(running, 512 / 8);
	assert_int_equal(check(&what, 1000, &result), 0);
	assert_int_equal(result.problem, VALIDATION_PROBLEM_NONE);
}

/* More than the machine has cores by far: what waits for nobody takes no place, and its callers are not kept long. */
static void serves_others_while_many_owners_wait_for_nobody(void **state)
{
	struct validation hole = challenge(1000, "unknown.test", "good"), what = challenge(1, "a.test", "good");
	struct validation_result result;
	int64_t began_ms;

	what.owner = 1;
	for (; hole.key < 1300; hole.owner = ++hole.key)
		assert_int_equal(check(&hole, 0, &result), VALIDATION_RUNNING);
	began_ms = clock_mono_ms();
	assert_int_equal(check(&hole, 5000, &result), VALIDATION_RUNNING);
	assert_true(clock_mono_ms() - began_ms < 1000);
	while (check(&what, 500, &result) == VALIDATION_RUNNING)
		assert_true(clock_mono_ms() - began_ms < 5000);
	assert_int_equal(result.problem, VALIDATION_PROBLEM_NONE);
}

static void lets_owners_take_turns(void **state)
{
	struct validation slow = challenge(1, "unknown.test", "good"), what = challenge(3, "a.test", "good");
	struct validation_result result;

	slow.owner = 1;
	what.owner = 2;
	assert_int_equal(check(&slow, 0, &result), VALIDATION_RUNNING);
	slow.key = 2;
	assert_int_equal(check(&slow, 0, &result), VALIDATION_RUNNING);
	/* The only thread takes a second for each of those: the third comes between them. */
	assert_int_equal(check(&what, 1700, &result), 0);
	assert_int_equal(check(&slow, 0, &result), VALIDATION_RUNNING);
}

static void stops_within_a_second_or_so(void **state)
{
	struct validation what = challenge(9, "a.test", "drip"), other = challenge(10, "unknown.test", "good");
	struct validation_result result;
	int64_t start_ms;

	assert_int_equal(check(&other, 0, &result), VALIDATION_RUNNING);
	assert_int_equal(check(&what, 100, &result), VALIDATION_RUNNING);
	start_ms = clock_mono_ms();
	validator_drop(&validator);
	assert_true(clock_mono_ms() - start_ms < 2000);
}

static void forgets_what_nobody_collects(void **state)
{
	struct validation what = challenge(11, "a.test", "good"), other = challenge(12, "a.test", "good");
	struct validation_result result;
	unsigned before = atomic_load(&server.requests), i;

	clock_fake_set(1000000);
	check(&what, 0, &result);
	for (i = 0; i < 200 && atomic_load(&server.requests) == before; i++)
		pause_ms(10);
	/* The one thread takes the second job when it is through with the first. */
	check(&other, 5000, &result);
	clock_fake_advance(11 * 60 * 1000);
	assert_int_equal(check(&what, 5000, &result), 0);
	clock_fake_end();
	assert_int_equal(atomic_load(&server.requests), before + 3);
}

static void refuses_what_does_not_fit_into_a_url(void **state)
{
	static const struct validation wrong[] = {
		{ .kind = VALIDATION_HTTP_01, .dns_name = "a.test", .token = "../x" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "a.test", .token = "" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "a.test", .token = "a b" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "a.test:80", .token = "good" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "u@a.test", .token = "good" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "a.test/x", .token = "good" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "a..test", .token = "good" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "a.test.", .token = "good" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "*.a.test", .token = "good" },
		{ .kind = VALIDATION_HTTP_01, .dns_name = "", .token = "good" },
		{ .kind = VALIDATION_HTTP_01, .ip_address = "127.1", .token = "good" },
		{ .kind = VALIDATION_HTTP_01, .token = "good" },
		{ .kind = 0, .dns_name = "a.test", .token = "good" },
	};
	struct validation_result result;
	struct validation what;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		what = wrong[i];
		what.key_authorization = KEY_AUTHORIZATION;
		assert_int_equal(check(&what, 0, &result), -EINVAL);
	}
}

static void refuses_a_wrong_range_at_its_place(void **state)
{
	OWNED(conf) c = NULL;
	struct conf_error error = { 0 };
	struct validator *v = NULL;

	assert_int_equal(conf_parse(&c, bytes_of_str("allow:\n  - 10.0.0.0/8\n  - 10.0.0.1/8\n"), "t.yaml",
				    validator_rows, &error), 0);
	assert_int_equal(validator_new(&v, conf_root(c), &error), -EINVAL);
	assert_null(v);
	assert_string_equal(error.text, "t.yaml:3:5: '10.0.0.1/8' is not a range such as 10.0.0.0/8 or fd00::/8");
}

int main(void)
{
#define WITH(start, name) cmocka_unit_test_setup_teardown(name, start, teardown)
	const struct CMUnitTest tests[] = {
		WITH(setup, validates_the_key_authorization),
		WITH(setup, validates_an_address),
		WITH(setup, bears_white_space_behind_it_only),
		WITH(setup, refuses_another_body),
		WITH(setup, never_repeats_what_the_other_side_sent),
		WITH(setup, refuses_another_status),
		WITH(setup, hangs_up_on_a_huge_body),
		WITH(setup, does_not_unpack),
		WITH(setup, refuses_what_is_not_http),
		WITH(setup, refuses_endless_headers),
		WITH(setup_impatient, gives_up_on_a_slow_answer),
		WITH(setup_impatient, gives_up_on_a_silent_resolver),
		WITH(setup, follows_redirects),
		WITH(setup, follows_a_redirect_to_tls_with_any_certificate),
		WITH(setup, follows_ten_redirects_and_not_eleven),
		WITH(setup, follows_no_other_scheme),
		WITH(setup, follows_to_its_two_ports_only),
		WITH(setup, follows_to_no_forbidden_address),
		WITH(setup_strict, contacts_no_forbidden_address),
		WITH(setup, says_that_nobody_listens),
		WITH(setup, says_that_tls_failed),
		WITH(setup, ignores_proxies_of_the_environment),
		WITH(setup, says_running_and_keeps_the_result_once),
		WITH(setup_impatient, runs_one_job_for_one_key),
		WITH(setup_small, is_busy_when_the_table_is_full),
		WITH(setup, serves_others_while_one_owner_waits_for_nobody),
		WITH(setup, serves_others_while_many_owners_wait_for_nobody),
		WITH(setup_single, lets_owners_take_turns),
		WITH(setup, stops_within_a_second_or_so),
		WITH(setup_small, forgets_what_nobody_collects),
		WITH(setup, refuses_what_does_not_fit_into_a_url),
		cmocka_unit_test(refuses_a_wrong_range_at_its_place),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
