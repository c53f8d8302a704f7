/* The policy module `rules`: a list of rules, of which the first that matches decides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "policy/rules/rules_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/log.h"

/* Room that the deciding rule keeps in the trace when many rules above did not match. */
#define TRACE_RESERVE 320

/* How it came about, one clause a rule. Cut at its end, never overrun. */
struct trace {
	char *text;
	size_t size, len;
	unsigned n_left_out;
};

__attribute__((format(printf, 2, 3))) static void trace_add(struct trace *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->text + t->len, t->size - t->len, format, args);
	va_end(args);
	if (n > 0)
		t->len = t->len + (size_t)n < t->size ? t->len + (size_t)n : t->size - 1;
}

/* Text that a client chose may be no more than it looks. */
#define SHOWN(text) log_escape(text, (char[80]){ 0 }, 80)

/* Conditions: each fills `why` when it does not hold. */

#define WHY_SIZE 128

static bool is_one_of(const struct texts *patterns, const char *text)
{
	size_t i;

	for (i = 0; text && i < patterns->n; i++)
		if (pattern_matches_text(patterns->items[i], text))
			return true;
	return false;
}

static bool holds_texts(const struct when *w, const struct ca_policy_view *v, char why[static WHY_SIZE])
{
	const struct {
		const char *word;
		const struct texts *patterns;
		enum ca_property property;
	} rows[] = {
		{ "endpoint", &w->endpoint, CA_PROP_ENDPOINT },
		{ "protocol", &w->protocol, CA_PROP_PROTOCOL },
		{ "profile", &w->profile, CA_PROP_PROFILE },
		{ "requester", &w->requester, CA_PROP_REQUESTER },
		{ "subject", &w->subject, CA_PROP_CSR_SUBJECT },
		{ "key", &w->key, CA_PROP_KEY_TYPE },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = ca_policy_get_text(v, rows[i].property);

		if (!rows[i].patterns->n || is_one_of(rows[i].patterns, text))
			continue;
		snprintf(why, WHY_SIZE, "%s %s", rows[i].word, text ? SHOWN(text) : "absent");
		return false;
	}
	return true;
}

static bool holds_source(const struct when *w, const struct ca_policy_view *v, char why[static WHY_SIZE])
{
	const char *text = ca_policy_get_text(v, CA_PROP_SOURCE_ADDRESS);
	struct ip_address a = { 0 };
	size_t i;

	if (!w->n_source)
		return true;
	if (text && ip_address_parse(&a, text) == 0)
		a = ip_address_unmap(&a);
	for (i = 0; a.len && i < w->n_source; i++)
		if (ip_range_contains(&w->source[i], &a))
			return true;
	snprintf(why, WHY_SIZE, "source %s", text ? SHOWN(text) : "absent");
	return false;
}

_Static_assert((int)PATTERN_DNS == CA_NAME_DNS && (int)PATTERN_UPN == CA_NAME_UPN, "the kinds are the same");

static bool is_matched(const struct patterns *patterns, const struct ca_name *name)
{
	size_t i;

	for (i = 0; i < patterns->n; i++)
		if (pattern_matches_name(&patterns->items[i], (enum pattern_kind)name->kind, name->value))
			return true;
	return false;
}

/* Without any name `names` does not hold either: nothing was proven that a rule could rest on. */
static bool holds_names(const struct when *w, const struct ca_policy_view *v, char why[static WHY_SIZE])
{
	size_t i, n = ca_policy_count_names(v);
	const struct ca_name *name;

	if (!w->names.n)
		return true;
	for (i = 0; i < n; i++) {
		name = ca_policy_get_name(v, i);
		if (is_matched(&w->names, name))
			continue;
		snprintf(why, WHY_SIZE, "name %s", SHOWN(name->value));
		return false;
	}
	if (!n)
		snprintf(why, WHY_SIZE, "no name");
	return n > 0;
}

