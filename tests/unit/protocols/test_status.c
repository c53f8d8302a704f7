/* protocols/status: what clients send, what caches are told, and how often the core is asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/der.h"
#include "core/base/own.h"
#include "protocols/status/status.h"
#include "protocols/status/status_int.h"

#define NOW_MS 1772366400000 /* 2026-03-01T12:00:00Z */
#define NOW_S (NOW_MS / 1000)

/* ---- the core ---- */

static struct {
	unsigned asked;
	char last[256];          /* the request, as text */
	const char *answer;
	bool is_cachable;
	int64_t this_update_s;
	int outcome;
} core;

int ca_ocsp(struct ca_door *ca, struct bytes request, struct ca_ocsp_answer *out)
{
	core.asked++;
	snprintf(core.last, sizeof(core.last), "%.*s", (int)request.len, (const char *)request.ptr);
	buf_append_str(&out->der, core.answer);
	out->is_cachable = core.is_cachable;
	out->this_update_s = core.is_cachable ? core.this_update_s : 0;
	out->next_update_s = core.is_cachable ? core.this_update_s + 3600 : 0;
	return core.outcome;
}

int ca_get_key_chain(struct ca_door *ca, unsigned key_index, struct buf *out)
{
	if (key_index > 1)
		return key_index == 2 ? CA_CALL_BUSY : CA_CALL_NOT_FOUND;
	return buf_append_str(out, key_index ? "\x30\x03NEW\x30\x03OLD" : "\x30\x03OLD");
}

static struct {
	unsigned looked, fetched;
	uint64_t number;
	int outcome;
} crl;

static void tell_crl(struct ca_crl *info)
{
	*info = (struct ca_crl){ .number = crl.number, .this_update_s = NOW_S, .next_update_s = NOW_S + 86400 };
}

int ca_get_crl_page(struct ca_door *ca, unsigned key_index, unsigned partition, uint64_t number, uint64_t offset,
		    struct buf *out, struct ca_crl *info)
{
	crl.looked++;
	tell_crl(info);
	return crl.outcome ? crl.outcome : key_index || partition > 1 ? CA_CALL_NOT_FOUND : 0;
}

int ca_get_crl(struct ca_door *ca, unsigned key_index, unsigned partition, struct buf *der, struct ca_crl *info)
{
	crl.fetched++;
	tell_crl(info);
	return crl.outcome ? crl.outcome : buf_printf(der, "list %u %llu", partition, (unsigned long long)crl.number);
}

/* ---- requests ---- */

static void *state;
static struct http_reply r;
static struct arena *arena;

static int set_up(void **unused)
{
	char why[128];

	core = (typeof(core)){ .answer = "answer", .is_cachable = true, .this_update_s = NOW_S };
	crl = (typeof(crl)){ .number = 7 };
	clock_fake_set(NOW_MS);
	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	r = (struct http_reply){ .body = BUF_INIT(HTTP_REPLY_BODY_MAX), .arena = arena };
	return proto_status.init(&state, &(struct proto_env){ 0 }, NULL, why, sizeof(why));
}

static int tear_down(void **unused)
{
	proto_status.fini(state);
	buf_fini(&r.body);
	http_octets_drop(&r.large);
	arena_drop(&arena);
	clock_fake_end();
	return 0;
}

static void clear_reply(void)
{
	buf_reset(&r.body);
	http_octets_drop(&r.large);
	r.status = 0;
	r.n_headers = 0;
}

static const char *header(const char *name)
{
	for (size_t i = 0; i < r.n_headers; i++)
		if (strcmp(r.headers[i].name, name) == 0)
			return r.headers[i].value;
	return NULL;
}

typedef int handler(void *state, const struct http_request *q, struct http_reply *reply);

static int get_with(handler *h, const char *path, const char *name, const char *value)
{
	struct http_header sent = { name, value };
	struct http_request q = { .method = "GET", .params = { path }, .headers = &sent, .n_headers = name ? 1 : 0 };

	clear_reply();
	assert_int_equal(h(state, &q, &r), 0);
	return r.status;
}

static int get(handler *h, const char *path)
{
	return get_with(h, path, NULL, NULL);
}

static int post(const char *type, const char *body)
{
	struct http_header sent = { "content-type", type };
	struct http_request q = { .method = "POST", .headers = &sent, .n_headers = 1, .body = bytes_of_str(body) };

	clear_reply();
	assert_int_equal(status_ocsp_post(state, &q, &r), 0);
	return r.status;
}

/* ---- tests ---- */

/* "hi?>" in base64 is aGk/Pg==, with everything in it that is encoded or not. */
static void reads_a_get_request_however_it_is_encoded(void **unused)
{
	static const char *const paths[] = { "aGk/Pg==", "aGk%2FPg%3D%3D", "aGk%2fPg%3d=", "%61Gk/Pg==" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		OWNED_BUF request = BUF_INIT(64);

		assert_int_equal(status_ocsp_decode(paths[i], &request), 0);
		assert_string_equal(buf_str(&request), "hi?>");
		assert_int_equal(get(status_ocsp_get, paths[i]), 200);
		assert_string_equal(core.last, "hi?>");
	}
}

