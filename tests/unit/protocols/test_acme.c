/* The life of an order: from newOrder to the certificate, and every other end it can come to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <limits.h>

#include "core/base/clock.h"
#include "protocols/acme/acme_int.h"
#include "tests/test.h"
#include "tests/unit/protocols/acme_rig.h"

#define DAY_MS (86400 * 1000LL)

static struct rig rig;
static struct rig_client client;

static int start(void **state)
{
	rig_start(&rig, "attributes: {site: lab}\n");
	rig_client_init(&client, &rig, "ES256");
	rig_register(&client);
	return 0;
}

static int stop(void **state)
{
	rig_client_fini(&client);
	rig_stop(&rig);
	return 0;
}

static const char *retry_after(void)
{
	const char *value = rig_answer_header(&client, "Retry-After");

	return value ? value : "";
}

static int read_order(const char *order)
{
	int status = rig_post(&client, order, "");

	assert_string_equal(rig_answer_header(&client, "Location"), order);
	return status;
}

static void expect_order(const char *order, const char *status)
{
	assert_int_equal(read_order(order), 200);
	assert_string_equal(rig_json(&client, "status"), status);
}

static void leads_from_an_order_to_a_certificate(void **state)
{
	char *order = rig_order(&client, "WWW.Example.com"), *challenge, *up;

	assert_string_equal(rig_json(&client, "status"), "pending");
	assert_string_equal(rig_json(&client, "expires"), "2027-01-22T08:00:00Z");
	assert_string_equal(rig_json(&client, "identifiers.0.value"), "www.example.com");
	assert_string_equal(retry_after(), ""); /* it waits for the client */
	up = strdup(rig_json(&client, "authorizations.0"));
	assert_int_equal(rig_post(&client, up, ""), 200);
	assert_string_equal(rig_json(&client, "status"), "pending");
	assert_string_equal(rig_json(&client, "identifier.type"), "dns");
	assert_string_equal(rig_json(&client, "challenges.0.type"), "http-01");
	assert_string_equal(rig_json(&client, "challenges.0.status"), "pending");
	assert_int_equal(strlen(rig_json(&client, "challenges.0.token")), 22);
	challenge = strdup(rig_json(&client, "challenges.0.url"));
	assert_int_equal(rig_post(&client, challenge, "{}"), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	assert_string_equal(rig_json(&client, "validated"), "2027-01-15T08:00:00Z");
	assert_string_equal(rig_answer_link(&client, "up"), up);
	assert_string_equal(rig.validator.last_name, "www.example.com");
	assert_int_equal(rig.validator.last_wait_ms, PROTO_WAIT_VALIDATION_MS);

	expect_order(order, "ready");
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	assert_string_equal(rig_answer_header(&client, "Location"), order);
	assert_int_equal(rig_post(&client, rig_json(&client, "certificate"), ""), 200);
	assert_string_equal(rig_answer_header(&client, "Content-Type"), "application/pem-certificate-chain");
	assert_int_equal(rig.core.submits, 1);
	free(order);
	free(challenge);
	free(up);
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + strlen(what), what))
		n++;
	return n;
}

/* The chain has leaf and issuer even when the answer brought the leaf only. */
static void gives_a_chain_of_two_certificates(void **state)
{
	for (int i = 0; i < 2; i++) {
		char *order = rig_ready_order(&client, "www.example.com");
		const char *pem;

		rig.core.no_chain = i == 1;
		assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
		assert_int_equal(rig_post(&client, rig_json(&client, "certificate"), ""), 200);
		pem = buf_str(&client.a.r.body);
		assert_true(strncmp(pem, "-----BEGIN CERTIFICATE-----\n", 28) == 0);
		assert_int_equal(count(pem, "-----BEGIN CERTIFICATE-----\n"), 2);
		assert_int_equal(count(pem, "-----END CERTIFICATE-----\n"), 2);
		assert_string_equal(pem + strlen(pem) - 26, "-----END CERTIFICATE-----\n");
		free(order);
	}
}

