/* What the policy module `rules` refuses in its configuration, with its place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "tests/unit/policy/fake_view.h"

extern const struct ca_policy_module policy_rules;

/* `rule` is one line, so that everything stands in line 3 behind four blanks. */
static void refuse(const char *rule, const char *message)
{
	char text[2048];

	snprintf(text, sizeof(text), "default: deny\nrules:\n  - {name: r, %s}\n", rule);
	fixture_refuse(&policy_rules, text, message);
}

static void refuses_names_that_are_wrong_or_taken(void **state)
{
	fixture_refuse(&policy_rules, "rules:\n  - then: issue\n", "t.yaml:2:5: option 'name' is missing");
	fixture_refuse(&policy_rules, "rules:\n  - name: r\n", "t.yaml:2:5: option 'then' is missing");
	fixture_refuse(&policy_rules, "rules:\n  - {name: R 1, then: issue}\n",
		       "t.yaml:2:12: a rule's name is made of 1 to 63 small letters, digits and '-'");
	fixture_refuse(&policy_rules, "rules:\n  - {name: '', then: issue}\n",
		       "t.yaml:2:12: a rule's name is made of 1 to 63 small letters, digits and '-'");
	fixture_refuse(&policy_rules, "rules:\n  - {name: default, then: issue}\n",
		       "t.yaml:2:12: the name 'default' is taken by the answer when no rule matches");
	fixture_refuse(&policy_rules, "rules:\n  - {name: a, then: issue}\n  - {name: a, then: deny}\n",
		       "t.yaml:3:12: there is a rule 'a' already");
}

static void refuses_wrong_answers(void **state)
{
	refuse("then: hold", "t.yaml:3:21: option 'then': 'hold' is none of issue|deny|pend");
	fixture_refuse(&policy_rules, "default: maybe\n",
		       "t.yaml:1:10: option 'default': 'maybe' is none of deny|pend|issue");
}

static void refuses_options_that_do_not_fit_the_answer(void **state)
{
	refuse("then: issue, approvals: 2", "t.yaml:3:39: only a rule that pends counts approvals");
	refuse("then: deny, renewal: true", "t.yaml:3:36: only a rule that pends can let renewals pass");
	refuse("then: deny, set: {lifetime: 1d}", "t.yaml:3:32: a rule that denies changes nothing");
	refuse("then: pend, approvals: 0", "t.yaml:3:38: option 'approvals': '0' is outside 1..16");
}

static void refuses_wrong_conditions(void **state)
{
	refuse("then: issue, when: {source: [10.0.0.0/8, 10.0.0.1/8]}",
	       "t.yaml:3:56: '10.0.0.1/8' is not a range such as 10.0.0.0/8 or fd00::/8");
	refuse("then: issue, when: {names: [a.example, 'ip:10/8']}",
	       "t.yaml:3:54: 'ip:10/8' is not a pattern such as *.example.com, dns:a.example or ip:10.0.0.0/8");
	refuse("then: issue, when: {any-name: ['dns:']}",
	       "t.yaml:3:46: 'dns:' is not a pattern such as *.example.com, dns:a.example or ip:10.0.0.0/8");
	refuse("then: issue, when: {endpoint: ['']}", "t.yaml:3:46: '' is not a pattern");
	refuse("then: issue, when: {key: [dsa]}",
	       "t.yaml:3:41: option 'key': 'dsa' is none of rsa|ec-p256|ec-p384|ed25519");
	refuse("then: issue, when: {renewal: maybe}", "t.yaml:3:44: option 'renewal': 'maybe' is none of yes|no");
	refuse("then: issue, when: {nmaes: a}", "t.yaml:3:35: unknown option 'nmaes'; did you mean 'names'?");
}

static void refuses_empty_lists_that_would_match_everything(void **state)
{
	refuse("then: issue, when: {names: []}",
	       "t.yaml:3:42: an empty list matches nothing; leave 'names' out instead");
	refuse("then: issue, when: {source: []}",
	       "t.yaml:3:43: an empty list matches nothing; leave 'source' out instead");
	refuse("then: issue, when: {attribute: {}}",
	       "t.yaml:3:46: an empty list matches nothing; leave 'attribute' out instead");
}

static void refuses_wrong_changes(void **state)
{
	static const char *const oids[] = { "1", "3.1", "1.40", "1.2.03", "1..2", "1.2.", ".1.2", "1.2.x",
					    "1.2.3333333333333333333" };
	char rule[256], message[256];
	size_t i;

	for (i = 0; i < sizeof(oids) / sizeof(oids[0]); i++) {
		snprintf(rule, sizeof(rule), "then: issue, set: {enable: ['%s']}", oids[i]);
		snprintf(message, sizeof(message), "t.yaml:3:43: '%s' is not an OID such as 1.3.6.1.5.5.7.1.24",
			 oids[i]);
		refuse(rule, message);
	}
	refuse("then: issue, set: {disable: ['1']}", "t.yaml:3:44: '1' is not an OID such as 1.3.6.1.5.5.7.1.24");
	refuse("then: issue, set: {subject: {X: a}}",
	       "t.yaml:3:47: unknown subject component 'X'; known are CN, O, OU, C, ST, L, serialNumber, "
	       "emailAddress, DC, UID, unstructuredName and unstructuredAddress");
	refuse("then: issue, set: {subject: {CN: a.example}}",
	       "t.yaml:3:48: CN is either first-name, the first proven DNS name, or empty");
	refuse("then: issue, set: {subject: {C: GER}}", "t.yaml:3:47: C is longer than 2 characters");
	refuse("then: issue, set: {subject: {C: G}}", "t.yaml:3:47: C is a country code of two letters");
	refuse("then: issue, set: {lifetime: 1}",
	       "t.yaml:3:44: option 'lifetime': '1' is not a duration such as 90d, 12h, 10m, 5s or 500ms");
}

static void refuses_a_reason_that_does_not_fit(void **state)
{
	char rule[512], reason[300];

	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	snprintf(rule, sizeof(rule), "then: deny, reason: %s", reason);
	refuse(rule, "t.yaml:3:35: longer than 255 octets");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_names_that_are_wrong_or_taken),
		cmocka_unit_test(refuses_wrong_answers),
		cmocka_unit_test(refuses_options_that_do_not_fit_the_answer),
		cmocka_unit_test(refuses_wrong_conditions),
		cmocka_unit_test(refuses_empty_lists_that_would_match_everything),
		cmocka_unit_test(refuses_wrong_changes),
		cmocka_unit_test(refuses_a_reason_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
