/* What becomes of an account: updates, its end, and its change to another key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <stdatomic.h>

#include "core/base/clock.h"
#include "tests/test.h"
#include "tests/unit/protocols/acme_rig.h"

#define NEW_ACCOUNT RIG_BASE "/acme/new-account"
#define NEW_ORDER RIG_BASE "/acme/new-order"
#define KEY_CHANGE RIG_BASE "/acme/key-change"
#define ORDER_FOR_WWW "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"www.example.com\"}]}"

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

static void expect_refused(struct rig_client *c, const char *url, const char *payload)
{
	assert_int_equal(rig_post(c, url, payload), 401);
	assert_string_equal(rig_problem(c), "unauthorized");
}

/* ---- updates ---- */

static void changes_contacts_and_ignores_the_rest(void **state)
{
	assert_int_equal(rig_post(&client, client.kid,
				  "{\"contact\":[\"mailto:new@example.com\"],\"status\":\"valid\","
				  "\"termsOfServiceAgreed\":true,\"orders\":\"x\",\"jwk\":{},\"other\":[1]}"), 200);
	assert_string_equal(rig_json(&client, "contact.0"), "mailto:new@example.com");
	assert_string_equal(rig_json(&client, "status"), "valid");
	assert_string_equal(rig_json(&client, "orders"), RIG_BASE "/acme/account/1/orders");
	assert_int_equal(rig_post(&client, client.kid, "{}"), 200);
	assert_string_equal(rig_json(&client, "contact.0"), "mailto:new@example.com");
	rig_restart(&rig, "");
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
	assert_string_equal(rig_json(&client, "contact.0"), "mailto:new@example.com");
}

/* ---- the end ---- */

static void ends_everything_of_a_deactivated_account(void **state)
{
	char *held = rig_ready_order(&client, "held.example.com"), *pending = rig_order(&client, "www.example.com");
	char *authz = strdup(rig_json(&client, "authorizations.0")), *finalize = signing_text("%s/finalize", held);
	char *orders = signing_text("%s/orders", client.kid), *challenge;
	const char *const urls[] = { client.kid, orders, held, pending, authz, finalize, NEW_ORDER, KEY_CHANGE };

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, held, "DNS:held.example.com"), 200);
	assert_int_equal(rig_post(&client, authz, ""), 200);
	challenge = strdup(rig_json(&client, "challenges.0.url"));
	assert_int_equal(rig_post(&client, client.kid, "{\"status\":\"deactivated\",\"contact\":[7]}"), 200);
	assert_string_equal(rig_json(&client, "status"), "deactivated");
	assert_string_equal(rig_answer_header(&client, "Location"), client.kid);
	rig.core.disposition = CA_ISSUED;
	for (int restarted = 0; restarted < 2; restarted++) {
		for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
			expect_refused(&client, urls[i], "");
			expect_refused(&client, urls[i], ORDER_FOR_WWW);
		}
		expect_refused(&client, challenge, "{}");
		expect_refused(&client, client.kid, "{\"status\":\"valid\"}");
		rig_restart(&rig, "");
	}
	assert_int_equal(rig.core.submits, 1);
	assert_int_equal(rig.core.peeks + rig.core.retrieves, 0);
	assert_int_equal(rig.validator.checks, 1);
	client.kid[0] = '\0'; /* and its key opens no other account */
	expect_refused(&client, NEW_ACCOUNT, "{}");
	expect_refused(&client, NEW_ACCOUNT, "{\"onlyReturnExisting\":true}");
	free(held);
	free(pending);
	free(authz);
	free(finalize);
	free(orders);
	free(challenge);
}

/* S22, S23: what one account proved is no use to others, least of all when it is gone. */
static void leaves_no_authorization_to_others(void **state)
{
	struct rig_client other;
	char *first = rig_ready_order(&client, "www.example.com"), *theirs;

	assert_int_equal(rig_post(&client, client.kid, "{\"status\":\"deactivated\"}"), 200);
	rig_client_init(&other, &rig, "ES256");
	rig_register(&other);
	theirs = rig_order(&other, "www.example.com");
	assert_string_equal(rig_json(&other, "status"), "pending");
	assert_int_equal(rig_post(&other, first, ""), 404);
	assert_int_equal(rig_post(&other, client.kid, ""), 404);
	assert_int_equal(rig_post(&other, client.kid, "{\"status\":\"deactivated\"}"), 404);
	assert_int_equal(rig_post(&other, other.kid, ""), 200);
	free(first);
	free(theirs);
	rig_client_fini(&other);
}

