/* revokeCert (RFC 8555 7.6), by whoever the certificate belongs to: the account that got it, its own key, or an
 * account that is authorized now for every name in it.
 *
 * What is proven here is who asks. Whose the certificate is and what stands in it, the core knows by itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>

#include "core/base/base64.h"
#include "protocols/acme/certificate.h"

#define CERTIFICATE_MAX 65536

/* RFC 5280 5.3.1. The others are for a CA to give, not for who holds a certificate. */
static const int reasons[] = {
	CA_REASON_UNSPECIFIED, CA_REASON_KEY_COMPROMISE, CA_REASON_AFFILIATION_CHANGED, CA_REASON_SUPERSEDED,
	CA_REASON_CESSATION,
};

static int reply_bad_reason(struct acme_call *c)
{
	return acme_problem(c, ACME_ERR_BAD_REVOCATION_REASON,
			    "the reason is 0 (unspecified), 1 (keyCompromise), 3 (affiliationChanged), "
			    "4 (superseded) or 5 (cessationOfOperation)");
}

/* 0; 1: answered; negative. */
static int read_reason(struct acme_call *c, int *reason)
{
	const cJSON *item = json_get(c->payload, "reason");
	double number = item ? cJSON_GetNumberValue(item) : 0;
	int e;

	*reason = -1;
	if (item && !cJSON_IsNumber(item)) {
		e = acme_problem(c, ACME_ERR_MALFORMED, "reason is a number");
		return e ? e : 1;
	}
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (number >= reasons[i] && number <= reasons[i])
			*reason = reasons[i];
	if (*reason >= 0)
		return 0;
	e = reply_bad_reason(c);
	return e ? e : 1;
}

/* The octets of the payload's certificate, and the key in it. 0; 1: answered; negative. */
static int read_certificate(struct acme_call *c, struct bytes *certificate, struct bytes *spki)
{
	const char *text = json_get_string(c->payload, "certificate");
	OWNED_BUF der = BUF_INIT(CERTIFICATE_MAX);
	int e = text ? base64url_decode(&der, bytes_of_str(text)) : -EINVAL;

	if (!e)
		e = acme_certificate_spki(buf_bytes(&der), spki);
	if (e == -EINVAL || e == -EMSGSIZE) {
		e = acme_problem(c, ACME_ERR_MALFORMED, "certificate is the base64url form of a certificate in DER");
		return e ? e : 1;
	}
	if (e)
		return e;
	*certificate = arena_copy(c->q->arena, buf_bytes(&der));
	return certificate->ptr ? acme_certificate_spki(*certificate, spki) : -ENOMEM;
}

static int ask(struct acme_call *c, const struct ca_revocation *v, struct ca_outcome *out)
{
	int e;

	if (!acme_enter_wait(c))
		return CA_CALL_BUSY;
	e = ca_revoke(c->acme->ca, v, out);
	acme_leave_wait(c);
	return e;
}

static int reply(struct acme_call *c, int e, const struct ca_outcome *out)
{
	switch (e) {
	case 0:
		c->r->status = 200;
		return 0;
	case CA_CALL_ALREADY:
		return acme_problem(c, ACME_ERR_ALREADY_REVOKED, "the certificate is revoked already");
	case CA_CALL_NOT_FOUND:
		return acme_problem_status(c, 404, ACME_ERR_MALFORMED, "this server has not issued that certificate");
	case CA_CALL_REFUSED:
		return acme_problem(c, ACME_ERR_UNAUTHORIZED,
				    "the certificate belongs to another account, which is the one to revoke it; or "
				    "sign with the certificate's own key, or get authorizations for all its names");
	case CA_CALL_BUSY:
		e = http_reply_retry_after(c->r, out->retry_after_s ? out->retry_after_s : ACME_POLL_S);
		return e ? e : acme_problem_status(c, 503, ACME_ERR_RATE_LIMITED, "nothing was revoked yet; the "
						   "certificate authority is busy, try again");
	default:
		return e < 0 ? e : -EBADMSG;
	}
}

/* Valid authorizations of the account for every name, as the core wants them told. 0; CA_CALL_REFUSED: there are not
 * all of them; negative. */
static int find_names(struct acme_call *c, struct ca_revocation *v)
{
	struct acme_identifier *ids = arena_alloc(c->q->arena, ACME_IDENTIFIERS_MAX * sizeof(*ids));
	struct acme_authz *authz;
	struct ca_name *names;
	size_t n;
	int e = ids ? acme_certificate_names(v->certificate, ids, ACME_IDENTIFIERS_MAX, &n) : -ENOMEM;

	if (e)
		return e == -ENOMEM ? e : CA_CALL_REFUSED;
	authz = arena_alloc(c->q->arena, n * sizeof(*authz));
	names = arena_alloc(c->q->arena, n * sizeof(*names));
	if (!authz || !names)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		authz[i] = (struct acme_authz){
			.account = c->account.id, .kind = ids[i].kind, .value = ids[i].value,
		};
	e = acme_store_find_valid_authz(c->acme->store, c->q->arena, authz, n, c->now_s);
	for (size_t i = 0; i < n && !e; i++)
		e = acme_name_of(c, &authz[i], &names[i]);
	v->names = names;
	v->n_names = n;
	return e == ACME_STORE_NONE ? CA_CALL_REFUSED : e;
}

/* Not the account that got it, so by its names. That its key is known to others, only who has the key can say. */
static int revoke_by_names(struct acme_call *c, struct ca_revocation *v, struct ca_outcome *out)
{
	int e = find_names(c, v);

	if (e)
		return reply(c, e, out);
	if (v->reason == CA_REASON_KEY_COMPROMISE)
		return acme_problem(c, ACME_ERR_BAD_REVOCATION_REASON,
				    "reason 1 (keyCompromise) is for the account that got the certificate, or for "
				    "the certificate's own key; 0, 3, 4 and 5 are taken");
	v->proof = CA_REVOKE_BY_NAMES;
	return reply(c, ask(c, v, out), out);
}

int acme_revoke_cert(struct acme_call *c)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct ca_revocation v = {
		.protocol = "acme",
		.endpoint = c->acme->endpoint,
		.proof = c->known ? CA_REVOKE_BY_REQUESTER : CA_REVOKE_BY_KEY,
		.source_address = c->q->peer_address,
	};
	struct bytes spki;
	int e = read_certificate(c, &v.certificate, &spki);

	if (!e)
		e = read_reason(c, &v.reason);
	if (e)
		return e < 0 ? e : 0;
	if (!c->known && !bytes_equal(spki, buf_bytes(&c->key->spki)))
		return acme_problem(c, ACME_ERR_UNAUTHORIZED, "the message is signed with another key than the "
							      "certificate's");
	v.requester = c->known ? acme_requester(c) : NULL;
	if (c->known && !v.requester)
		return -ENOMEM;
	e = ask(c, &v, &out);
	return e == CA_CALL_REFUSED && c->known ? revoke_by_names(c, &v, &out) : reply(c, e, &out);
}
