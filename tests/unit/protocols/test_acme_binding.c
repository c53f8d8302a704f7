/* External account binding: what is taken, what the core is asked, and what a bound account may order (S20).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/own.h"
#include "protocols/jose/jwk.h"
#include "tests/test.h"
#include "tests/unit/protocols/acme_rig.h"

#define NEW_ACCOUNT RIG_BASE "/acme/new-account"
#define NEW_ORDER RIG_BASE "/acme/new-order"
#define KEY_CHANGE RIG_BASE "/acme/key-change"

static struct rig rig;
static struct rig_client client;

static int start(void **state)
{
	rig_start(&rig, "external-account-required: true\n");
	rig_client_init(&client, &rig, "ES256");
	return 0;
}

static int stop(void **state)
{
	rig_client_fini(&client);
	rig_stop(&rig);
	return 0;
}

/* What the binding says; a NULL is what it ought to be. */
struct binding {
	const char *alg, *mac_alg, *kid, *url, *more_header, *payload, *key;
};

static char *binding_text(const struct binding *b)
{
	const char *alg = b->alg ? b->alg : "HS256";
	char *header = signing_text("{\"alg\":\"%s\",\"kid\":\"%s\",\"url\":\"%s\"%s}", alg,
				    b->kid ? b->kid : RIG_KID, b->url ? b->url : NEW_ACCOUNT,
				    b->more_header ? b->more_header : "");
	char *text = signing_mac_message(b->mac_alg ? b->mac_alg : alg, bytes_of_str(b->key ? b->key : RIG_MAC_KEY),
					 header, b->payload ? b->payload : client.key.jwk);

	free(header);
	return text;
}

static int register_with(const char *binding)
{
	char *payload = signing_text("{\"externalAccountBinding\":%s}", binding);
	int status;

	client.kid[0] = '\0';
	status = rig_post(&client, NEW_ACCOUNT, payload);
	if (status == 201)
		snprintf(client.kid, sizeof(client.kid), "%s", rig_answer_header(&client, "Location"));
	free(payload);
	return status;
}

static int bind_it(const struct binding *b)
{
	char *binding = binding_text(b);
	int status = register_with(binding);

	free(binding);
	return status;
}

static void must_bind(void)
{
	assert_int_equal(bind_it(&(struct binding){ 0 }), 201);
}

static void binds_an_account_with_each_mac(void **state)
{
	static const char *const algs[] = { "HS256", "HS384", "HS512" };

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct signing_key old = client.key;
		char *binding, *told;

		client.key = signing_key_make(i == 1 ? "RS256" : "ES256", 2048);
		signing_key_fini(&old);
		rig.core.bound[0] = '\0';
		binding = binding_text(&(struct binding){ .alg = algs[i] });
		assert_int_equal(register_with(binding), 201);
		told = cJSON_PrintUnformatted(json_get(client.a.json, "externalAccountBinding"));
		assert_string_equal(told, binding);
		assert_int_equal(strlen(rig.core.bound), 43); /* the whole thumbprint */
		assert_int_equal(rig.core.checks, (int)i + 1);
		rig_restart(&rig, "external-account-required: true\n");
		assert_int_equal(rig_post(&client, client.kid, ""), 200);
		free(told);
		told = cJSON_PrintUnformatted(json_get(client.a.json, "externalAccountBinding"));
		assert_string_equal(told, binding);
		free(told);
		free(binding);
	}
}

static void wants_one_where_it_is_required(void **state)
{
	rig_get(&client, "GET", RIG_BASE "/acme/directory");
	assert_true(cJSON_IsTrue(json_get(json_get(client.a.json, "meta"), "externalAccountRequired")));
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{}"), 403);
	assert_string_equal(rig_problem(&client), "externalAccountRequired");
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{\"onlyReturnExisting\":true}"), 400);
	assert_string_equal(rig_problem(&client), "accountDoesNotExist");
	assert_int_equal(rig.core.checks, 0);
	rig_restart(&rig, "");
	rig_get(&client, "GET", RIG_BASE "/acme/directory");
	assert_null(json_get(client.a.json, "meta"));
	rig_register(&client);
	assert_null(json_get(client.a.json, "externalAccountBinding"));
	rig_restart(&rig, "external-account-required: true\n"); /* who was there before goes on */
	free(rig_order(&client, "other.example.net"));
	client.kid[0] = '\0';
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{}"), 200);
	assert_int_equal(rig.core.checks, 0);
}