static void withdraws_what_the_core_holds_for_it(void **state)
{
	char *order = rig_ready_order(&client, "held.example.com");
	char requester[64];

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, order, "DNS:held.example.com"), 200);
	snprintf(requester, sizeof(requester), "%s", rig.core.last_requester);
	proto_acme.tick(rig.state);
	assert_int_equal(rig.core.withdraws, 0);
	/* Its end counts whether the core is there or not; the core hears of it when it is. */
	rig.core.withdraw_call = CA_CALL_BUSY;
	assert_int_equal(rig_post(&client, client.kid, "{\"status\":\"deactivated\"}"), 200);
	proto_acme.tick(rig.state);
	assert_int_equal(rig.core.withdraws, 1);
	proto_acme.tick(rig.state);
	assert_int_equal(rig.core.withdraws, 1);
	rig.core.withdraw_call = 0;
	rig_restart(&rig, "");
	proto_acme.tick(rig.state);
	assert_int_equal(rig.core.withdraws, 2);
	assert_string_equal(rig.core.last_withdrawn, requester);
	rig_restart(&rig, "");
	proto_acme.tick(rig.state);
	assert_int_equal(rig.core.withdraws, 2);
	free(order);
}

/* ---- another key ---- */

/* What the new key signs; a NULL is what it ought to be. */
struct claim {
	const char *url, *jwk, *account, *old_key, *more_header, *payload;
	const struct signing_key *signer;
};

static char *inner_message(const struct signing_key *new, const struct claim *claim)
{
	char *header = signing_text("{\"alg\":\"%s\",\"url\":\"%s\",%s%s}", new->alg,
				    claim->url ? claim->url : KEY_CHANGE, claim->jwk ? "" : "\"jwk\":",
				    claim->jwk ? claim->jwk : new->jwk);
	char *with_more = claim->more_header ? signing_text("{%s,%s", claim->more_header, header + 1) :
					       strdup(header);
	const char *account = claim->account ? claim->account : client.kid;
	const char *old_key = claim->old_key ? claim->old_key : client.key.jwk;
	char *payload = claim->payload ? strdup(claim->payload) :
					 signing_text("{\"account\":\"%s\",\"oldKey\":%s}", account, old_key);
	char *message = signing_message(claim->signer ? claim->signer : new, with_more, payload);

	free(header);
	free(with_more);
	free(payload);
	return message;
}

static int change_key(const struct signing_key *new, const struct claim *claim)
{
	char *inner = inner_message(new, claim);
	int status = rig_post(&client, KEY_CHANGE, inner);

	free(inner);
	return status;
}

/* Each change goes from one kind of key to another; the account that the core knows stays the same one. */
static void changes_to_a_key_of_any_kind(void **state)
{
	static const char *const algs[] = { "RS256", "ES384", "EdDSA", "ES256" };
	char *held = rig_ready_order(&client, "held.example.com"), requester[64];

	rig.core.disposition = CA_UNDER_SUBMISSION;
	assert_int_equal(rig_finalize(&client, held, "DNS:held.example.com"), 200);
	snprintf(requester, sizeof(requester), "%s", rig.core.last_requester);
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct signing_key old = client.key, new = signing_key_make(algs[i], 2048);
		char *order;

		assert_int_equal(change_key(&new, &(struct claim){ 0 }), 200);
		assert_string_equal(rig_json(&client, "status"), "valid");
		assert_string_equal(rig_answer_header(&client, "Location"), client.kid);
		assert_int_equal(rig_post(&client, client.kid, ""), 400); /* the old key */
		client.key = new;
		signing_key_fini(&old);
		assert_int_equal(rig_post(&client, held, ""), 200); /* the rig compares the requester */
		assert_string_equal(rig_json(&client, "status"), "processing");
		order = rig_order(&client, "held.example.com"); /* with the authorization of the first key */
		assert_string_equal(rig_json(&client, "status"), "ready");
		assert_int_equal(rig_finalize(&client, order, "DNS:held.example.com"), 200);
		assert_string_equal(rig.core.last_requester, requester);
		free(order);
		if (i == 1)
			rig_restart(&rig, "");
	}
	assert_int_equal(rig.validator.checks, 1);
	rig.core.disposition = CA_ISSUED;
	assert_int_equal(rig_post(&client, held, ""), 200);
	assert_string_equal(rig_json(&client, "status"), "valid");
	free(held);
}