static void tells_the_core_who_asks_and_what_was_proven(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");
	uint8_t key[CA_TRANSACTION_KEY_SIZE];

	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_memory_equal(rig.core.last_requester, "acme:1/", 7);
	assert_int_equal(strlen(rig.core.last_requester), 7 + 22);
	assert_string_equal(rig.core.last.protocol, "acme");
	assert_string_equal(rig.core.last.endpoint, "acme");
	assert_string_equal(rig.core.last.profile, "tls-server");
	assert_int_equal(rig.core.last.evidence, CA_EVIDENCE_ACME_AUTHORIZATION);
	assert_int_equal(rig.core.last.received_ms, RIG_NOW_MS);
	assert_int_equal(rig.core.last.retry_after_s, 5);
	assert_int_equal(rig.core.last.collect_s, 7 * 86400);
	assert_string_equal(rig.core.last_names, "dns:www.example.com;");
	assert_string_equal(rig.core.last_evidence, "authz 1 http-01 192.0.2.7;");
	assert_string_equal(rig.core.last_attributes, "acme-account=1;acme-contact=[\"mailto:a@example.com\"];"
						      "user-agent=test-client/1.0;site=lab;");
	memcpy(key, rig.core.last.transaction_key, sizeof(key));
	free(order);
	order = rig_ready_order(&client, "www.example.com");
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_memory_not_equal(key, rig.core.last.transaction_key, sizeof(key));
	free(order);
}

static void gives_the_core_no_text_that_is_none(void **state)
{
	static const struct {
		const char *sent, *kept;
	} cases[] = {
		{ "caf\xc3\xa9/1 \xf0\x9f\x94\x92", "user-agent=caf\xc3\xa9/1 \xf0\x9f\x94\x92;" },
		{ "caf\xe9/1", "user-agent=caf?/1;" },
		{ "a\x1b[2J\x7f\xc2\x9b\xff", "user-agent=a?[2J????;" },
		{ "\xed\xa0\x80", "user-agent=\x3f\x3f\x3f;" },
		{ "x\xc3", "user-agent=x?;" },
	};
	char filler[201];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *order = rig_ready_order(&client, "www.example.com");

		client.user_agent = cases[i].sent;
		assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
		assert_non_null(strstr(rig.core.last_attributes, cases[i].kept));
		free(order);
	}
	/* The last character of two octets would be cut in the middle. */
	memset(filler, 'x', sizeof(filler));
	memcpy(filler + 199, "\xc3", 2);
	char *agent = signing_text("%s%s", filler, "\xa9yz"), *order = rig_ready_order(&client, "www.example.com");

	client.user_agent = agent;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_non_null(strstr(rig.core.last_attributes, "xx;site=lab;"));
	client.user_agent = NULL;
	free(agent);
	free(order);
}

static void follows_a_held_request_until_it_is_issued(void **state)
{
	char *order = rig_ready_order(&client, "held.example.com");

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, order, "DNS:held.example.com"), 200);
	assert_string_equal(rig_json(&client, "status"), "processing");
	assert_string_equal(retry_after(), "5");
	for (int i = 0; i < 3; i++) {
		expect_order(order, "processing");
		assert_string_equal(retry_after(), "5");
	}
	assert_int_equal(rig.core.submits, 1);
	assert_int_equal(rig.core.peeks, 3);
	assert_int_equal(rig.core.retrieves, 0);
	rig.core.disposition = CA_ISSUED;
	expect_order(order, "valid");
	assert_int_equal(rig.core.retrieves, 1);
	assert_int_equal(rig_post(&client, rig_json(&client, "certificate"), ""), 200);
	expect_order(order, "valid");
	assert_int_equal(rig.core.submits + rig.core.peeks + rig.core.retrieves, 6);
	free(order);
}

/* Collecting voids what an officer granted, so it comes after the certificate is safe here: a core or a gateway that
 * ends before costs nothing. But nobody is given a certificate that a newer order could still have revoked. */
static void keeps_the_certificate_when_it_cannot_be_collected(void **state)
{
	char *order = rig_ready_order(&client, "held.example.com"), *certificate;

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, order, "DNS:held.example.com"), 200);
	rig.core.disposition = CA_ISSUED;
	rig.core.retrieve_call = -5;
	expect_order(order, "valid");
	assert_int_equal(rig.core.retrieves, 1);
	certificate = strdup(rig_json(&client, "certificate"));
	rig_restart(&rig, "");
	rig.core.retrieve_call = CA_CALL_BUSY;
	assert_int_equal(rig_post(&client, certificate, ""), 503);
	assert_int_equal(rig.core.retrieves, 2);
	rig.core.retrieve_call = 0;
	expect_order(order, "valid");
	assert_int_equal(rig.core.retrieves, 3);
	expect_order(order, "valid");
	assert_int_equal(rig_post(&client, certificate, ""), 200);
	assert_int_equal(rig.core.retrieves, 3);
	assert_int_equal(rig.core.peeks, 1);
	free(certificate);
	free(order);
}

