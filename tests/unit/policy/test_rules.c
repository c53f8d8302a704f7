/* The policy module `rules`: which rule decides, what it answers, what it changes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "tests/unit/policy/fake_view.h"

#include <errno.h>

extern const struct ca_policy_module policy_rules;

#define OID "1.3.6.1.5.5.7.1.24"

static struct ca_policy_view request(const char *name)
{
	return (struct ca_policy_view){
		.endpoint = "acme-internal",
		.protocol = "acme",
		.profile = "server",
		.requester = "acme:7",
		.source = "10.1.2.3",
		.key = "ec-p256",
		.not_before_s = 1000000,
		.not_after_s = 1000000 + 90 * 86400 - 1,
		.names = { { .kind = CA_NAME_DNS, .value = name } },
		.n_names = 1,
	};
}

static struct ca_verdict ask(const char *conf, struct ca_policy_view *v, enum ca_verify_cause cause)
{
	struct fixture f = fixture_start(&policy_rules, conf);
	struct ca_verdict out = fixture_ask(&f, v, cause);

	fixture_stop(&f);
	return out;
}

/* Whether a rule with this `when` matches the usual request, which may be changed first. */
static bool matches_view(const char *when, struct ca_policy_view v)
{
	char conf[512];

	snprintf(conf, sizeof(conf), "rules:\n  - {name: r, when: {%s}, then: issue}\n", when);
	return ask(conf, &v, CA_VERIFY_NEW).kind == CA_VERDICT_ISSUE;
}

static bool matches(const char *when)
{
	return matches_view(when, request("a.example"));
}

static void denies_without_rules(void **state)
{
	struct ca_policy_view v = request("a.example");
	struct ca_verdict out = ask("", &v, CA_VERIFY_NEW);

	assert_int_equal(out.kind, CA_VERDICT_DENY);
	assert_string_equal(out.rule, "default");
	assert_string_equal(out.trace, "default: yes -> deny");
	assert_string_equal(out.reason, "the policy of this CA does not allow the request");
}

static void answers_the_default_when_no_rule_matches(void **state)
{
	struct ca_policy_view v = request("a.example");

	assert_int_equal(ask("default: issue", &v, CA_VERIFY_NEW).kind, CA_VERDICT_ISSUE);
	assert_int_equal(ask("default: pend", &v, CA_VERIFY_NEW).kind, CA_VERDICT_PEND);
	v.approved_rule = "default";
	v.approvals = 1;
	assert_int_equal(ask("default: pend", &v, CA_VERIFY_RESUBMIT).kind, CA_VERDICT_ISSUE);
}

static void compares_where_it_came_from(void **state)
{
	struct ca_policy_view v = request("a.example");

	assert_true(matches("endpoint: acme-internal"));
	assert_true(matches("endpoint: [x, ACME-*]"));
	assert_false(matches("endpoint: [acme]"));
	assert_true(matches("protocol: acme"));
	assert_false(matches("protocol: est"));
	assert_true(matches("profile: server"));
	assert_false(matches("profile: client"));
	assert_true(matches("requester: 'acme:?'"));
	assert_false(matches("requester: 'acme:8'"));
	v.requester = NULL;
	assert_false(matches_view("requester: '*'", v));
}

static void compares_the_source_address(void **state)
{
	struct ca_policy_view v = request("a.example");

	assert_true(matches("source: [192.0.2.0/24, 10.0.0.0/8]"));
	assert_false(matches("source: 10.2.0.0/16"));
	v.source = "::ffff:10.1.2.3";
	assert_true(matches_view("source: 10.0.0.0/8", v));
	v.source = "fd00::5";
	assert_true(matches_view("source: fd00::/8", v));
	v.source = NULL;
	assert_false(matches_view("source: 0.0.0.0/0", v));
	v.source = "unknown";
	assert_false(matches_view("source: [0.0.0.0/0, '::/0']", v));
}

