/* Enrolment and what becomes of it (RFC 7030 4.2).
 *
 * Nothing is kept here. A client that was told to come back sends its request again, signed anew perhaps; the core
 * knows it by the transaction key, which is made of what stays the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include <errno.h>

#include "core/base/digest.h"
#include "core/base/log.h"
#include "protocols/bundle.h"

#define COLLECT_S (24 * 3600) /* how long a response that was lost can be asked for again */
#define CERTIFICATE_MAX 65536

const char *est_operation_word(enum est_operation operation)
{
	static const char *const words[] = { "simpleenroll", "simplereenroll", "serverkeygen" };

	return words[operation];
}

/* Observed ones (ca_attribute_is_observed()): neither the configuration nor an officer sets them. */
#define EST_ATTRIBUTES 4
static const char *const attribute_names[EST_ATTRIBUTES] = {
	"est-operation", "est-label", "pop-linked", "client-trust",
};

bool est_enter_wait(const struct est_call *c)
{
	const struct proto_waits *waits = c->est->waits;

	return !waits || waits->enter(waits->state);
}

void est_leave_wait(const struct est_call *c)
{
	const struct proto_waits *waits = c->est->waits;

	if (waits)
		waits->leave(waits->state);
}

/* ---- the request ---- */

static int read_csr(struct est_call *c)
{
	struct bytes der;
	int e = est_read_body(c, "application/pkcs10", &der);

	if (!e && proto_csr_read(&c->csr, der))
		e = est_refuse(c, 400, "the body is base64, but not of a PKCS#10 request in DER (RFC 2986)");
	return e;
}

int est_receive(struct est_call *c)
{
	bool is_secret_inside = c->est->challenge == EST_CHALLENGE_SECRET;
	int e = is_secret_inside ? 0 : est_authenticate(c);

	if (!e)
		e = read_csr(c);
	if (!e && is_secret_inside)
		e = est_authenticate(c);
	return e ? e : est_check_link(c);
}

/* ---- the submission ---- */

/* What is the same in a request and its repeat: never the CSR as a whole, since clients sign it anew; and where the key
 * of the request is not the one that is certified, not that key either (RFC 7030 4.4.1). A renewal that shows what the
 * last one brought is another one, although key and names may be the same and little time has passed. */
static int transaction_key(const struct est_call *c, uint8_t key[static SHA256_SIZE])
{
	uint8_t names[SHA256_SIZE];
	struct bytes pieces[] = {
		bytes_of_str("est"),
		bytes_of_str(c->est->endpoint),
		bytes_of_str(est_operation_word(c->operation)),
		c->operation == EST_SERVERKEYGEN ? bytes_of(NULL, 0) : c->csr.spki,
		c->csr.subject,
		bytes_of(names, sizeof(names)),
		bytes_of_str(c->client.requester),
		c->operation == EST_SIMPLEREENROLL ? c->client.claim.certificate : bytes_of(NULL, 0),
	};
	int e = proto_csr_names(&c->csr, c->q->arena, names);

	return e ? e : digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(*pieces), key);
}

/* Those of the configuration, and what only the adapter knows. NULL: no memory. */
static const struct ca_attribute *attributes(const struct est_call *c, size_t *n)
{
	static const char *const links[] = { [EST_LINK_NO] = "no", [EST_LINK_YES] = "yes", [EST_LINK_RA] = "ra" };
	const struct est *est = c->est;
	const char *const values[EST_ATTRIBUTES] = { est_operation_word(c->operation), est->label,
						     links[c->link], ca_trust_word(c->client.trust) };
	struct ca_attribute *all = arena_alloc(c->q->arena, (est->attributes.n + EST_ATTRIBUTES) * sizeof(*all));

	if (!all)
		return NULL;
	for (*n = 0; *n < est->attributes.n; ++*n)
		all[*n] = est->attributes.all[*n];
	for (size_t i = 0; i < EST_ATTRIBUTES; i++)
		if (*values[i])
			all[(*n)++] = (struct ca_attribute){ attribute_names[i], values[i] };
	return all;
}

