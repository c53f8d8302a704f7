/* The policy module `manual`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "tests/unit/policy/fake_view.h"

extern const struct ca_policy_module policy_manual;

static int ask(const char *conf, struct ca_policy_view v, enum ca_verify_cause cause)
{
	struct fixture f = fixture_start(&policy_manual, conf);
	struct ca_verdict out = fixture_ask(&f, &v, cause);

	fixture_stop(&f);
	assert_string_equal(out.rule, "manual");
	return out.kind;
}

static const struct ca_policy_view plain = { .profile = "server" };
static const struct ca_policy_view approved = { .profile = "server", .approved_rule = "manual", .approvals = 1 };

static void pends_first_and_issues_after_approval(void **state)
{
	assert_int_equal(ask("", plain, CA_VERIFY_NEW), CA_VERDICT_PEND);
	assert_int_equal(ask("", plain, CA_VERIFY_RESUBMIT), CA_VERDICT_PEND);
	assert_int_equal(ask("", approved, CA_VERIFY_RESUBMIT), CA_VERDICT_ISSUE);
}

static void issues_a_new_request_that_spends_a_grant(void **state)
{
	assert_int_equal(ask("", approved, CA_VERIFY_NEW), CA_VERDICT_ISSUE);
	assert_int_equal(ask("approvals: 2", approved, CA_VERIFY_NEW), CA_VERDICT_PEND);
	assert_int_equal(ask("approvals: 0", approved, CA_VERIFY_NEW), CA_VERDICT_ISSUE);
}

static void issues_on_a_plain_resubmit_without_approvals_if_told_so(void **state)
{
	assert_int_equal(ask("approvals: 0", plain, CA_VERIFY_NEW), CA_VERDICT_PEND);
	assert_int_equal(ask("approvals: 0", plain, CA_VERIFY_RESUBMIT), CA_VERDICT_ISSUE);
}

static void counts_approvals_of_its_own_rule_only(void **state)
{
	struct ca_policy_view v = approved;

	v.approved_rule = "other";
	assert_int_equal(ask("", v, CA_VERIFY_RESUBMIT), CA_VERDICT_PEND);
}

static void answers_as_configured(void **state)
{
	assert_int_equal(ask("new: issue", plain, CA_VERIFY_NEW), CA_VERDICT_ISSUE);
	assert_int_equal(ask("new: deny", plain, CA_VERIFY_NEW), CA_VERDICT_DENY);
	assert_int_equal(ask("resubmit: deny", approved, CA_VERIFY_RESUBMIT), CA_VERDICT_DENY);
	assert_int_equal(ask("resubmit: pend", approved, CA_VERIFY_RESUBMIT), CA_VERDICT_PEND);
}

static void treats_recovery_and_continuation_as_new(void **state)
{
	assert_int_equal(ask("approvals: 0", plain, CA_VERIFY_RECOVERY), CA_VERDICT_PEND);
	assert_int_equal(ask("approvals: 0", plain, CA_VERIFY_CONTINUE), CA_VERDICT_PEND);
}

static void keeps_to_its_profiles(void **state)
{
	assert_int_equal(ask("profile: [client, server]", plain, CA_VERIFY_NEW), CA_VERDICT_PEND);
	assert_int_equal(ask("profile: client", plain, CA_VERIFY_NEW), CA_VERDICT_DENY);
	assert_int_equal(ask("profile: client\nothers: issue", plain, CA_VERIFY_NEW), CA_VERDICT_ISSUE);
}

static void tells_how_many_approvals_there_are(void **state)
{
	struct fixture f = fixture_start(&policy_manual, "approvals: 3");
	struct ca_policy_view v = approved;
	struct ca_verdict out = fixture_ask(&f, &v, CA_VERIFY_RESUBMIT);

	fixture_stop(&f);
	assert_string_equal(out.trace, "approvals 1 of 3");
	assert_string_equal(out.reason, "the request waits for approval");
}

static void refuses_wrong_options(void **state)
{
	fixture_refuse(&policy_manual, "profile: []",
		       "t.yaml:1:10: an empty list of profiles; leave 'profile' out for all");
	fixture_refuse(&policy_manual, "new: maybe", "t.yaml:1:6: option 'new': 'maybe' is none of pend|issue|deny");
	fixture_refuse(&policy_manual, "approvals: 17", "t.yaml:1:12: option 'approvals': '17' is outside 0..16");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pends_first_and_issues_after_approval),
		cmocka_unit_test(issues_a_new_request_that_spends_a_grant),
		cmocka_unit_test(issues_on_a_plain_resubmit_without_approvals_if_told_so),
		cmocka_unit_test(counts_approvals_of_its_own_rule_only),
		cmocka_unit_test(answers_as_configured),
		cmocka_unit_test(treats_recovery_and_continuation_as_new),
		cmocka_unit_test(keeps_to_its_profiles),
		cmocka_unit_test(tells_how_many_approvals_there_are),
		cmocka_unit_test(refuses_wrong_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
