/* Revocation by people and by requesters (T13 to T15).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/revoke.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "core/admin.h"
#include "core/admin_rights.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/publish.h"
#include "core/store_revoke.h"
#include "core/worker.h"

#define CERTIFICATE_MAX 65536
#define FLIGHT_WAIT_MS 1000 /* how long a revocation waits for another one of the same certificate */

/* ---- what is legal ---- */

static int refuse(char why[static CA_REASON_SIZE], int outcome, const char *text)
{
	snprintf(why, CA_REASON_SIZE, "%s", text);
	return outcome;
}

/* RFC 5280 5.3.2 calls a date after now an error; one before the certificate began says nothing. */
static int plan_date(const struct ca_request *r, int64_t when_ms, int64_t *effective_ms,
		     char why[static CA_REASON_SIZE])
{
	int64_t now = clock_wall_ms();

	*effective_ms = when_ms ? when_ms : r->revoked_ms ? r->revoked_ms : now;
	/* A clock that was put back does not move a date that is written. */
	if (when_ms > now)
		return refuse(why, REVOKE_BAD_VALUE, "the date of a revocation is not in the future");
	if (r->revoked_ms && *effective_ms > r->revoked_ms)
		return refuse(why, REVOKE_BAD_VALUE, "the date of a revocation only moves earlier");
	if (when_ms && when_ms / 1000 < r->not_before_s)
		return refuse(why, REVOKE_BAD_VALUE, "the certificate was not valid yet at that date");
	return 0;
}

static int plan_state(const struct ca_request *r, enum ca_action action, char why[static CA_REASON_SIZE])
{
	enum ca_state next;

	if (ca_state_next(r->state, action, &next))
		return refuse(why, REVOKE_BAD_STATE,
			      r->state == CA_STATE_REVOKED ? "it is revoked already; only a valid one can be held" :
			      action == CA_ACTION_RELEASE  ? "it is not on hold" :
							     "only a certificate that was issued can be revoked");
	if (action == CA_ACTION_RELEASE && r->revoked_reason != CA_REASON_HOLD)
		return refuse(why, REVOKE_BAD_STATE, "it was revoked for good; only a certificate on hold is released");
	return 0;
}

int revoke_plan(struct ca_request *r, enum ca_action action, int reason, int64_t when_ms,
		struct store_revocation *out, char why[static CA_REASON_SIZE])
{
	int e = plan_state(r, action, why);

	*out = (struct store_revocation){ .r = r, .action = action, .reason = reason };
	if (e || action == CA_ACTION_RELEASE)
		return e;
	e = plan_date(r, when_ms, &out->effective_ms, why);
	if (!e && r->state == CA_STATE_REVOKED && r->revoked_reason == reason && r->revoked_ms == out->effective_ms)
		return refuse(why, REVOKE_ALREADY, "it is revoked already, with that reason and date");
	return e;
}

static void log_revocation(const struct store_revocation *v, const char *by)
{
	char serial[2 * SERIAL_OCTETS_MAX + 1] = "";
	struct bytes octets;

	if (certificate_serial(buf_bytes(&v->r->certificate), &octets) == 0)
		hex_print(octets, serial);
	log_info("certificate.revocation", "request", LOG_NUMBER(v->r->id), "serial",
		 serial, "action", ca_action_word(v->action), "reason",
		 ca_reason_word(v->reason), "by", by);
}

/* Whoever reads the CRL shall know soon; exit modules at once. */
static void tell(struct ca_core *core)
{
	worker_kick(core->outbox);
}

/* ---- people ---- */

static int say(struct ca_outcome *out, int outcome, const char *reason)
{
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return outcome;
}

static void describe(const struct ca_request *r, struct ca_outcome *out)
{
	out->id = r->id;
	out->disposition = ca_state_disposition(r->state);
	out->status = r->status;
}

static int find(struct ca_core *core, const struct ca_certificate_ref *which, int64_t *id)
{
	*id = which->request_id;
	return *id ? 0 : store_find_serial(core, which->serial, id);
}

