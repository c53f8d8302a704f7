/* What every ACME message must be and every answer carries; accounts; who may see what.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/clock.h"
#include "tests/test.h"
#include "tests/unit/protocols/acme_rig.h"

#define NEW_ACCOUNT RIG_BASE "/acme/new-account"
#define NEW_ORDER RIG_BASE "/acme/new-order"
#define NEW_NONCE RIG_BASE "/acme/new-nonce"
#define DIRECTORY RIG_BASE "/acme/directory"

static struct rig rig;
static struct rig_client client;

static int start(void **state)
{
	rig_start(&rig, "{}");
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

static void expect_problem(int status, const char *type)
{
	assert_string_equal(rig_problem(&client), type);
	assert_int_equal(client.a.r.status, status);
	assert_string_equal(rig_answer_link(&client, "index"), DIRECTORY);
}

/* A POST whose protected header is this text. */
__attribute__((format(printf, 2, 3))) static int post_header(const char *url, const char *format, ...)
{
	struct buf header = BUF_INIT(65536);
	va_list args;
	char *body;
	int status;

	va_start(args, format);
	assert_int_equal(buf_vprintf(&header, format, args), 0);
	va_end(args);
	body = signing_message(&client.key, buf_str(&header), "");
	status = rig_post_body(&client, url, body);
	buf_fini(&header);
	free(body);
	return status;
}

static void lists_its_resources_in_the_directory(void **state)
{
	rig_get(&client, "GET", DIRECTORY);
	assert_int_equal(client.a.r.status, 200);
	assert_string_equal(rig_answer_header(&client, "Content-Type"), "application/json");
	assert_string_equal(rig_json(&client, "newNonce"), NEW_NONCE);
	assert_string_equal(rig_json(&client, "newAccount"), NEW_ACCOUNT);
	assert_string_equal(rig_json(&client, "newOrder"), NEW_ORDER);
	assert_string_equal(rig_json(&client, "revokeCert"), RIG_BASE "/acme/revoke-cert");
	assert_string_equal(rig_json(&client, "keyChange"), RIG_BASE "/acme/key-change");
	assert_null(json_get(client.a.json, "meta"));
	assert_int_equal(cJSON_GetArraySize(client.a.json), 6); /* and one that means nothing */
	assert_null(rig_answer_link(&client, "index"));
	assert_string_equal(rig_answer_header(&client, "Access-Control-Allow-Origin"), "*");
	assert_int_equal(rig_post(&client, DIRECTORY, ""), 200); /* RFC 8555 6.3 */
	assert_string_equal(rig_json(&client, "newOrder"), NEW_ORDER);
}

static void tells_about_itself_in_the_directory(void **state)
{
	rig_restart(&rig, "terms-of-service: https://ca.example/terms\nwebsite: https://ca.example/\n"
			  "caa-identities: [ca.example, ca2.example]\n");
	rig_get(&client, "GET", DIRECTORY);
	assert_string_equal(rig_json(&client, "meta.termsOfService"), "https://ca.example/terms");
	assert_string_equal(rig_json(&client, "meta.website"), "https://ca.example/");
	assert_string_equal(rig_json(&client, "meta.caaIdentities.1"), "ca2.example");
	assert_null(json_get(json_get(client.a.json, "meta"), "externalAccountRequired"));
}

static void gives_nonces_to_head_get_and_post(void **state)
{
	static const struct {
		const char *method;
		int status;
	} cases[] = { { "HEAD", 200 }, { "GET", 204 } };

	for (size_t i = 0; i < 2; i++) {
		rig_get(&client, cases[i].method, NEW_NONCE);
		assert_int_equal(client.a.r.status, cases[i].status);
		assert_string_equal(rig_answer_header(&client, "Cache-Control"), "no-store");
		assert_non_null(rig_answer_header(&client, "Replay-Nonce"));
		assert_string_equal(rig_answer_link(&client, "index"), DIRECTORY);
		assert_int_equal(client.a.r.body.len, 0);
		assert_int_equal(rig_post(&client, NEW_NONCE, ""), 200);
		assert_string_equal(rig_answer_header(&client, "Cache-Control"), "no-store");
	}
}