/* The core did not answer in time; by then somebody may have approved. */
static void collects_what_was_issued_for_a_repeat(void **state)
{
	char *order = rig_ready_order(&client, "held.example.com");

	rig.core.call = CA_CALL_BUSY;
	assert_int_equal(rig_finalize(&client, order, "DNS:held.example.com"), 200);
	rig.core.call = 0;
	expect_order(order, "valid");
	assert_int_equal(rig.core.submits, 2);
	assert_int_equal(rig.core.retrieves, 1);
	free(order);
}

/* The gateway ended before it wrote down that the request waits, and somebody approved it meanwhile. */
static void collects_what_may_have_waited_before_a_restart(void **state)
{
	char *before, *after;

	clock_fake_advance(1000);
	before = rig_ready_order(&client, "held.example.com");
	clock_fake_advance(1000);
	rig_restart(&rig, "");
	clock_fake_advance(1000);
	after = rig_ready_order(&client, "held.example.com");
	assert_int_equal(rig_finalize(&client, after, "DNS:held.example.com"), 200);
	assert_int_equal(rig.core.retrieves, 0);
	assert_int_equal(rig_finalize(&client, before, "DNS:held.example.com"), 200);
	assert_int_equal(rig.core.retrieves, 1);
	free(before);
	free(after);
}

static void lets_a_client_wait_longer_the_older_its_request_is(void **state)
{
	static const struct {
		int64_t at_s;
		const char *retry_after;
	} steps[] = {
		{ 0, "5" }, { 59, "5" }, { 60, "15" }, { 299, "15" }, { 300, "60" }, { 3599, "60" }, { 3600, "300" },
		{ 21599, "300" }, { 21600, "600" }, { 500000, "600" },
	};
	char *order = rig_ready_order(&client, "held.example.com");

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, order, "DNS:held.example.com"), 200);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		clock_fake_set(RIG_NOW_MS + steps[i].at_s * 1000);
		expect_order(order, "processing");
		assert_string_equal(retry_after(), steps[i].retry_after);
	}
	free(order);
}

static void prints_the_reason_of_a_denial_in_the_order(void **state)
{
	char *order = rig_ready_order(&client, "held.example.com");

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, order, "DNS:held.example.com"), 200);
	rig.core.disposition = CA_DENIED;
	rig.core.status = CA_STATUS_ADMIN_DENIED;
	rig.core.reason = "not before the audit";
	expect_order(order, "invalid");
	assert_string_equal(rig_json(&client, "error.type"), "urn:ietf:params:acme:error:unauthorized");
	assert_string_equal(rig_json(&client, "error.detail"), "not before the audit");
	expect_order(order, "invalid");
	assert_string_equal(rig_json(&client, "error.detail"), "not before the audit");
	assert_int_equal(rig_finalize(&client, order, "DNS:held.example.com"), 403);
	assert_string_equal(rig_problem(&client), "orderNotReady");
	free(order);
}

/* What finalize answers for each answer of the core that is neither issued nor held, and what the order is then. */
static void answers_a_refusal_with_the_right_problem(void **state)
{
	static const struct {
		int call;
		enum ca_disposition disposition;
		enum ca_status status;
		int http;
		const char *problem, *order;
	} cases[] = {
		{ 0, CA_DENIED, CA_STATUS_POLICY_DENIED, 403, "unauthorized", "invalid" },
		{ 0, CA_DENIED, CA_STATUS_ADMIN_DENIED, 403, "unauthorized", "invalid" },
		{ 0, CA_DENIED, CA_STATUS_SUPERSEDED, 403, "unauthorized", "invalid" },
		{ 0, CA_REVOKED, CA_STATUS_NONE, 403, "unauthorized", "invalid" },
		{ 0, CA_ERROR, CA_STATUS_BAD_REQUEST, 400, "badCSR", "ready" },
		{ 0, CA_ERROR, CA_STATUS_BAD_SIGNATURE, 400, "badCSR", "ready" },
		{ 0, CA_ERROR, CA_STATUS_BAD_NAME, 400, "badCSR", "ready" },
		{ 0, CA_ERROR, CA_STATUS_BAD_KEY, 400, "badPublicKey", "ready" },
		{ 0, CA_ERROR, CA_STATUS_POLICY_FAILURE, 500, "serverInternal", "ready" },
		{ 0, CA_ERROR, CA_STATUS_SIGNER_FAILURE, 500, "serverInternal", "ready" },
		{ 0, CA_ERROR, CA_STATUS_BUILD_FAILURE, 500, "serverInternal", "ready" },
		{ CA_CALL_REFUSED, CA_INCOMPLETE, CA_STATUS_NONE, 403, "unauthorized", "invalid" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *order = rig_ready_order(&client, "www.example.com");
		bool told;

		rig.core.call = cases[i].call;
		rig.core.disposition = cases[i].disposition;
		rig.core.status = cases[i].status;
		rig.core.reason = "the reason of the core";
		assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), cases[i].http);
		assert_string_equal(rig_problem(&client), cases[i].problem);
		told = strcmp(rig_json(&client, "detail"), "the reason of the core") == 0;
		assert_int_equal(told, strcmp(cases[i].problem, "serverInternal") != 0);
		rig.core.call = 0;
		expect_order(order, cases[i].order);
		free(order);
	}
}

