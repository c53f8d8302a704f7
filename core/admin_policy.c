/* Calls of the administrator's tool that ask policy without deciding: explain, about a held request; test-policy, about
 * one that nobody has sent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/differences.h"
#include "core/store.h"

static const char *const verdicts[] = {
	[CA_VERDICT_DENY] = "deny",
	[CA_VERDICT_PEND] = "pend",
	[CA_VERDICT_ISSUE] = "issue",
};

/* `word` NULL: that of the verdict. */
static int write_explanation(const struct admin_ask *a, struct ca_request *r, const char *word, const char *reason)
{
	Gatehouse__Admin__Explanation *x = arena_alloc(a->arena, sizeof(*x));

	if (!x)
		return -ENOMEM;
	gatehouse__admin__explanation__init(x);
	x->verdict = (char *)(word ? word : verdicts[r->verdict.kind]);
	x->rule = arena_strdup(a->arena, r->verdict.rule);
	x->reason = arena_strdup(a->arena, reason);
	x->trace = arena_strdup(a->arena, r->verdict.trace);
	x->subject = arena_strdup(a->arena, request_subject_text(r));
	x->lifetime_s = r->template_s;
	if (!x->rule || !x->reason || !x->trace || !x->subject)
		return -ENOMEM;
	a->reply->explanation = x;
	/* What was refused before policy was asked is compared with nothing. */
	return r->template_s ? differences_list(a->core, r, a->arena, &x->differences, &x->n_differences) : 0;
}

/* ---- explain ---- */

void admin_explain(const struct admin_ask *a)
{
	OWNED(ca_request) r = NULL;
	struct ca *ca = NULL;
	char why[CA_REASON_SIZE] = "";
	int e = store_load(a->core, a->call->explain->id, &r);

	if (e == CA_CALL_NOT_FOUND)
		return admin_say(a, CA_ADMIN_NOT_FOUND, "there is no such request");
	if (!e)
		ca = core_find_ca(a->core, r->ca);
	if (!e && r->state != CA_STATE_PENDING)
		return admin_say(a, CA_ADMIN_BAD_STATE, "policy is asked about pending requests only");
	if (!e && (!ca || decide_prepare(ca, r)))
		return admin_say(a, CA_ADMIN_NO_ANSWER, "the request's CA or profile is no longer configured");
	if (!e)
		e = store_load_approvals(a->core, r);
	if (!e)
		e = store_is_renewal(a->core, r, clock_wall_s(), &r->is_renewal);
	if (!e)
		e = decide_explain(ca, r, CA_VERIFY_RESUBMIT, why);
	if (e >= 0)
		e = write_explanation(a, r, e ? "failure" : NULL, e ? why : r->verdict.reason);
	if (e)
		admin_failed(a, e);
}

/* ---- test-policy ---- */

/* Everything is copied: the request ends with the call, the reply after it. */
struct copier {
	struct arena *arena;
	bool has_failed;
};

/* NULL stands for "". */
static char *copy_text(struct copier *c, const char *text)
{
	char *copy = arena_strdup(c->arena, text ? text : "");

	c->has_failed |= !copy;
	return copy;
}

static ProtobufCBinaryData copy_octets(struct copier *c, struct bytes octets)
{
	struct bytes copy = arena_copy(c->arena, octets);

	c->has_failed |= octets.len && !copy.ptr;
	return (ProtobufCBinaryData){ .len = copy.ptr ? copy.len : 0, .data = (uint8_t *)copy.ptr };
}

/* `n` messages of one size, and `*list`, which points to each. NULL when there is no memory. */
static void *make_list(struct copier *c, size_t n, size_t size, void ***list)
{
	char *all = arena_alloc(c->arena, (n + 1) * size);

	*list = arena_alloc(c->arena, (n + 1) * sizeof(**list));
	c->has_failed |= !all || !*list;
	for (size_t i = 0; !c->has_failed && i < n; i++)
		(*list)[i] = all + i * size;
	return c->has_failed ? NULL : all;
}

static void write_names(struct copier *c, const struct ca_request *r, Gatehouse__Admin__Detail *d)
{
	Gatehouse__Admin__Name *all = make_list(c, r->n_names, sizeof(*all), (void ***)&d->names);

	for (size_t i = 0; all && i < r->n_names; i++) {
		gatehouse__admin__name__init(&all[i]);
		all[i].text = arena_printf(c->arena, "%s:%s", ca_name_kind_word(r->names[i].kind), r->names[i].value);
		all[i].evidence = copy_text(c, r->names[i].evidence_text);
		c->has_failed |= !all[i].text;
	}
	d->n_names = all ? r->n_names : 0;
}

static void write_attributes(struct copier *c, const struct ca_request *r, Gatehouse__Admin__Detail *d)
{
	Gatehouse__Admin__Attribute *all = make_list(c, r->n_attributes, sizeof(*all), (void ***)&d->attributes);

	for (size_t i = 0; all && i < r->n_attributes; i++) {
		gatehouse__admin__attribute__init(&all[i]);
		all[i].name = copy_text(c, r->attributes[i].name);
		all[i].value = copy_text(c, r->attributes[i].value);
	}
	d->n_attributes = all ? r->n_attributes : 0;
}

static void write_extensions(struct copier *c, const struct ca_request *r, Gatehouse__Admin__Detail *d)
{
	Gatehouse__Admin__Extension *all = make_list(c, r->n_extensions, sizeof(*all), (void ***)&d->extensions);

	for (size_t i = 0; all && i < r->n_extensions; i++) {
		gatehouse__admin__extension__init(&all[i]);
		all[i].oid = copy_text(c, r->extensions[i].oid);
		all[i].flags = r->extensions[i].flags;
		all[i].value = copy_octets(c, r->extensions[i].value);
	}
	d->n_extensions = all ? r->n_extensions : 0;
}