static void finds_the_account_by_its_new_key_only(void **state)
{
	struct signing_key old = client.key, new = signing_key_make("EdDSA", 0);
	char kid[256];

	assert_int_equal(change_key(&new, &(struct claim){ 0 }), 200);
	snprintf(kid, sizeof(kid), "%s", client.kid);
	client.kid[0] = '\0';
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{\"onlyReturnExisting\":true}"), 400);
	assert_string_equal(rig_problem(&client), "accountDoesNotExist");
	client.key = new;
	assert_int_equal(rig_post(&client, NEW_ACCOUNT, "{\"onlyReturnExisting\":true}"), 200);
	assert_string_equal(rig_answer_header(&client, "Location"), kid);
	client.key = old; /* whoever stole it opens no account with what was bound to it */
	expect_refused(&client, NEW_ACCOUNT, "{\"termsOfServiceAgreed\":true}");
	client.key = new;
	snprintf(client.kid, sizeof(client.kid), "%s", kid);
	signing_key_fini(&old);
}

/* A challenge is answered with the key that the account has then (RFC 8555 8.1). */
static void proves_with_the_key_of_the_moment(void **state)
{
	struct signing_key old = client.key, new = signing_key_make("ES256", 0);
	char *first = rig_ready_order(&client, "a.example.com"), *second, before[64];

	snprintf(before, sizeof(before), "%s", strchr(rig.validator.last_authorization, '.'));
	assert_int_equal(change_key(&new, &(struct claim){ 0 }), 200);
	client.key = new;
	signing_key_fini(&old);
	second = rig_ready_order(&client, "b.example.com");
	assert_string_not_equal(strchr(rig.validator.last_authorization, '.'), before);
	assert_int_equal(rig_post(&client, first, ""), 200);
	assert_string_equal(rig_json(&client, "status"), "ready");
	free(first);
	free(second);
}