static bool holds_any_name(const struct when *w, const struct ca_policy_view *v, char why[static WHY_SIZE])
{
	size_t i;

	if (!w->any_name.n)
		return true;
	for (i = 0; i < ca_policy_count_names(v); i++)
		if (is_matched(&w->any_name, ca_policy_get_name(v, i)))
			return true;
	snprintf(why, WHY_SIZE, "no such name");
	return false;
}

static bool holds_attributes(const struct when *w, const struct ca_policy_view *v, char why[static WHY_SIZE])
{
	size_t i;

	for (i = 0; i < w->attribute.n; i++) {
		const struct pair *p = &w->attribute.items[i];
		const char *value = ca_policy_get_attribute(v, p->name);

		if (value && pattern_matches_text(p->value, value))
			continue;
		snprintf(why, WHY_SIZE, "attribute %s%s", SHOWN(p->name), value ? "" : " absent");
		return false;
	}
	return true;
}

static bool holds_renewal(const struct when *w, const struct ca_policy_view *v, char why[static WHY_SIZE])
{
	bool is_renewal = ca_policy_is_renewal(v);

	if (w->renewal == RENEWAL_ANY || (w->renewal == RENEWAL_YES) == is_renewal)
		return true;
	snprintf(why, WHY_SIZE, is_renewal ? "renewal" : "no renewal");
	return false;
}

static bool matches(const struct rule *r, const struct ca_policy_view *v, char why[static WHY_SIZE])
{
	const struct when *w = &r->when;

	return holds_texts(w, v, why) && holds_source(w, v, why) && holds_names(w, v, why) &&
	       holds_any_name(w, v, why) && holds_attributes(w, v, why) && holds_renewal(w, v, why);
}

/* Changes. A change that is not allowed is noted and leaves the request as it is; every other failure ends it. */

static int note(struct trace *t, int e, const char *what, const char *which)
{
	if (e == -EPERM)
		trace_add(t, ", %s %s not possible", what, which);
	return e == -EPERM ? 0 : e;
}

/* Validity includes its first and its last second (RFC 5280 4.1.2.5). */
static int set_lifetime(const struct set *s, struct ca_policy_view *v, struct trace *t)
{
	int64_t last_s = ca_policy_get_number(v, CA_PROP_NOT_BEFORE) + s->lifetime_s - 1;

	if (!s->lifetime_s || last_s == ca_policy_get_number(v, CA_PROP_NOT_AFTER))
		return 0;
	return note(t, ca_policy_set_not_after(v, last_s), "set", "lifetime");
}

static int set_extensions(const struct set *s, struct ca_policy_view *v, struct trace *t)
{
	size_t i;
	int e = 0;

	for (i = 0; !e && i < s->enable.n; i++)
		e = note(t, ca_policy_enable_extension(v, s->enable.items[i]), "enable", s->enable.items[i]);
	/* What is not there need not be switched off. */
	for (i = 0; !e && i < s->disable.n; i++) {
		e = ca_policy_disable_extension(v, s->disable.items[i]);
		e = e == -EPERM ? 0 : e;
	}
	return e;
}

/* NULL when there is none that a CN can hold. */
static const char *first_dns_name(const struct ca_policy_view *v)
{
	size_t i;

	for (i = 0; i < ca_policy_count_names(v); i++) {
		const struct ca_name *name = ca_policy_get_name(v, i);

		if (name->kind == CA_NAME_DNS && strlen(name->value) <= RULES_CN_MAX)
			return name->value;
	}
	return NULL;
}

static int set_subject(const struct set *s, struct ca_policy_view *v, struct trace *t)
{
	size_t i;
	int e = 0;

	for (i = 0; !e && i < s->subject.n; i++) {
		const char *component = s->subject.items[i].name, *value = s->subject.items[i].value;

		if (strcmp(component, "CN") == 0 && *value)
			value = first_dns_name(v);
		e = value ? ca_policy_set_subject(v, component, value) : -EPERM;
		e = note(t, e, "set", component);
	}
	return e;
}