static void write_request(struct copier *c, const struct ca_request *r, Gatehouse__Admin__Request *q)
{
	q->protocol = copy_text(c, r->protocol);
	q->endpoint = copy_text(c, r->endpoint);
	q->profile = copy_text(c, r->profile);
	q->ca = copy_text(c, r->ca);
	q->requester = copy_text(c, r->requester);
	q->source = copy_text(c, r->source_address);
	q->subject = copy_text(c, request_subject_text(r));
	q->rule = copy_text(c, r->verdict.rule);
	q->reason = copy_text(c, r->status ? r->reason : r->verdict.reason);
	q->status = (char *)ca_status_word(r->status);
	q->approvals_needed = r->verdict.approvals;
	q->digest = copy_octets(c, bytes_of(r->digest, SHA256_SIZE));
	q->key_hash = copy_octets(c, bytes_of(r->spki_hash, SHA256_SIZE));
}

/* What would be issued, as `show` has it. */
static int write_detail(const struct admin_ask *a, struct ca_request *r)
{
	struct copier c = { .arena = a->arena };
	Gatehouse__Admin__Detail *d = arena_alloc(a->arena, sizeof(*d));
	Gatehouse__Admin__Request *q = arena_alloc(a->arena, sizeof(*q));

	if (!d || !q)
		return -ENOMEM;
	gatehouse__admin__detail__init(d);
	gatehouse__admin__request__init(q);
	d->request = q;
	write_request(&c, r, q);
	d->asked_subject = copy_text(&c, r->csr.subject_text);
	d->key_type = copy_text(&c, r->csr.key_type);
	d->key_bits = r->csr.key_bits;
	d->not_before_s = r->not_before_s;
	d->not_after_s = r->not_after_s;
	d->lifetime_s = r->template_s;
	d->trace = copy_text(&c, r->verdict.trace);
	write_names(&c, r, d);
	write_attributes(&c, r, d);
	write_extensions(&c, r, d);
	d->differences = a->reply->explanation->differences;
	d->n_differences = a->reply->explanation->n_differences;
	a->reply->detail = d;
	return c.has_failed ? -ENOMEM : 0;
}

static const char *word_of(const struct ca_request *r)
{
	bool is_failure = r->status == CA_STATUS_POLICY_FAILURE || r->status == CA_STATUS_BUILD_FAILURE;

	return r->status == CA_STATUS_NONE ? NULL : is_failure ? "failure" : "error";
}

static int rehearse(const struct admin_ask *a, struct ca *ca, const struct ca_submission *s)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED(ca_request) r = NULL;
	const char *reason;
	int e = ca_request_new(&r);

	if (!e)
		e = pipeline_rehearse(ca, s, r, &out);
	if (e == CA_CALL_REFUSED) {
		reason = arena_strdup(a->arena, out.reason);
		admin_say(a, CA_ADMIN_INVALID, reason ? reason : "it would be refused");
		return 0;
	}
	if (!e)
		e = write_explanation(a, r, word_of(r), r->status ? r->reason : r->verdict.reason);
	/* Of what ends as ERROR there is nothing that would be issued. */
	return !e && !r->status ? write_detail(a, r) : e;
}

/* The endpoint, and the profile that is tried there. False: answered. */
static bool find_place(const struct admin_ask *a, struct ca_submission *s, struct ca **ca)
{
	const Gatehouse__Admin__TestPolicy *q = a->call->test_policy;
	const struct conf_section *endpoint = core_find_endpoint(a->core, q->endpoint);

	if (!endpoint) {
		admin_say(a, CA_ADMIN_NOT_FOUND, "there is no such endpoint");
		return false;
	}
	*ca = core_find_ca(a->core, conf_str(endpoint, "ca"));
	s->endpoint = q->endpoint;
	s->protocol = conf_module(endpoint);
	s->profile = *q->profile ? q->profile : conf_str(endpoint, "profile");
	if (!*ca || !s->profile || !s->protocol) {
		admin_say(a, CA_ADMIN_INVALID, "nobody gets a certificate at that endpoint");
		return false;
	}
	if (!core_find_profile(a->core, s->profile)) {
		admin_say(a, CA_ADMIN_NOT_FOUND, "there is no such profile");
		return false;
	}
	return true;
}

void admin_test_policy(const struct admin_ask *a)
{
	const Gatehouse__Admin__TestPolicy *q = a->call->test_policy;
	struct ca_attribute attributes[CA_ATTRIBUTES_MAX];
	struct ca_submission s = {
		.requester = *q->requester ? q->requester : NULL,
		.source_address = *q->source ? q->source : NULL,
		.request = bytes_of(q->csr.data, q->csr.len),
		.attributes = attributes,
		.received_ms = clock_wall_ms(),
	};
	struct ca *ca;
	int e;

	if (!find_place(a, &s, &ca))
		return;
	if (q->n_attributes > CA_ATTRIBUTES_MAX || q->csr.len > CA_REQUEST_MAX)
		return admin_say(a, CA_ADMIN_INVALID, "a request has at most 64 attributes and 65536 octets");
	for (size_t i = 0; i < q->n_attributes; i++)
		attributes[s.n_attributes++] =
			(struct ca_attribute){ q->attributes[i]->name, q->attributes[i]->value };
	e = rehearse(a, ca, &s);
	if (e)
		admin_failed(a, e);
}