/* S17. */
static void refuses_every_other_change(void **state)
{
	struct signing_key new = signing_key_make("ES256", 0), third = signing_key_make("ES256", 0);
	struct signing_key weak = signing_key_make("RS256", 1024);
	char *third_jwk = signing_text("\"jwk\":%s", third.jwk);
	char *weak_jwk = signing_text("\"jwk\":%s", weak.jwk);
	char *both = signing_text("\"kid\":\"%s\",\"jwk\":%s", client.kid, new.jwk);
	char *kid = signing_text("\"kid\":\"%s\"", client.kid);
	const struct {
		const char *problem;
		struct claim claim;
	} cases[] = {
		{ "malformed", { .url = NEW_ORDER } },
		{ "malformed", { .url = KEY_CHANGE "/" } },
		{ "malformed", { .more_header = "\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\"" } },
		{ "malformed", { .more_header = "\"nonce\":\"\"" } },
		{ "malformed", { .more_header = "\"crit\":[]" } },
		{ "malformed", { .account = RIG_BASE "/acme/account/2" } },
		{ "malformed", { .account = RIG_BASE "/acme/account/01" } },
		{ "malformed", { .account = "" } },
		{ "malformed", { .old_key = third.jwk } },
		{ "malformed", { .old_key = new.jwk } },
		{ "malformed", { .old_key = "{}" } },
		{ "malformed", { .old_key = "\"x\"" } },
		{ "malformed", { .payload = "" } },
		{ "malformed", { .payload = "[]" } },
		{ "malformed", { .payload = "{}" } },
		{ "malformed", { .payload = "{\"account\":1,\"account\":2}" } },
		{ "malformed", { .jwk = third_jwk } },      /* another key than the one that signed */
		{ "malformed", { .signer = &client.key } }, /* the old key cannot speak for the new one */
		{ "malformed", { .jwk = both } },
		{ "malformed", { .jwk = kid } },
		{ "malformed", { .jwk = "\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}" } },
		{ "badPublicKey", { .jwk = "\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}" } },
		{ "badPublicKey", { .jwk = weak_jwk, .signer = &weak } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(change_key(&new, &cases[i].claim), 400);
		assert_string_equal(rig_problem(&client), cases[i].problem);
	}
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
	free(third_jwk);
	free(weak_jwk);
	free(both);
	free(kid);
	signing_key_fini(&new);
	signing_key_fini(&third);
	signing_key_fini(&weak);
}

static void refuses_what_is_no_message_in_a_message(void **state)
{
	static const struct {
		const char *payload, *problem;
	} cases[] = {
		{ "", "malformed" },
		{ "{}", "malformed" },
		{ "[]", "malformed" },
		{ "{\"protected\":\"\",\"payload\":\"\",\"signature\":\"\"}", "malformed" },
		{ "{\"protected\":\"e30\",\"payload\":\"e30\",\"signature\":\"AA\"}", "malformed" },
		/* {"alg":"none","jwk":{},"url":"x"}, {"alg":"HS256","jwk":{},"url":"x"} */
		{ "{\"protected\":\"eyJhbGciOiJub25lIiwiandrIjp7fSwidXJsIjoieCJ9\",\"payload\":\"\","
		  "\"signature\":\"\"}", "badSignatureAlgorithm" },
		{ "{\"protected\":\"eyJhbGciOiJIUzI1NiIsImp3ayI6e30sInVybCI6IngifQ\",\"payload\":\"\","
		  "\"signature\":\"\"}", "badSignatureAlgorithm" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(rig_post(&client, KEY_CHANGE, cases[i].payload), 400);
		assert_string_equal(rig_problem(&client), cases[i].problem);
	}
	client.kid[0] = '\0'; /* the outer message is an account's */
	assert_int_equal(rig_post(&client, KEY_CHANGE, "{}"), 400);
	assert_string_equal(rig_problem(&client), "malformed");
}

static void names_the_account_that_has_the_key_already(void **state)
{
	struct rig_client other;

	rig_client_init(&other, &rig, "RS256");
	rig_register(&other);
	assert_int_equal(change_key(&other.key, &(struct claim){ 0 }), 409);
	assert_string_equal(rig_problem(&client), "malformed");
	assert_string_equal(rig_answer_header(&client, "Location"), other.kid);
	assert_int_equal(change_key(&client.key, &(struct claim){ 0 }), 409); /* its own one */
	assert_string_equal(rig_answer_header(&client, "Location"), client.kid);
	assert_int_equal(rig_post(&other, other.kid, "{\"status\":\"deactivated\"}"), 200);
	assert_int_equal(change_key(&other.key, &(struct claim){ 0 }), 409);
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
	rig_client_fini(&other);
}

static void limits_key_changes_of_an_address(void **state)
{
	rig_restart(&rig, "key-changes-per-hour: 1\n");
	assert_int_equal(rig_post(&client, KEY_CHANGE, "{}"), 400);
	assert_int_equal(rig_post_body(&client, KEY_CHANGE, "not even a message"), 429);
	assert_string_equal(rig_problem(&client), "rateLimited");
	assert_non_null(rig_answer_header(&client, "Retry-After"));
	assert_int_equal(rig_post(&client, client.kid, ""), 200);
}

/* ---- at the same time ---- */

#define THREADS 4

static atomic_bool is_over, is_stopping;
static atomic_uint stale, refused;

/* A second connection of the same client. */
static struct rig_client same_client(void)
{
	struct rig_client c = client;

	c.a = (struct rig_answer){ 0 };
	rig_get(&c, "HEAD", RIG_BASE "/acme/new-nonce");
	return c;
}

static void leave(struct rig_client *c)
{
	c->key = (struct signing_key){ 0 };
	rig_client_fini(c);
}

/* Whatever begins after the end was told is refused. */
static void *go_on_asking(void *arg)
{
	struct rig_client c = same_client();

	while (!atomic_load(&is_stopping)) {
		bool is_late = atomic_load(&is_over);
		int status = rig_post(&c, c.kid, "");

		if (is_late)
			atomic_fetch_add(status == 200 ? &stale : &refused, 1);
	}
	leave(&c);
	return NULL;
}

static void expect_nobody_served_after(int (*end)(void))
{
	pthread_t threads[THREADS];

	atomic_store(&is_over, false);
	atomic_store(&is_stopping, false);
	atomic_store(&stale, 0);
	atomic_store(&refused, 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, go_on_asking, NULL), 0);
	assert_int_equal(end(), 200);
	atomic_store(&is_over, true);
	while (atomic_load(&refused) + atomic_load(&stale) < 10 * THREADS)
		sched_yield();
	atomic_store(&is_stopping, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&stale), 0);
}