/* What a device is called is no proven name, and stands in the subject alone. */
static void compares_the_subject_that_is_asked_for(void **state)
{
	struct ca_policy_view v = request("a.example");

	v.csr_subject = "CN=hold 7,O=Example";
	assert_true(matches_view("subject: 'cn=hold*'", v));
	assert_true(matches_view("subject: [x, '*,O=Example']", v));
	assert_false(matches_view("subject: 'CN=held*'", v));
	assert_false(matches_view("subject: 'hold*'", v));
	v.csr_subject = "";
	assert_false(matches_view("subject: 'CN=*'", v));
	v.csr_subject = NULL;
	assert_false(matches_view("subject: '*'", v));
}

static void compares_every_name_or_any(void **state)
{
	struct ca_policy_view v = request("a.example");

	v.names[1] = (struct ca_name){ .kind = CA_NAME_IP, .value = "10.0.0.1" };
	v.n_names = 2;
	assert_true(matches("names: '*.example'"));
	assert_false(matches_view("names: '*.example'", v));
	assert_true(matches_view("names: ['*.example', 'ip:10.0.0.0/8']", v));
	assert_true(matches_view("any-name: '*.example'", v));
	assert_true(matches_view("any-name: 'ip:*'", v));
	assert_false(matches_view("any-name: '*.test'", v));
	v.n_names = 0;
	assert_false(matches_view("names: '*'", v));
	assert_false(matches_view("any-name: '*'", v));
}

static void compares_attributes(void **state)
{
	struct ca_policy_view v = request("a.example");

	v.attributes[0] = (struct ca_attribute){ "department", "Sales 2" };
	v.n_attributes = 1;
	assert_true(matches_view("attribute: {department: 'sales*'}", v));
	assert_true(matches_view("attribute: {Department: '*'}", v));
	assert_false(matches_view("attribute: {department: sales}", v));
	assert_false(matches_view("attribute: {department: '*', owner: '*'}", v));
	assert_false(matches("attribute: {department: '*'}"));
}

static void compares_the_key_type(void **state)
{
	assert_true(matches("key: [rsa, ec-p256]"));
	assert_false(matches("key: rsa"));
}

static void compares_whether_it_is_a_renewal(void **state)
{
	struct ca_policy_view v = request("a.example");

	assert_true(matches("renewal: no"));
	assert_false(matches("renewal: yes"));
	v.is_renewal = true;
	assert_true(matches_view("renewal: yes", v));
	assert_false(matches_view("renewal: no", v));
}

static void needs_every_condition(void **state)
{
	assert_true(matches("protocol: acme, names: a.example, key: ec-p256, source: 10.0.0.0/8"));
	assert_false(matches("protocol: acme, names: a.example, key: ec-p256, source: 11.0.0.0/8"));
	assert_false(matches("protocol: est, names: a.example"));
}

static const char ordered[] = "default: issue\n"
			      "rules:\n"
			      "  - {name: wall, when: {any-name: 'deny*'}, then: deny, reason: not for us}\n"
			      "  - {name: hold, when: {any-name: 'hold*'}, then: pend, approvals: 2, reason: asks}\n"
			      "  - {name: later, when: {any-name: '*'}, then: deny}\n";

static void lets_the_first_match_decide(void **state)
{
	struct ca_policy_view v = request("hold.example");
	struct ca_verdict out = ask(ordered, &v, CA_VERIFY_NEW);

	assert_int_equal(out.kind, CA_VERDICT_PEND);
	assert_string_equal(out.rule, "hold");
	assert_string_equal(out.reason, "asks");
	assert_string_equal(out.trace, "wall: no (no such name); hold: yes -> pend, approvals 0 of 2");
}

static void issues_after_enough_approvals_for_that_rule(void **state)
{
	struct ca_policy_view v = request("hold.example");
	struct ca_verdict out;

	v.approved_rule = "hold";
	v.approvals = 1;
	assert_int_equal(ask(ordered, &v, CA_VERIFY_RESUBMIT).kind, CA_VERDICT_PEND);
	v.approvals = 2;
	out = ask(ordered, &v, CA_VERIFY_RESUBMIT);
	assert_int_equal(out.kind, CA_VERDICT_ISSUE);
	assert_string_equal(out.rule, "hold");
	assert_string_equal(out.reason, "");
	assert_string_equal(out.trace, "wall: no (no such name); hold: yes -> issue, approvals 2 of 2");
	/* A grant brings them to a new request. */
	assert_int_equal(ask(ordered, &v, CA_VERIFY_NEW).kind, CA_VERDICT_ISSUE);
	v.approved_rule = "wall";
	assert_int_equal(ask(ordered, &v, CA_VERIFY_RESUBMIT).kind, CA_VERDICT_PEND);
}

