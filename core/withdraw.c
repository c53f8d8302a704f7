/* A requester is no more: what waits for a person would be issued for nobody.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/store.h"
#include "core/worker.h"

#define BATCH 64
#define REASON_MAX 200
#define OFFICER_WAIT_MS 200 /* for one who acts on it at this moment */

static int say(struct ca_outcome *out, int outcome, const char *reason)
{
	out->retry_after_s = outcome == CA_CALL_BUSY ? 5 : 0;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return outcome;
}

static int deny(struct ca *ca, struct ca_request *r, const char *reason)
{
	/* Nobody who could is left to ask again: the key is free at once. */
	struct store_change change = { .r = r, .from = CA_STATE_PENDING, .action = CA_ACTION_WITHDRAW };
	int e;

	if (request_move(r, CA_ACTION_WITHDRAW))
		return -EPERM;
	r->status = CA_STATUS_WITHDRAWN;
	r->resolved_ms = clock_wall_ms();
	r->events = CA_EVENT_DENIED;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	request_note(r, r->requester, "withdrawn reason=\"%s\"", request_quote(r, reason));
	request_note(r, "core", "denied status=%s", ca_status_word(r->status));
	e = store_apply(ca, &change);
	if (!e)
		log_info("request.withdrawn", "request", LOG_NUMBER(r->id), "requester", r->requester);
	return e;
}

/* One that is held no longer, or by another CA, is nothing to do. 0; CA_CALL_BUSY; negative. */
static int withdraw_one(struct ca *ca, const struct binding *by, int64_t id, const char *reason)
{
	OWNED(ca_request) r = NULL;
	int e = flight_enter_id(ca->core->flight, id, OFFICER_WAIT_MS);

	if (e)
		return e < 0 ? e : CA_CALL_BUSY;
	e = store_load(ca->core, id, &r);
	if (e == CA_CALL_NOT_FOUND)
		e = 0;
	else if (!e && r->state == CA_STATE_PENDING && strcasecmp(r->ca, ca->name) == 0 &&
		 pipeline_is_business_of(by, r))
		e = deny(ca, r, reason);
	flight_leave_id(ca->core->flight, id);
	return e > 0 ? CA_CALL_BUSY : e;
}

int pipeline_withdraw(struct ca *ca, const struct binding *by, const char *endpoint, const char *requester,
		      const char *reason, struct ca_outcome *out)
{
	int64_t ids[BATCH], after = 0;
	size_t n = BATCH;
	int e = 0;

	if (!pipeline_is_text(endpoint, 64) || !pipeline_is_text(requester, 255) ||
	    !pipeline_is_text(reason, REASON_MAX))
		return say(out, CA_CALL_REFUSED, "it names no endpoint, requester or reason");
	if (!binding_has_endpoint(by, endpoint))
		return say(out, CA_CALL_REFUSED, "this intermediary is not bound to that endpoint");
	if (ca->core->is_closed)
		return say(out, CA_CALL_BUSY, "the CA is stopping");
	while (!e && n == BATCH) {
		e = store_list_held(ca->core, endpoint, requester, after, ids, BATCH, &n);
		for (size_t i = 0; !e && i < n; i++)
			e = withdraw_one(ca, by, ids[i], reason);
		after = n ? ids[n - 1] : after;
	}
	worker_kick(ca->core->outbox);
	if (e == CA_CALL_BUSY || e == -ENOSPC || e == -EBUSY)
		return say(out, CA_CALL_BUSY, "not all could be withdrawn; ask again");
	return e;
}
