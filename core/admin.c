/* What an administrator may do with requests (step 6).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_turn.h"

#include <errno.h>
#include <stdio.h>

#include "core/admin_rights.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/keys.h"
#include "core/store.h"
#include "core/worker.h"

int admin_turn_say(struct ca_outcome *out, int outcome, const char *reason)
{
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return outcome;
}

static void describe(const struct ca_request *r, struct ca_outcome *out)
{
	out->id = r->id;
	out->disposition = ca_state_disposition(r->state);
	out->status = r->status;
	snprintf(out->reason, sizeof(out->reason), "%s", r->reason);
}

int admin_turn_begin(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, enum ca_action action,
		     struct ca_request **r, struct ca **ca, struct ca_outcome *out)
{
	enum ca_state next;
	const char *why;
	int e;

	if (core->is_closed)
		return admin_turn_say(out, CA_ADMIN_NO_ANSWER, "the CA is stopping");
	e = flight_enter_id(core->flight, id, 0);
	if (e)
		return e < 0 ? e :
			       admin_turn_say(out, CA_ADMIN_BAD_STATE,
					      "another officer is acting on this request right now");
	e = store_load(core, id, r);
	if (e == CA_CALL_NOT_FOUND)
		e = admin_turn_say(out, CA_ADMIN_NOT_FOUND, "there is no such request");
	if (!e) {
		describe(*r, out);
		(*r)->officer = who->name;
		*ca = core_find_ca(core, (*r)->ca);
		if (!*ca)
			e = admin_turn_say(out, CA_ADMIN_NO_ANSWER, "the request's CA is no longer configured");
		else if ((e = admin_check_officer(who, (*r)->profile, (*r)->requester, &why)))
			e = admin_turn_say(out, e, why);
		else if (ca_state_next((*r)->state, action, &next))
			e = admin_turn_say(out, CA_ADMIN_BAD_STATE, "only a pending request can be changed or decided");
		else if (who->seen && who->seen != (*r)->version)
			e = admin_turn_say(out, CA_ADMIN_CHANGED, "the request is no longer what was shown");
	}
	if (e)
		flight_leave_id(core->flight, id);
	return e;
}

int admin_turn_end(struct ca_core *core, int64_t id, int e, struct ca_outcome *out)
{
	flight_leave_id(core->flight, id);
	worker_kick(core->outbox);
	if (e == STORE_CHANGED || e == STORE_DUPLICATE)
		return admin_turn_say(out, CA_ADMIN_BAD_STATE, "the request changed meanwhile");
	return e;
}

/* Write `r` back as PENDING with its lines. */
static int store_pending(struct ca *ca, struct ca_request *r, struct store_change *change)
{
	change->r = r;
	change->from = CA_STATE_PENDING;
	change->key_until_ms = INT64_MAX;
	return store_apply(ca, change);
}

/* Policy was not asked: say why, and where the next officer looks. The row stands as it is. */
static int stay_pending(struct ca *ca, struct ca_request *r, const char *why, struct ca_outcome *out)
{
	struct store_change change = { .action = CA_ACTION_RETURN };
	int e;

	request_note(r, "core", "returned reason=\"%s\"", request_quote(r, why));
	e = store_pending(ca, r, &change);
	return e ? e : admin_turn_say(out, CA_ADMIN_NO_ANSWER, why);
}

/* Everything that was checked when it came is checked again: the profile may be another one now. */
static int check_again(struct ca *ca, const struct ca_request *r, char why[static CA_REASON_SIZE])
{
	const char *away = keys_away(ca);
	int e;

	if (away) {
		snprintf(why, CA_REASON_SIZE, "%s; try again when it does", away);
		return 1;
	}
	if (!core_endpoint_allows(ca->core, r->endpoint, ca->name, r->profile)) {
		snprintf(why, CA_REASON_SIZE, "the endpoint is no longer configured for this CA and profile");
		return 1;
	}
	if (r->officer_not_after_s && r->officer_not_after_s <= clock_wall_s()) {
		snprintf(why, CA_REASON_SIZE, "an officer let it end at a time that has passed; deny it");
		return 1;
	}
	e = decide_check_proofs(ca, r, why);
	if (!e)
		e = decide_check_key(ca, r, why);
	return e ? e : decide_check_blocked(ca, r, why);
}

