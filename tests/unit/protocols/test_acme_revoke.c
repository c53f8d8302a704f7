/* revokeCert: who may have which certificate revoked, and what the core is told of it (S19).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/clock.h"
#include "core/base/own.h"
#include "tests/test.h"
#include "tests/unit/protocols/acme_rig.h"

#define REVOKE RIG_BASE "/acme/revoke-cert"
#define DAY_MS (86400 * 1000LL)

static struct rig rig;
static struct rig_client client;
static struct signing_key certified; /* the key of the certificates */

static int start(void **state)
{
	rig_start(&rig, "{}");
	rig_client_init(&client, &rig, "ES256");
	rig_register(&client);
	certified = signing_key_make("RS256", 2048);
	return 0;
}

static int stop(void **state)
{
	signing_key_fini(&certified);
	rig_client_fini(&client);
	rig_stop(&rig);
	return 0;
}

/* A payload that asks for a certificate with this SAN; `more`: further members. To be freed. */
static char *payload_for(const char *san, const char *more)
{
	struct bytes der = signing_certificate(certified.key, "x", san);
	char *text = signing_base64url(der), *payload = signing_text("{\"certificate\":\"%s\"%s}", text, more);

	free(text);
	free((void *)(uintptr_t)der.ptr);
	return payload;
}

static int revoke(struct rig_client *c, const char *san, const char *more)
{
	char *payload = payload_for(san, more);
	int status = rig_post(c, REVOKE, payload);

	free(payload);
	return status;
}

static void expect_problem(const char *type, int status)
{
	assert_string_equal(rig_problem(&client), type);
	assert_int_equal(client.a.r.status, status);
}

static void revokes_for_the_account_that_got_it(void **state)
{
	assert_int_equal(revoke(&client, "DNS:www.example.com", ",\"reason\":4,\"unknown\":{}"), 200);
	assert_int_equal(client.a.r.body.len, 0);
	assert_string_equal(rig_answer_link(&client, "index"), RIG_BASE "/acme/directory");
	assert_int_equal(rig.core.last_revocation.proof, CA_REVOKE_BY_REQUESTER);
	assert_int_equal(rig.core.last_revocation.reason, 4);
	assert_string_equal(rig.core.last_revocation.protocol, "acme");
	assert_string_equal(rig.core.last_revocation.endpoint, "acme");
	assert_memory_equal(rig.core.last_revoker, "acme:1/", 7);
	assert_int_equal(strlen(rig.core.last_revoker), 7 + 22);
	assert_int_equal(rig.core.last_revocation.n_names, 0);
	assert_int_equal(rig.core.revokes, 1);
}

static void says_no_reason_when_there_is_none(void **state)
{
	struct bytes der = signing_certificate(certified.key, "x", "DNS:www.example.com");
	char *text = signing_base64url(der), *payload = signing_text("{\"certificate\":\"%s\"}", text);

	assert_int_equal(rig_post(&client, REVOKE, payload), 200);
	assert_int_equal(rig.core.last_revocation.reason, CA_REASON_UNSPECIFIED);
	assert_true(bytes_equal(buf_bytes(&rig.core.last_revoked), der));
	free(text);
	free(payload);
	free((void *)(uintptr_t)der.ptr);
}

/* Anybody who has the certificate's own key, without an account, whatever account got it. */
static void revokes_for_the_key_of_the_certificate(void **state)
{
	static const char *const algs[] = { "RS256", "ES256", "ES384", "EdDSA" };
	struct signing_key account = client.key, rsa = certified;

	client.kid[0] = '\0';
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct signing_key key = signing_key_make(algs[i], 2048);

		certified = client.key = key;
		assert_int_equal(revoke(&client, "DNS:www.example.com", ",\"reason\":1"), 200);
		assert_int_equal(rig.core.last_revocation.proof, CA_REVOKE_BY_KEY);
		assert_int_equal(rig.core.last_revocation.reason, 1);
		assert_string_equal(rig.core.last_revoker, "");
		signing_key_fini(&key);
	}
	client.key = account;
	certified = rsa;
}

static void asks_the_core_nothing_for_another_key(void **state)
{
	struct signing_key account = client.key, other = signing_key_make("RS256", 2048);

	client.kid[0] = '\0';
	client.key = other;
	assert_int_equal(revoke(&client, "DNS:www.example.com", ""), 403);
	expect_problem("unauthorized", 403);
	client.key = account; /* the key of an account is not one of the certificate */
	assert_int_equal(revoke(&client, "DNS:www.example.com", ""), 403);
	expect_problem("unauthorized", 403);
	assert_int_equal(rig.core.revokes, 0);
	signing_key_fini(&other);
}