static int submit(struct est_call *c, struct bytes request, bool is_key_to_come, struct ca_outcome *out)
{
	const struct est *est = c->est;
	struct ca_submission s = {
		.protocol = "est",
		.endpoint = est->endpoint,
		.profile = est->profile,
		.requester = c->client.requester,
		.evidence = c->client.claim.kind,
		.source_address = c->q->peer_address,
		.received_ms = c->q->received_ms,
		.request = request,
		.credential = &c->client.claim,
		.also = c->client.also.kind ? &c->client.also : NULL,
		.is_server_key = c->operation == EST_SERVERKEYGEN,
		.is_key_to_come = is_key_to_come,
		.retry_after_s = est->retry_after_s,
		.collect_s = COLLECT_S,
	};
	int e = transaction_key(c, s.transaction_key);

	s.attributes = attributes(c, &s.n_attributes);
	if (e || !s.attributes)
		return e ? e : -ENOMEM;
	e = ca_submit(est->ca, &s, out);
	/* It waited, and now it arrives. Should the reply be lost, a repeat gets the same. */
	if (!e && out->to_collect)
		e = ca_retrieve(est->ca, s.requester, out->id, out);
	return e;
}

/* ---- the answer ---- */

static const int status_of[] = {
	[CA_STATUS_NONE] = 500,
	[CA_STATUS_BAD_REQUEST] = 400,
	[CA_STATUS_BAD_SIGNATURE] = 400,
	[CA_STATUS_BAD_KEY] = 400,
	[CA_STATUS_BAD_NAME] = 403,
	[CA_STATUS_POLICY_DENIED] = 403,
	[CA_STATUS_ADMIN_DENIED] = 403,
	[CA_STATUS_EXPIRED] = 403,
	[CA_STATUS_SUPERSEDED] = 403,
	[CA_STATUS_POLICY_FAILURE] = 500,
	[CA_STATUS_SIGNER_FAILURE] = 500,
	[CA_STATUS_BUILD_FAILURE] = 500,
};

/* RFC 7030 4.2.3. Without a body: there are clients that fail on one. */
static int reply_pending(struct est_call *c, const struct ca_outcome *out)
{
	int e = http_reply_retry_after(c->r, out->retry_after_s);

	c->r->status = 202;
	atomic_fetch_add(&c->est->n_pending, 1);
	return e ? e : EST_ANSWERED;
}

static int reply_refused(struct est_call *c, const struct ca_outcome *out)
{
	int status = out->disposition == CA_ERROR ? status_of[out->status] : 403;

	/* Failures keep their reason inside. */
	if (status == 500)
		return est_refuse(c, status, "the certificate authority could not process the request");
	if (out->disposition == CA_REVOKED)
		return est_refuse(c, status, "the certificate of this request was revoked; ask with another key");
	return est_refuse(c, status, *out->reason ? out->reason : "the request was refused");
}

/* `e`: what the call returned. 0: issued. */
static int reply_outcome(struct est_call *c, int e, const struct ca_outcome *out)
{
	if (e < 0)
		return e;
	if (e == CA_CALL_BUSY || (!e && out->disposition == CA_INCOMPLETE))
		return est_refuse_later(c, 503, out->retry_after_s, out->reason);
	if (e == CA_CALL_TOO_EARLY)
		return est_refuse(c, 403, out->reason);
	if (e)
		return est_refuse_client(c, out->reason);
	if (out->disposition == CA_ISSUED)
		return 0;
	return out->disposition == CA_UNDER_SUBMISSION ? reply_pending(c, out) : reply_refused(c, out);
}

static int submit_in_turn(struct est_call *c, struct bytes request, bool is_key_to_come, struct ca_outcome *out)
{
	int e;

	c->client.confirm = NULL; /* its answer tells */
	if (!est_enter_wait(c))
		return est_refuse_later(c, 503, 2, "too many requests are waiting; try again");
	e = submit(c, request, is_key_to_come, out);
	est_leave_wait(c);
	return is_key_to_come && e == CA_CALL_KEY_WANTED ? 0 : reply_outcome(c, e, out);
}

int est_submit(struct est_call *c, struct bytes request, struct ca_outcome *out)
{
	int e = submit_in_turn(c, request, false, out);

	if (!e)
		atomic_fetch_add(&c->est->n_issued, 1);
	return e;
}

int est_submit_keyless(struct est_call *c, struct bytes request)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = submit_in_turn(c, request, true, &out);

	/* Nobody may have a certificate for the key that only stands for others. */
	return !e && out.disposition == CA_ISSUED ? -EBADMSG : e;
}

/* RFC 7030 4.2.3: the certificate alone. */
int est_enroll(struct est_call *c)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF bundle = BUF_INIT(CERTIFICATE_MAX + 256);
	int e = est_receive(c);

	if (!e)
		e = est_submit(c, c->csr.der, &out);
	if (!e)
		e = bundle_write_certificates(buf_bytes(&out.certificate), &bundle);
	return e ? e : est_reply_base64(c, 200, "application/pkcs7-mime; smime-type=certs-only", buf_bytes(&bundle));
}