/* One that is not required is checked all the same. */
static void checks_what_is_sent_without_need(void **state)
{
	rig_restart(&rig, "");
	assert_int_equal(bind_it(&(struct binding){ .key = "another key" }), 403);
	assert_string_equal(rig_problem(&client), "unauthorized");
	must_bind();
}

/* Whoever guesses learns nothing about which identifiers exist. */
static void tells_an_unknown_key_like_a_wrong_mac(void **state)
{
	static const struct binding bad[] = {
		{ .kid = "nobody" },
		{ .kid = "" },
		{ .key = "another key" },
		{ .alg = "HS512", .key = "another key" },
	};
	char *body = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(bind_it(&bad[i]), 403);
		assert_string_equal(rig_problem(&client), "unauthorized");
		if (!body)
			body = strdup(buf_str(&client.a.r.body));
		assert_string_equal(buf_str(&client.a.r.body), body);
	}
	free(body);
	must_bind();
	assert_int_equal(rig.core.checks, 5);
}

static void asks_the_core_nothing_for_what_is_no_binding(void **state)
{
	struct signing_key other = signing_key_make("ES256", 0);
	const struct {
		const char *problem;
		struct binding binding;
	} cases[] = {
		{ "malformed", { .alg = "none", .mac_alg = "HS256" } },
		{ "malformed", { .alg = "ES256", .mac_alg = "HS256" } },
		{ "malformed", { .alg = "RS256", .mac_alg = "HS256" } },
		{ "malformed", { .alg = "HS1", .mac_alg = "HS256" } },
		{ "unauthorized", { .alg = "HS256", .mac_alg = "HS512" } },
		{ "malformed", { .url = NEW_ORDER } },
		{ "malformed", { .url = "https://other.example/acme/new-account" } },
		{ "malformed", { .more_header = ",\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\"" } },
		{ "malformed", { .more_header = ",\"nonce\":\"\"" } },
		{ "malformed", { .more_header = ",\"jwk\":{}" } },
		{ "malformed", { .more_header = ",\"crit\":[\"b64\"]" } },
		{ "malformed", { .payload = other.jwk } },
		{ "malformed", { .payload = "{}" } },
		{ "malformed", { .payload = "" } },
		{ "malformed", { .payload = "not JSON" } },
	};
	static const char *const no_bindings[] = { "null", "7", "\"x\"", "[]", "{}", "{\"protected\":\"\"}" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(bind_it(&cases[i].binding), strcmp(cases[i].problem, "malformed") == 0 ? 400 : 403);
		assert_string_equal(rig_problem(&client), cases[i].problem);
	}
	for (size_t i = 0; i < sizeof(no_bindings) / sizeof(no_bindings[0]); i++) {
		assert_int_equal(register_with(no_bindings[i]), 400);
		assert_string_equal(rig_problem(&client), "malformed");
	}
	assert_int_equal(rig.core.checks, 0);
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{\"onlyReturnExisting\":true}"), 400);
	signing_key_fini(&other);
}

/* S20: one key identifier, one account, as the core says; the first one may come again. */
static void binds_no_second_account(void **state)
{
	struct signing_key first;

	must_bind();
	assert_int_equal(bind_it(&(struct binding){ 0 }), 200); /* it is there: what it sends is not looked at */
	first = client.key;
	client.key = signing_key_make("EdDSA", 0);
	assert_int_equal(bind_it(&(struct binding){ 0 }), 403);
	assert_string_equal(rig_problem(&client), "unauthorized");
	signing_key_fini(&first);
}

/* The gateway ended after the core had bound the account. */
static void makes_the_account_that_was_bound_before(void **state)
{
	struct jwk *key = NULL;
	const char *why = NULL;

	assert_int_equal(jwk_read(&key, bytes_of_str(client.key.jwk), &why), 0);
	snprintf(rig.core.bound, sizeof(rig.core.bound), "%s", key->thumbprint);
	must_bind();
	jwk_drop(&key);
}

static void comes_later_when_the_core_is_busy(void **state)
{
	rig.core.check_call = CA_CALL_BUSY;
	assert_int_equal(bind_it(&(struct binding){ 0 }), 503);
	assert_string_equal(rig_answer_header(&client, "Retry-After"), "9");
	rig.core.check_call = -5;
	assert_int_equal(bind_it(&(struct binding){ 0 }), 500);
	rig.core.check_call = 0;
	rig.may_wait = false;
	assert_int_equal(bind_it(&(struct binding){ 0 }), 503);
	rig.may_wait = true;
	must_bind();
}

