/* protocols/est/message.c: which bodies are read, and how replies are written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/base64.h"
#include "protocols/est/est_int.h"

static struct arena *arena;
static struct http_reply r;
static struct est est;

static int set_up(void **unused)
{
	est = (struct est){ 0 };
	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	r = (struct http_reply){ .body = BUF_INIT(HTTP_REPLY_BODY_MAX), .arena = arena };
	return 0;
}

static int tear_down(void **unused)
{
	buf_fini(&r.body);
	arena_drop(&arena);
	return 0;
}

static const char *header(const char *name)
{
	for (size_t i = 0; i < r.n_headers; i++)
		if (strcmp(r.headers[i].name, name) == 0)
			return r.headers[i].value;
	return NULL;
}

/* ---- reading ---- */

static void blanks_may_stand_anywhere(void **unused)
{
	static const char *const bodies[] = { "aGVsbG8=", "aGVsbG8=\n", "\r\naGVs\r\nbG8=\r\n", " a\tG V\nsbG8 =\n\n",
					      "aGVsbG8\n=" };

	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		OWNED_BUF der = BUF_INIT(64);

		assert_int_equal(est_base64_read(bytes_of_str(bodies[i]), &der), 0);
		assert_string_equal(buf_str(&der), "hello");
	}
}

static void nothing_else_is_read(void **unused)
{
	static const struct bytes bodies[] = {
		{ (const uint8_t *)"aGVsbG8", 7 },
		{ (const uint8_t *)"aGVsbG8==", 9 },
		{ (const uint8_t *)"aGVsbG9=", 8 }, /* bits that are not zero behind the last octet */
		{ (const uint8_t *)"aGVs=bG8", 8 },
		{ (const uint8_t *)"aGVs-_8=", 8 }, /* base64url */
		{ (const uint8_t *)"aGVsbG8=\0", 9 },
		{ (const uint8_t *)"aGVsbG8=\v", 9 },
		{ (const uint8_t *)"\xef\xbb\xbf" "aGVsbG8=", 11 },
		{ (const uint8_t *)"-----BEGIN NEW-----\naGVs\n-----END NEW-----\n", 43 },
		{ (const uint8_t *)"\x30\x82\x01\x02", 4 },
		{ (const uint8_t *)"aGVsbG8=aGVs", 12 },
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		OWNED_BUF der = BUF_INIT(256);

		if (est_base64_read(bodies[i], &der) != -EINVAL)
			fail_msg("body %zu was read", i);
	}
}

static int read_body(const char *type, const char *body, struct bytes *der)
{
	struct http_header sent[] = { { "content-type", type }, { "content-transfer-encoding", "8bit" } };
	struct http_request q = { .method = "POST", .headers = sent, .n_headers = type ? 2 : 0, .arena = arena,
				  .body = bytes_of_str(body) };
	struct est_call c = { .est = &est, .q = &q, .r = &r };

	r.n_headers = 0;
	return est_read_body(&c, "application/pkcs10", der);
}

/* RFC 8951 3.2.1: what a client says of its transfer encoding is not looked at. */
static void a_body_has_its_media_type(void **unused)
{
	struct bytes der;

	assert_int_equal(read_body("application/pkcs10", "aGVs\nbG8=\n", &der), 0);
	assert_true(bytes_equal_str(der, "hello"));
	assert_int_equal(read_body("Application/PKCS10; charset=us-ascii", "aGVsbG8=", &der), 0);
	assert_int_equal(read_body(NULL, "aGVsbG8=", &der), EST_ANSWERED);
	assert_int_equal(r.status, 415);
	assert_int_equal(read_body("application/pkcs10x", "aGVsbG8=", &der), EST_ANSWERED);
	assert_int_equal(r.status, 415);
	assert_int_equal(read_body("application/pkcs10", "", &der), EST_ANSWERED);
	assert_int_equal(r.status, 400);
	assert_int_equal(read_body("application/pkcs10", " \r\n", &der), EST_ANSWERED);
	assert_int_equal(r.status, 400);
	assert_int_equal(read_body("application/pkcs10", "aGVsbG8", &der), EST_ANSWERED);
	assert_int_equal(r.status, 400);
	assert_string_equal(header("Content-Type"), "text/plain; charset=utf-8");
	assert_int_equal(est.n_refused, 5);
}

/* ---- writing ---- */

static const char octets_50[] = "01234567890123456789012345678901234567890123456789";
#define ONE_LINE "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODk="
#define TWO_LINES "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\nODk=\n"

static const char *reply_to(struct http_request q)
{
	struct est_call c = { .est = &est, .q = &q, .r = &r };

	r.n_headers = 0;
	assert_int_equal(est_reply_base64(&c, 200, "application/pkcs7-mime", bytes_of_str(octets_50)), 0);
	assert_int_equal(r.status, 200);
	assert_string_equal(header("Content-Type"), "application/pkcs7-mime");
	assert_string_equal(header("Content-Transfer-Encoding"), "base64");
	return buf_str(&r.body);
}

static void lines_are_broken_as_the_client_breaks_them(void **unused)
{
	struct http_header agent = { "user-agent", "curl/7.88.1" };
	struct http_request get = { .headers = &agent, .n_headers = 1 };
	struct http_request bare = { 0 };

	assert_string_equal(reply_to((struct http_request){ .body = bytes_of_str("YWJj") }), ONE_LINE);
	assert_string_equal(reply_to((struct http_request){ .body = bytes_of_str("YWJj\n") }), TWO_LINES);
	assert_string_equal(reply_to((struct http_request){ .body = bytes_of_str("YW\r\nJj") }), TWO_LINES);
	assert_string_equal(reply_to(get), TWO_LINES);
	assert_string_equal(reply_to(bare), ONE_LINE);
	est.base64 = EST_BASE64_SINGLE;
	assert_string_equal(reply_to(get), ONE_LINE);
	est.base64 = EST_BASE64_LINES;
	assert_string_equal(reply_to(bare), TWO_LINES);
}

static void a_reply_that_is_too_large_is_none(void **unused)
{
	struct http_request q = { 0 };
	struct est_call c = { .est = &est, .q = &q, .r = &r };

	r.body = BUF_INIT(67);
	assert_int_equal(est_reply_base64(&c, 200, "application/pkcs7-mime", bytes_of_str(octets_50)), -EMSGSIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blanks_may_stand_anywhere),
		TEST(nothing_else_is_read),
		TEST(a_body_has_its_media_type),
		TEST(lines_are_broken_as_the_client_breaks_them),
		TEST(a_reply_that_is_too_large_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