static int apply(const struct set *s, struct ca_policy_view *v, struct trace *t)
{
	int e = set_lifetime(s, v, t);

	if (!e)
		e = set_extensions(s, v, t);
	if (!e)
		e = set_subject(s, v, t);
	return e;
}

/* Deciding */

static const char *const words[] = {
	[CA_VERDICT_DENY] = "deny",
	[CA_VERDICT_PEND] = "pend",
	[CA_VERDICT_ISSUE] = "issue",
};

/* A pend rule lets pass what enough officers approved for it, and renewals when it says so. */
static enum ca_verdict_kind answer(const struct rule *r, const struct ca_policy_view *v, struct trace *t)
{
	enum ca_verdict_kind kind = r->then;
	unsigned approvals;

	if (kind != CA_VERDICT_PEND) {
		trace_add(t, "%s", words[kind]);
		return kind;
	}
	approvals = ca_policy_count_approvals(v, r->name);
	if (approvals >= r->approvals || (r->frees_renewals && ca_policy_is_renewal(v)))
		kind = CA_VERDICT_ISSUE;
	trace_add(t, "%s, approvals %u of %u", words[kind], approvals, r->approvals);
	if (kind == CA_VERDICT_ISSUE && approvals < r->approvals)
		trace_add(t, ", renewal");
	return kind;
}

static const char *reason_of(const struct rule *r, enum ca_verdict_kind kind)
{
	static const char *const reasons[] = {
		[CA_VERDICT_DENY] = "the policy of this CA does not allow the request",
		[CA_VERDICT_PEND] = "the request waits for approval",
		[CA_VERDICT_ISSUE] = "",
	};

	return r->reason && kind != CA_VERDICT_ISSUE ? r->reason : reasons[kind];
}

static int decide(const struct rule *r, struct ca_policy_view *v, struct trace *t, struct ca_verdict *out)
{
	enum ca_verdict_kind kind;
	int e = 0;

	if (t->n_left_out)
		trace_add(t, "%u more: no; ", t->n_left_out);
	trace_add(t, "%s: yes -> ", r->name);
	kind = answer(r, v, t);
	/* Also while it waits: an extension can be switched on in a new request only. */
	if (kind != CA_VERDICT_DENY)
		e = apply(&r->set, v, t);
	if (e)
		return e;
	snprintf(out->rule, sizeof(out->rule), "%s", r->name);
	snprintf(out->reason, sizeof(out->reason), "%s", reason_of(r, kind));
	out->approvals = kind == CA_VERDICT_PEND ? r->approvals : 0;
	out->keeps_approvals = kind == CA_VERDICT_PEND && r->keeps_approvals;
	out->kind = (int)kind;
	return 0;
}

static int rules_verify(void *state, struct ca_policy_view *v, enum ca_verify_cause cause, struct ca_verdict *out)
{
	const struct rules *all = state;
	struct trace t = { .text = out->trace, .size = sizeof(out->trace) };
	const struct rule *r = all->items;
	char why[WHY_SIZE];

	/* The last rule has no conditions. */
	for (; !matches(r, v, why); r++) {
		if (t.len + strlen(r->name) + strlen(why) + TRACE_RESERVE < t.size && !t.n_left_out)
			trace_add(&t, "%s: no (%s); ", r->name, why);
		else
			t.n_left_out++;
	}
	return decide(r, v, &t, out);
}

static int rules_init(void **state, const struct ca_module_env *env, const struct conf_section *conf,
		      struct conf_error *error)
{
	struct rules *all;
	int e = rules_new(&all, conf, error);

	if (!e)
		*state = all;
	return e;
}

static void rules_fini(void *state)
{
	rules_drop(&(struct rules *){ state });
}

const struct ca_policy_module policy_rules = {
	.abi = CA_POLICY_ABI,
	.name = "rules",
	.summary = "a list of rules, of which the first that matches decides",
	.flags = CA_POLICY_THREADSAFE,
	.options = rules_rows,
	.init = rules_init,
	.verify = rules_verify,
	.fini = rules_fini,
};
