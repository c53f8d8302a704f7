/* Challenges that a target outside has judged: a gateway that lies gets nothing that was not stated.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/core_int.h"
#include "core/wire/verdict.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

static const uint8_t verdict_key[VERDICT_KEY_SIZE] = { 42 };
static const struct ca_core_env env = { .verdict_key = verdict_key };
static const struct ca_core_env env_without = { 0 };

static struct rig rig;

static void start_with(const struct ca_core_env *in, bool over_link, const char *core)
{
	struct rig_settings settings = { .policy = "{module: p-safe}", .over_link = over_link, .core = core,
					 .endpoints = "{name: other, ca: CA1, profile: server}" };
	struct conf_error error = { 0 };

	script_reset();
	rig_init(&rig, &settings);
	rig.env = in;
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void start(const struct ca_core_env *in, bool over_link)
{
	start_with(in, over_link, NULL);
}

static void stop(void)
{
	rig_stop(&rig);
	assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
	rig_fini(&rig);
}

/* A submission, and what was stated; each test changes what it is about. */
struct asked {
	struct buf csr, statement;
	struct verdict verdict;
	struct ca_credential_claim claim;
	struct ca_submission s;
};

static void ask_for(struct asked *a, const char *name)
{
	*a = (struct asked){ .csr = BUF_INIT(CA_REQUEST_MAX), .statement = BUF_INIT(VERDICT_MAX) };
	assert_int_equal(csr_make(&(struct csr_spec){ .names = &name, .n_names = 1 }, &a->csr), 0);
	a->claim = (struct ca_credential_claim){ .kind = CA_EVIDENCE_EXTERNAL };
	a->s = (struct ca_submission){
		.protocol = "scep", .endpoint = RIG_ENDPOINT, .profile = RIG_PROFILE, .requester = "scep:key:1",
		.evidence = CA_EVIDENCE_EXTERNAL, .credential = &a->claim, .request = buf_bytes(&a->csr),
	};
	rig_key(name, a->s.transaction_key);
	a->verdict = (struct verdict){ .target = "mdm", .endpoint = RIG_ENDPOINT, .scope = "*.example",
				       .until_ms = clock_wall_ms() + 60000 };
	assert_int_equal(digest_sha256(a->s.request, a->verdict.request), 0);
	memcpy(a->verdict.transaction_key, a->s.transaction_key, sizeof(a->verdict.transaction_key));
}

static void state_it(struct asked *a, const uint8_t *by)
{
	buf_reset(&a->statement);
	assert_int_equal(verdict_write(by, &a->verdict, &a->statement), 0);
	a->claim.message = buf_bytes(&a->statement);
}

static void forget(struct asked *a)
{
	buf_fini(&a->csr);
	buf_fini(&a->statement);
}

static int submit(const struct asked *a, enum ca_disposition *disposition)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = ca_submit(rig.door, &a->s, &out);

	*disposition = out.disposition;
	return e;
}

static void assert_refused(const struct asked *a)
{
	int64_t before = rig_number(&rig, "SELECT count(*) FROM requests");
	enum ca_disposition disposition;

	assert_int_equal(submit(a, &disposition), CA_CALL_REFUSED);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), before);
}

static void issues_what_was_stated(bool over_link)
{
	enum ca_disposition disposition;
	struct asked a;

	start(&env, over_link);
	ask_for(&a, "good.example");
	/* Nothing is known of it, and nothing is written. */
	assert_int_equal(submit(&a, &disposition), CA_CALL_VERDICT_WANTED);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 0);
	state_it(&a, verdict_key);
	assert_int_equal(submit(&a, &disposition), 0);
	assert_int_equal(disposition, CA_ISSUED);
	/* The same transaction, without a statement and with an old one: the same certificate. */
	assert_int_equal(submit(&a, &disposition), 0);
	a.claim.message = bytes_of(NULL, 0);
	assert_int_equal(submit(&a, &disposition), 0);
	assert_int_equal(disposition, CA_ISSUED);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM names WHERE evidence=11 AND"
					  " evidence_text='target mdm'"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE evidence=11 AND"
					  " credential='target mdm'"), 1);
	/* Of the transaction nobody else is told. */
	a.s.requester = "scep:key:2";
	assert_refused(&a);
	forget(&a);
	stop();
}