struct order {
	const struct ca_admin_caller *who;
	enum ca_action action;
	int reason;
	int64_t when_ms;
};

/* With the request taken for this caller alone. */
static int obey(struct ca_core *core, const struct order *o, int64_t id, struct ca_outcome *out)
{
	static const int outcomes[] = {
		[REVOKE_BAD_STATE] = CA_ADMIN_BAD_STATE,
		[REVOKE_ALREADY] = CA_ADMIN_BAD_STATE,
		[REVOKE_BAD_VALUE] = CA_ADMIN_INVALID,
	};
	OWNED(ca_request) r = NULL;
	struct store_revocation v;
	char why[CA_REASON_SIZE];
	const char *refusal;
	struct ca *ca;
	int e = store_load(core, id, &r);

	if (e)
		return e == CA_CALL_NOT_FOUND ? say(out, CA_ADMIN_NOT_FOUND, "there is no such certificate") : e;
	describe(r, out);
	ca = core_find_ca(core, r->ca);
	if (!ca)
		return say(out, CA_ADMIN_NO_ANSWER, "the certificate's CA is no longer configured");
	e = admin_check_officer(o->who, r->profile, r->requester, &refusal);
	if (e)
		return say(out, e, refusal);
	e = revoke_plan(r, o->action, o->reason, o->when_ms, &v, why);
	if (e)
		return say(out, outcomes[e], why);
	v.actor = o->who->name;
	request_note(r, o->who->name, "%s by=%s reason=%s", ca_action_word(o->action), o->who->name,
		     ca_reason_word(o->reason));
	e = store_revoke(ca, &v);
	if (e == STORE_CHANGED)
		return say(out, CA_ADMIN_BAD_STATE, "the certificate changed meanwhile");
	if (e)
		return e;
	describe(r, out);
	log_revocation(&v, o->who->name);
	tell(core);
	return r->state == CA_STATE_ISSUED ? buf_append(&out->certificate, buf_bytes(&r->certificate)) : 0;
}

static int order(struct ca_core *core, const struct order *o, const struct ca_certificate_ref *which,
		 struct ca_outcome *out)
{
	int64_t id;
	int e;

	if (!admin_has_right(o->who, ADMIN_RIGHT_DECIDE))
		return say(out, CA_ADMIN_NOT_PERMITTED, "only an officer revokes, holds and releases certificates");
	if (core->is_closed)
		return say(out, CA_ADMIN_NO_ANSWER, "the CA is stopping");
	e = find(core, which, &id);
	if (e)
		return e < 0 ? e : say(out, CA_ADMIN_NOT_FOUND, "there is no certificate with that serial");
	e = flight_enter_id(core->flight, id, FLIGHT_WAIT_MS);
	if (e)
		return e < 0 ? e : say(out, CA_ADMIN_BAD_STATE, "somebody else is acting on this request right now");
	e = obey(core, o, id, out);
	flight_leave_id(core->flight, id);
	return e;
}

int ca_admin_revoke(struct ca_core *core, const struct ca_admin_caller *who, const struct ca_certificate_ref *which,
		    int reason, int64_t when_ms, struct ca_outcome *out)
{
	const struct order o = { who, CA_ACTION_REVOKE, reason, when_ms };

	if (!ca_reason_is_for_person(reason))
		return say(out, CA_ADMIN_INVALID,
			   reason == CA_REASON_HOLD ? "certificateHold is what holding a certificate is for" :
						      "that is no reason for a revocation");
	return order(core, &o, which, out);
}

int ca_admin_hold(struct ca_core *core, const struct ca_admin_caller *who, const struct ca_certificate_ref *which,
		  struct ca_outcome *out)
{
	const struct order o = { who, CA_ACTION_HOLD, CA_REASON_HOLD, 0 };

	return order(core, &o, which, out);
}

int ca_admin_release(struct ca_core *core, const struct ca_admin_caller *who, const struct ca_certificate_ref *which,
		     struct ca_outcome *out)
{
	const struct order o = { who, CA_ACTION_RELEASE, CA_REASON_REMOVE_FROM_CRL, 0 };

	return order(core, &o, which, out);
}

