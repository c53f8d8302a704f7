/* A submission that nobody sends: what would come of it, and nothing of it is left.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"

#include "core/base/log.h"
#include "core/base/own.h"
#include "core/store.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"
#include "tests/test.h"

static const char rules[] =
	"{module: rules, rules: [{name: no, when: {names: ['*.bad.example']}, then: deny, reason: not here},"
	" {name: mine, when: {requester: ['acme:7/*']}, then: issue, set: {lifetime: 2d}},"
	" {name: hold, when: {attribute: {ticket: '?*'}}, then: pend, approvals: 2},"
	" {name: others, when: {source: [192.0.2.0/24]}, then: issue}]}";

static struct rig rig;
static struct ca_outcome out;

static void start(const char *policy)
{
	struct conf_error error = { 0 };

	out = CA_OUTCOME_INIT; /* nothing is issued: it stays empty */
	script_reset();
	rig_init(&rig, &(struct rig_settings){ .policy = policy, .exits = "[]", .profile = "lifetime: 10d",
					       .profiles = "{name: rsa, keys: [rsa]}" });
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

/* What would come of a request for these names; the caller drops it. */
static int rehearse(struct ca_submission *s, const struct csr_spec *spec, struct ca_request **r)
{
	OWNED_BUF der = BUF_INIT(CA_REQUEST_MAX);

	assert_int_equal(csr_make(spec, &der), 0);
	s->protocol = s->protocol ? s->protocol : "acme";
	s->endpoint = RIG_ENDPOINT;
	s->profile = s->profile ? s->profile : RIG_PROFILE;
	s->request = buf_bytes(&der);
	assert_int_equal(ca_request_new(r), 0);
	return pipeline_rehearse(core_find_ca(rig.core, RIG_CA), s, *r, &out);
}

#define NAMES(...) .names = (const char *const[]){ __VA_ARGS__ }, .n_names = sizeof((const char *[]){ __VA_ARGS__ }) / 8

static void expect(struct ca_submission s, const char *name, enum ca_verdict_kind kind, const char *rule)
{
	OWNED(ca_request) r = NULL;

	assert_int_equal(rehearse(&s, &(struct csr_spec){ .names = &name, .n_names = 1 }, &r), 0);
	assert_int_equal(r->status, CA_STATUS_NONE);
	assert_int_equal(r->verdict.kind, kind);
	assert_string_equal(r->verdict.rule, rule);
}

static int64_t count_rows(void)
{
	return rig_number(&rig, "SELECT (SELECT count(*) FROM requests) + (SELECT count(*) FROM timeline)"
				" + (SELECT count(*) FROM audit) + (SELECT count(*) FROM outbox)");
}

static void each_rule_says_what_it_would_say(void **state)
{
	static const struct ca_attribute ticket = { "ticket", "CHG-1" };
	int64_t rows, id;

	start(rules);
	rows = count_rows();
	id = rig.core->last_id;
	expect((struct ca_submission){ 0 }, "a.bad.example", CA_VERDICT_DENY, "no");
	expect((struct ca_submission){ .requester = "acme:7/x" }, "a.example", CA_VERDICT_ISSUE, "mine");
	expect((struct ca_submission){ .attributes = &ticket, .n_attributes = 1 }, "a.example", CA_VERDICT_PEND,
	       "hold");
	expect((struct ca_submission){ .source_address = "192.0.2.9" }, "a.example", CA_VERDICT_ISSUE, "others");
	expect((struct ca_submission){ 0 }, "a.example", CA_VERDICT_DENY, "default");
	assert_int_equal(count_rows(), rows);
	assert_int_equal(rig.core->last_id, id);
	rig_fini(&rig);
}

/* So that what is approved later can be held against it. */
static void the_digest_is_that_of_the_real_request(void **state)
{
	OWNED_BUF der = BUF_INIT(CA_REQUEST_MAX);
	OWNED(ca_request) r = NULL;
	OWNED(ca_request) real = NULL;
	struct ca_name proven = { CA_NAME_DNS, "a.example", CA_EVIDENCE_ACME_AUTHORIZATION, "authz 1" };
	const char *name = proven.value;
	struct ca_submission s = { .protocol = "acme", .endpoint = RIG_ENDPOINT, .profile = RIG_PROFILE,
				   .requester = "acme:7/x", .evidence = CA_EVIDENCE_ACME_AUTHORIZATION };

	start("{module: manual}");
	assert_int_equal(csr_make(&(struct csr_spec){ .names = &name, .n_names = 1 }, &der), 0);
	s.request = buf_bytes(&der);
	assert_int_equal(ca_request_new(&r), 0);
	assert_int_equal(pipeline_rehearse(core_find_ca(rig.core, RIG_CA), &s, r, &out), 0);
	assert_int_equal(r->verdict.kind, CA_VERDICT_PEND);
	assert_string_equal(r->names[0].value, "a.example");
	assert_string_equal(r->names[0].evidence_text, "taken as proven");
	assert_string_equal(request_subject_text(r), "CN=a.example");
	assert_int_equal(r->template_s, 10 * 86400);
	s.names = &proven;
	s.n_names = 1;
	assert_int_equal(ca_submit(rig.door, &s, &out), 0);
	assert_int_equal(out.disposition, CA_UNDER_SUBMISSION);
	assert_int_equal(store_load(rig.core, out.id, &real), 0);
	assert_memory_equal(r->digest, real->digest, SHA256_SIZE);
	rig_fini(&rig);
}