static void limits_how_many_nonces_an_address_gets(void **state)
{
	rig_restart(&rig, "nonces-burst: 2\nnonces-per-second: 1\n");
	rig_get(&client, "HEAD", NEW_NONCE);
	rig_get(&client, "HEAD", NEW_NONCE);
	assert_int_equal(client.a.r.status, 200);
	rig_get(&client, "GET", NEW_NONCE);
	expect_problem(429, "rateLimited");
	assert_non_null(rig_answer_header(&client, "Retry-After"));
	clock_fake_advance(2000);
	rig_get(&client, "HEAD", NEW_NONCE);
	assert_int_equal(client.a.r.status, 200);
}

/* S13 */
static void takes_each_nonce_once(void **state)
{
	char used[64];

	snprintf(used, sizeof(used), "%s", client.nonce);
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
	assert_string_not_equal(client.nonce, used);
	snprintf(client.nonce, sizeof(client.nonce), "%s", used);
	assert_int_equal(rig_post(&client, client.kid, ""), 400);
	expect_problem(400, "badNonce");
	assert_int_equal(rig_post(&client, client.kid, ""), 200); /* with the nonce of the refusal */
}

/* S13 */
static void refuses_nonces_that_are_not_good(void **state)
{
	assert_int_equal(post_header(client.kid, "{\"alg\":\"ES256\",\"url\":\"%s\",\"kid\":\"%s\"}", client.kid,
				     client.kid), 400);
	expect_problem(400, "badNonce");
	snprintf(client.nonce, sizeof(client.nonce), "AAAAAAAAAAAAAAAAAAAAAA");
	assert_int_equal(rig_post(&client, client.kid, ""), 400);
	expect_problem(400, "badNonce");
	snprintf(client.nonce, sizeof(client.nonce), "%s", "");
	assert_int_equal(rig_post(&client, client.kid, ""), 400);
	expect_problem(400, "badNonce");
	snprintf(client.nonce, sizeof(client.nonce), "not a nonce!");
	assert_int_equal(rig_post(&client, client.kid, ""), 400);
	expect_problem(400, "malformed");
}

static void keeps_nonces_over_a_graceful_stop(void **state)
{
	rig_restart(&rig, "{}");
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
}

/* S13 */
static void compares_the_url_exactly(void **state)
{
	static const char *const urls[] = {
		"http://ca.example:8443/acme/account/1",  "https://ca.example/acme/account/1",
		"https://CA.example:8443/acme/account/1", "https://ca.example:8443/acme/account/1/",
		"https://ca.example:8443/acme/account/2", "https://ca.example:8443/acme/account/1?",
		"https://ca.example:8443/acme//account/1", "/acme/account/1", "",
		"https://ca.example:8443/acme/account/1?x=1", "https://ca.example:8443/acme/account/%31",
	};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		client.url = urls[i];
		assert_int_equal(rig_post(&client, client.kid, ""), 403);
		expect_problem(403, "unauthorized");
	}
	client.url = NULL;
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
	client.url = client.kid; /* a query belongs to the URL */
	assert_int_equal(rig_post(&client, RIG_BASE "/acme/account/1?x=1", ""), 403);
	client.url = NULL;
}

static void wants_the_content_type_of_jose(void **state)
{
	static const char *const types[] = { "application/json", "text/plain", "application/jose", "" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		client.content_type = types[i];
		assert_int_equal(rig_post(&client, client.kid, ""), 415);
		expect_problem(415, "malformed");
	}
	client.content_type = "application/jose+json; charset=utf-8";
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
}

/* S11 */
static void lists_the_algorithms_it_takes(void **state)
{
	assert_int_equal(post_header(client.kid, "{\"alg\":\"HS256\",\"nonce\":\"%s\",\"url\":\"%s\",\"kid\":\"%s\"}",
				     client.nonce, client.kid, client.kid), 400);
	expect_problem(400, "badSignatureAlgorithm");
	assert_string_equal(rig_json(&client, "algorithms.0"), "ES256");
	assert_int_equal(cJSON_GetArraySize(json_get(client.a.json, "algorithms")), 4);
	assert_int_equal(post_header(client.kid, "{\"alg\":\"RS256\",\"nonce\":\"%s\",\"url\":\"%s\",\"kid\":\"%s\"}",
				     client.nonce, client.kid, client.kid), 400);
	expect_problem(400, "badSignatureAlgorithm");
}