/* ---- CRLs ---- */

#define PUBLISH_WAIT_MS 60000

static int publish_one(struct ca *ca, const struct ca_admin_caller *who, struct buf *said, struct ca_outcome *out)
{
	uint64_t number;
	int e = publisher_publish(ca->core->publisher, ca, who->name, PUBLISH_WAIT_MS, &number);

	if (e == 1)
		return say(out, CA_ADMIN_LATER, "it is being made, and takes its time");
	if (e)
		return say(out, CA_ADMIN_NO_ANSWER, "the CRL could not be made; the core's log says why");
	return buf_printf(said, "%s%s number=%llu", said->len ? ", " : "", ca->name, (unsigned long long)number);
}

int ca_admin_publish_crl(struct ca_core *core, const struct ca_admin_caller *who, const char *ca,
			 struct ca_outcome *out)
{
	OWNED_BUF said = BUF_INIT(CA_REASON_SIZE - 1);
	int e = 0;

	if (!admin_has_right(who, ADMIN_RIGHT_ADMINISTER))
		return say(out, CA_ADMIN_NOT_PERMITTED, "only an administrator publishes CRLs by hand");
	if (ca && !core_find_ca(core, ca))
		return say(out, CA_ADMIN_NOT_FOUND, "there is no CA of that name");
	for (size_t i = 0; !e && i < core->n_cas; i++)
		if (!ca || core_find_ca(core, ca) == &core->cas[i])
			e = publish_one(&core->cas[i], who, &said, out);
	/* More CAs than the sentence has room for are published all the same. */
	if (e == 0 || e == -EMSGSIZE)
		return say(out, 0, buf_str(&said));
	return e;
}

/* ---- requesters ---- */

static int refused(struct ca_outcome *out, const char *reason)
{
	out->disposition = CA_ERROR;
	return say(out, CA_CALL_REFUSED, reason);
}

static int busy(struct ca_outcome *out, const char *reason)
{
	out->disposition = CA_INCOMPLETE;
	out->retry_after_s = 1;
	return say(out, CA_CALL_BUSY, reason);
}

/* As in a submission: nobody speaks for another protocol. */
static bool is_requester_of(const char *requester, const char *protocol)
{
	size_t n = strlen(protocol);

	return pipeline_is_text(requester, 255) && strncmp(requester, protocol, n) == 0 && requester[n] == ':';
}

static int check(const struct binding *by, const struct ca_revocation *v, struct ca_outcome *out)
{
	if (!pipeline_is_text(v->protocol, 32) || !pipeline_is_text(v->endpoint, 64) ||
	    (v->source_address && !pipeline_is_text(v->source_address, 64)))
		return refused(out, "the revocation names no protocol or endpoint");
	if (v->proof < CA_REVOKE_BY_REQUESTER || v->proof > CA_REVOKE_BY_NAMES)
		return refused(out, "the revocation comes without a proof");
	if (v->proof != CA_REVOKE_BY_KEY && !(v->requester && is_requester_of(v->requester, v->protocol)))
		return refused(out, "the revocation comes without the requester of its protocol");
	if (v->proof == CA_REVOKE_BY_NAMES && (v->n_names == 0 || v->n_names > CA_NAMES_MAX))
		return refused(out, "a revocation by names needs 1 to 1000 of them");
	if (!ca_reason_is_for_requester(v->reason))
		return refused(out, "that reason is not one that a requester may give");
	if (v->certificate.len == 0 || v->certificate.len > CERTIFICATE_MAX)
		return refused(out, "the revocation comes without a certificate");
	if (!binding_has_endpoint(by, v->endpoint))
		return refused(out, "this intermediary is not bound to that endpoint");
	return 0;
}

static bool is_authorized_for(const struct ca_revocation *v, const struct ca_name *name)
{
	for (size_t i = 0; i < v->n_names; i++) {
		const struct ca_name *n = &v->names[i];

		if (n->kind == name->kind && n->value && strcasecmp(n->value, name->value) == 0)
			return true;
	}
	return false;
}