static void keeps_a_deny_above_every_approval(void **state)
{
	struct ca_policy_view v = request("hold.example");
	struct ca_verdict out;

	v.names[1] = (struct ca_name){ .kind = CA_NAME_DNS, .value = "deny.example" };
	v.n_names = 2;
	v.approved_rule = "hold";
	v.approvals = 9;
	out = ask(ordered, &v, CA_VERIFY_RESUBMIT);
	assert_int_equal(out.kind, CA_VERDICT_DENY);
	assert_string_equal(out.rule, "wall");
	assert_string_equal(out.reason, "not for us");
}

static void lets_renewals_pass_when_the_rule_says_so(void **state)
{
	static const char frees[] = "rules: [{name: hold, then: pend, renewal: true}]";
	static const char keeps[] = "rules: [{name: hold, then: pend}]";
	struct ca_policy_view v = request("hold.example");
	struct ca_verdict out;

	assert_int_equal(ask(frees, &v, CA_VERIFY_NEW).kind, CA_VERDICT_PEND);
	v.is_renewal = true;
	assert_int_equal(ask(keeps, &v, CA_VERIFY_NEW).kind, CA_VERDICT_PEND);
	out = ask(frees, &v, CA_VERIFY_NEW);
	assert_int_equal(out.kind, CA_VERDICT_ISSUE);
	assert_string_equal(out.trace, "hold: yes -> issue, approvals 0 of 1, renewal");
}

static void keeps_approvals_for_another_key_when_the_rule_says_so(void **state)
{
	static const char keeps[] = "rules: [{name: hold, then: pend, other-key: true}]";
	static const char voids[] = "rules: [{name: hold, then: pend}]";
	struct ca_policy_view v = request("hold.example");

	assert_true(ask(keeps, &v, CA_VERIFY_NEW).keeps_approvals);
	assert_false(ask(voids, &v, CA_VERIFY_NEW).keeps_approvals);
}

static void decides_otherwise_when_an_attribute_changed(void **state)
{
	static const char conf[] = "rules:\n"
				   "  - {name: known, when: {attribute: {ticket: 'T-*'}}, then: issue}\n"
				   "  - {name: ask, then: pend}\n";
	struct ca_policy_view v = request("a.example");

	assert_int_equal(ask(conf, &v, CA_VERIFY_NEW).kind, CA_VERDICT_PEND);
	v.attributes[v.n_attributes++] = (struct ca_attribute){ "ticket", "T-12" };
	assert_int_equal(ask(conf, &v, CA_VERIFY_RESUBMIT).kind, CA_VERDICT_ISSUE);
}

static void traces_why_each_rule_above_did_not_match(void **state)
{
	struct ca_policy_view v = request("wiki.example");
	struct ca_verdict out;

	out = ask("rules:\n"
		  "  - {name: r1, when: {names: '*.test'}, then: issue}\n"
		  "  - {name: r2, when: {protocol: est}, then: issue}\n"
		  "  - {name: r3, when: {source: 192.0.2.0/24}, then: issue}\n"
		  "  - {name: r4, when: {attribute: {owner: x}}, then: issue}\n"
		  "  - {name: r5, when: {renewal: yes}, then: issue}\n", &v, CA_VERIFY_NEW);
	assert_string_equal(out.trace, "r1: no (name wiki.example); r2: no (protocol acme); "
				       "r3: no (source 10.1.2.3); r4: no (attribute owner absent); "
				       "r5: no (no renewal); default: yes -> deny");
}

static void escapes_text_of_the_requester_in_the_trace(void **state)
{
	struct ca_policy_view v = request("a\x1b[2Jb\"");
	struct ca_verdict out = ask("rules: [{name: r, when: {names: x}, then: issue}]", &v, CA_VERIFY_NEW);

	assert_string_equal(out.trace, "r: no (name a\\x1b[2Jb\\x22); default: yes -> deny");
}