static void takes_another_csr_after_a_bad_one(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");

	rig.core.disposition = CA_ERROR;
	rig.core.status = CA_STATUS_BAD_NAME;
	assert_int_equal(rig_finalize(&client, order, "DNS:other.example.com"), 400);
	rig.core.disposition = CA_ISSUED;
	rig.core.status = CA_STATUS_NONE;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	free(order);
}

/* A CSR that turned out bad only while it was held cannot be replaced: nobody is there to post one. */
static void ends_the_order_when_a_held_request_fails(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	rig.core.disposition = CA_ERROR;
	rig.core.status = CA_STATUS_BAD_KEY;
	expect_order(order, "invalid");
	assert_string_equal(rig_json(&client, "error.type"), "urn:ietf:params:acme:error:badPublicKey");
	free(order);
}

static void submits_the_same_octets_again_while_the_core_is_busy(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");
	uint8_t key[CA_TRANSACTION_KEY_SIZE];
	OWNED_BUF first = BUF_INIT(CA_REQUEST_MAX);

	rig.core.call = CA_CALL_BUSY;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_string_equal(rig_json(&client, "status"), "processing");
	assert_string_equal(retry_after(), "5");
	memcpy(key, rig.core.last.transaction_key, sizeof(key));
	assert_int_equal(buf_append(&first, buf_bytes(&rig.core.last_request)), 0);
	expect_order(order, "processing");
	rig_restart(&rig, ""); /* and over a restart of the gateway */
	expect_order(order, "processing");
	assert_int_equal(rig.core.submits, 3);
	assert_int_equal(rig.core.peeks, 0);
	assert_memory_equal(key, rig.core.last.transaction_key, sizeof(key));
	assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&rig.core.last_request)));
	rig.core.call = 0;
	expect_order(order, "valid");
	free(order);
}

static void submits_an_order_until_it_expires(void **state)
{
	static const struct acme_order expired = { .expires_s = RIG_NOW_MS / 1000 };
	char *order = rig_ready_order(&client, "www.example.com");

	rig.core.call = CA_CALL_BUSY;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	clock_fake_set(RIG_NOW_MS + 7 * DAY_MS - 1000);
	expect_order(order, "processing");
	assert_int_equal(rig.core.submits, 2);
	assert_int_equal(rig.core.last.collect_s, 1);
	clock_fake_advance(1000);
	expect_order(order, "invalid");
	assert_int_equal(rig.core.submits, 2);
	free(order);
	for (int64_t late_s = 0; late_s < 3; late_s++)
		assert_int_equal(acme_collect_s(&expired, expired.expires_s + late_s), 0);
	assert_int_equal(acme_collect_s(&expired, 0), RIG_NOW_MS / 1000);
	assert_int_equal(acme_collect_s(&expired, -INT64_C(10000000000)), UINT_MAX);
}

static void submits_later_when_no_worker_is_to_spare(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");

	rig.may_wait = false;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_string_equal(rig_json(&client, "status"), "processing");
	assert_string_equal(retry_after(), "5");
	expect_order(order, "processing");
	assert_int_equal(rig.core.submits, 0);
	rig.may_wait = true;
	expect_order(order, "valid");
	assert_int_equal(rig.core.submits, 1);
	assert_int_equal(rig.core.waiting, 1);
	free(order);
}

static void submits_only_what_is_still_proven(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");
	char *authz = strdup(rig_json(&client, "authorizations.0"));

	rig.core.call = CA_CALL_BUSY;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_int_equal(rig_post(&client, authz, "{\"status\":\"deactivated\"}"), 200);
	rig.core.call = 0;
	expect_order(order, "invalid");
	assert_string_equal(rig_json(&client, "error.type"), "urn:ietf:params:acme:error:unauthorized");
	assert_string_equal(rig_json(&client, "error.detail"), "the authorization of www.example.com is deactivated");
	assert_int_equal(rig.core.submits, 1);
	free(authz);
	free(order);
}

