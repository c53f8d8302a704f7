/* protocols/mdm: who asks, for which device, and what MDM systems are told. The test plays the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/own.h"
#include "protocols/mdm/mdm.h"
#include "protocols/mdm/event.h"

#define CHALLENGE "0123456789ABCDEF0123456789ABCDEF"
#define BASIC "Basic bWRtOnBhc3N3b3Jk" /* mdm:password */

/* ---- the core ---- */

static struct {
	int outcome;
	unsigned n_asked;
	struct ca_delegation last;
	enum ca_evidence_kind kind;
	char user[64], serial_number[80], udid[80];
} core;

static void copy(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "-");
}

int ca_delegate_challenge(struct ca_door *ca, const struct ca_delegation *d, struct ca_delegated *out)
{
	assert_string_equal(d->claim->endpoint, "scep");
	assert_string_equal(d->claim->source_address, "192.0.2.7");
	core.n_asked++;
	core.last = *d;
	core.kind = d->claim->kind;
	copy(core.user, sizeof(core.user), d->claim->name);
	copy(core.serial_number, sizeof(core.serial_number), d->serial_number);
	copy(core.udid, sizeof(core.udid), d->udid);
	*out = (struct ca_delegated){ .id = 7, .until_ms = 1800000000000, .retry_after_s = 9 };
	snprintf(out->challenge, sizeof(out->challenge), "%s", core.outcome ? "" : CHALLENGE);
	return core.outcome;
}

/* Two certificates; the first counts. */
int ca_get_chain(struct ca_door *ca, struct buf *out)
{
	return buf_append(out, bytes_of("\x30\x03" "abc" "\x30\x00", 7));
}

/* ---- the adapter ---- */

static struct mdm mdm;
static struct arena *arena;
static struct http_reply reply;

static int set_up(void **state)
{
	static char endpoint[] = "mdm", for_endpoint[] = "scep";

	memset(&core, 0, sizeof(core));
	mdm = (struct mdm){ .endpoint = endpoint, .for_endpoint = for_endpoint, .serves_ndes = true,
			    .serves_jamf = true, .lifetime_s = 3600 };
	return arena_new(&arena, 1u << 20);
}

static int tear_down(void **state)
{
	buf_fini(&reply.body);
	arena_drop(&arena);
	return 0;
}

static const char *header(const char *name)
{
	for (size_t i = 0; i < reply.n_headers; i++)
		if (strcmp(reply.headers[i].name, name) == 0)
			return reply.headers[i].value;
	return NULL;
}

/* Its status. */
static int ask(int (*handle)(void *state, const struct http_request *q, struct http_reply *r),
	       const char *authorization, const char *query, const char *body)
{
	const struct http_header headers[] = { { "content-type", "application/json; charset=utf-8" },
					       { "authorization", authorization } };
	struct http_request q = { .method = "GET", .path = "/certsrv/mscep_admin", .query = query, .headers = headers,
				  .n_headers = authorization ? 2 : 1, .peer_address = "192.0.2.7", .arena = arena,
				  .body = bytes_of_str(body) };

	buf_fini(&reply.body);
	reply = (struct http_reply){ .arena = arena, .body = BUF_INIT(HTTP_REPLY_BODY_MAX) };
	assert_int_equal(handle(&mdm, &q, &reply), 0);
	return reply.status;
}

/* The page as ASCII. */
static const char *page(void)
{
	static char text[4096];
	size_t n = 0;

	assert_true(reply.body.len > 2 && reply.body.len % 2 == 0 && reply.body.len / 2 < sizeof(text));
	assert_memory_equal(reply.body.ptr, "\xff\xfe", 2);
	for (size_t i = 2; i < reply.body.len; i += 2) {
		assert_int_equal(reply.body.ptr[i + 1], 0);
		text[n++] = (char)reply.body.ptr[i];
	}
	text[n] = '\0';
	return text;
}

/* ---- the page ---- */

static void the_page_has_thumbprint_and_challenge_between_its_tags(void **state)
{
	assert_int_equal(ask(mdm_ndes_page, BASIC, NULL, ""), 200);
	assert_string_equal(header("Content-Type"), "text/html; charset=utf-16");
	assert_string_equal(header("Cache-Control"), "no-store");
	/* printf '\x30\x03abc' | md5sum */
	assert_non_null(strstr(page(), "The thumbprint (hash value) for the CA certificate is: "
				       "<B> B08DACF8 466898FC 5DFE8B0A 8B8F8D39 </B>"));
	assert_non_null(strstr(page(), "The enrollment challenge password is: <B> " CHALLENGE " </B>"));
	assert_non_null(strstr(page(), "This password can be used only once and will expire within 60 minutes."));
	assert_true(strstr(page(), "thumbprint") < strstr(page(), "challenge password"));
	assert_string_equal(core.user, "mdm");
	assert_int_equal(core.kind, CA_EVIDENCE_USER);
	assert_true(core.last.is_bound);
	assert_int_equal(core.last.lifetime_s, 3600);
	assert_string_equal(core.serial_number, "-");
	assert_int_equal(mdm.n_made, 1);
}