static void keeps_the_trace_within_bounds(void **state)
{
	static char conf[16384] = "rules:\n";
	struct ca_policy_view v = request("a.example");
	struct ca_verdict out;
	size_t i, len = strlen(conf);

	for (i = 0; i < 100; i++)
		len += (size_t)snprintf(conf + len, sizeof(conf) - len,
					"  - {name: rule-%zu, when: {names: '*.test'}, then: issue}\n", i);
	snprintf(conf + len, sizeof(conf) - len, "  - {name: last, then: pend}\n");
	out = ask(conf, &v, CA_VERIFY_NEW);
	assert_string_equal(out.rule, "last");
	assert_true(strlen(out.trace) < sizeof(out.trace) - 1);
	assert_non_null(strstr(out.trace, "rule-0: no (name a.example); "));
	assert_non_null(strstr(out.trace, " more: no; last: yes -> pend, approvals 0 of 1"));
}

static void shortens_validity_to_the_second(void **state)
{
	struct ca_policy_view v = request("a.example");

	ask("rules: [{name: r, then: issue, set: {lifetime: 7d}}]", &v, CA_VERIFY_NEW);
	assert_int_equal(v.not_after_s, 1000000 + 7 * 86400 - 1);
}

static void never_lengthens_validity(void **state)
{
	struct ca_policy_view v = request("a.example");
	struct ca_verdict out = ask("rules: [{name: r, then: issue, set: {lifetime: 365d}}]", &v, CA_VERIFY_NEW);

	assert_int_equal(out.kind, CA_VERDICT_ISSUE);
	assert_int_equal(v.not_after_s, 1000000 + 90 * 86400 - 1);
	assert_string_equal(out.trace, "r: yes -> issue, set lifetime not possible");
}

static struct ca_policy_view request_with_extension(unsigned flags)
{
	struct ca_policy_view v = request("a.example");

	v.extensions[0] = (struct ca_extension){ .oid = OID, .flags = flags };
	v.n_extensions = 1;
	v.profile_oids[0] = OID;
	return v;
}

static void switches_extensions_on_and_off(void **state)
{
	struct ca_policy_view v = request_with_extension(CA_EXT_DISABLED);
	struct ca_verdict out = ask("rules: [{name: r, then: issue, set: {enable: " OID "}}]", &v, CA_VERIFY_NEW);

	assert_int_equal(v.extensions[0].flags, 0);
	assert_string_equal(out.trace, "r: yes -> issue");
	ask("rules: [{name: r, then: issue, set: {disable: [" OID ", 1.2.3]}}]", &v, CA_VERIFY_NEW);
	assert_int_equal(v.extensions[0].flags, CA_EXT_DISABLED);
}

static void switches_on_while_it_pends_because_a_resubmit_cannot(void **state)
{
	static const char conf[] = "rules: [{name: r, then: pend, set: {enable: " OID "}}]";
	struct ca_policy_view v = request_with_extension(CA_EXT_DISABLED);
	struct ca_verdict out = ask(conf, &v, CA_VERIFY_NEW);

	assert_int_equal(out.kind, CA_VERDICT_PEND);
	assert_int_equal(v.extensions[0].flags, 0);
	v.is_resubmit = true;
	out = ask(conf, &v, CA_VERIFY_RESUBMIT);
	assert_int_equal(out.kind, CA_VERDICT_PEND);
	assert_string_equal(out.trace, "r: yes -> pend, approvals 0 of 1, enable " OID " not possible");
}

static void notes_an_extension_that_may_not_be_switched_on(void **state)
{
	struct ca_policy_view v = request_with_extension(CA_EXT_DISABLED);
	struct ca_verdict out;

	v.profile_oids[0] = NULL;
	out = ask("rules: [{name: r, then: issue, set: {enable: " OID "}}]", &v, CA_VERIFY_NEW);
	assert_int_equal(out.kind, CA_VERDICT_ISSUE);
	assert_int_equal(v.extensions[0].flags, CA_EXT_DISABLED);
	assert_string_equal(out.trace, "r: yes -> issue, enable " OID " not possible");
}