static void keeps_the_order_when_the_core_fails(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");

	rig.core.call = -5;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 500);
	assert_string_equal(rig_problem(&client), "serverInternal");
	assert_int_equal(rig_post(&client, order, ""), 500);
	rig.core.call = 0;
	expect_order(order, "valid");
	assert_int_equal(rig.core.submits, 3);
	free(order);
}

static void submits_again_when_the_core_lost_a_held_request(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	rig.core.call = CA_CALL_NOT_FOUND;
	(void)rig_post(&client, order, "");
	assert_int_equal(rig.core.submits, 2);
	free(order);
}

static void answers_a_repeated_finalize_with_the_order(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");
	EVP_PKEY *first = rig.cert_key;
	struct signing_key other = signing_key_make("ES256", 0);
	/* ECDSA signatures differ, so the same octets are posted. */
	char *csr = signing_csr(first, "DNS:www.example.com"), *payload = signing_text("{\"csr\":\"%s\"}", csr);
	char *url = signing_text("%s/finalize", order);

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_post(&client, url, payload), 200);
	assert_string_equal(rig_json(&client, "status"), "processing");
	assert_int_equal(rig_post(&client, url, payload), 200);
	assert_string_equal(rig_json(&client, "status"), "processing");
	assert_string_equal(retry_after(), "5");
	rig.core.disposition = CA_ISSUED;
	assert_int_equal(rig_post(&client, url, payload), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	assert_int_equal(rig_post(&client, url, payload), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	assert_int_equal(rig.core.submits, 1);
	rig.cert_key = other.key;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 403);
	assert_string_equal(rig_problem(&client), "orderNotReady");
	rig.cert_key = first;
	signing_key_fini(&other);
	free(csr);
	free(payload);
	free(url);
	free(order);
}

/* The gateway died between the core's answer and its own commit, and the client comes back with a new key. */
static void never_gives_a_certificate_of_another_key(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");
	EVP_PKEY *first = rig.cert_key;
	struct signing_key other = signing_key_make("ES256", 0);

	rig.cert_key = other.key;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 403);
	assert_string_equal(rig_problem(&client), "orderNotReady");
	expect_order(order, "invalid");
	assert_string_equal(rig_json(&client, "certificate"), "");
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 403);
	assert_int_equal(rig.core.submits, 1);
	rig.cert_key = first;
	signing_key_fini(&other);
	free(order);
}

/* The same, and the core could not say at once. */
static void gives_no_certificate_of_another_key_after_waiting(void **state)
{
	static const enum ca_disposition waiting[] = { CA_UNDER_SUBMISSION, CA_INCOMPLETE };
	EVP_PKEY *first = rig.cert_key;
	struct signing_key other = signing_key_make("ES256", 0);

	rig.cert_key = other.key;
	for (size_t i = 0; i < 2; i++) {
		char *order = rig_ready_order(&client, "www.example.com");

		rig.core.disposition = waiting[i];
		assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
		assert_string_equal(rig_json(&client, "status"), "processing");
		rig.core.disposition = CA_ISSUED;
		expect_order(order, "invalid");
		assert_string_equal(rig_json(&client, "certificate"), "");
		assert_string_equal(rig_json(&client, "error.type"), "urn:ietf:params:acme:error:orderNotReady");
		free(order);
	}
	rig.cert_key = first;
	signing_key_fini(&other);
}

struct second_finalize {
	char *order;
	int status;
	char text[32], retry_after[8];
};

/* Runs inside ca_submit() of the first one. */
static void finalize_at_the_same_time(void *arg)
{
	struct second_finalize *s = arg;
	struct rig_client other = client;

	other.a = (struct rig_answer){ 0 };
	rig_get(&other, "HEAD", RIG_BASE "/acme/new-nonce");
	s->status = rig_finalize(&other, s->order, "DNS:www.example.com");
	snprintf(s->text, sizeof(s->text), "%s", rig_json(&other, "status"));
	snprintf(s->retry_after, sizeof(s->retry_after), "%s", rig_answer_header(&other, "Retry-After"));
	other.key = (struct signing_key){ 0 };
	rig_client_fini(&other);
}