static void issues_what_was_stated_here(void **state)
{
	issues_what_was_stated(false);
}

static void issues_what_was_stated_over_a_link(void **state)
{
	issues_what_was_stated(true);
}

static void bend_endpoint(struct asked *a)
{
	a->s.endpoint = "other";
}

static void bend_request(struct asked *a)
{
	const char *name = "evil.example";

	buf_reset(&a->csr);
	assert_int_equal(csr_make(&(struct csr_spec){ .names = &name, .n_names = 1 }, &a->csr), 0);
	a->s.request = buf_bytes(&a->csr);
}

static void bend_transaction(struct asked *a)
{
	a->s.transaction_key[0] ^= 1;
}

static void bend_time(struct asked *a)
{
	a->verdict.until_ms = clock_wall_ms() - 1;
	state_it(a, verdict_key);
}

static void bend_key(struct asked *a)
{
	static const uint8_t own[VERDICT_KEY_SIZE] = { 43 };

	state_it(a, own);
}

static void bend_octet(struct asked *a)
{
	a->statement.ptr[a->statement.len - 1] ^= 1;
}

static void bend_all(struct asked *a)
{
	a->claim.message = bytes_of_str("allowed");
}

static void add_a_name(struct asked *a)
{
	static const struct ca_name name = { CA_NAME_DNS, "good.example", CA_EVIDENCE_EXTERNAL, "target mdm" };

	a->s.names = &name;
	a->s.n_names = 1;
}

static void another_protocol(struct asked *a)
{
	a->s.protocol = "est";
	a->s.requester = "est:user:alice";
}

static void a_gateway_that_lies_gets_nothing(void **state)
{
	static void (*const lies[])(struct asked *a) = {
		bend_endpoint, bend_request, bend_transaction, bend_time, bend_key, bend_octet, bend_all, add_a_name,
		another_protocol,
	};

	start(&env, true);
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct asked a;

		ask_for(&a, "good.example");
		state_it(&a, verdict_key);
		lies[i](&a);
		assert_refused(&a);
		forget(&a);
	}
	stop();
}

static void a_target_allows_the_names_of_its_scope(void **state)
{
	static const struct {
		const char *scope, *name;
		enum ca_disposition disposition;
	} rows[] = {
		{ "*.example", "a.example", CA_ISSUED },  { "", "b.example", CA_ERROR },
		{ "*.example", "b.test", CA_ERROR },      { "any", "c.test", CA_ISSUED },
		{ "CN=phone-*", "d.example", CA_ERROR },
	};

	start(&env, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		enum ca_disposition disposition;
		struct asked a;

		ask_for(&a, rows[i].name);
		a.verdict.scope = rows[i].scope;
		state_it(&a, verdict_key);
		assert_int_equal(submit(&a, &disposition), 0);
		assert_int_equal(disposition, rows[i].disposition);
		forget(&a);
	}
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE any_scope=1 AND state=20"), 1);
	stop();
}

/* A target that takes a challenge once is not asked about what would be put off, or refused, whatever it says. */

static void assert_not_judged(const struct asked *a, int e, enum ca_disposition wanted)
{
	int64_t before = rig_number(&rig, "SELECT count(*) FROM requests");
	enum ca_disposition disposition;

	assert_int_equal(submit(a, &disposition), e);
	assert_int_equal(disposition, wanted);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), before);
}

static void nobody_is_asked_while_nothing_can_be_signed(void **state)
{
	enum ca_disposition disposition;
	struct asked a;

	start(&env, false);
	ask_for(&a, "good.example");
	rig.core->is_signer_failing = true;
	assert_not_judged(&a, CA_CALL_BUSY, CA_INCOMPLETE);
	rig.core->is_signer_failing = false;
	assert_int_equal(submit(&a, &disposition), CA_CALL_VERDICT_WANTED);
	forget(&a);
	stop();
}

static void nobody_is_asked_while_nothing_can_be_written(void **state)
{
	enum ca_disposition disposition;
	struct asked a;
	struct sqlite3 *other;

	start(&env, false);
	ask_for(&a, "good.example");
	rig.core->is_store_failing = true;
	other = rig_lock(&rig);
	assert_not_judged(&a, CA_CALL_BUSY, CA_INCOMPLETE);
	assert_true(rig.core->is_store_failing);
	rig_unlock(other);
	/* It is tried, and it can. */
	assert_int_equal(submit(&a, &disposition), CA_CALL_VERDICT_WANTED);
	assert_false(rig.core->is_store_failing);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM crl_changes WHERE ca=''"), 0);
	forget(&a);
	stop();
}