static void refuses_bodies_that_are_no_message(void **state)
{
	static const char *const bodies[] = { "", "{}", "[]", "x", "{\"payload\":\"\"}", "null" };

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(rig_post_body(&client, client.kid, bodies[i]), 400);
		expect_problem(400, "malformed");
	}
}

static void refuses_payloads_that_are_no_object(void **state)
{
	static const char *const payloads[] = {
		"[]", "1", "null", "{", "{\"a\":1,\"a\":2}", "{\"a\\u0000\":1}", " ",
	};

	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		assert_int_equal(rig_post(&client, NEW_ORDER, payloads[i]), 400);
		expect_problem(400, "malformed");
	}
}

static void refuses_a_signature_of_another_key(void **state)
{
	struct signing_key own = client.key, other = signing_key_make("ES256", 0);

	client.key = other;
	assert_int_equal(rig_post(&client, client.kid, ""), 400);
	expect_problem(400, "malformed");
	client.key = own;
	signing_key_fini(&other);
}

/* S12 */
static void wants_the_account_where_an_account_signs(void **state)
{
	static const char *const kids[] = {
		"https://ca.example:8443/acme/account/999",  "https://other.example:8443/acme/account/1",
		"https://ca.example/acme/account/1",         "http://ca.example:8443/acme/account/1",
		"https://ca.example:8443/acme/account/01",   "https://ca.example:8443/acme/account/1/",
		"https://ca.example:8443/acme/account/x",    "https://ca.example:8443/acme/account/",
		"https://ca.example:8443/acme/account/../account/1", "1", "", "/acme/account/1",
		"https://ca.example:8443/acme/account/99999999999999999999999999",
		"https://ca.example:8443/est/account/1",
	};
	char own[256];

	snprintf(own, sizeof(own), "%s", client.kid);
	for (size_t i = 0; i < sizeof(kids) / sizeof(kids[0]); i++) {
		assert_int_equal(post_header(NEW_ORDER, "{\"alg\":\"ES256\",\"nonce\":\"%s\",\"url\":\"%s\","
							"\"kid\":\"%s\"}", client.nonce, NEW_ORDER, kids[i]), 400);
		expect_problem(400, "accountDoesNotExist");
	}
	client.kid[0] = '\0'; /* jwk on a route of accounts */
	assert_int_equal(rig_post(&client, NEW_ORDER, "{}"), 400);
	expect_problem(400, "malformed");
	snprintf(client.kid, sizeof(client.kid), "%s", own); /* kid where the key is wanted */
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{}"), 400);
	expect_problem(400, "malformed");
}

static void refuses_a_payload_where_something_is_read(void **state)
{
	char *order = rig_order(&client, "www.example.com");

	assert_int_equal(rig_post(&client, order, "{}"), 400);
	expect_problem(400, "malformed");
	assert_int_equal(rig_post(&client, DIRECTORY, "{}"), 400);
	assert_int_equal(rig_post(&client, RIG_BASE "/acme/cert/x", "{}"), 400);
	assert_int_equal(rig_post(&client, RIG_BASE "/acme/account/1/orders", "{}"), 400);
	free(order);
}

/* Accounts. */

static void gives_the_same_account_to_the_same_key(void **state)
{
	char kid[256];

	snprintf(kid, sizeof(kid), "%s", client.kid);
	assert_string_equal(kid, RIG_BASE "/acme/account/1");
	client.kid[0] = '\0';
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{\"contact\":[\"mailto:b@example.com\"]}"), 200);
	assert_string_equal(rig_answer_header(&client, "Location"), kid);
	assert_string_equal(rig_json(&client, "contact.0"), "mailto:a@example.com"); /* it is not changed by that */
	assert_string_equal(rig_json(&client, "status"), "valid");
	assert_string_equal(rig_json(&client, "orders"), RIG_BASE "/acme/account/1/orders");
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{\"onlyReturnExisting\":true}"), 200);
	assert_string_equal(rig_answer_header(&client, "Location"), kid);
}

static void finds_no_account_for_an_unknown_key(void **state)
{
	struct signing_key own = client.key, other = signing_key_make("RS256", 2048);

	client.key = other;
	client.kid[0] = '\0';
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{\"onlyReturnExisting\":true}"), 400);
		expect_problem(400, "accountDoesNotExist");
	}
	client.key = own;
	signing_key_fini(&other);
}