static void submits_once_when_finalized_twice_at_once(void **state)
{
	struct second_finalize second = { .order = rig_ready_order(&client, "www.example.com") };

	rig.core.during_submit = finalize_at_the_same_time;
	rig.core.during_arg = &second;
	assert_int_equal(rig_finalize(&client, second.order, "DNS:www.example.com"), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	assert_int_equal(second.status, 200);
	assert_string_equal(second.text, "processing");
	assert_string_equal(second.retry_after, "5");
	assert_int_equal(rig.core.submits, 1);
	free(second.order);
}

static void refuses_to_finalize_an_order_that_is_not_ready(void **state)
{
	char *order = rig_order(&client, "www.example.com");

	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 403);
	assert_string_equal(rig_problem(&client), "orderNotReady");
	clock_fake_advance(8 * DAY_MS);
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 403);
	assert_string_equal(rig_problem(&client), "orderNotReady");
	assert_int_equal(rig.core.submits, 0);
	free(order);
}

static void refuses_requests_that_are_no_csr(void **state)
{
	static const char *const payloads[] = {
		"{}", "{\"csr\":1}", "{\"csr\":\"\"}", "{\"csr\":\"AAAA=\"}", "{\"csr\":\"-----BEGIN\"}",
		"{\"csr\":\"AAAA\"}", "{\"CSR\":\"AAAA\"}", "",
	};
	char *order = rig_ready_order(&client, "www.example.com"), *url = signing_text("%s/finalize", order);

	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		assert_int_equal(rig_post(&client, url, payloads[i]), 400);
		assert_string_equal(rig_problem(&client), "badCSR");
	}
	assert_int_equal(rig.core.submits, 0);
	expect_order(order, "ready");
	free(order);
	free(url);
}

/* RFC 8555 11.1. */
static void refuses_the_account_key_in_the_csr(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");
	EVP_PKEY *cert_key = rig.cert_key;

	rig.cert_key = client.key.key;
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 400);
	assert_string_equal(rig_problem(&client), "badCSR");
	assert_int_equal(rig.core.submits, 0);
	rig.cert_key = cert_key;
	free(order);
}

