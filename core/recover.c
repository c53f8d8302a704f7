/* Finishing what was interrupted: after a crash at the start, and while the signer was away.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/recover.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/store.h"
#include "core/worker.h"

#define BATCH 64

/* The same octets are signed, never others: whoever saw the serial before sees the same certificate. */
static int finish(struct ca_core *core, struct ca *ca, struct ca_request *r)
{
	int e = store_load_approvals(core, r);

	if (e)
		return e;
	trace_step(core->trace, "recover", r->id);
	e = decide_finish(ca, r);
	if (!e)
		log_info("request.finished", "request", LOG_NUMBER(r->id), "state", ca_state_word(r->state));
	return e;
}

static int expire(struct ca_core *core, struct ca *ca, struct ca_request *r)
{
	struct store_change change = { .r = r, .from = CA_STATE_PENDING };

	r->state = CA_STATE_DENIED;
	r->status = CA_STATUS_EXPIRED;
	r->resolved_ms = clock_wall_ms();
	r->events = CA_EVENT_DENIED;
	snprintf(r->reason, sizeof(r->reason), "nobody decided about the request in time");
	request_note(r, "core", "denied status=%s", ca_status_word(r->status));
	change.key_until_ms = r->resolved_ms + core->settings.deny_window_ms;
	core_count(core, CA_ACTION_EXPIRE);
	trace_step(core->trace, "expire", r->id);
	return store_apply(ca, &change);
}

typedef int request_fn(struct ca_core *core, struct ca *ca, struct ca_request *r);

/* Do it to one request, unless somebody is working on it or it has left `state`. */
static int visit(struct ca_core *core, int64_t id, enum ca_state state, request_fn *fn)
{
	OWNED(ca_request) r = NULL;
	struct ca *ca;
	int e = flight_enter_id(core->flight, id, 0);

	if (e)
		return 0;
	e = store_load(core, id, &r);
	ca = e ? NULL : core_find_ca(core, r->ca);
	/* Its submitter may be signing it right now, under its transaction key. */
	if (ca && r->state == state && flight_enter(core->flight, r->transaction_key, 0) == 0) {
		e = fn(core, ca, r);
		flight_leave(core->flight, r->transaction_key);
	}
	flight_leave_id(core->flight, id);
	return e;
}

bool recover_run(void *arg)
{
	struct ca_core *core = arg;
	int64_t ids[BATCH];
	size_t n, finished = 0;

	if (store_list_unfinished(core, ids, BATCH, &n) == 0)
		for (size_t i = 0; i < n; i++)
			finished += visit(core, ids[i], CA_STATE_ACTIVE, finish) == 0;
	if (store_list_expired(core, clock_wall_ms() - core->settings.pending_ttl_ms, ids, BATCH, &n) == 0)
		for (size_t i = 0; i < n; i++)
			finished += visit(core, ids[i], CA_STATE_PENDING, expire) == 0;
	if (finished && core->outbox)
		worker_kick(core->outbox);
	return false;
}