static void sets_subject_components(void **state)
{
	struct ca_policy_view v = request("10.0.0.1");

	v.names[0].kind = CA_NAME_IP;
	v.names[1] = (struct ca_name){ .kind = CA_NAME_DNS, .value = "a.example" };
	v.names[2] = (struct ca_name){ .kind = CA_NAME_DNS, .value = "b.example" };
	v.n_names = 3;
	ask("rules: [{name: r, then: issue, set: {subject: {CN: first-name, O: Ex & Co, OU: ''}}}]", &v,
	    CA_VERIFY_NEW);
	assert_string_equal(v.subject, "CN=a.example,O=Ex & Co,OU=");
}

static void sets_no_cn_when_no_name_can_be_one(void **state)
{
	struct ca_policy_view v = request("a-name-that-is-longer-than-the-sixty-four-characters-of-a-cn.example.com");
	struct ca_verdict out;

	out = ask("rules: [{name: r, then: issue, set: {subject: {CN: first-name}}}]", &v, CA_VERIFY_NEW);
	assert_string_equal(v.subject, "");
	assert_string_equal(out.trace, "r: yes -> issue, set CN not possible");
}

static void changes_nothing_when_it_denies_or_another_rule_decides(void **state)
{
	struct ca_policy_view v = request("a.example");

	ask("rules:\n"
	    "  - {name: r, when: {names: x}, then: issue, set: {lifetime: 1d}}\n"
	    "  - {name: s, then: deny}\n", &v, CA_VERIFY_NEW);
	assert_int_equal(v.not_after_s, 1000000 + 90 * 86400 - 1);
}

static void fails_without_an_answer_when_a_change_fails(void **state)
{
	struct fixture f = fixture_start(&policy_rules, "rules: [{name: r, then: issue, set: {subject: {O: x}}}]");
	struct ca_policy_view v = request("a.example");
	struct ca_verdict out = { .kind = -1 };

	v.fails = -ENOMEM;
	assert_int_equal(policy_rules.verify(f.state, &v, CA_VERIFY_NEW, &out), -ENOMEM);
	assert_int_equal(out.kind, -1);
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(denies_without_rules),
		cmocka_unit_test(answers_the_default_when_no_rule_matches),
		cmocka_unit_test(compares_where_it_came_from),
		cmocka_unit_test(compares_the_source_address),
		cmocka_unit_test(compares_the_subject_that_is_asked_for),
		cmocka_unit_test(compares_every_name_or_any),
		cmocka_unit_test(compares_attributes),
		cmocka_unit_test(compares_the_key_type),
		cmocka_unit_test(compares_whether_it_is_a_renewal),
		cmocka_unit_test(needs_every_condition),
		cmocka_unit_test(lets_the_first_match_decide),
		cmocka_unit_test(issues_after_enough_approvals_for_that_rule),
		cmocka_unit_test(keeps_a_deny_above_every_approval),
		cmocka_unit_test(lets_renewals_pass_when_the_rule_says_so),
		cmocka_unit_test(keeps_approvals_for_another_key_when_the_rule_says_so),
		cmocka_unit_test(decides_otherwise_when_an_attribute_changed),
		cmocka_unit_test(traces_why_each_rule_above_did_not_match),
		cmocka_unit_test(escapes_text_of_the_requester_in_the_trace),
		cmocka_unit_test(keeps_the_trace_within_bounds),
		cmocka_unit_test(shortens_validity_to_the_second),
		cmocka_unit_test(never_lengthens_validity),
		cmocka_unit_test(switches_extensions_on_and_off),
		cmocka_unit_test(switches_on_while_it_pends_because_a_resubmit_cannot),
		cmocka_unit_test(notes_an_extension_that_may_not_be_switched_on),
		cmocka_unit_test(sets_subject_components),
		cmocka_unit_test(sets_no_cn_when_no_name_can_be_one),
		cmocka_unit_test(changes_nothing_when_it_denies_or_another_rule_decides),
		cmocka_unit_test(fails_without_an_answer_when_a_change_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