static void refuses_what_is_not_base64(void **unused)
{
	static const char *const paths[] = {
		"aGk/Pg", "aGk/Pg=", "aGk/Ph==", "aGk/Pg==x", "aGk_Pg==", "aGk/Pg%3", "aGk/Pg%", "aGk/Pg%3g=",
		"aGk/%253D", "aGk/Pg%00=", "a Gk/Pg==", "%20aGk/Pg==", "aGk/Pg==%0a",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (get(status_ocsp_get, paths[i]) != 400)
			fail_msg("'%s' is answered with %d", paths[i], r.status);
	assert_int_equal(core.asked, 0);
}

static void tells_caches_how_long_an_answer_is_good(void **unused)
{
	char etag[STATUS_ETAG_SIZE];

	core.this_update_s = NOW_S - 600;
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_string_equal(header("Content-Type"), "application/ocsp-response");
	assert_string_equal(header("Cache-Control"), "max-age=1200, public, no-transform, must-revalidate");
	assert_string_equal(header("Last-Modified"), "Sun, 01 Mar 2026 11:50:00 GMT");
	assert_string_equal(header("Expires"), "Sun, 01 Mar 2026 12:50:00 GMT");
	assert_int_equal(strlen(header("ETag")), STATUS_ETAG_SIZE - 1);
	snprintf(etag, sizeof(etag), "%s", header("ETag"));
	clock_fake_advance(1000);
	core.answer = "another";
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_string_not_equal(header("ETag"), etag);
	/* Past its middle nobody keeps it. */
	clock_fake_advance(3000000);
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_string_equal(header("Cache-Control"), "max-age=0, public, no-transform, must-revalidate");
}

static void sends_nothing_to_whoever_has_it(void **unused)
{
	static const struct {
		const char *name, *value; /* %: the tag */
		int status;
	} cases[] = {
		{ "if-none-match", "%", 304 },
		{ "if-none-match", "W/%", 304 },
		{ "if-none-match", "\"x\", %, \"y\"", 304 },
		{ "if-none-match", "*", 304 },
		{ "if-none-match", "\"x\"", 200 },
		{ "if-none-match", "", 200 },
		{ "if-modified-since", "Sun, 01 Mar 2026 12:00:00 GMT", 304 },
		{ "if-modified-since", "Sun, 01 Mar 2026 12:00:01 GMT", 304 },
		{ "if-modified-since", "Sun, 01 Mar 2026 11:59:59 GMT", 200 },
		{ "if-modified-since", "yesterday", 200 },
	};
	char etag[STATUS_ETAG_SIZE], value[256];

	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	snprintf(etag, sizeof(etag), "%s", header("ETag"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *at = strchr(cases[i].value, '%');

		snprintf(value, sizeof(value), "%.*s%s%s", at ? (int)(at - cases[i].value) : 255, cases[i].value,
			 at ? etag : "", at ? at + 1 : "");
		if (get_with(status_ocsp_get, "eA==", cases[i].name, value) != cases[i].status)
			fail_msg("%s: %s is answered with %d", cases[i].name, value, r.status);
		assert_int_equal(r.body.len, r.status == 304 ? 0 : 6);
		assert_non_null(header("ETag"));
		assert_non_null(header("Cache-Control"));
	}
}

static void what_no_cache_may_keep_is_kept_by_none(void **unused)
{
	core.is_cachable = false;
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(get(status_ocsp_get, "eA=="), 200);
		assert_string_equal(header("Cache-Control"), "no-store");
		assert_null(header("ETag"));
		assert_int_equal(core.asked, i);
	}
	assert_int_equal(post("application/ocsp-request", "x"), 200);
	assert_string_equal(header("Cache-Control"), "no-store");
	assert_int_equal(post("application/ocsp-request; charset=x", "x"), 200);
	assert_int_equal(post("text/plain", "x"), 415);
}

static void the_same_question_reaches_the_core_twice_a_second(void **unused)
{
	for (int i = 0; i < 10; i++)
		assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_int_equal(post("application/ocsp-request", "x"), 200);
	assert_int_equal(core.asked, 1);
	assert_int_equal(get(status_ocsp_get, "eQ=="), 200);
	assert_int_equal(core.asked, 2);
	clock_fake_advance(ANSWERS_LIFETIME_MS - 1);
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_int_equal(core.asked, 2);
	clock_fake_advance(1);
	core.answer = "revoked";
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_int_equal(core.asked, 3);
	assert_string_equal(buf_str(&r.body), "revoked");
	assert_int_equal(proto_status.counters[0].read(state), 14);
	assert_int_equal(proto_status.counters[1].read(state), 11);
}

/* An answer that took long does not take the place of a later one. */
static void an_older_answer_does_not_come_back(void **unused)
{
	struct ca_ocsp_answer old = CA_OCSP_ANSWER_INIT, new = CA_OCSP_ANSWER_INIT, out = CA_OCSP_ANSWER_INIT;
	struct answers *a;

	old.is_cachable = new.is_cachable = true;
	buf_append_str(&old.der, "old");
	buf_append_str(&new.der, "new");
	assert_int_equal(answers_new(&a), 0);
	answers_remember(a, bytes_of_str("q"), 200, &new);
	answers_remember(a, bytes_of_str("q"), 100, &old);
	assert_true(answers_recall(a, bytes_of_str("q"), 300, &out));
	assert_string_equal(buf_str(&out.der), "new");
	assert_false(answers_recall(a, bytes_of_str("r"), 300, &out));
	answers_drop(&a);
	buf_fini(&old.der);
	buf_fini(&new.der);
	buf_fini(&out.der);
}

static void a_list_is_read_once_and_looked_at_once_a_second(void **unused)
{
	for (int i = 0; i < 5; i++) {
		assert_int_equal(get(status_crl_get, "0.crl"), 200);
		assert_true(bytes_equal_str(http_octets_get(r.large), "list 0 7"));
	}
	assert_string_equal(header("Content-Type"), "application/pkix-crl");
	assert_string_equal(header("ETag"), "\"0-0-7\"");
	assert_string_equal(header("Cache-Control"), "max-age=60, public, no-transform, must-revalidate");
	assert_string_equal(header("Expires"), "Mon, 02 Mar 2026 12:00:00 GMT");
	assert_int_equal(crl.fetched, 1);
	assert_int_equal(get(status_crl_get, "0-1.crl"), 200);
	assert_true(bytes_equal_str(http_octets_get(r.large), "list 1 7"));
	assert_int_equal(crl.fetched, 2);
	/* The same number is the same list. */
	clock_fake_advance(1000);
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_int_equal(crl.fetched, 2);
	clock_fake_advance(1000);
	crl.number = 8;
	assert_int_equal(get_with(status_crl_get, "0.crl", "if-none-match", "\"0-0-7\""), 200);
	assert_true(bytes_equal_str(http_octets_get(r.large), "list 0 8"));
	assert_int_equal(get_with(status_crl_get, "0.crl", "if-none-match", "\"0-0-8\""), 304);
	assert_null(r.large);
}

static void a_list_outlives_a_core_that_is_away_until_its_end(void **unused)
{
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	crl.outcome = CA_CALL_BUSY;
	clock_fake_advance(3600000);
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_int_equal(get(status_crl_get, "0-1.crl"), 503);
	assert_non_null(header("Retry-After"));
	clock_fake_advance(86400000);
	assert_int_equal(get(status_crl_get, "0.crl"), 503);
}

static void knows_no_other_lists(void **unused)
{
	static const char *const names[] = { "1.crl", "0-2.crl", "0-0.crl", "0-.crl", "00.crl", "0-01.crl", "0.CRL",
					     "0", "-1.crl", "0-1-1.crl", "0.crl.crl", "9999999999.crl" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (get(status_crl_get, names[i]) != 404)
			fail_msg("'%s' is answered with %d", names[i], r.status);
	assert_int_equal(crl.fetched, 0);
}

static void serves_the_certificate_of_each_key(void **unused)
{
	assert_int_equal(get(status_certificate_get, "0.cer"), 200);
	assert_string_equal(header("Content-Type"), "application/pkix-cert");
	assert_string_equal(buf_str(&r.body), "\x30\x03OLD");
	assert_non_null(header("ETag"));
	assert_int_equal(get(status_certificate_get, "1.cer"), 200);
	assert_string_equal(buf_str(&r.body), "\x30\x03NEW");
	assert_int_equal(get_with(status_certificate_get, "1.cer", "if-none-match", header("ETag")), 304);
	assert_int_equal(get(status_certificate_get, "2.cer"), 503);
	assert_int_equal(get(status_certificate_get, "3.cer"), 404);
}

static void knows_no_other_names(void **unused)
{
	static const char *const names[] = { "x.cer", ".cer", "0", "0.", "00.cer", "01.cer", "-1.cer", "+1.cer",
					     "0.CER", "0.cerx", "0.pem", "1000000000.cer", "0%2ecer" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (get(status_certificate_get, names[i]) != 404)
			fail_msg("'%s' is answered with %d", names[i], r.status);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_a_get_request_however_it_is_encoded),
		TEST(refuses_what_is_not_base64),
		TEST(tells_caches_how_long_an_answer_is_good),
		TEST(sends_nothing_to_whoever_has_it),
		TEST(what_no_cache_may_keep_is_kept_by_none),
		TEST(the_same_question_reaches_the_core_twice_a_second),
		TEST(an_older_answer_does_not_come_back),
		TEST(a_list_is_read_once_and_looked_at_once_a_second),
		TEST(a_list_outlives_a_core_that_is_away_until_its_end),
		TEST(knows_no_other_lists),
		TEST(serves_the_certificate_of_each_key),
		TEST(knows_no_other_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