static void expect_status(struct ca_submission s, const struct csr_spec *spec, enum ca_status status, const char *why)
{
	OWNED(ca_request) r = NULL;

	assert_int_equal(rehearse(&s, spec, &r), 0);
	assert_int_equal(r->status, status);
	if (!strstr(r->reason, why))
		fail_msg("%s", r->reason);
}

static void what_would_end_as_an_error_says_why(void **state)
{
	const struct csr_spec good = { NAMES("a.example") };

	start("{module: p}");
	expect_status((struct ca_submission){ 0 }, &(struct csr_spec){ NAMES("a.example"), .is_signature_bad = true },
		      CA_STATUS_BAD_SIGNATURE, "sign");
	expect_status((struct ca_submission){ .profile = "rsa" }, &good, CA_STATUS_BAD_KEY, "profile rsa");
	expect_status((struct ca_submission){ 0 }, &(struct csr_spec){ NAMES("a.example"), .common_name = "John Doe" },
		      CA_STATUS_BAD_NAME, "John Doe");
	script_say("fail", "", "", 0);
	expect_status((struct ca_submission){ 0 }, &good, CA_STATUS_POLICY_FAILURE, "no valid answer");
	assert_int_equal(rig.core->policy_failures, 0);
	rig_fini(&rig);
}

/* A name in the common name alone counts as asked for; at EST the whole subject does. */
static void names_are_taken_as_each_protocol_proves_them(void **state)
{
	struct ca_submission acme = { 0 }, est = { .protocol = "est", .requester = "est:user:alice" };
	OWNED(ca_request) first = NULL;
	OWNED(ca_request) second = NULL;

	start("{module: p}");
	assert_int_equal(rehearse(&acme, &(struct csr_spec){ .common_name = "b.example" }, &first), 0);
	assert_int_equal(first->status, CA_STATUS_NONE);
	assert_string_equal(first->requester, "acme:test");
	assert_int_equal(first->n_names, 1);
	assert_int_equal(rehearse(&est, &(struct csr_spec){ .common_name = "printer7", NAMES("mail:a@b.example") },
				  &second), 0);
	assert_int_equal(second->status, CA_STATUS_NONE);
	assert_string_equal(request_subject_text(second), "CN=printer7");
	assert_int_equal(second->names[0].kind, CA_NAME_EMAIL);
	assert_int_equal(second->verdict.kind, CA_VERDICT_ISSUE);
	rig_fini(&rig);
}

static void nobody_speaks_as_a_requester_of_another_protocol(void **state)
{
	struct ca_submission s = { .requester = "est:user:alice" }, mail = { 0 }, none = { .protocol = "status" };
	OWNED(ca_request) first = NULL;
	OWNED(ca_request) second = NULL;
	OWNED(ca_request) third = NULL;

	start("{module: p}");
	assert_int_equal(rehearse(&s, &(struct csr_spec){ NAMES("a.example") }, &first), CA_CALL_REFUSED);
	assert_non_null(strstr(out.reason, "not called so"));
	assert_int_equal(rehearse(&mail, &(struct csr_spec){ NAMES("mail:a@b.example") }, &second), CA_CALL_REFUSED);
	assert_int_equal(rehearse(&none, &(struct csr_spec){ NAMES("a.example") }, &third), CA_CALL_REFUSED);
	rig_fini(&rig);
}

static void swallow(void *arg, const char *line)
{
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_says_what_it_would_say),
		cmocka_unit_test(the_digest_is_that_of_the_real_request),
		cmocka_unit_test(what_would_end_as_an_error_says_why),
		cmocka_unit_test(names_are_taken_as_each_protocol_proves_them),
		cmocka_unit_test(nobody_speaks_as_a_requester_of_another_protocol),
	};

	log_capture(swallow, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
