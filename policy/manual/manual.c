/* The policy module `manual`: people decide. What the documented default module does, and four settings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/own.h"
#include "core/policy.h"

#define RULE "manual"

static const struct conf_option manual_rows[] = {
	{ .name = "new", .type = CONF_CHOICE, .range = "pend|issue|deny", .fallback = "pend",
	  .summary = "The answer to a new request without approvals." },
	{ .name = "resubmit", .type = CONF_CHOICE, .range = "issue|pend|deny", .fallback = "issue",
	  .summary = "The answer when an officer asks again." },
	{ .name = "approvals", .type = CONF_INTEGER, .range = "0..16", .fallback = "1",
	  .summary = "Distinct approvals that issuing on a resubmit takes; 0: a plain resubmit issues." },
	{ .name = "profile", .type = CONF_STRINGS, .summary = "Only requests for these profiles; absent: all." },
	{ .name = "others", .type = CONF_CHOICE, .range = "deny|issue", .fallback = "deny",
	  .summary = "The answer to requests for other profiles." },
	{ 0 },
};

struct manual {
	enum ca_verdict_kind on_new, on_resubmit, on_others;
	unsigned approvals;
	char **profiles;
	size_t n_profiles;
};

static enum ca_verdict_kind read_kind(const struct conf_section *conf, const char *option)
{
	const char *word = conf_str(conf, option);

	if (strcmp(word, "issue") == 0)
		return CA_VERDICT_ISSUE;
	return strcmp(word, "pend") == 0 ? CA_VERDICT_PEND : CA_VERDICT_DENY;
}

static void manual_drop(struct manual **mp)
{
	struct manual *m = *mp;

	if (!m)
		return;
	while (m->n_profiles)
		free(m->profiles[--m->n_profiles]);
	free(m->profiles);
	free(m);
	*mp = NULL;
}

static int read_profiles(struct manual *m, const struct conf_section *conf)
{
	size_t n = conf_count(conf, "profile");

	m->profiles = calloc(n + 1, sizeof(*m->profiles));
	if (!m->profiles)
		return -ENOMEM;
	for (; m->n_profiles < n; m->n_profiles++) {
		m->profiles[m->n_profiles] = strdup(conf_str_at(conf, "profile", m->n_profiles));
		if (!m->profiles[m->n_profiles])
			return -ENOMEM;
	}
	return 0;
}

static int manual_init(void **state, const struct ca_module_env *env, const struct conf_section *conf,
		       struct conf_error *error)
{
	OWNED(manual) m = calloc(1, sizeof(*m));
	int e;

	if (!m)
		return -ENOMEM;
	if (conf_is_set(conf, "profile") && conf_count(conf, "profile") == 0)
		return conf_refuse(conf, "profile", error, "an empty list of profiles; leave 'profile' out for all");
	m->on_new = read_kind(conf, "new");
	m->on_resubmit = read_kind(conf, "resubmit");
	m->on_others = read_kind(conf, "others");
	m->approvals = (unsigned)conf_int(conf, "approvals");
	e = read_profiles(m, conf);
	if (e)
		return e;
	*state = MOVE(m);
	return 0;
}

static bool is_ours(const struct manual *m, const struct ca_policy_view *v)
{
	const char *profile = ca_policy_get_text(v, CA_PROP_PROFILE);
	size_t i;

	for (i = 0; profile && i < m->n_profiles; i++)
		if (strcmp(m->profiles[i], profile) == 0)
			return true;
	return m->n_profiles == 0;
}

/* A new request comes with approvals when it spends a grant: it was approved before, at least once. */
static enum ca_verdict_kind decide(const struct manual *m, enum ca_verify_cause cause, unsigned approvals)
{
	if (cause != CA_VERIFY_RESUBMIT)
		return approvals && approvals >= m->approvals ? CA_VERDICT_ISSUE : m->on_new;
	if (m->on_resubmit == CA_VERDICT_ISSUE && approvals < m->approvals)
		return CA_VERDICT_PEND;
	return m->on_resubmit;
}

static int manual_verify(void *state, struct ca_policy_view *v, enum ca_verify_cause cause, struct ca_verdict *out)
{
	static const char *const reasons[] = {
		[CA_VERDICT_DENY] = "the policy of this CA does not allow the request",
		[CA_VERDICT_PEND] = "the request waits for approval",
		[CA_VERDICT_ISSUE] = "",
	};
	const struct manual *m = state;
	unsigned approvals = ca_policy_count_approvals(v, RULE);
	bool ours = is_ours(m, v);
	enum ca_verdict_kind kind = ours ? decide(m, cause, approvals) : m->on_others;

	out->kind = (int)kind;
	out->approvals = ours && kind == CA_VERDICT_PEND ? m->approvals : 0;
	snprintf(out->rule, sizeof(out->rule), "%s", RULE);
	snprintf(out->reason, sizeof(out->reason), "%s", reasons[kind]);
	if (ours)
		snprintf(out->trace, sizeof(out->trace), "approvals %u of %u", approvals, m->approvals);
	else
		snprintf(out->trace, sizeof(out->trace), "another profile");
	return 0;
}

static void manual_fini(void *state)
{
	manual_drop(&(struct manual *){ state });
}

const struct ca_policy_module policy_manual = {
	.abi = CA_POLICY_ABI,
	.name = "manual",
	.summary = "hold every request, or those of some profiles, for an officer",
	.flags = CA_POLICY_THREADSAFE,
	.options = manual_rows,
	.init = manual_init,
	.verify = manual_verify,
	.fini = manual_fini,
};
