/* The HTTP/1.1 parser: what it accepts, what it refuses, and that pieces do not matter.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "gateway/http1.h"

#include <errno.h>

#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" H
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/* Small limits, so that the cases that pass them fit into a line. */
static const struct http1_limits small = { .line_max = 64, .head_max = 256, .body_max = 32 };

struct bad_case {
	int status;
	struct bytes octets;
};

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static const struct bad_case bad_cases[] = {
	/* request line */
	{ 400, TEXT("GET /\r\n") },
	{ 400, TEXT("GET\r\n") },
	{ 400, TEXT("GET  / HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET /  HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT(" GET / HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET / HTTP/1.1 \r\n" H "\r\n") },
	{ 400, TEXT("GET\t/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET / HTTP/1.1\n" H "\r\n") },
	{ 400, TEXT("GET / HTTP/1.1\r\r\n" H "\r\n") },
	{ 400, TEXT("GET / HTTP/1.1\rHost: a\r\n\r\n") },
	{ 400, TEXT("GET / HTTP/11\r\n" H "\r\n") },
	{ 400, TEXT("GET / http/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET / HTTP/1.1x\r\n" H "\r\n") },
	{ 400, TEXT("GET / HTTP /1.1\r\n" H "\r\n") },
	{ 505, TEXT("GET / HTTP/1.0\r\n" H "\r\n") },
	{ 505, TEXT("GET / HTTP/1.2\r\n" H "\r\n") },
	{ 505, TEXT("GET / HTTP/0.9\r\n" H "\r\n") },
	{ 400, TEXT("\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("\n" GET H "\r\n") },
	{ 400, TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
	{ 400, TEXT("\x80\x2e\x01\x00\x02") },
	{ 400, TEXT("G\0T / HTTP/1.1\r\n" H "\r\n") },
	{ 414, TEXT("GET /" X64 " HTTP/1.1\r\n" H "\r\n") },
	{ 414, TEXT("GET /" X64 X64) },
	{ 414, TEXT("GET /012345678901234567890123456789012345678901234567890 HTTP/1.1\r\n" H "\r\n") },
	/* methods */
	{ 400, TEXT("OPTIONS * HTTP/1.1\r\n" H "\r\n") },
	{ 501, TEXT("CONNECT a:443 HTTP/1.1\r\n" H "\r\n") },
	{ 501, TEXT("BREW / HTTP/1.1\r\n" H "\r\n") },
	{ 501, TEXT("get / HTTP/1.1\r\n" H "\r\n") },
	{ 501, TEXT("GETX / HTTP/1.1\r\n" H "\r\n") },
	{ 501, TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
	{ 400, TEXT("G(T / HTTP/1.1\r\n" H "\r\n") },
	/* targets */
	{ 400, TEXT("GET http:/a HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http:///a HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://?a HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http:// HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://a#f HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://a/#f HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://u@a/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://u:p@a/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://a\\b/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://a\tb/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://a\0b/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://\xc3\xa9/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET ftp://a/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET a:80 HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET http://http://a/ HTTP/1.1\r\n\r\n") },
	{ 400, TEXT("GET http://a/ HTTP/1.1\r\n\r\n") },
	{ 400, TEXT("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n") },
	{ 400, TEXT("GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n") },
	{ 400, TEXT("GET http://a/ HTTP/1.1\r\n" H H "\r\n") },
	{ 414, TEXT("GET http://" X64 "/ HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET * HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET a HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET ?x HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET /#f HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET /\x7f HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET /\x01 HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET /\0 HTTP/1.1\r\n" H "\r\n") },
	{ 400, TEXT("GET /a\tb HTTP/1.1\r\n" H "\r\n") },
	/* header lines */
	{ 400, TEXT(GET H "A: b\n\r\n") },
	{ 400, TEXT(GET H "A: b\r\n\n") },
	{ 400, TEXT(GET H "A: b\rC: d\r\n\r\n") },
	{ 400, TEXT(GET H "A: b\r\n c\r\n\r\n") },
	{ 400, TEXT(GET H "A: b\r\n\tc\r\n\r\n") },
	{ 400, TEXT(GET " " H "\r\n") },
	{ 400, TEXT(GET H "A : b\r\n\r\n") },
	{ 400, TEXT(GET H "A\t: b\r\n\r\n") },
	{ 400, TEXT(GET H ": b\r\n\r\n") },
	{ 400, TEXT(GET H "A\r\n\r\n") },
	{ 400, TEXT(GET H "A b: c\r\n\r\n") },
	{ 400, TEXT(GET H "A(b): c\r\n\r\n") },
	{ 400, TEXT(GET H "A\xc3: c\r\n\r\n") },
	{ 400, TEXT(GET H "A: b\0c\r\n\r\n") },
	{ 400, TEXT(GET H "A\0: b\r\n\r\n") },
	{ 400, TEXT(GET H "A: b\x01\r\n\r\n") },
	{ 400, TEXT(GET H "A: b\x7f\r\n\r\n") },
	{ 400, TEXT(GET H "A: b\x0b" "c\r\n\r\n") },
	{ 431, TEXT(GET H "A: " X64 X64 X64 X64 "\r\n\r\n") },
	{ 431, TEXT(GET H "A: " X64 "\r\nB: " X64 "\r\nC: " X64 "\r\nD: " X64 "\r\n\r\n") },
	{ 431, TEXT(GET H "A: " X64 X64 X64 X64 X64) },
	/* Host */
	{ 400, TEXT(GET "\r\n") },
	{ 400, TEXT(GET "A: b\r\n\r\n") },
	{ 400, TEXT(GET H H "\r\n") },
	{ 400, TEXT(GET H "hOST: b\r\n\r\n") },
	{ 400, TEXT(GET "Host:\r\n\r\n") },
	{ 400, TEXT(GET "Host: a b\r\n\r\n") },
	{ 400, TEXT(GET "Host: a,b\r\n\r\n") },
	{ 400, TEXT(GET "Host: u@a\r\n\r\n") },
	{ 400, TEXT(GET "Host: a/b\r\n\r\n") },
	/* framing */
	{ 400, TEXT(POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\naa") },
	{ 400, TEXT(POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na") },
	{ 400, TEXT(POST "Content-Length: +5\r\n\r\nabcde") },
	{ 400, TEXT(POST "Content-Length: -1\r\n\r\n") },
	{ 400, TEXT(POST "Content-Length: 5,5\r\n\r\nabcde") },
	{ 400, TEXT(POST "Content-Length: 5 5\r\n\r\nabcde") },
	{ 400, TEXT(POST "Content-Length: 0x5\r\n\r\nabcde") },
	{ 400, TEXT(POST "Content-Length: 5;\r\n\r\nabcde") },
	{ 400, TEXT(POST "Content-Length:\r\n\r\n") },
	{ 400, TEXT(POST "Content-Length: 18446744073709551616\r\n\r\n") },
	{ 400, TEXT(POST "Content-Length: 18446744073709551621\r\n\r\nabcde") },
	{ 400, TEXT(POST "Content-Length : 5\r\n\r\nabcde") },
	{ 413, TEXT(POST "Content-Length: 33\r\n\r\n") },
	{ 413, TEXT(POST "Content-Length: 4294967297\r\n\r\na") },
	{ 501, TEXT(POST "Transfer-Encoding: gzip\r\n\r\n") },
	{ 501, TEXT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") },
	{ 501, TEXT(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n") },
	{ 501, TEXT(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n") },
	{ 501, TEXT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n") },
	{ 501, TEXT(POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n") },
	{ 501, TEXT(POST "Transfer-Encoding:\r\n\r\n") },
	{ 400, TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
	{ 400, TEXT(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n") },
	{ 400, TEXT(POST "Transfer-Encoding:\x0b" "chunked\r\n\r\n0\r\n\r\n") },
	{ 400, TEXT(POST "X: y\r\n Transfer-Encoding: chunked\r\n\r\n") },
	{ 417, TEXT(POST "Expect: 200-ok\r\n\r\n") },
	{ 417, TEXT(POST "Expect: 100-continue, x\r\n\r\n") },
	/* chunks */
	{ 400, TEXT(CHUNKED "\r\n") },
	{ 400, TEXT(CHUNKED "x\r\n") },
	{ 400, TEXT(CHUNKED "0x1\r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "-1\r\n") },
	{ 400, TEXT(CHUNKED "+1\r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED " 1\r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1 \r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1\na\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1\r\nab\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1\r\na\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1\r\na0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "10000000000000001\r\n") },
	{ 413, TEXT(CHUNKED "ffffffffffffffff\r\n") },
	{ 413, TEXT(CHUNKED "8000000000000000\r\n") },
	{ 413, TEXT(CHUNKED "21\r\n") },
	{ 413, TEXT(CHUNKED "1f\r\n" "0123456789012345678901234567890\r\n2\r\n") },
	{ 400, TEXT(CHUNKED "1;a\nb\r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1;a\0b\r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1;" X64 X64 X64 X64 "\r\na\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1;" X64 X64 "\r\na\r\n1;" X64 X64 "\r\nb\r\n0\r\n\r\n") },
	{ 400, TEXT(CHUNKED "1;" X64 X64 X64 X64 X64) },
	{ 400, TEXT(CHUNKED "0\r\nA : b\r\n\r\n") },
	{ 400, TEXT(CHUNKED "0\r\nA: b\n\r\n") },
	{ 400, TEXT(CHUNKED "0\r\n folded\r\n\r\n") },
};

/* Step until the parser wants more, is done or refuses; HEAD events are passed over. */
static enum http1_event settle(struct http1 *p)
{
	enum http1_event e = http1_step(p);

	while (e == HTTP1_HEAD)
		e = http1_step(p);
	return e;
}

static enum http1_event feed(struct http1 *p, struct bytes data)
{
	enum http1_event e = HTTP1_MORE;
	size_t size;
	uint8_t *room;

	while (data.len && e == HTTP1_MORE) {
		room = http1_room(p, &size);
		assert_non_null(room);
		assert_true(size > 0);
		if (size > data.len)
			size = data.len;
		memcpy(room, data.ptr, size);
		http1_added(p, size);
		data.ptr += size;
		data.len -= size;
		e = settle(p);
	}
	return e;
}

/* In two pieces, cut after `cut` octets. */
static enum http1_event feed_cut(struct http1 *p, struct bytes data, size_t cut)
{
	enum http1_event e = feed(p, bytes_of(data.ptr, cut));

	return e == HTTP1_MORE ? feed(p, bytes_of(data.ptr + cut, data.len - cut)) : e;
}

static void refuses_what_can_be_read_in_two_ways(void **state)
{
	struct http1 p;
	size_t i, cut;

	for (i = 0; i < sizeof(bad_cases) / sizeof(*bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];

		for (cut = 0; cut <= c->octets.len; cut++) {
			http1_init(&p, &small);
			if (feed_cut(&p, c->octets, cut) != HTTP1_BAD || p.status != c->status)
				fail_msg("case %zu cut at %zu: %d %s: %.*s", i, cut, p.status,
					 p.why ? p.why : "accepted", (int)c->octets.len, (const char *)c->octets.ptr);
			assert_non_null(p.why);
			http1_fini(&p);
		}
	}
}

static void refuses_octet_by_octet_as_well(void **state)
{
	enum http1_event e;
	struct http1 p;
	size_t i, k;

	for (i = 0; i < sizeof(bad_cases) / sizeof(*bad_cases); i++) {
		http1_init(&p, &small);
		for (k = 0, e = HTTP1_MORE; k < bad_cases[i].octets.len && e == HTTP1_MORE; k++)
			e = feed(&p, bytes_of(bad_cases[i].octets.ptr + k, 1));
		assert_int_equal(e, HTTP1_BAD);
		assert_int_equal(p.status, bad_cases[i].status);
		http1_fini(&p);
	}
}

struct good_case {
	const char *octets, *method, *path, *query, *body;
	bool keeps_alive;
};

static const struct good_case good_cases[] = {
	{ GET H "\r\n", "GET", "/", NULL, "", true },
	{ "\r\n" GET H "\r\n", "GET", "/", NULL, "", true },
	{ "\r\n\r\n" GET H "\r\n", "GET", "/", NULL, "", true },
	{ "HEAD /a/b HTTP/1.1\r\n" H "\r\n", "HEAD", "/a/b", NULL, "", true },
	{ "GET /a?b=c HTTP/1.1\r\n" H "\r\n", "GET", "/a", "b=c", "", true },
	{ "GET /a?b?c HTTP/1.1\r\n" H "\r\n", "GET", "/a", "b?c", "", true },
	{ "GET /? HTTP/1.1\r\n" H "\r\n", "GET", "/", "", "", true },
	/* No decoding, no normalizing: the path stays as it was sent. */
	{ "GET // HTTP/1.1\r\n" H "\r\n", "GET", "//", NULL, "", true },
	{ "GET /./a HTTP/1.1\r\n" H "\r\n", "GET", "/./a", NULL, "", true },
	{ "GET /a/../b HTTP/1.1\r\n" H "\r\n", "GET", "/a/../b", NULL, "", true },
	{ "GET /%2e%2e/%2f%00 HTTP/1.1\r\n" H "\r\n", "GET", "/%2e%2e/%2f%00", NULL, "", true },
	{ "GET /a;x=1 HTTP/1.1\r\n" H "\r\n", "GET", "/a;x=1", NULL, "", true },
	{ "GET /12345678901234567890123456789012345678901234567890 HTTP/1.1\r\n" H "\r\n", "GET",
	  "/12345678901234567890123456789012345678901234567890", NULL, "", true },
	{ GET H "Connection: close\r\n\r\n", "GET", "/", NULL, "", false },
	{ GET H "Connection: x, CLOSE\r\n\r\n", "GET", "/", NULL, "", false },
	{ GET H "Connection: keep-alive\r\n\r\n", "GET", "/", NULL, "", true },
	{ GET H "Connection: closed\r\n\r\n", "GET", "/", NULL, "", true },
	{ GET "Host: [::1]:80\r\n\r\n", "GET", "/", NULL, "", true },
	{ POST "Transfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", "POST", "/", NULL, "a", true },
	{ POST "Content-Length: 0\r\n\r\n", "POST", "/", NULL, "", true },
	{ POST "\r\n", "POST", "/", NULL, "", true },
	{ POST "Content-Length: 5\r\n\r\nhello", "POST", "/", NULL, "hello", true },
	{ POST "Content-Length:\t 5 \r\n\r\nhello", "POST", "/", NULL, "hello", true },
	{ POST "content-length: 32\r\n\r\n01234567890123456789012345678901", "POST", "/", NULL,
	  "01234567890123456789012345678901", true },
	{ POST "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello", "POST", "/", NULL, "hello", true },
	{ CHUNKED "0\r\n\r\n", "POST", "/", NULL, "", true },
	{ CHUNKED "5\r\nhello\r\n0\r\n\r\n", "POST", "/", NULL, "hello", true },
	{ CHUNKED "005\r\nhello\r\n00\r\n\r\n", "POST", "/", NULL, "hello", true },
	{ CHUNKED "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "POST", "/", NULL, "hello", true },
	{ CHUNKED "1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "POST", "/", NULL, "\r\n", true },
	{ CHUNKED "A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "POST", "/", NULL, "0123456789abcdefghij",
	  true },
	{ CHUNKED "1;x=y\r\na\r\n0;z\r\n\r\n", "POST", "/", NULL, "a", true },
	{ CHUNKED "1\r\na\r\n0\r\nHost: evil\r\nContent-Length: 3\r\n\r\n", "POST", "/", NULL, "a", true },
};

static void check_good(struct http1 *p, const struct good_case *c)
{
	assert_string_equal(p->method, c->method);
	assert_string_equal(p->path, c->path);
	if (c->query)
		assert_string_equal(p->query, c->query);
	else
		assert_null(p->query);
	assert_true(bytes_equal_str(p->body, c->body));
	assert_int_equal(p->keeps_alive, c->keeps_alive);
	assert_non_null(p->host);
}

static const struct absolute_case {
	const char *octets, *host, *path, *query;
} absolute_cases[] = {
	{ "GET http://b/ HTTP/1.1\r\nA: x\r\n" H "\r\n", "b", "/", NULL },
	{ "GET http://b HTTP/1.1\r\n" H "\r\n", "b", "/", NULL },
	{ "GET http://b?c=/d HTTP/1.1\r\n" H "\r\n", "b", "/", "c=/d" },
	{ "GET HTTPS://b.example:443/a/b?c HTTP/1.1\r\n" H "\r\n", "b.example:443", "/a/b", "c" },
	{ "GET Http://[::1]:80/a//b HTTP/1.1\r\n" H "\r\n", "[::1]:80", "/a//b", NULL },
	{ "GET http://b//a HTTP/1.1\r\n" H "\r\n", "b", "//a", NULL },
	{ "GET http://b/http://c HTTP/1.1\r\n" H "\r\n", "b", "/http://c", NULL },
};

static const char *value_of(const struct http1 *p, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < p->n_headers; i++)
		if (strcmp(p->headers[i].name, name) == 0)
			value = p->headers[i].value;
	return value;
}

/* RFC 9112 3.2.2: and nobody behind the parser sees the other host, whichever way he looks. */
static void the_host_of_an_absolute_target_counts(void **state)
{
	struct http1 p;

	for (size_t i = 0; i < sizeof(absolute_cases) / sizeof(*absolute_cases); i++) {
		const struct absolute_case *c = &absolute_cases[i];
		struct bytes octets = bytes_of_str(c->octets);

		for (size_t cut = 0; cut <= octets.len; cut++) {
			http1_init(&p, &small);
			assert_int_equal(feed_cut(&p, octets, cut), HTTP1_DONE);
			assert_string_equal(p.host, c->host);
			assert_string_equal(value_of(&p, "host"), c->host);
			assert_string_equal(p.path, c->path);
			assert_true(c->query ? p.query && strcmp(p.query, c->query) == 0 : !p.query);
			http1_next(&p);
			/* The next request on the connection has its own again. */
			assert_int_equal(feed(&p, bytes_of_str(GET H "\r\n")), HTTP1_DONE);
			assert_string_equal(p.host, "a");
			http1_fini(&p);
		}
	}
}

static void accepts_what_is_right_however_it_is_cut(void **state)
{
	struct http1 p;
	size_t i, cut;

	for (i = 0; i < sizeof(good_cases) / sizeof(*good_cases); i++) {
		struct bytes octets = bytes_of_str(good_cases[i].octets);

		for (cut = 0; cut <= octets.len; cut++) {
			http1_init(&p, &small);
			if (feed_cut(&p, octets, cut) != HTTP1_DONE)
				fail_msg("case %zu cut at %zu: %d %s", i, cut, p.status,
					 p.why ? p.why : "unfinished");
			check_good(&p, &good_cases[i]);
			http1_next(&p);
			assert_false(http1_has_begun(&p));
			http1_fini(&p);
		}
	}
}

static void reads_pipelined_requests_one_after_the_other(void **state)
{
	OWNED_BUF all = BUF_INIT(65536);
	struct http1 p;
	size_t i, n = sizeof(good_cases) / sizeof(*good_cases);
	enum http1_event e;

	for (i = 0; i < n; i++)
		buf_append_str(&all, good_cases[i].octets);
	http1_init(&p, &small);
	assert_true(all.len < 4096);
	e = feed(&p, buf_bytes(&all));
	for (i = 0; i < n; i++) {
		assert_int_equal(e, HTTP1_DONE);
		check_good(&p, &good_cases[i]);
		http1_next(&p);
		e = settle(&p);
	}
	assert_int_equal(e, HTTP1_MORE);
	assert_false(http1_has_begun(&p));
	http1_fini(&p);
}

/* libest ends a body with an empty line. */
static void takes_an_empty_line_for_no_request(void **state)
{
	static const char one[] = POST "Content-Length: 1\r\n\r\na\r\n", two[] = GET H "\r\n";
	struct http1 p;

	http1_init(&p, &small);
	assert_int_equal(feed(&p, bytes_of_str(one)), HTTP1_DONE);
	http1_next(&p);
	assert_int_equal(settle(&p), HTTP1_MORE);
	assert_false(http1_has_begun(&p));
	assert_int_equal(feed(&p, bytes_of_str("\r")), HTTP1_MORE);
	assert_true(http1_has_begun(&p));
	assert_int_equal(feed(&p, bytes_of_str("\n")), HTTP1_MORE);
	assert_false(http1_has_begun(&p));
	assert_int_equal(feed(&p, bytes_of_str("G")), HTTP1_MORE);
	assert_true(http1_has_begun(&p));
	assert_int_equal(feed(&p, bytes_of_str(two + 1)), HTTP1_DONE);
	assert_string_equal(p.method, "GET");
	http1_next(&p);
	assert_false(http1_has_begun(&p));
	http1_fini(&p);
}

static void shows_the_head_before_the_body_comes(void **state)
{
	static const char head[] = POST "Content-Length: 40\r\nExpect: 100-continue\r\n\r\n";
	struct http1 p;
	size_t size;

	http1_init(&p, &small);
	memcpy(http1_room(&p, &size), head, sizeof(head) - 1);
	http1_added(&p, sizeof(head) - 1);
	assert_int_equal(http1_step(&p), HTTP1_HEAD);
	assert_true(p.expects_continue);
	assert_string_equal(p.path, "/");
	http1_limit_body(&p, 40);
	assert_int_equal(http1_step(&p), HTTP1_MORE);
	assert_true(http1_is_in_body(&p));
	http1_fini(&p);
}

static void obeys_the_body_limit_of_the_route(void **state)
{
	static const char head[] = POST "Content-Length: 20\r\n\r\n";
	struct http1 p;
	size_t size;

	http1_init(&p, &small);
	memcpy(http1_room(&p, &size), head, sizeof(head) - 1);
	http1_added(&p, sizeof(head) - 1);
	assert_int_equal(http1_step(&p), HTTP1_HEAD);
	http1_limit_body(&p, 19);
	assert_int_equal(http1_step(&p), HTTP1_BAD);
	assert_int_equal(p.status, 413);
	http1_fini(&p);
}

static void lowers_names_and_trims_values(void **state)
{
	struct http1 p;

	http1_init(&p, &small);
	assert_int_equal(feed(&p, bytes_of_str(GET H "X-TeSt: \t one\ttwo \t\r\nEmpty:\r\nutf: \xc3\xa9\r\n\r\n")),
			 HTTP1_DONE);
	assert_int_equal(p.n_headers, 4);
	assert_string_equal(p.headers[1].name, "x-test");
	assert_string_equal(p.headers[1].value, "one two");
	assert_string_equal(p.headers[2].value, "");
	assert_string_equal(p.headers[3].value, "\xc3\xa9");
	http1_fini(&p);
}

static void takes_exactly_a_hundred_fields(void **state)
{
	struct http1_limits limits = HTTP1_LIMITS_DEFAULT;
	struct http1 p;
	int extra, i;

	for (extra = 0; extra < 2; extra++) {
		OWNED_BUF text = BUF_INIT(16384);

		buf_append_str(&text, GET H);
		for (i = 1; i < HTTP1_FIELDS_MAX + extra; i++)
			buf_append_str(&text, "a: b\r\n");
		buf_append_str(&text, "\r\n");
		http1_init(&p, &limits);
		assert_int_equal(feed(&p, buf_bytes(&text)), extra ? HTTP1_BAD : HTTP1_DONE);
		assert_int_equal(extra ? p.status : (int)p.n_headers, extra ? 431 : HTTP1_FIELDS_MAX);
		http1_fini(&p);
	}
}

/* A request line of exactly 8 KiB and a header section of exactly 16 KiB pass; one octet more does not. */
static void takes_the_default_limits_exactly(void **state)
{
	static const struct {
		size_t line, head;
		int status;
	} cases[] = { { 8192, 16384, 0 }, { 8193, 16384, 414 }, { 8192, 16385, 431 } };
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED_BUF text = BUF_INIT(65536);
		struct http1 p;
		size_t start;

		buf_append_str(&text, "GET /");
		while (text.len < cases[i].line - 9)
			buf_append_char(&text, 'p');
		buf_append_str(&text, " HTTP/1.1\r\n");
		start = text.len;
		buf_append_str(&text, H "A: ");
		while (text.len - start < cases[i].head - 2)
			buf_append_char(&text, 'v');
		buf_append_str(&text, "\r\n\r\n");
		http1_init(&p, &HTTP1_LIMITS_DEFAULT);
		assert_int_equal(feed(&p, buf_bytes(&text)), cases[i].status ? HTTP1_BAD : HTTP1_DONE);
		assert_int_equal(p.status, cases[i].status);
		http1_fini(&p);
	}
}

static void speaks_http_1_0_only_when_told(void **state)
{
	struct http1_limits limits = HTTP1_LIMITS_DEFAULT;
	struct http1 p;

	limits.allow_http10 = true;
	http1_init(&p, &limits);
	assert_int_equal(feed(&p, bytes_of_str("GET / HTTP/1.0\r\nExpect: x\r\n\r\n")), HTTP1_DONE);
	assert_true(p.is_http10);
	assert_false(p.keeps_alive);
	assert_null(p.host);
	http1_next(&p);
	assert_int_equal(feed(&p, bytes_of_str("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")), HTTP1_DONE);
	assert_true(p.keeps_alive);
	http1_next(&p);
	assert_int_equal(feed(&p, bytes_of_str("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
			 HTTP1_BAD);
	assert_int_equal(p.status, 400);
	http1_fini(&p);
}

static void puts_a_large_chunked_body_together_in_little_memory(void **state)
{
	OWNED_BUF text = BUF_INIT(1 << 20), expected = BUF_INIT(1 << 20);
	struct http1 p;
	int i;

	buf_append_str(&text, CHUNKED);
	for (i = 0; i < 65536; i++) {
		buf_printf(&text, "1\r\n%c\r\n", 'a' + i % 26);
		buf_append_char(&expected, (char)('a' + i % 26));
	}
	buf_append_str(&text, "0\r\n\r\n");
	http1_init(&p, &HTTP1_LIMITS_DEFAULT);
	assert_int_equal(feed(&p, buf_bytes(&text)), HTTP1_DONE);
	assert_true(bytes_equal(p.body, buf_bytes(&expected)));
	assert_true(p.in.capacity <= 131072 + 1);
	http1_fini(&p);
}

static void limits_the_trailer_section(void **state)
{
	OWNED_BUF text = BUF_INIT(65536);
	struct http1 p;

	buf_append_str(&text, CHUNKED "0\r\n");
	while (text.len < 8192)
		buf_append_str(&text, "T: " X64 X64 "\r\n");
	http1_init(&p, &HTTP1_LIMITS_DEFAULT);
	assert_int_equal(feed(&p, buf_bytes(&text)), HTTP1_BAD);
	assert_int_equal(p.status, 431);
	http1_fini(&p);
}

static void copies_a_request_into_an_arena(void **state)
{
	struct http_request q;
	struct arena *arena;
	struct http1 p;

	http1_init(&p, &small);
	assert_int_equal(feed(&p, bytes_of_str("\r\nPOST /a?b HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi")),
			 HTTP1_DONE);
	assert_int_equal(arena_new(&arena, 65536), 0);
	assert_int_equal(http1_copy(&p, arena, &q), 0);
	http1_fini(&p);
	assert_string_equal(q.method, "POST");
	assert_string_equal(q.path, "/a");
	assert_string_equal(q.query, "b");
	assert_string_equal(http_request_header(&q, "host"), "a");
	assert_true(bytes_equal_str(q.body, "hi"));
	arena_drop(&arena);
}

/* ---- replies ---- */

static struct http_reply new_reply(int status, struct arena *arena)
{
	return (struct http_reply){ .status = status, .body = BUF_INIT(HTTP_REPLY_BODY_MAX), .arena = arena };
}

static void writes_a_reply_with_date_length_and_connection(void **state)
{
	struct http1_reply_options o = { .closes = true, .now_s = 784111777 };
	OWNED_BUF out = BUF_INIT(65536);
	struct arena *arena;
	struct http_reply r;

	assert_int_equal(arena_new(&arena, 65536), 0);
	r = new_reply(200, arena);
	assert_int_equal(http_reply_text(&r, 200, "hello"), 0);
	assert_int_equal(http_reply_header(&r, "content-length", "99"), 0);
	assert_int_equal(http1_reply_print(&out, &r, &o), 0);
	assert_string_equal(buf_str(&out), "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
					   "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n"
					   "Connection: close\r\n\r\nhello\n");
	buf_fini(&r.body);
	arena_drop(&arena);
}

static void writes_no_body_for_head_and_204(void **state)
{
	struct http1_reply_options o = { .is_head = true };
	OWNED_BUF out = BUF_INIT(65536);
	struct http_reply r = new_reply(200, NULL);

	buf_append_str(&r.body, "12345");
	assert_int_equal(http1_reply_print(&out, &r, &o), 0);
	assert_non_null(strstr(buf_str(&out), "Content-Length: 5\r\n\r\n"));
	assert_null(strstr(buf_str(&out), "12345"));
	buf_reset(&out);
	o.is_head = false;
	r.status = 204;
	assert_int_equal(http1_reply_print(&out, &r, &o), 0);
	assert_null(strstr(buf_str(&out), "Content-Length"));
	assert_null(strstr(buf_str(&out), "12345"));
	buf_fini(&r.body);
}

static void refuses_a_header_that_would_split_the_reply(void **state)
{
	static const struct http_header wrong[] = {
		{ "Location", "/\r\nSet-Cookie: x" }, { "Location", "/\n" }, { "X", "a\x01" },
		{ "X\r\nY", "a" }, { "X Y", "a" }, { "", "a" },
	};
	struct http1_reply_options o = { 0 };
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		OWNED_BUF out = BUF_INIT(65536);
		struct http_reply r = new_reply(200, NULL);

		r.headers[r.n_headers++] = wrong[i];
		assert_int_equal(http1_reply_print(&out, &r, &o), -EINVAL);
	}
}

static void refuses_a_status_that_is_none(void **state)
{
	static const int wrong[] = { 0, 99, 100, 199, 600, -1 };
	struct http1_reply_options o = { 0 };
	OWNED_BUF out = BUF_INIT(65536);
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct http_reply r = new_reply(wrong[i], NULL);

		assert_int_equal(http1_reply_print(&out, &r, &o), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_of_an_absolute_target_counts),
		cmocka_unit_test(refuses_what_can_be_read_in_two_ways),
		cmocka_unit_test(refuses_octet_by_octet_as_well),
		cmocka_unit_test(accepts_what_is_right_however_it_is_cut),
		cmocka_unit_test(reads_pipelined_requests_one_after_the_other),
		cmocka_unit_test(takes_an_empty_line_for_no_request),
		cmocka_unit_test(shows_the_head_before_the_body_comes),
		cmocka_unit_test(obeys_the_body_limit_of_the_route),
		cmocka_unit_test(lowers_names_and_trims_values),
		cmocka_unit_test(takes_exactly_a_hundred_fields),
		cmocka_unit_test(takes_the_default_limits_exactly),
		cmocka_unit_test(speaks_http_1_0_only_when_told),
		cmocka_unit_test(puts_a_large_chunked_body_together_in_little_memory),
		cmocka_unit_test(limits_the_trailer_section),
		cmocka_unit_test(copies_a_request_into_an_arena),
		cmocka_unit_test(writes_a_reply_with_date_length_and_connection),
		cmocka_unit_test(writes_no_body_for_head_and_204),
		cmocka_unit_test(refuses_a_header_that_would_split_the_reply),
		cmocka_unit_test(refuses_a_status_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
