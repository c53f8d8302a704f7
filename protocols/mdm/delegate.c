/* Who asks, and what the core says to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/mdm/mdm_int.h"

#include "protocols/authorization.h"

#define SCHEMES (AUTHORIZATION_BASIC | AUTHORIZATION_BEARER)
#define RETRY_AFTER_S 2

static int refuse(struct http_reply *r, int status, const char *text)
{
	int e = http_reply_text(r, status, text);

	return e ? e : MDM_ANSWERED;
}

static int refuse_later(struct http_reply *r, unsigned retry_after_s, const char *text)
{
	int e = http_reply_retry_after(r, retry_after_s);

	return e ? e : refuse(r, 503, text);
}

static int refuse_client(struct mdm *m, struct http_reply *r)
{
	int e = authorization_offer(r, SCHEMES, m->endpoint);

	atomic_fetch_add(&m->n_unauthenticated, 1);
	return e ? e : refuse(r, 401, "this is for a user or token that may have challenges made");
}

static int ask(struct mdm *m, const struct ca_delegation *d, struct http_reply *r, struct ca_delegated *out)
{
	int e;

	if (m->waits && !m->waits->enter(m->waits->state))
		return refuse_later(r, RETRY_AFTER_S, "too many requests are waiting; try again");
	e = ca_delegate_challenge(m->ca, d, out);
	if (m->waits)
		m->waits->leave(m->waits->state);
	if (e == CA_CALL_BUSY)
		return refuse_later(r, out->retry_after_s, out->reason);
	if (e == CA_CALL_REFUSED)
		return refuse_client(m, r);
	if (e == CA_CALL_FULL || e == CA_CALL_NOT_PERMITTED)
		atomic_fetch_add(e == CA_CALL_FULL ? &m->n_full : &m->n_refused, 1);
	if (!e)
		atomic_fetch_add(&m->n_made, 1);
	return e == CA_CALL_FULL ? MDM_FULL : e == CA_CALL_NOT_PERMITTED ? MDM_NOT_PERMITTED : e;
}

int mdm_delegate(struct mdm *m, const struct http_request *q, struct http_reply *r, const struct mdm_device *device,
		 struct ca_delegated *out)
{
	struct ca_credential_claim claim;
	struct ca_delegation d = {
		.claim = &claim, .serial_number = device->serial_number, .udid = device->udid,
		.is_bound = m->device_rule != MDM_DEVICE_OFF, .lifetime_s = m->lifetime_s,
	};
	int e = authorization_read(q, SCHEMES, &claim);

	if (!e)
		e = http_reply_header(r, "Cache-Control", "no-store");
	if (e)
		return e == AUTHORIZATION_TWICE ? refuse(r, 400, "there is more than one Authorization header") : e;
	if (!claim.kind)
		return refuse_client(m, r);
	if (m->device_rule == MDM_DEVICE_REQUIRED && !device->serial_number && !device->udid)
		return refuse(r, 400, "a challenge is for one device here: its serial number or UDID is missing");
	claim.endpoint = m->for_endpoint;
	claim.source_address = q->peer_address;
	return ask(m, &d, r, out);
}