/* Guessing is limited like the making of accounts. */
static void limits_who_guesses(void **state)
{
	rig_restart(&rig, "external-account-required: true\naccounts-per-hour: 1\n");
	assert_int_equal(bind_it(&(struct binding){ .key = "a guess" }), 403);
	assert_int_equal(bind_it(&(struct binding){ 0 }), 429);
	assert_int_equal(rig.core.checks, 1);
}

static void orders_only_names_of_its_external_account(void **state)
{
	must_bind();
	free(rig_order(&client, "www.example.com"));
	assert_int_equal(rig_post(&client, NEW_ORDER,
				  "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"www.example.net\"}]}"), 400);
	assert_string_equal(rig_problem(&client), "rejectedIdentifier");
	assert_int_equal(rig_post(&client, NEW_ORDER,
				  "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.net\"},"
				  "{\"type\":\"dns\",\"value\":\"a.example.com\"},"
				  "{\"type\":\"ip\",\"value\":\"192.0.2.1\"}]}"), 400);
	assert_string_equal(rig_problem(&client), "rejectedIdentifier");
	assert_int_equal(cJSON_GetArraySize(json_get(client.a.json, "subproblems")), 2);
	assert_string_equal(rig_json(&client, "subproblems.0.identifier.value"), "a.example.net");
	assert_string_equal(rig_json(&client, "subproblems.1.identifier.value"), "192.0.2.1");
	rig.core.check_call = CA_CALL_REFUSED; /* revoked */
	assert_int_equal(rig_post(&client, NEW_ORDER,
				  "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"www.example.com\"}]}"), 403);
	assert_string_equal(rig_problem(&client), "unauthorized");
	assert_int_equal(rig_post(&client, client.kid, ""), 200); /* it still sees what it has */
}

static void tells_the_core_with_each_submission(void **state)
{
	char *order, thumbprint[64];

	must_bind();
	snprintf(thumbprint, sizeof(thumbprint), "%s", rig.core.bound);
	for (int i = 0; i < 2; i++) {
		order = rig_ready_order(&client, "www.example.com");
		assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 200);
		assert_int_equal(rig.core.last.evidence, CA_EVIDENCE_ACME_AUTHORIZATION);
		assert_string_equal(rig.core.last_names, "dns:www.example.com;");
		assert_string_equal(rig.core.last_external, RIG_KID);
		assert_string_equal(rig.core.last_external_account, thumbprint);
		assert_non_null(strstr(rig.core.last_attributes, "acme-external-account=" RIG_KID ";"));
		free(order);
		if (i == 0) { /* another key is no other account */
			struct signing_key old = client.key, new = signing_key_make("ES384", 0);
			char *header = signing_text("{\"alg\":\"ES384\",\"jwk\":%s,\"url\":\"%s\"}", new.jwk,
						    KEY_CHANGE);
			char *claim = signing_text("{\"account\":\"%s\",\"oldKey\":%s}", client.kid, old.jwk);
			char *inner = signing_message(&new, header, claim);

			assert_int_equal(rig_post(&client, KEY_CHANGE, inner), 200);
			assert_non_null(json_get(client.a.json, "externalAccountBinding"));
			client.key = new;
			signing_key_fini(&old);
			free(header);
			free(claim);
			free(inner);
		}
	}
	order = rig_ready_order(&client, "www.example.com");
	rig.core.call = CA_CALL_REFUSED; /* between newOrder and finalize */
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.com"), 403);
	assert_string_equal(rig_problem(&client), "unauthorized");
	free(order);
}

static void tells_the_core_of_no_external_account_where_there_is_none(void **state)
{
	char *order;

	rig_restart(&rig, "");
	rig_register(&client);
	order = rig_ready_order(&client, "www.example.net");
	assert_int_equal(rig_finalize(&client, order, "DNS:www.example.net"), 200);
	assert_string_equal(rig.core.last_external, "");
	assert_null(strstr(rig.core.last_attributes, "acme-external-account"));
	assert_int_equal(rig.core.checks, 0);
	free(order);
}

#define BINDING(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BINDING(binds_an_account_with_each_mac),
		BINDING(wants_one_where_it_is_required),
		BINDING(checks_what_is_sent_without_need),
		BINDING(tells_an_unknown_key_like_a_wrong_mac),
		BINDING(asks_the_core_nothing_for_what_is_no_binding),
		BINDING(binds_no_second_account),
		BINDING(makes_the_account_that_was_bound_before),
		BINDING(comes_later_when_the_core_is_busy),
		BINDING(limits_who_guesses),
		BINDING(orders_only_names_of_its_external_account),
		BINDING(tells_the_core_with_each_submission),
		BINDING(tells_the_core_of_no_external_account_where_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