static void who_says_nothing_is_not_asked_about(void **state)
{
	static const char *const nothing[] = { NULL, "Negotiate abc", "NTLM abc", "Digest x" };

	for (size_t i = 0; i < sizeof(nothing) / sizeof(*nothing); i++) {
		assert_int_equal(ask(mdm_ndes_page, nothing[i], NULL, ""), 401);
		assert_string_equal(header("WWW-Authenticate"), "Basic realm=\"mdm\"");
	}
	assert_int_equal(core.n_asked, 0);
	core.outcome = CA_CALL_REFUSED;
	assert_int_equal(ask(mdm_ndes_page, BASIC, NULL, ""), 401);
	assert_int_equal(ask(mdm_ndes_page, "Basic !", NULL, ""), 401);
	assert_int_equal(ask(mdm_ndes_page, "Bearer ght_abc", NULL, ""), 401);
	assert_int_equal(core.kind, CA_EVIDENCE_TOKEN);
	assert_int_equal(core.n_asked, 3);
	assert_int_equal(mdm.n_unauthenticated, 7);
}

static void what_goes_wrong_is_a_sentence_of_the_page(void **state)
{
	core.outcome = CA_CALL_FULL;
	assert_int_equal(ask(mdm_ndes_page, BASIC, NULL, ""), 200);
	assert_non_null(strstr(page(), "The password cache is full."));
	assert_null(strstr(page(), "<B>"));
	assert_int_equal(ask(mdm_ndes_page, BASIC, "format=text", ""), 503);
	assert_string_equal(buf_str(&reply.body), "The password cache is full.\n");
	core.outcome = CA_CALL_NOT_PERMITTED;
	assert_int_equal(ask(mdm_ndes_page, BASIC, NULL, ""), 200);
	assert_non_null(strstr(page(), "You do not have sufficient permission to enroll with SCEP."));
	assert_int_equal(ask(mdm_ndes_page, BASIC, "format=json", ""), 403);
	assert_string_equal(buf_str(&reply.body),
			    "{\"error\":\"You do not have sufficient permission to enroll with SCEP.\"}");
	core.outcome = CA_CALL_BUSY;
	assert_int_equal(ask(mdm_ndes_page, BASIC, NULL, ""), 503);
	assert_string_equal(header("Retry-After"), "9");
	assert_int_equal(mdm.n_full, 2);
	assert_int_equal(mdm.n_refused, 2);
}

static void other_forms_are_asked_for_in_the_query(void **state)
{
	assert_int_equal(ask(mdm_ndes_page, BASIC, "format=text", ""), 200);
	assert_string_equal(buf_str(&reply.body), CHALLENGE "\n");
	assert_int_equal(ask(mdm_ndes_page, BASIC, "a=b&format=json&serial=C02.1_-x", ""), 200);
	assert_non_null(strstr(buf_str(&reply.body),
			       "\"challenge\":\"" CHALLENGE "\",\"expires\":\"2027-01-15T08:00:00"));
	assert_string_equal(core.serial_number, "C02.1_-x");
	assert_string_equal(core.udid, "-");
	assert_int_equal(ask(mdm_ndes_page, BASIC, "format=html&udid=0001", ""), 200);
	assert_string_equal(core.udid, "0001");
	assert_int_equal(core.n_asked, 3);
	assert_int_equal(ask(mdm_ndes_page, BASIC, "format=xml", ""), 400);
	assert_int_equal(ask(mdm_ndes_page, BASIC, "serial=", ""), 400);
	assert_int_equal(ask(mdm_ndes_page, BASIC, "serial=%41", ""), 400);
	assert_int_equal(ask(mdm_ndes_page, BASIC, "udid=*", ""), 400);
	assert_int_equal(core.n_asked, 3);
}

static void the_path_without_a_slash_leads_to_the_one_with_it(void **state)
{
	assert_int_equal(ask(mdm_ndes_redirect, NULL, NULL, ""), 301);
	assert_string_equal(header("Location"), "/certsrv/mscep_admin/");
	assert_int_equal(ask(mdm_ndes_redirect, NULL, "format=text", ""), 301);
	assert_string_equal(header("Location"), "/certsrv/mscep_admin/?format=text");
}

static void what_is_switched_off_is_not_there(void **state)
{
	mdm.serves_ndes = mdm.serves_jamf = false;
	assert_int_equal(ask(mdm_ndes_page, BASIC, NULL, ""), 404);
	assert_int_equal(ask(mdm_ndes_redirect, BASIC, NULL, ""), 404);
	assert_int_equal(ask(mdm_jamf, BASIC, NULL, "{}"), 404);
	assert_int_equal(core.n_asked, 0);
}

/* ---- the webhook ---- */

#define HOOK(event, more) \
	"{\"webhook\":{\"id\":1,\"webhookEvent\":\"" event "\",\"eventTimestamp\":1800000000000}" more "}"
#define DEVICE(members) HOOK("SCEPChallenge", ",\"event\":{\"payloadTypes\":[],\"targetDevice\":{" members "}}")