static void nobody_is_asked_for_who_has_too_many_waiting(void **state)
{
	enum ca_disposition disposition;
	struct asked first, second;

	start_with(&env, false, "pending-per-requester: 1");
	assert_true(script_always("pend", "r", "look", 1));
	ask_for(&first, "one.example");
	state_it(&first, verdict_key);
	assert_int_equal(submit(&first, &disposition), 0);
	assert_int_equal(disposition, CA_UNDER_SUBMISSION);
	ask_for(&second, "two.example");
	assert_not_judged(&second, CA_CALL_BUSY, CA_INCOMPLETE);
	/* Another one has a quota of his own. */
	second.s.requester = "scep:key:2";
	assert_int_equal(submit(&second, &disposition), CA_CALL_VERDICT_WANTED);
	forget(&first);
	forget(&second);
	stop();
}

static void nobody_is_asked_about_what_cannot_be_issued(void **state)
{
	static const char *const name = "good.example";
	static const struct csr_spec odd[] = {
		{ .names = &name, .n_names = 1, .key = "rsa-1024" },
		{ .names = &name, .n_names = 1, .is_signature_bad = true },
		{ .common_name = "" },
	};

	start(&env, false);
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		struct asked a;

		ask_for(&a, name);
		buf_reset(&a.csr);
		assert_int_equal(csr_make(&odd[i], &a.csr), 0);
		a.s.request = buf_bytes(&a.csr);
		assert_not_judged(&a, 0, CA_ERROR);
		forget(&a);
	}
	stop();
}

/* Which names a request asks for is known for certain once its target has judged it: a host's in the common name
 * alone is one to whoever proves all names, and a word to whoever proves common names. The same octets are the same
 * request. */
static void nobody_is_asked_again_about_what_was_denied(void **state)
{
	static const struct csr_spec host = { .common_name = "laptop.corp.example" };
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	enum ca_disposition disposition;
	struct asked a;

	start(&env, false);
	ask_for(&a, "unused.example");
	buf_reset(&a.csr);
	assert_int_equal(csr_make(&host, &a.csr), 0);
	a.s.request = buf_bytes(&a.csr);
	a.s.is_repeat_exact = true;
	assert_int_equal(digest_sha256(a.s.request, a.verdict.request), 0);
	a.verdict.scope = "CN=*";
	state_it(&a, verdict_key);
	assert_true(script_always("deny", NULL, "not this one", 0));
	assert_int_equal(submit(&a, &disposition), 0);
	assert_int_equal(disposition, CA_DENIED);
	a.claim.message = bytes_of(NULL, 0);
	assert_int_equal(ca_submit(rig.door, &a.s, &out), 0);
	assert_int_equal(out.disposition, CA_DENIED);
	assert_string_equal(out.reason, "not this one");
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 1);
	forget(&a);
	stop();
}

static void without_a_validator_nothing_is_believed(void **state)
{
	static const uint8_t zero[VERDICT_KEY_SIZE];
	struct asked a;

	start(&env_without, false);
	ask_for(&a, "good.example");
	state_it(&a, zero);
	assert_refused(&a);
	forget(&a);
	stop();
}

static int set_up(void **state)
{
	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(issues_what_was_stated_here),
		cmocka_unit_test(issues_what_was_stated_over_a_link),
		cmocka_unit_test(a_gateway_that_lies_gets_nothing),
		cmocka_unit_test(a_target_allows_the_names_of_its_scope),
		cmocka_unit_test(nobody_is_asked_while_nothing_can_be_signed),
		cmocka_unit_test(nobody_is_asked_while_nothing_can_be_written),
		cmocka_unit_test(nobody_is_asked_for_who_has_too_many_waiting),
		cmocka_unit_test(nobody_is_asked_about_what_cannot_be_issued),
		cmocka_unit_test(nobody_is_asked_again_about_what_was_denied),
		cmocka_unit_test(without_a_validator_nothing_is_believed),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