static void answers_what_the_core_says(void **state)
{
	static const struct {
		int call, status;
		const char *problem;
	} cases[] = {
		{ CA_CALL_ALREADY, 400, "alreadyRevoked" },
		{ CA_CALL_NOT_FOUND, 404, "malformed" },
		{ CA_CALL_BUSY, 503, "rateLimited" },
		{ -5, 500, "serverInternal" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig.core.revoke_call[CA_REVOKE_BY_REQUESTER] = cases[i].call;
		assert_int_equal(revoke(&client, "DNS:www.example.com", ""), cases[i].status);
		expect_problem(cases[i].problem, cases[i].status);
		assert_int_equal(rig_answer_header(&client, "Retry-After") != NULL, cases[i].status == 503);
	}
	assert_int_equal(rig.core.revokes, 4); /* none of these by its names */
}

static void is_busy_when_no_worker_is_to_spare(void **state)
{
	rig.may_wait = false;
	assert_int_equal(revoke(&client, "DNS:www.example.com", ""), 503);
	assert_int_equal(rig.core.revokes, 0);
	rig.may_wait = true;
	assert_int_equal(revoke(&client, "DNS:www.example.com", ""), 200);
}

/* S19: all the names, valid now, of this account. */
static void revokes_for_an_account_that_is_authorized_for_all_names(void **state)
{
	char *order;

	rig.core.revoke_call[CA_REVOKE_BY_REQUESTER] = CA_CALL_REFUSED;
	order = rig_ready_order(&client, "a.example.com");
	assert_int_equal(revoke(&client, "DNS:a.example.com,DNS:b.example.com", ""), 403);
	expect_problem("unauthorized", 403);
	assert_int_equal(rig.core.revokes, 1);
	free(order);
	order = rig_ready_order(&client, "b.example.com");
	assert_int_equal(revoke(&client, "DNS:a.example.com,DNS:B.example.com", ",\"reason\":5"), 200);
	assert_int_equal(rig.core.last_revocation.proof, CA_REVOKE_BY_NAMES);
	assert_int_equal(rig.core.last_revocation.reason, 5);
	assert_string_equal(rig.core.last_revoked_names, "dns:a.example.com;dns:b.example.com;");
	assert_memory_equal(rig.core.last_revoker, "acme:1/", 7);
	free(order);
}

static void takes_no_authorization_that_is_not_good(void **state)
{
	char *order = rig_ready_order(&client, "a.example.com");
	char *authz = strdup(rig_json(&client, "authorizations.0"));
	char *pending = rig_order(&client, "pending.example.com");
	struct rig_client other;

	rig.core.revoke_call[CA_REVOKE_BY_REQUESTER] = CA_CALL_REFUSED;
	assert_int_equal(revoke(&client, "DNS:pending.example.com", ""), 403);
	assert_int_equal(revoke(&client, NULL, ""), 403);
	assert_int_equal(revoke(&client, "DNS:a.example.com,DNS:*.a.example.com", ""), 403);
	assert_int_equal(revoke(&client, "DNS:a.example.com,email:a@example.com", ""), 403);
	assert_int_equal(revoke(&client, "IP:192.0.2.1", ""), 403);
	rig_client_init(&other, &rig, "ES256"); /* of another account */
	rig_register(&other);
	assert_int_equal(revoke(&other, "DNS:a.example.com", ""), 403);
	rig_client_fini(&other);
	assert_int_equal(revoke(&client, "DNS:a.example.com", ""), 200);
	clock_fake_set(RIG_NOW_MS + 30 * DAY_MS - 1000);
	assert_int_equal(revoke(&client, "DNS:a.example.com", ""), 200);
	clock_fake_set(RIG_NOW_MS + 30 * DAY_MS); /* expired */
	assert_int_equal(revoke(&client, "DNS:a.example.com", ""), 403);
	clock_fake_set(RIG_NOW_MS);
	assert_int_equal(rig_post(&client, authz, "{\"status\":\"deactivated\"}"), 200);
	assert_int_equal(revoke(&client, "DNS:a.example.com", ""), 403);
	expect_problem("unauthorized", 403);
	rig.core.revoke_call[CA_REVOKE_BY_NAMES] = CA_CALL_REFUSED;
	free(order);
	order = rig_ready_order(&client, "a.example.com");
	assert_int_equal(revoke(&client, "DNS:a.example.com", ""), 403); /* the core has the last word */
	expect_problem("unauthorized", 403);
	free(order);
	free(authz);
	free(pending);
}

/* Who only has the names cannot know that the key is lost. */
static void takes_a_compromise_from_no_third_party(void **state)
{
	char *order = rig_ready_order(&client, "a.example.com");

	assert_int_equal(revoke(&client, "DNS:a.example.com", ",\"reason\":1"), 200);
	rig.core.revoke_call[CA_REVOKE_BY_REQUESTER] = CA_CALL_REFUSED;
	assert_int_equal(revoke(&client, "DNS:a.example.com", ",\"reason\":1"), 400);
	expect_problem("badRevocationReason", 400);
	assert_int_equal(revoke(&client, "DNS:b.example.com", ",\"reason\":1"), 403); /* it has not even the names */
	assert_int_equal(rig.core.revokes, 3);
	free(order);
}

static void judges_reasons(void **state)
{
	static const struct {
		const char *reason, *problem;
	} cases[] = {
		{ "0", NULL }, { "1", NULL }, { "3", NULL }, { "4", NULL }, { "5", NULL }, { "5.0", NULL },
		{ "2", "badRevocationReason" }, { "6", "badRevocationReason" }, { "7", "badRevocationReason" },
		{ "8", "badRevocationReason" }, { "9", "badRevocationReason" }, { "10", "badRevocationReason" },
		{ "11", "badRevocationReason" }, { "-1", "badRevocationReason" }, { "0.5", "badRevocationReason" },
		{ "1e300", "badRevocationReason" }, { "4294967297", "badRevocationReason" },
		{ "\"1\"", "malformed" }, { "null", "malformed" }, { "[1]", "malformed" }, { "true", "malformed" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *more = signing_text(",\"reason\":%s", cases[i].reason);

		assert_int_equal(revoke(&client, "DNS:www.example.com", more), cases[i].problem ? 400 : 200);
		if (cases[i].problem)
			expect_problem(cases[i].problem, 400);
		free(more);
	}
	assert_int_equal(rig.core.revokes, 6);
}

static void refuses_what_is_no_certificate(void **state)
{
	struct bytes der = signing_certificate(certified.key, "x", "DNS:www.example.com");
	char *text = signing_base64url(der), *text_cut = signing_base64url(bytes_of(der.ptr, der.len - 1));
	char *good = signing_text("{\"certificate\":\"%s\"}", text);
	char *cut = signing_text("{\"certificate\":\"%s\"}", text_cut);
	char *longer = signing_text("{\"certificate\":\"%sAAAA\"}", text);
	const char *const payloads[] = {
		"", "{}", "[]", "{\"certificate\":1}", "{\"certificate\":\"\"}", "{\"certificate\":\"AAAA\"}",
		"{\"certificate\":\"MAA=\"}", "{\"certificate\":\"-----BEGIN CERTIFICATE-----\"}",
		"{\"Certificate\":\"MAA\"}", cut, longer,
	};

	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		assert_int_equal(rig_post(&client, REVOKE, payloads[i]), 400);
		expect_problem("malformed", 400);
	}
	assert_int_equal(rig.core.revokes, 0);
	assert_int_equal(rig_post(&client, REVOKE, good), 200);
	free((void *)(uintptr_t)der.ptr);
	free(text);
	free(text_cut);
	free(good);
	free(cut);
	free(longer);
}

static void revokes_nothing_for_an_account_that_ended(void **state)
{
	struct signing_key account = client.key;

	assert_int_equal(rig_post(&client, client.kid, "{\"status\":\"deactivated\"}"), 200);
	assert_int_equal(revoke(&client, "DNS:www.example.com", ""), 401);
	assert_int_equal(rig.core.revokes, 0);
	client.kid[0] = '\0';
	client.key = certified;
	assert_int_equal(revoke(&client, "DNS:www.example.com", ""), 200); /* the certificate's key needs none */
	client.key = account;
}

static void limits_revocations_of_an_address(void **state)
{
	rig_restart(&rig, "revocations-per-hour: 1\n");
	assert_int_equal(revoke(&client, "DNS:www.example.com", ""), 200);
	assert_int_equal(rig_post_body(&client, REVOKE, "not even a message"), 429);
	expect_problem("rateLimited", 429);
	assert_int_equal(rig.core.revokes, 1);
}

#define WITH_RIG(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(revokes_for_the_account_that_got_it),
		WITH_RIG(says_no_reason_when_there_is_none),
		WITH_RIG(revokes_for_the_key_of_the_certificate),
		WITH_RIG(asks_the_core_nothing_for_another_key),
		WITH_RIG(answers_what_the_core_says),
		WITH_RIG(is_busy_when_no_worker_is_to_spare),
		WITH_RIG(revokes_for_an_account_that_is_authorized_for_all_names),
		WITH_RIG(takes_no_authorization_that_is_not_good),
		WITH_RIG(takes_a_compromise_from_no_third_party),
		WITH_RIG(judges_reasons),
		WITH_RIG(refuses_what_is_no_certificate),
		WITH_RIG(revokes_nothing_for_an_account_that_ended),
		WITH_RIG(limits_revocations_of_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