int admin_turn_resubmit(struct ca *ca, struct ca_request *r, struct ca_outcome *out)
{
	char why[CA_REASON_SIZE] = "";
	int e = check_again(ca, r, why);

	if (e)
		return e < 0 ? e : stay_pending(ca, r, why, out);
	e = decide_prepare(ca, r);
	if (e)
		return admin_turn_say(out, CA_ADMIN_NO_ANSWER, "the request's profile is no longer configured");
	e = store_load_approvals(ca->core, r);
	if (!e)
		e = store_is_renewal(ca->core, r, clock_wall_s(), &r->is_renewal);
	if (e)
		return e;
	r->state = CA_STATE_ACTIVE;
	core_count(ca->core, CA_ACTION_RESUBMIT);
	trace_step(ca->core->trace, "resubmit", r->id);
	decide_verify(ca, r, CA_VERIFY_RESUBMIT);
	e = decide_apply(ca, r, CA_VERIFY_RESUBMIT);
	if (e == DECIDE_AWAY)
		return admin_turn_say(out, CA_ADMIN_LATER,
			   "nothing can be signed now; the request is issued when the signer is back");
	if (!e) {
		describe(r, out);
		if (r->has_changed)
			return admin_turn_say(out, CA_ADMIN_CHANGED,
				   "profile or policy changed: what would be issued now is not what was approved");
		if (r->state == CA_STATE_PENDING && r->has_failed)
			return admin_turn_say(out, CA_ADMIN_NO_ANSWER,
				   "policy or the certificate's making failed; see the timeline");
		if (r->state == CA_STATE_PENDING && r->server_key != SERVER_KEY_READY)
			snprintf(out->reason, sizeof(out->reason), "%s", r->verdict.reason);
		if (r->state == CA_STATE_ISSUED)
			e = buf_append(&out->certificate, buf_bytes(&r->certificate));
	}
	return e;
}

int ca_admin_resubmit(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	struct ca *ca;
	int e = admin_turn_begin(core, who, id, CA_ACTION_RESUBMIT, &r, &ca, out);

	if (e)
		return e;
	request_note(r, who->name, "resubmit by=%s", who->name);
	return admin_turn_end(core, id, admin_turn_resubmit(ca, r, out), out);
}

int ca_admin_approve(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const uint8_t *digest,
		     int64_t not_after_s, struct ca_outcome *out)
{
	const struct ca_edit end = { CA_EDIT_END, .not_after_s = not_after_s };
	OWNED(ca_request) r = NULL;
	struct ca *ca;
	struct store_change approval = { .approved_by = who->name };
	char text[2 * SHA256_SIZE + 1];
	int e = admin_turn_begin(core, who, id, CA_ACTION_RESUBMIT, &r, &ca, out);

	if (e)
		return e;
	if (digest && memcmp(digest, r->digest, SHA256_SIZE) != 0)
		return admin_turn_end(
			core, id,
			admin_turn_say(out, CA_ADMIN_CHANGED, "the request is no longer what was shown"), out);
	if (not_after_s && not_after_s != r->officer_not_after_s)
		e = admin_turn_edit(ca, r, CA_ACTION_EDIT, &end, 1, out);
	if (e)
		return admin_turn_end(core, id, e, out);
	approval.approved_rule = r->verdict.rule;
	hex_print(bytes_of(r->digest, 8), text);
	request_note(r, who->name, "approve by=%s digest=%s rule=%s", who->name, text, r->verdict.rule);
	/* The approval is durable with the row in the version that was shown; policy is asked after that. */
	e = store_pending(ca, r, &approval);
	if (e)
		return admin_turn_end(core, id, e, out);
	request_note(r, who->name, "resubmit by=%s", who->name);
	e = admin_turn_resubmit(ca, r, out);
	if (!e)
		log_info("request.approved", "request", LOG_NUMBER(id), "by", who->name, "state",
			 ca_state_word(r->state));
	return admin_turn_end(core, id, e, out);
}

/* False when there is no room for all of it: half a sentence is no reason. */
static bool write_denial(struct ca_request *r, const char *officer, const char *reason)
{
	int n = snprintf(r->reason, sizeof(r->reason), "denied by %s%s%s", officer, *reason ? ": " : "", reason);

	return n > 0 && (size_t)n < sizeof(r->reason);
}

int ca_admin_deny(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *reason,
		  struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	struct ca *ca;
	struct store_change change = { .from = CA_STATE_PENDING, .action = CA_ACTION_ADMIN_DENY };
	int e = admin_turn_begin(core, who, id, CA_ACTION_ADMIN_DENY, &r, &ca, out);

	if (e)
		return e;
	if (!write_denial(r, who->name, reason ? reason : ""))
		return admin_turn_end(core, id,
				      admin_turn_say(out, CA_ADMIN_INVALID,
						     "the reason is too long: the requester is told 255 octets, your "
						     "name among them"), out);
	r->resolved_ms = clock_wall_ms();
	change.r = r;
	change.key_until_ms = r->resolved_ms + core->settings.deny_window_ms;
	(void)request_move(r, CA_ACTION_ADMIN_DENY); /* legal: begin() asked the table */
	r->status = CA_STATUS_ADMIN_DENIED;
	r->events = CA_EVENT_DENIED;
	request_note(r, who->name, "deny by=%s reason=\"%s\"", who->name, request_quote(r, reason ? reason : ""));
	request_note(r, "core", "denied status=%s", ca_status_word(r->status));
	e = store_apply(ca, &change);
	if (!e) {
		trace_step(core->trace, "admin-deny", id);
		describe(r, out);
		log_info("request.denied", "request", LOG_NUMBER(id), "by", who->name);
	}
	return admin_turn_end(core, id, e, out);
}
