/* What was asked for against what will be issued.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/differences.h"

#include <errno.h>

#include "core/base/clock.h"

typedef Gatehouse__Admin__Difference Difference;

struct differences {
	struct arena *arena;
	const struct ca_request *r;
	const char *rule, *profile;  /* "rule hold", "profile server" */
	Difference **all;
	size_t n, max;
};

/* Text that nobody can be found for is a failure of memory; the caller sees that none was added. */
static int add(struct differences *d, const char *what, const char *requested, const char *issued, const char *why)
{
	Difference *x = arena_alloc(d->arena, sizeof(*x));

	if (!x || !requested || !issued || !why || d->n == d->max)
		return -ENOMEM;
	gatehouse__admin__difference__init(x);
	x->what = (char *)what;
	x->requested = arena_strdup(d->arena, requested);
	x->issued = arena_strdup(d->arena, issued);
	x->why = arena_strdup(d->arena, why);
	if (!x->requested || !x->issued || !x->why)
		return -ENOMEM;
	d->all[d->n++] = x;
	return 0;
}

static const char *name_text(struct differences *d, enum ca_name_kind kind, const char *value)
{
	return arena_printf(d->arena, "%s:%s", ca_name_kind_word(kind), value);
}

static bool asks_for(const struct csr *csr, const struct ca_name *name)
{
	for (size_t i = 0; i < csr->n_names; i++)
		if (csr->names[i].kind == name->kind && strcmp(csr->names[i].value, name->value) == 0)
			return true;
	return false;
}

static bool has_name(const struct ca_request *r, const struct csr_name *name)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (r->names[i].kind == name->kind && strcmp(r->names[i].value, name->value) == 0)
			return true;
	return false;
}

static int compare_names(struct differences *d, const struct csr *csr)
{
	const struct ca_request *r = d->r;
	int e = 0;

	for (size_t i = 0; !e && i < csr->n_names; i++)
		if (!has_name(r, &csr->names[i]))
			e = add(d, "name", name_text(d, csr->names[i].kind, csr->names[i].value), "",
				r->is_edited ? "an officer removed it" : "it was not proven");
	for (size_t i = 0; !e && i < r->n_names; i++) {
		const struct ca_name *name = &r->names[i];

		if (!asks_for(csr, name))
			e = add(d, "name", "", name_text(d, name->kind, name->value),
				name->evidence == CA_EVIDENCE_OFFICER ? name->evidence_text :
									"proven by the requester");
	}
	return e;
}

/* Names have lines of their own. */
#define OID_SUBJECT_ALT_NAME "2.5.29.17"

static int compare_extensions(struct differences *d)
{
	int e = 0;

	for (size_t i = 0; !e && i < d->r->n_extensions; i++) {
		const struct ca_extension *x = &d->r->extensions[i];
		bool is_asked = (x->flags & CA_EXT_ORIGIN_MASK) == CA_EXT_ORIGIN_REQUEST;
		bool is_issued = !(x->flags & CA_EXT_DISABLED);
		bool is_officers = (x->flags & CA_EXT_ORIGIN_MASK) == CA_EXT_ORIGIN_ADMIN;

		if (is_asked == is_issued || strcmp(x->oid, OID_SUBJECT_ALT_NAME) == 0)
			continue;
		e = add(d, "extension", is_asked ? x->oid : "", is_issued ? x->oid : "",
			is_officers ? "an officer" : extension_is_reserved(x->oid) ? d->profile : d->rule);
	}
	return e;
}

static const char *span(struct differences *d, int64_t seconds)
{
	if (seconds % 86400 == 0)
		return arena_printf(d->arena, "%lldd", (long long)(seconds / 86400));
	return arena_printf(d->arena, "%llds", (long long)seconds);
}

/* No request asks for a validity: what is not that of the profile was cut by somebody. */
static int compare_validity(struct differences *d, const struct ca_profile *p)
{
	const struct ca_request *r = d->r;
	char end[CLOCK_TEXT_SIZE];

	if (p && r->officer_not_after_s && r->not_after_s == r->officer_not_after_s)
		return add(d, "validity", span(d, p->lifetime_s),
			   arena_printf(d->arena, "until %s", clock_print_s(r->not_after_s, end)), "an officer");
	if (!p || r->template_s == p->lifetime_s)
		return 0;
	return add(d, "validity", span(d, p->lifetime_s), span(d, r->template_s),
		   r->officer_lifetime_s == r->template_s ? "an officer" : d->rule);
}

int differences_list(struct ca_core *core, struct ca_request *r, struct arena *arena, Difference ***out, size_t *n)
{
	const struct ca_profile *p = core_find_profile(core, r->profile);
	const char *asked = r->csr.subject_text ? r->csr.subject_text : "", *issued = request_subject_text(r);
	struct differences d = { .arena = arena, .r = r };
	char why[CA_REASON_SIZE];
	struct csr csr = { 0 };
	int e;

	d.rule = arena_printf(arena, r->verdict.rule[0] ? "rule %s" : "the policy", r->verdict.rule);
	d.profile = arena_printf(arena, "profile %s", r->profile);
	/* What the store has was read once already, but only the names of the subject are kept. */
	e = csr_parse(&csr, arena, r->csr.der, why);
	if (e)
		return e < 0 ? e : 0;
	d.max = csr.n_names + r->n_names + r->n_extensions + 4;
	d.all = arena_alloc(arena, d.max * sizeof(*d.all));
	if (!d.all || !d.rule || !d.profile || !issued)
		return -ENOMEM;
	if (strcmp(csr.subject_text ? csr.subject_text : asked, issued) != 0)
		e = add(&d, "subject", csr.subject_text ? csr.subject_text : "", issued,
			strchr(issued, ',') ? d.rule : d.profile);
	if (!e)
		e = compare_names(&d, &csr);
	if (!e)
		e = compare_extensions(&d);
	if (!e)
		e = compare_validity(&d, p);
	*out = d.all;
	*n = d.n;
	return e;
}