static void makes_accounts_for_each_kind_of_key(void **state)
{
	static const char *const algs[] = { "ES384", "RS256", "EdDSA" };

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct rig_client other;

		rig_client_init(&other, &rig, algs[i]);
		rig_register(&other);
		assert_int_equal(rig_post(&other, other.kid, ""), 200);
		assert_string_equal(rig_json(&other, "status"), "valid");
		rig_client_fini(&other);
	}
}

static void refuses_small_keys(void **state)
{
	struct signing_key own = client.key, weak = signing_key_make("RS256", 1024);

	client.key = weak;
	client.kid[0] = '\0';
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{}"), 400);
	expect_problem(400, "badPublicKey");
	client.key = own;
	signing_key_fini(&weak);
}

static void judges_contacts(void **state)
{
	static const struct {
		const char *contact, *problem;
	} cases[] = {
		{ "[\"mailto:b@example.com\",\"mailto:c@example.org\"]", NULL },
		{ "[]", NULL },
		{ "[\"tel:+12025551212\"]", "unsupportedContact" },
		{ "[\"https://example.com\"]", "unsupportedContact" },
		{ "[\"mailto:\"]", "invalidContact" },
		{ "[\"mailto:b\"]", "invalidContact" },
		{ "[\"mailto:@example.com\"]", "invalidContact" },
		{ "[\"mailto:b@example\"]", "invalidContact" },
		{ "[\"mailto:b@example.com.\"]", "invalidContact" },
		{ "[\"mailto:b@c@example.com\"]", "invalidContact" },
		{ "[\"mailto:b@example.com,c@example.com\"]", "invalidContact" },
		{ "[\"mailto:b@example.com?subject=x\"]", "invalidContact" },
		{ "[\"mailto:b%20@example.com\"]", "invalidContact" },
		{ "[\"mailto:b\\n@example.com\"]", "invalidContact" },
		{ "[\"b@example.com\"]", "invalidContact" },
		{ "[7]", "invalidContact" },
		{ "\"mailto:b@example.com\"", "invalidContact" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *payload = signing_text("{\"contact\":%s}", cases[i].contact);

		assert_int_equal(rig_post(&client, client.kid, payload), cases[i].problem ? 400 : 200);
		if (cases[i].problem)
			expect_problem(400, cases[i].problem);
		free(payload);
	}
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
	assert_int_equal(cJSON_GetArraySize(json_get(client.a.json, "contact")), 0);
}

static void wants_the_terms_agreed_to(void **state)
{
	struct rig_client other;

	rig_restart(&rig, "terms-of-service: https://ca.example/terms\n");
	rig_client_init(&other, &rig, "ES256");
	assert_int_equal(rig_post(&other, NEW_ACCOUNT, "{\"termsOfServiceAgreed\":false}"), 403);
	assert_string_equal(rig_problem(&other), "userActionRequired");
	assert_string_equal(rig_answer_link(&other, "terms-of-service"), "https://ca.example/terms");
	assert_int_equal(rig_post(&other, NEW_ACCOUNT, "{\"termsOfServiceAgreed\":true}"), 201);
	assert_true(cJSON_IsTrue(json_get(other.a.json, "termsOfServiceAgreed")));
	rig_client_fini(&other);
}

static void limits_new_accounts_of_an_address(void **state)
{
	struct rig_client other;

	rig_restart(&rig, "accounts-per-hour: 1\n");
	rig_client_init(&other, &rig, "ES256");
	rig_register(&other);
	rig_client_fini(&other);
	rig_client_init(&other, &rig, "ES256");
	assert_int_equal(rig_post(&other, NEW_ACCOUNT, "{}"), 429);
	assert_string_equal(rig_problem(&other), "rateLimited");
	assert_non_null(rig_answer_header(&other, "Retry-After"));
	rig_client_fini(&other);
}

static void lists_the_orders_of_an_account_in_pages(void **state)
{
	char *first = NULL, *next;

	for (int i = 0; i < 101; i++) {
		char *order = rig_order(&client, "www.example.com");

		if (i == 0)
			first = strdup(order);
		free(order);
	}
	assert_int_equal(rig_post(&client, RIG_BASE "/acme/account/1/orders", ""), 200);
	assert_int_equal(cJSON_GetArraySize(json_get(client.a.json, "orders")), 100);
	assert_string_equal(rig_json(&client, "orders.0"), first);
	next = strdup(rig_answer_link(&client, "next"));
	assert_int_equal(rig_post(&client, next, ""), 200);
	assert_int_equal(cJSON_GetArraySize(json_get(client.a.json, "orders")), 1);
	assert_null(rig_answer_link(&client, "next"));
	assert_int_equal(rig_post(&client, RIG_BASE "/acme/account/1/orders?after=x", ""), 404);
	free(first);
	free(next);
}

static void limits_the_open_orders_of_an_account(void **state)
{
	char *first, *second;

	rig_restart(&rig, "open-orders: 2\n");
	first = rig_order(&client, "a.example.com");
	second = rig_order(&client, "b.example.com");
	assert_int_equal(rig_post(&client, NEW_ORDER,
				  "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"c.example.com\"}]}"), 429);
	expect_problem(429, "rateLimited");
	assert_non_null(rig_answer_header(&client, "Retry-After"));
	rig_validate(&client, first);
	assert_int_equal(rig_finalize(&client, first, "DNS:a.example.com"), 200); /* no longer open */
	free(first);
	first = rig_order(&client, "c.example.com");
	free(first);
	free(second);
}

/* An order whose authorization failed, was given up or expired can only be forgotten: its client needs the place. */
static void counts_no_dead_order_as_open(void **state)
{
	char *lost, *given_up, *lost_authz;

	rig_restart(&rig, "open-orders: 2\n");
	lost = rig_order(&client, "a.example.com");
	rig.validator.problem = VALIDATION_PROBLEM_CONNECTION;
	assert_int_equal(rig_post(&client, rig_json(&client, "authorizations.0"), ""), 200);
	assert_int_equal(rig_post(&client, rig_json(&client, "challenges.0.url"), "{}"), 200);
	assert_string_equal(rig_json(&client, "status"), "invalid");
	given_up = rig_order(&client, "b.example.com");
	lost_authz = strdup(rig_json(&client, "authorizations.0"));
	assert_int_equal(rig_post(&client, lost_authz, "{\"status\":\"deactivated\"}"), 200);
	free(lost_authz);
	for (int i = 0; i < 2; i++)
		free(rig_order(&client, "c.example.com"));
	assert_int_equal(rig_post(&client, NEW_ORDER,
				  "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"d.example.com\"}]}"), 429);
	free(lost);
	free(given_up);
}

static int order_names(int n)
{
	char text[8192] = "{\"identifiers\":[";
	size_t len = strlen(text);

	for (int i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s{\"type\":\"dns\",\"value\":\"n%d.example.com\"}", i ? "," : "", i);
	snprintf(text + len, sizeof(text) - len, "]}");
	return rig_post(&client, NEW_ORDER, text);
}

static void limits_the_names_an_account_asks_for(void **state)
{
	rig_restart(&rig, "orders-per-hour: 100\n");
	assert_int_equal(order_names(60), 201);
	assert_int_equal(order_names(41), 429);
	expect_problem(429, "rateLimited");
	assert_string_equal(rig_answer_header(&client, "Retry-After"), "37");
	assert_int_equal(order_names(40), 201);
	clock_fake_advance(36 * 1000);
	assert_int_equal(order_names(1), 201);
	assert_int_equal(order_names(1), 429);
}

static void limits_the_challenges_of_an_account(void **state)
{
	char *challenge;

	rig_restart(&rig, "challenges-per-hour: 1\n");
	rig.validator.call = VALIDATION_RUNNING;
	free(rig_order(&client, "a.example.com"));
	assert_int_equal(rig_post(&client, rig_json(&client, "authorizations.0"), ""), 200);
	challenge = strdup(rig_json(&client, "challenges.0.url"));
	assert_int_equal(rig_post(&client, challenge, "{}"), 200);
	assert_int_equal(rig_post(&client, challenge, "{}"), 429);
	expect_problem(429, "rateLimited");
	assert_int_equal(rig.validator.checks, 1);
	rig.validator.call = 0;
	assert_int_equal(rig_post(&client, challenge, ""), 200); /* polling is free */
	assert_string_equal(rig_json(&client, "status"), "valid");
	free(challenge);
}

/* New orders. */

/* S8 */
static void refuses_orders_for_what_it_cannot_certify(void **state)
{
	static const struct {
		const char *type, *value, *problem;
	} cases[] = {
		{ "dns", "*.example.com", "rejectedIdentifier" }, { "dns", "localhost", "rejectedIdentifier" },
		{ "dns", "", "malformed" },                       { "dns", "example.com.", "malformed" },
		{ "dns", "example.com:443", "malformed" },        { "dns", "a@example.com", "malformed" },
		{ "dns", "example.com/x", "malformed" },          { "dns", "a%00.example.com", "malformed" },
		{ "dns", "192.0.2.1", "malformed" },              { "dns", "*.*.a", "rejectedIdentifier" },
		{ "ip", "192.0.2.256", "malformed" },
		{ "email", "a@example.com", "unsupportedIdentifier" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *payload = signing_text("{\"identifiers\":[{\"type\":\"%s\",\"value\":\"%s\"}]}", cases[i].type,
					     cases[i].value);

		assert_int_equal(rig_post(&client, NEW_ORDER, payload), 400);
		expect_problem(400, cases[i].problem);
		assert_string_equal(rig_json(&client, "subproblems.0.identifier.value"), cases[i].value);
		free(payload);
	}
}

static void tells_each_bad_identifier_apart(void **state)
{
	assert_int_equal(rig_post(&client, NEW_ORDER,
				  "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"good.example\"},"
				  "{\"type\":\"dns\",\"value\":\"*.example\"},"
				  "{\"type\":\"dns\",\"value\":\"a..b\"}]}"), 400);
	expect_problem(400, "malformed");
	assert_int_equal(cJSON_GetArraySize(json_get(client.a.json, "subproblems")), 2);
	assert_string_equal(rig_json(&client, "subproblems.0.type"), "urn:ietf:params:acme:error:rejectedIdentifier");
	assert_string_equal(rig_json(&client, "subproblems.0.identifier.value"), "*.example");
	assert_string_equal(rig_json(&client, "subproblems.1.type"), "urn:ietf:params:acme:error:malformed");
}

static void refuses_orders_of_another_shape(void **state)
{
	static const char *const payloads[] = {
		"", "{}", "{\"identifiers\":[]}", "{\"identifiers\":{}}", "{\"identifiers\":[1]}",
		"{\"identifiers\":[{\"type\":\"dns\"}]}", "{\"identifiers\":[{\"value\":\"a.example\"}]}",
		"{\"identifiers\":[{\"type\":\"dns\",\"value\":7}]}",
		"{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}],"
		"\"notBefore\":\"2027-01-01T00:00:00Z\"}",
		"{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}],"
		"\"notAfter\":\"2027-01-01T00:00:00Z\"}",
	};

	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		assert_int_equal(rig_post(&client, NEW_ORDER, payloads[i]), 400);
		expect_problem(400, "malformed");
	}
}

static void limits_the_identifiers_of_an_order(void **state)
{
	for (int n = 100; n <= 101; n++) {
		OWNED_BUF payload = BUF_INIT(65536);

		for (int i = 0; i < n; i++)
			buf_printf(&payload, "%s{\"type\":\"dns\",\"value\":\"h%d.example\"}",
				   i ? "," : "{\"identifiers\":[", i);
		buf_append_str(&payload, "]}");
		assert_int_equal(rig_post(&client, NEW_ORDER, buf_str(&payload)), n == 100 ? 201 : 400);
	}
	expect_problem(400, "malformed");
}

/* S24: every object of one account, asked for by another, is answered as one that does not exist. */
static void shows_nobody_what_belongs_to_others(void **state)
{
	struct rig_client other;
	char *order = rig_ready_order(&client, "www.example.com"), *urls[8];
	char missing[512], *body = NULL;
	size_t n = 0;

	urls[n++] = strdup(rig_json(&client, "authorizations.0"));
	assert_int_equal(rig_post(&client, urls[0], ""), 200);
	urls[n++] = strdup(rig_json(&client, "challenges.0.url"));
	urls[n++] = signing_text("%s/finalize", order);
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	urls[n++] = strdup(rig_json(&client, "certificate"));
	urls[n++] = order;
	urls[n++] = strdup(client.kid);
	urls[n++] = signing_text("%s/orders", client.kid);
	rig_client_init(&other, &rig, "ES256");
	rig_register(&other);
	for (size_t i = 0; i < n; i++) {
		const char *tail = strstr(urls[i], "/finalize");
		char *slash;

		tail = tail ? tail : strstr(urls[i], "/orders");
		tail = tail ? tail : "";
		assert_int_equal(rig_post(&client, urls[i], ""), strstr(urls[i], "/finalize") ? 400 : 200);
		assert_int_equal(rig_post(&other, urls[i], ""), 404);
		assert_string_equal(rig_problem(&other), "malformed");
		assert_null(rig_answer_header(&other, "Location"));
		assert_null(rig_answer_link(&other, "up"));
		if (!body)
			body = strdup(buf_str(&other.a.r.body));
		assert_string_equal(buf_str(&other.a.r.body), body);
		snprintf(missing, sizeof(missing), "%.*s", (int)(strlen(urls[i]) - strlen(tail)), urls[i]);
		slash = strrchr(missing, '/');
		snprintf(slash, sizeof(missing) - (size_t)(slash - missing), "/7777%s", tail);
		assert_int_equal(rig_post(&other, missing, ""), 404);
		assert_string_equal(buf_str(&other.a.r.body), body);
		free(urls[i]);
	}
	free(body);
	rig_client_fini(&other);
}

static void tells_refusals_of_the_gateway_as_problems(void **state)
{
	static const struct {
		int status;
		const char *document;
	} cases[] = {
		{ 503, "{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"no\",\"status\":503}" },
		{ 413, "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"no\",\"status\":413}" },
		{ 500, "{\"type\":\"urn:ietf:params:acme:error:serverInternal\",\"detail\":\"no\",\"status\":500}" },
	};

	assert_string_equal(proto_acme.refusal->type, "application/problem+json");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		OWNED_BUF body = BUF_INIT(4096);

		proto_acme.refusal->print(&body, cases[i].status, "no");
		assert_string_equal(buf_str(&body), cases[i].document);
	}
}

static unsigned long long counter(const char *name)
{
	const struct proto_counter *c = proto_acme.counters;

	while (c->name && strcmp(c->name, name) != 0)
		c++;
	assert_non_null(c->name);
	return c->read(rig.state);
}

static void counts_what_happened(void **state)
{
	char *order = rig_ready_order(&client, "www.example.com");

	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
	assert_int_equal(counter("acme_orders_created"), 1);
	assert_int_equal(counter("acme_orders_valid"), 1);
	assert_int_equal(counter("acme_problems"), 0);
	assert_true(counter("acme_nonces_issued") > 5);
	free(order);
}

int main(void)
{
#define WIRE(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		WIRE(lists_its_resources_in_the_directory),
		WIRE(tells_about_itself_in_the_directory),
		WIRE(gives_nonces_to_head_get_and_post),
		WIRE(limits_how_many_nonces_an_address_gets),
		WIRE(takes_each_nonce_once),
		WIRE(refuses_nonces_that_are_not_good),
		WIRE(keeps_nonces_over_a_graceful_stop),
		WIRE(compares_the_url_exactly),
		WIRE(wants_the_content_type_of_jose),
		WIRE(lists_the_algorithms_it_takes),
		WIRE(refuses_bodies_that_are_no_message),
		WIRE(refuses_payloads_that_are_no_object),
		WIRE(refuses_a_signature_of_another_key),
		WIRE(wants_the_account_where_an_account_signs),
		WIRE(refuses_a_payload_where_something_is_read),
		WIRE(gives_the_same_account_to_the_same_key),
		WIRE(finds_no_account_for_an_unknown_key),
		WIRE(makes_accounts_for_each_kind_of_key),
		WIRE(refuses_small_keys),
		WIRE(judges_contacts),
		WIRE(wants_the_terms_agreed_to),
		WIRE(limits_new_accounts_of_an_address),
		WIRE(lists_the_orders_of_an_account_in_pages),
		WIRE(limits_the_open_orders_of_an_account),
		WIRE(counts_no_dead_order_as_open),
		WIRE(limits_the_names_an_account_asks_for),
		WIRE(limits_the_challenges_of_an_account),
		WIRE(refuses_orders_for_what_it_cannot_certify),
		WIRE(tells_each_bad_identifier_apart),
		WIRE(refuses_orders_of_another_shape),
		WIRE(limits_the_identifiers_of_an_order),
		WIRE(shows_nobody_what_belongs_to_others),
		WIRE(tells_refusals_of_the_gateway_as_problems),
		WIRE(counts_what_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
