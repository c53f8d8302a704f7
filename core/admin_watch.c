/* Calls of the administrator's tool that look into time: what happens (watch), what would happen (explain).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/differences.h"
#include "core/store.h"
#include "core/store_view.h"

#define WAIT_MAX_MS 30000
#define PAUSE_MS 200 /* under load many rows are written: look no more often than this */
#define LINES_MAX 200

/* ---- watch ---- */

static int64_t passed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)(now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

void admin_watch(const struct admin_ask *a)
{
	const Gatehouse__Admin__Watch *q = a->call->watch;
	int64_t wait_ms = q->wait_ms < WAIT_MAX_MS ? q->wait_ms : WAIT_MAX_MS, left;
	struct timespec began;
	struct db_stats stats;
	uint64_t seen, now;
	int e;

	clock_gettime(CLOCK_MONOTONIC, &began);
	for (;;) {
		db_get_stats(a->core->db, &stats);
		seen = stats.writes;
		e = store_view_happened(a->core, q->after, q->id, LINES_MAX, a->arena, &a->reply->watched);
		left = wait_ms - passed_ms(&began);
		if (e || a->reply->watched->n_lines || q->after == 0 || left <= 0 || a->core->is_closed)
			break;
		now = db_wait(a->core->db, seen, (unsigned)left);
		left = wait_ms - passed_ms(&began);
		if (now != seen && left > 0)
			usleep((useconds_t)(left < PAUSE_MS ? left : PAUSE_MS) * 1000);
	}
	if (e)
		admin_failed(a, e);
}

/* ---- explain ---- */

static const char *const verdicts[] = {
	[CA_VERDICT_DENY] = "deny",
	[CA_VERDICT_PEND] = "pend",
	[CA_VERDICT_ISSUE] = "issue",
};

static int write_explanation(const struct admin_ask *a, struct ca_request *r, bool is_answered)
{
	Gatehouse__Admin__Explanation *x = arena_alloc(a->arena, sizeof(*x));

	if (!x)
		return -ENOMEM;
	gatehouse__admin__explanation__init(x);
	x->verdict = (char *)(is_answered ? verdicts[r->verdict.kind] : "failure");
	x->rule = arena_strdup(a->arena, r->verdict.rule);
	x->reason = arena_strdup(a->arena, r->verdict.reason);
	x->trace = arena_strdup(a->arena, r->verdict.trace);
	x->subject = arena_strdup(a->arena, request_subject_text(r));
	x->lifetime_s = r->template_s;
	if (!x->rule || !x->reason || !x->trace || !x->subject)
		return -ENOMEM;
	a->reply->explanation = x;
	return differences_list(a->core, r, a->arena, &x->differences, &x->n_differences);
}

void admin_explain(const struct admin_ask *a)
{
	OWNED(ca_request) r = NULL;
	struct ca *ca = NULL;
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
		e = write_explanation(a, r, decide_explain(ca, r));
	if (e)
		admin_failed(a, e);
}