/* The intermediary's word is about the client; what is the client's is known here. */
static bool has_right(const struct ca_revocation *v, const struct ca_request *r)
{
	if (v->proof == CA_REVOKE_BY_KEY)
		return true;
	if (v->proof == CA_REVOKE_BY_REQUESTER)
		return strcmp(v->requester, r->requester) == 0 && strcmp(v->endpoint, r->endpoint) == 0;
	for (size_t i = 0; i < r->n_names; i++)
		if (!is_authorized_for(v, &r->names[i]))
			return false;
	return r->n_names > 0;
}

static void note(struct ca_request *r, const struct binding *by, const struct ca_revocation *v)
{
	static const char *const proofs[] = {
		[CA_REVOKE_BY_REQUESTER] = "requester",
		[CA_REVOKE_BY_KEY] = "key",
		[CA_REVOKE_BY_NAMES] = "names",
	};
	const char *actor = v->proof == CA_REVOKE_BY_KEY ? by->name : v->requester;

	request_note(r, actor, "revoke by=%s proof=%s reason=%s via=%s endpoint=%s from=%s",
		     v->proof == CA_REVOKE_BY_KEY ? "certificate-key" : v->requester, proofs[v->proof],
		     ca_reason_word(v->reason), v->protocol, v->endpoint, v->source_address ? v->source_address : "-");
}

/* A requester says once why; after that only a person may say otherwise, or the key's holder that it is lost. */
static bool is_final_for(const struct ca_request *r, const struct ca_revocation *v)
{
	return r->state == CA_STATE_REVOKED && r->revoked_reason != CA_REASON_HOLD &&
	       !(v->proof == CA_REVOKE_BY_KEY && v->reason == CA_REASON_KEY_COMPROMISE &&
		 r->revoked_reason != CA_REASON_KEY_COMPROMISE);
}

static int revoke_row(struct ca *ca, const struct binding *by, const struct ca_revocation *v, int64_t id,
		      struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	struct store_revocation plan;
	char why[CA_REASON_SIZE];
	int e = store_load(ca->core, id, &r);

	if (e)
		return e;
	if (!bytes_equal(buf_bytes(&r->certificate), v->certificate) || strcasecmp(r->ca, ca->name) != 0 ||
	    !pipeline_is_business_of(by, r))
		return say(out, CA_CALL_NOT_FOUND, "this CA has not issued that certificate");
	if (!has_right(v, r))
		return refused(out, "the certificate belongs to another requester");
	describe(r, out);
	if (is_final_for(r, v))
		return say(out, CA_CALL_ALREADY, "the certificate is revoked already");
	e = revoke_plan(r, CA_ACTION_REVOKE, v->reason, 0, &plan, why);
	if (e)
		return refused(out, why);
	plan.actor = v->requester ? v->requester : by->name;
	note(r, by, v);
	e = store_revoke(ca, &plan);
	if (e)
		return e;
	describe(r, out);
	log_revocation(&plan, v->requester ? v->requester : "certificate-key");
	tell(ca->core);
	return 0;
}

int pipeline_revoke(struct ca *ca, const struct binding *by, const struct ca_revocation *v, struct ca_outcome *out)
{
	struct ca_core *core = ca->core;
	struct bytes serial;
	int64_t id;
	int e = check(by, v, out);

	if (e)
		return e;
	if (core->is_closed)
		return busy(out, "the CA is stopping");
	if (certificate_serial(v->certificate, &serial))
		return say(out, CA_CALL_NOT_FOUND, "that is no certificate of this CA");
	e = store_find_serial(core, serial, &id);
	if (e)
		return e < 0 ? e : say(out, e, "this CA has not issued that certificate");
	e = flight_enter_id(core->flight, id, FLIGHT_WAIT_MS);
	if (e)
		return e < 0 ? e : busy(out, "somebody is acting on this certificate right now");
	e = revoke_row(ca, by, v, id, out);
	flight_leave_id(core->flight, id);
	if (e == STORE_CHANGED || e == -ENOSPC || e == -EBUSY)
		return busy(out, "the store did not take it; ask again");
	return e;
}