static void follows_a_slow_validation(void **state)
{
	char *order = rig_order(&client, "www.example.com"), *authz, *challenge;

	authz = strdup(rig_json(&client, "authorizations.0"));
	assert_int_equal(rig_post(&client, authz, ""), 200);
	challenge = strdup(rig_json(&client, "challenges.0.url"));
	assert_int_equal(rig.validator.checks, 0); /* nothing starts before the client says so */
	rig.validator.call = VALIDATION_RUNNING;
	assert_int_equal(rig_post(&client, challenge, "{}"), 200);
	assert_string_equal(rig_json(&client, "status"), "processing");
	assert_string_equal(retry_after(), "1");
	rig.validator.call = VALIDATION_BUSY;
	assert_int_equal(rig_post(&client, challenge, ""), 200);
	assert_string_equal(rig_json(&client, "status"), "processing");
	assert_int_equal(rig.validator.last_wait_ms, 0);
	rig_restart(&rig, ""); /* jobs are gone; asking again starts them anew */
	assert_int_equal(rig_post(&client, authz, ""), 200);
	assert_string_equal(rig_json(&client, "status"), "pending");
	assert_string_equal(rig_json(&client, "challenges.0.status"), "processing");
	rig.validator.call = 0;
	expect_order(order, "ready");
	assert_int_equal(rig_post(&client, authz, ""), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	assert_int_equal(rig.validator.checks, 4);
	free(order);
	free(authz);
	free(challenge);
}

static void does_not_wait_when_no_worker_is_to_spare(void **state)
{
	char *order = rig_order(&client, "www.example.com");

	rig.may_wait = false;
	assert_int_equal(rig_post(&client, rig_json(&client, "authorizations.0"), ""), 200);
	assert_int_equal(rig_post(&client, rig_json(&client, "challenges.0.url"), "{\"extra\":1}"), 200);
	assert_int_equal(rig.validator.last_wait_ms, 0);
	assert_int_equal(rig.validator.checks, 1);
	free(order);
}

static void tells_why_a_validation_failed(void **state)
{
	static const struct {
		enum validation_problem problem;
		const char *type;
	} cases[] = {
		{ VALIDATION_PROBLEM_DNS, "dns" },
		{ VALIDATION_PROBLEM_CONNECTION, "connection" },
		{ VALIDATION_PROBLEM_INCORRECT_RESPONSE, "incorrectResponse" },
		{ VALIDATION_PROBLEM_TLS, "tls" },
		{ VALIDATION_PROBLEM_FORBIDDEN_ADDRESS, "connection" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *order = rig_order(&client, "www.example.com"), *authz, type[64];

		snprintf(type, sizeof(type), "urn:ietf:params:acme:error:%s", cases[i].type);
		rig.validator.problem = cases[i].problem;
		authz = strdup(rig_json(&client, "authorizations.0"));
		assert_int_equal(rig_post(&client, authz, ""), 200);
		assert_int_equal(rig_post(&client, rig_json(&client, "challenges.0.url"), "{}"), 200);
		assert_string_equal(rig_json(&client, "status"), "invalid");
		assert_string_equal(rig_json(&client, "error.type"), type);
		assert_string_equal(rig_json(&client, "error.detail"), "it did not work");
		assert_int_equal(rig_post(&client, authz, ""), 200);
		assert_string_equal(rig_json(&client, "status"), "invalid");
		expect_order(order, "invalid");
		assert_string_not_equal(rig_json(&client, "error.detail"), "");
		free(order);
		free(authz);
	}
}

/* The proof names the key of the account (RFC 8555 8.1). */
static void binds_a_challenge_to_its_account(void **state)
{
	struct rig_client other;
	char first[256];
	char *order = rig_ready_order(&client, "www.example.com"), *theirs;

	snprintf(first, sizeof(first), "%s", strchr(rig.validator.last_authorization, '.') + 1);
	rig_client_init(&other, &rig, "EdDSA");
	rig_register(&other);
	theirs = rig_ready_order(&other, "www.example.com");
	assert_string_not_equal(first, strchr(rig.validator.last_authorization, '.') + 1);
	assert_int_equal(strlen(first), 43);
	assert_int_equal(rig.validator.checks, 2); /* an authorization is good for its own account only */
	rig_client_fini(&other);
	free(order);
	free(theirs);
}

static void uses_a_valid_authorization_again(void **state)
{
	char *first = rig_ready_order(&client, "www.example.com"), *second, *authz;

	authz = strdup(rig_json(&client, "authorizations.0"));
	second = rig_order(&client, "www.example.com");
	assert_string_equal(rig_json(&client, "status"), "ready");
	assert_string_equal(rig_json(&client, "authorizations.0"), authz);
	assert_int_equal(rig.validator.checks, 1);
	assert_int_equal(rig_finalize(&client, second, "DNS:www.example.com"), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	free(second);
	clock_fake_advance(30 * DAY_MS - 1000 * 1800); /* too little is left of it */
	second = rig_order(&client, "www.example.com");
	assert_string_equal(rig_json(&client, "status"), "pending");
	free(first);
	free(second);
	free(authz);
}

static void uses_no_authorization_again_when_told_so(void **state)
{
	char *first = rig_ready_order(&client, "www.example.com"), *second;

	rig_restart(&rig, "authorization-reuse: false\n");
	second = rig_order(&client, "www.example.com");
	assert_string_equal(rig_json(&client, "status"), "pending");
	free(first);
	free(second);
}

static void uses_no_deactivated_authorization_again(void **state)
{
	char *first = rig_ready_order(&client, "www.example.com"), *second, *authz;

	authz = strdup(rig_json(&client, "authorizations.0"));
	assert_int_equal(rig_post(&client, authz, "{\"status\":\"valid\"}"), 400);
	assert_int_equal(rig_post(&client, authz, "{\"status\":\"deactivated\"}"), 200);
	assert_string_equal(rig_json(&client, "status"), "deactivated");
	assert_int_equal(rig_post(&client, authz, "{\"status\":\"deactivated\"}"), 400);
	expect_order(first, "invalid");
	assert_int_equal(rig_finalize(&client, first, "DNS:www.example.com"), 403);
	second = rig_order(&client, "www.example.com");
	assert_string_equal(rig_json(&client, "status"), "pending");
	free(first);
	free(second);
	free(authz);
}

static void lets_orders_and_authorizations_expire(void **state)
{
	char *pending = rig_order(&client, "a.example.com"), *authz = strdup(rig_json(&client, "authorizations.0"));
	char *held = rig_ready_order(&client, "b.example.com");

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, held, "DNS:b.example.com"), 200);
	clock_fake_advance(7 * DAY_MS - 1000);
	expect_order(pending, "pending");
	assert_string_equal(retry_after(), "1");
	expect_order(held, "processing");
	clock_fake_advance(1000);
	expect_order(pending, "invalid");
	assert_string_equal(rig_json(&client, "error.detail"), "the order expired");
	expect_order(held, "invalid");
	assert_string_equal(rig_json(&client, "error.detail"), "the order expired");
	assert_int_equal(rig_post(&client, authz, ""), 200);
	assert_string_equal(rig_json(&client, "status"), "invalid");
	free(pending);
	free(authz);
	free(held);
}

static void forgets_what_nobody_will_ask_for(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com"), *certificate;
	char *authz = strdup(rig_json(&client, "authorizations.0"));

	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	certificate = strdup(rig_json(&client, "certificate"));
	clock_fake_advance(36 * DAY_MS);
	proto_acme.tick(rig.state);
	assert_int_equal(rig_post(&client, certificate, ""), 200); /* 7 days and 30 of retention */
	assert_int_equal(rig_post(&client, authz, ""), 200);
	assert_string_equal(rig_json(&client, "status"), "expired");
	clock_fake_advance(2 * DAY_MS);
	proto_acme.tick(rig.state);
	assert_int_equal(rig_post(&client, certificate, ""), 404);
	assert_int_equal(rig_post(&client, order, ""), 404);
	assert_int_equal(rig_post(&client, authz, ""), 404);
	free(order);
	free(certificate);
	free(authz);
}

static void takes_several_identifiers_and_addresses(void **state)
{
	char *order;

	assert_int_equal(rig_post(&client, RIG_BASE "/acme/new-order",
				  "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"b.example\"},"
				  "{\"type\":\"ip\",\"value\":\"192.0.2.1\"},"
				  "{\"type\":\"dns\",\"value\":\"B.EXAMPLE\"},"
				  "{\"type\":\"dns\",\"value\":\"a.example\"}]}"), 201);
	order = strdup(rig_answer_header(&client, "Location"));
	assert_int_equal(cJSON_GetArraySize(json_get(client.a.json, "identifiers")), 3); /* one came twice */
	assert_int_equal(cJSON_GetArraySize(json_get(client.a.json, "authorizations")), 3);
	rig_validate(&client, order);
	assert_int_equal(rig_finalize(&client, order, "DNS:b.example,IP:192.0.2.1,DNS:a.example"), 200);
	assert_string_equal(rig.core.last_names, "dns:b.example;ip:192.0.2.1;dns:a.example;");
	free(order);
}

int main(void)
{
#define LIFE(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		LIFE(leads_from_an_order_to_a_certificate),
		LIFE(gives_a_chain_of_two_certificates),
		LIFE(tells_the_core_who_asks_and_what_was_proven),
		LIFE(gives_the_core_no_text_that_is_none),
		LIFE(follows_a_held_request_until_it_is_issued),
		LIFE(keeps_the_certificate_when_it_cannot_be_collected),
		LIFE(collects_what_was_issued_for_a_repeat),
		LIFE(collects_what_may_have_waited_before_a_restart),
		LIFE(lets_a_client_wait_longer_the_older_its_request_is),
		LIFE(prints_the_reason_of_a_denial_in_the_order),
		LIFE(answers_a_refusal_with_the_right_problem),
		LIFE(takes_another_csr_after_a_bad_one),
		LIFE(ends_the_order_when_a_held_request_fails),
		LIFE(submits_the_same_octets_again_while_the_core_is_busy),
		LIFE(submits_an_order_until_it_expires),
		LIFE(submits_later_when_no_worker_is_to_spare),
		LIFE(submits_only_what_is_still_proven),
		LIFE(keeps_the_order_when_the_core_fails),
		LIFE(submits_again_when_the_core_lost_a_held_request),
		LIFE(answers_a_repeated_finalize_with_the_order),
		LIFE(never_gives_a_certificate_of_another_key),
		LIFE(gives_no_certificate_of_another_key_after_waiting),
		LIFE(submits_once_when_finalized_twice_at_once),
		LIFE(refuses_to_finalize_an_order_that_is_not_ready),
		LIFE(refuses_requests_that_are_no_csr),
		LIFE(refuses_the_account_key_in_the_csr),
		LIFE(follows_a_slow_validation),
		LIFE(does_not_wait_when_no_worker_is_to_spare),
		LIFE(tells_why_a_validation_failed),
		LIFE(binds_a_challenge_to_its_account),
		LIFE(uses_a_valid_authorization_again),
		LIFE(uses_no_authorization_again_when_told_so),
		LIFE(uses_no_deactivated_authorization_again),
		LIFE(lets_orders_and_authorizations_expire),
		LIFE(forgets_what_nobody_will_ask_for),
		LIFE(takes_several_identifiers_and_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