static int deactivate_it(void)
{
	struct rig_client c = same_client();
	int status = rig_post(&c, c.kid, "{\"status\":\"deactivated\"}");

	leave(&c);
	return status;
}

static void serves_nobody_after_the_end_was_told(void **state)
{
	expect_nobody_served_after(deactivate_it);
}

static int change_it(void)
{
	struct rig_client c = same_client();
	struct signing_key new = signing_key_make("ES256", 0);
	char *inner = inner_message(&new, &(struct claim){ 0 });
	int status = rig_post(&c, KEY_CHANGE, inner);

	free(inner);
	signing_key_fini(&new);
	leave(&c);
	return status;
}

static void serves_no_old_key_after_the_change_was_told(void **state)
{
	expect_nobody_served_after(change_it);
}

struct change {
	struct signing_key new;
	int status;
};

static void *change_to_mine(void *arg)
{
	struct change *change = arg;
	struct rig_client c = same_client();
	char *inner = inner_message(&change->new, &(struct claim){ 0 });

	change->status = rig_post(&c, KEY_CHANGE, inner);
	free(inner);
	leave(&c);
	return NULL;
}

/* All signed by the same old key: one wins, and it is the one whose client was told so. */
static void gives_the_account_to_one_of_several_new_keys(void **state)
{
	struct change changes[THREADS];
	pthread_t threads[THREADS];
	struct signing_key old = client.key;
	int winners = 0;

	for (int i = 0; i < THREADS; i++)
		changes[i] = (struct change){ .new = signing_key_make("ES256", 0) };
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, change_to_mine, &changes[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		client.key = changes[i].new;
		winners += changes[i].status == 200;
		assert_int_equal(rig_post(&client, client.kid, "") == 200, changes[i].status == 200);
	}
	assert_int_equal(winners, 1);
	client.key = old;
	assert_int_equal(rig_post(&client, client.kid, ""), 400);
	for (int i = 0; i < THREADS; i++)
		signing_key_fini(&changes[i].new);
}

#define ACCOUNT(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ACCOUNT(changes_contacts_and_ignores_the_rest),
		ACCOUNT(ends_everything_of_a_deactivated_account),
		ACCOUNT(withdraws_what_the_core_holds_for_it),
		ACCOUNT(leaves_no_authorization_to_others),
		ACCOUNT(changes_to_a_key_of_any_kind),
		ACCOUNT(finds_the_account_by_its_new_key_only),
		ACCOUNT(proves_with_the_key_of_the_moment),
		ACCOUNT(refuses_every_other_change),
		ACCOUNT(refuses_what_is_no_message_in_a_message),
		ACCOUNT(names_the_account_that_has_the_key_already),
		ACCOUNT(limits_key_changes_of_an_address),
		ACCOUNT(serves_nobody_after_the_end_was_told),
		ACCOUNT(serves_no_old_key_after_the_change_was_told),
		ACCOUNT(gives_the_account_to_one_of_several_new_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