static void the_webhook_is_answered_with_the_challenge_alone(void **state)
{
	static const char body[] = DEVICE("\"udid\":\"U-1\",\"serialNumber\":\"C02\",\"jssID\":1");

	assert_int_equal(ask(mdm_jamf, BASIC, NULL, body), 200);
	assert_string_equal(buf_str(&reply.body), CHALLENGE);
	assert_string_equal(header("Content-Type"), "text/plain");
	assert_string_equal(core.serial_number, "C02");
	assert_string_equal(core.udid, "U-1");
	assert_true(core.last.is_bound);
	mdm.device_rule = MDM_DEVICE_OFF;
	assert_int_equal(ask(mdm_jamf, BASIC, NULL, DEVICE("\"udid\":\"\",\"serialNumber\":null")), 200);
	assert_string_equal(core.serial_number, "-");
	assert_string_equal(core.udid, "-");
	assert_false(core.last.is_bound);
	core.outcome = CA_CALL_FULL;
	assert_int_equal(ask(mdm_jamf, BASIC, NULL, DEVICE("")), 503);
	core.outcome = CA_CALL_NOT_PERMITTED;
	assert_int_equal(ask(mdm_jamf, BASIC, NULL, DEVICE("")), 403);
	assert_int_equal(ask(mdm_jamf, NULL, NULL, DEVICE("")), 401);
}

static void a_device_can_be_required(void **state)
{
	mdm.device_rule = MDM_DEVICE_REQUIRED;
	assert_int_equal(ask(mdm_jamf, BASIC, NULL, HOOK("SCEPChallenge", ",\"event\":{}")), 400);
	assert_int_equal(ask(mdm_jamf, BASIC, NULL, DEVICE("\"jssID\":1")), 400);
	assert_int_equal(ask(mdm_ndes_page, BASIC, NULL, ""), 400);
	assert_int_equal(core.n_asked, 0);
	assert_int_equal(ask(mdm_jamf, BASIC, NULL, DEVICE("\"udid\":\"U\"")), 200);
}

static void what_is_no_webhook_is_refused(void **state)
{
	static const char *const bodies[] = {
		"", "x", "[]", "{}", "{\"webhook\":7}", "{\"webhook\":{\"webhookEvent\":7},\"event\":{}}",
		HOOK("ComputerAdded", ",\"event\":{}"), HOOK("scepchallenge", ",\"event\":{}"),
		HOOK("SCEPChallenge", ""), HOOK("SCEPChallenge", ",\"event\":[]"),
		HOOK("SCEPChallenge", ",\"event\":{\"targetDevice\":7}"),
		HOOK("SCEPChallenge", ",\"event\":{},\"event\":{}"), HOOK("SCEPChallenge", ",\"event\":{}") "x",
		HOOK("SCEPChallenge", ",\"event\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]"),
		DEVICE("\"udid\":7"), DEVICE("\"udid\":\"a b\""), DEVICE("\"udid\":\"*\""),
		DEVICE("\"udid\":\"a\\nany\""),
		DEVICE("\"serialNumber\":\"{CN}\""), DEVICE("\"serialNumber\":[]"), DEVICE("\"udid\":\"\\u00e9\""),
		DEVICE("\"udid\":\"12345678901234567890123456789012345678901234567890123456789012345\""),
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		if (ask(mdm_jamf, BASIC, NULL, bodies[i]) != 400)
			fail_msg("%s: %d", bodies[i], reply.status);
	assert_int_equal(core.n_asked, 0);
}

static void a_webhook_has_a_limit(void **state)
{
	OWNED_BUF body = BUF_INIT(2 * MDM_BODY_MAX);
	struct mdm_device device;
	const char *why;

	buf_append_str(&body, HOOK("SCEPChallenge", ",\"event\":{\"x\":\""));
	body.len -= 1;
	while (body.len < MDM_BODY_MAX)
		buf_append_char(&body, 'y');
	buf_append_str(&body, "\"}}");
	assert_int_equal(event_read(buf_bytes(&body), arena, &device, &why), EVENT_REFUSED);
}

static void other_media_types_are_refused(void **state)
{
	const struct http_header xml = { "content-type", "text/xml" };
	struct http_request q = { .headers = &xml, .n_headers = 1, .arena = arena, .body = bytes_of_str("<webhook/>") };

	reply = (struct http_reply){ .arena = arena, .body = BUF_INIT(HTTP_REPLY_BODY_MAX) };
	assert_int_equal(mdm_jamf(&mdm, &q, &reply), 0);
	assert_int_equal(reply.status, 415);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_page_has_thumbprint_and_challenge_between_its_tags),
		TEST(who_says_nothing_is_not_asked_about),
		TEST(what_goes_wrong_is_a_sentence_of_the_page),
		TEST(other_forms_are_asked_for_in_the_query),
		TEST(the_path_without_a_slash_leads_to_the_one_with_it),
		TEST(what_is_switched_off_is_not_there),
		TEST(the_webhook_is_answered_with_the_challenge_alone),
		TEST(a_device_can_be_required),
		TEST(what_is_no_webhook_is_refused),
		TEST(a_webhook_has_a_limit),
		TEST(other_media_types_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
