/* PKCSReq and RenewalReq (RFC 8894 3.3.1).
 *
 * Which of the two it is, the signer says and not the type: most clients send PKCSReq for both. A certificate that was
 * made by its own key, that of the request, is an enrolment, for which a challenge speaks; any other is for the core to
 * judge. Nothing is kept here: a repeat is known to the core by the transaction key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "protocols/bundle.h"
#include "protocols/signed_der.h"

#define COLLECT_S 600 /* how long a reply that was lost can be asked for again */
#define KEY_HASH_SIZE 20
#define PATIENCE_MS 2500 /* the last call may take a second more */
#define PATIENCE_PAUSE_MS 50

const char *const scep_attribute_names[SCEP_ATTRIBUTES] = {
	"scep-message-type", "scep-transaction-id", "scep-digest", "scep-cipher",
};

/* What the submission is made of. */
struct enrolment {
	struct proto_csr csr;
	struct ca_credential_claim claim;
	const char *requester;
};

/* ---- who asks ---- */

/* RFC 8894 2.3: made by the key of the request. Its dates, its serial number and its subject say nothing. */
bool scep_is_self_issued(struct bytes certificate)
{
	struct signed_certificate c;

	return signed_der_certificate(certificate, &c) == 0 && bytes_equal(c.issuer, c.subject);
}

/* As libcrypto reads it, with whatever key and algorithm: what they are worth the core says. */
static bool is_signed_by_its_key(struct bytes request)
{
	const uint8_t *p = request.ptr;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)request.len);
	EVP_PKEY *key = req ? X509_REQ_get0_pubkey(req) : NULL;
	bool is_it = key && X509_REQ_verify(req, key) == 1;

	X509_REQ_free(req);
	ERR_clear_error();
	return is_it;
}

/* Who enrols signs message and request with one key, which is read already. */
static bool is_signed_by_itself(const struct scep_message *m, const struct proto_csr *csr)
{
	const struct scep_digest *digest = scep_digest_of(csr->algorithm, m->key);
	struct bytes signature = csr->signature, unused;

	if (!digest || !bytes_equal(m->signer_spki, csr->spki))
		return is_signed_by_its_key(csr->der);
	return bytes_take(&signature, 1, &unused) && unused.ptr[0] == 0 &&
	       scep_signature_verifies(m->key, digest, &csr->signed_part, 1, signature);
}

/* Is it a request of this sender, as he wrote it? Whoever has seen the envelope of somebody else can sign it anew, with
 * a key of his own and the envelope as it was or bent. Were he told how far each of them comes, he would learn from the
 * answers what is inside (Vaudenay 2002): he is told what he is told of garbage. */
static bool read_request(const struct scep_call *c, struct proto_csr *csr)
{
	return proto_csr_read(csr, c->content) == 0 &&
	       (!scep_is_self_issued(c->message.signer) || bytes_equal(c->message.signer_spki, csr->spki)) &&
	       is_signed_by_itself(&c->message, csr);
}

/* By the key that signed the message: it stays the same while a client polls, and no two clients have one. */
static int name_by_key(struct scep_call *c, const char **requester)
{
	char text[2 * KEY_HASH_SIZE + 1];
	uint8_t digest[SHA256_SIZE];
	int e = digest_sha256(c->message.signer_spki, digest);

	if (e)
		return e;
	*requester = arena_printf(c->q->arena, "scep:key:%s", hex_print(bytes_of(digest, KEY_HASH_SIZE), text));
	return *requester ? 0 : -ENOMEM;
}

static struct ca_credential_claim claim_of_signer(const struct scep_call *c, enum ca_certificate_use use)
{
	return (struct ca_credential_claim){ .kind = CA_EVIDENCE_CERTIFICATE, .certificate = c->message.signer,
					     .chain = c->message.others, .use = use };
}

int scep_check_signer(struct scep_call *c, enum ca_certificate_use use, const struct ca_credential_answer **out)
{
	struct ca_credential_answer *answer = arena_alloc(c->q->arena, sizeof(*answer));
	struct ca_credential_claim claim = claim_of_signer(c, use);
	int e;

	if (!answer)
		return -ENOMEM;
	claim.endpoint = c->scep->endpoint;
	claim.source_address = c->q->peer_address;
	if (!scep_enter_wait(c->scep))
		return scep_later(c, 0, SCEP_CROWDED_TEXT);
	e = ca_check_credential(c->scep->ca, &claim, answer);
	scep_leave_wait(c->scep);
	c->is_limited = answer->is_limited;
	if (e == CA_CALL_BUSY)
		return scep_later(c, answer->retry_after_s, answer->reason);
	*out = answer;
	return e > 0 ? scep_fail(c, SCEP_BAD_MESSAGE_CHECK, answer->reason) : e;
}

/* The core says whose certificate it is: who renews is who asked first. */
static int name_by_certificate(struct scep_call *c, struct enrolment *n)
{
	const struct ca_credential_answer *answer;
	int e = scep_check_signer(c, CA_CERTIFICATE_RENEW, &answer);

	if (e)
		return e;
	n->claim = claim_of_signer(c, CA_CERTIFICATE_RENEW);
	n->requester = answer->requester;
	return 0;
}

static int take_challenge(struct scep_call *c, struct enrolment *n)
{
	int e;

	if (!n->csr.challenge.len)
		return scep_fail(c, SCEP_BAD_REQUEST, "the request has no challengePassword");
	e = proto_csr_challenge(&n->csr, c->q->arena, &n->csr.challenge);
	if (e == -EINVAL)
		return scep_fail(c, SCEP_BAD_REQUEST, "the challengePassword is no text");
	if (e)
		return e;
	if (n->csr.challenge.len > CA_SECRET_MAX)
		return scep_fail(c, SCEP_BAD_REQUEST, "the challengePassword is longer than 4096 octets");
	n->claim = (struct ca_credential_claim){ .kind = CA_EVIDENCE_CHALLENGE, .secret = n->csr.challenge };
	if (c->scep->judge)
		n->claim = (struct ca_credential_claim){ .kind = CA_EVIDENCE_EXTERNAL };
	return 0;
}

static int identify(struct scep_call *c, struct enrolment *n)
{
	int e;

	if (!scep_is_self_issued(c->message.signer))
		return name_by_certificate(c, n);
	if (c->message.type != SCEP_PKCS_REQ)
		return scep_fail(c, SCEP_BAD_MESSAGE_CHECK, "a renewal is signed with the certificate that it renews");
	e = take_challenge(c, n);
	return e ? e : name_by_key(c, &n->requester);
}

/* ---- the submission ---- */

/* Clients make the transaction's name of the key, and some keep the key when they renew: what is renewed tells such a
 * request from the one before. A certificate that a client made by itself may be another one each time he asks. */
static int transaction_key(const struct scep_call *c, const struct enrolment *n, uint8_t key[static SHA256_SIZE])
{
	bool is_renewal = !scep_is_self_issued(c->message.signer);
	struct bytes pieces[] = {
		bytes_of_str("scep"), bytes_of_str(c->scep->endpoint), c->message.transaction_id, n->csr.spki,
		is_renewal ? c->message.signer : c->message.signer_spki,
	};

	return digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(*pieces), key);
}

int scep_poll_key(const struct scep_call *c, uint8_t key[static CA_POLL_KEY_SIZE])
{
	struct bytes pieces[] = {
		bytes_of_str("scep"), bytes_of_str(c->scep->endpoint), c->message.transaction_id,
		c->message.signer_spki,
	};

	return digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(*pieces), key);
}

/* The client's text as others may print it. */
const char *scep_print_transaction_id(const struct scep_call *c)
{
	char *text = arena_strndup(c->q->arena, c->message.transaction_id);

	for (char *t = text; t && *t; t++)
		if (*t < ' ' || *t > '~' || *t == '"')
			*t = '?';
	return text;
}

/* Those of the configuration, and what only the adapter knows. NULL: no memory. */
static const struct ca_attribute *attributes(const struct scep_call *c, size_t *n)
{
	const struct scep *s = c->scep;
	const char *const values[SCEP_ATTRIBUTES] = {
		arena_printf(c->q->arena, "%d", c->message.type), scep_print_transaction_id(c),
		c->message.digest->word, c->envelope.cipher->name,
	};
	struct ca_attribute *all = arena_alloc(c->q->arena, (s->attributes.n + SCEP_ATTRIBUTES) * sizeof(*all));

	if (!all || !values[0] || !values[1])
		return NULL;
	for (*n = 0; *n < s->attributes.n; ++*n)
		all[*n] = s->attributes.all[*n];
	for (size_t i = 0; i < SCEP_ATTRIBUTES; i++)
		if (*values[i])
			all[(*n)++] = (struct ca_attribute){ scep_attribute_names[i], values[i] };
	return all;
}

/* Few clients understand "later", so a core that is slow, or was started again, is asked again: it knows the request by
 * its transaction. Who waits has a place among those that may (struct proto_waits). */
static int submit_patiently(struct ca_door *ca, const struct ca_submission *sub, struct ca_outcome *out)
{
	const struct timespec pause = { .tv_nsec = PATIENCE_PAUSE_MS * 1000000L };
	int64_t give_up_ms = clock_mono_ms() + PATIENCE_MS;
	int e = ca_submit(ca, sub, out);

	while (e == CA_CALL_BUSY && out->retry_after_s <= 1 && !out->is_limited && clock_mono_ms() < give_up_ms) {
		nanosleep(&pause, NULL);
		e = ca_submit(ca, sub, out);
	}
	return e;
}

static int submit(struct scep_call *c, const struct enrolment *n, struct ca_outcome *out)
{
	const struct scep *s = c->scep;
	struct ca_submission sub = {
		.protocol = "scep",
		.endpoint = s->endpoint,
		.profile = s->profile,
		.requester = n->requester,
		.evidence = n->claim.kind,
		.source_address = c->q->peer_address,
		.received_ms = c->q->received_ms,
		.request = n->csr.der,
		.credential = &n->claim,
		.retry_after_s = s->retry_after_s,
		.collect_s = COLLECT_S,
		.is_repeat_exact = true,
		.has_poll_key = true,
	};
	int e = transaction_key(c, n, sub.transaction_key);

	if (!e)
		e = scep_poll_key(c, sub.poll_key);
	sub.attributes = attributes(c, &sub.n_attributes);
	if (e || !sub.attributes)
		return e ? e : -ENOMEM;
	e = submit_patiently(s->ca, &sub, out);
	/* It waited, and now it arrives. Should the reply be lost, a repeat gets the same. */
	if (!e && out->to_collect)
		e = ca_retrieve(s->ca, sub.requester, out->id, out);
	return e;
}

/* The target is asked once about a transaction: a challenge that it takes once must not be shown to it again because
 * its client repeats the message, which the core knows to be the same request. */
static int judge_and_submit(struct scep_call *c, struct enrolment *n, struct ca_outcome *out)
{
	OWNED_BUF statement = BUF_INIT(SCEP_STATEMENT_MAX);
	uint8_t key[SHA256_SIZE];
	int e = transaction_key(c, n, key);

	if (!e)
		e = scep_judge(c, &n->csr, key, &statement);
	if (e)
		return e;
	n->claim.message = buf_bytes(&statement);
	e = submit(c, n, out);
	scep_settle_statement(c, &n->csr, key, e, out);
	return scep_take_judged(c, n->csr.der, e, out);
}

/* ---- the answer ---- */

static const enum scep_fail fail_of[] = {
	[CA_STATUS_NONE] = SCEP_BAD_REQUEST,
	[CA_STATUS_BAD_REQUEST] = SCEP_BAD_REQUEST,
	[CA_STATUS_BAD_SIGNATURE] = SCEP_BAD_MESSAGE_CHECK,
	[CA_STATUS_BAD_KEY] = SCEP_BAD_ALG,
	[CA_STATUS_BAD_NAME] = SCEP_BAD_REQUEST,
	[CA_STATUS_POLICY_DENIED] = SCEP_BAD_REQUEST,
	[CA_STATUS_ADMIN_DENIED] = SCEP_BAD_REQUEST,
	[CA_STATUS_EXPIRED] = SCEP_BAD_REQUEST,
	[CA_STATUS_SUPERSEDED] = SCEP_BAD_REQUEST,
	[CA_STATUS_POLICY_FAILURE] = SCEP_BAD_REQUEST,
	[CA_STATUS_SIGNER_FAILURE] = SCEP_BAD_REQUEST,
	[CA_STATUS_BUILD_FAILURE] = SCEP_BAD_REQUEST,
	[CA_STATUS_WITHDRAWN] = SCEP_BAD_REQUEST,
};
_Static_assert(sizeof(fail_of) / sizeof(*fail_of) == CA_STATUS_WITHDRAWN + 1, "every status has its failInfo");

static bool is_inside(enum ca_status status)
{
	return status == CA_STATUS_POLICY_FAILURE || status == CA_STATUS_SIGNER_FAILURE ||
	       status == CA_STATUS_BUILD_FAILURE;
}

/* Failures of ours keep their reason inside. */
static int take_refusal(struct scep_call *c, const struct ca_outcome *out)
{
	const char *text = out->disposition == CA_REVOKED ? "the certificate of this request was revoked" :
			   is_inside(out->status) ? "the certificate authority could not process the request" :
			   *out->reason ? arena_strdup(c->q->arena, out->reason) : "the request was refused";

	return text ? scep_fail(c, fail_of[out->status], text) : -ENOMEM;
}

static int take_certificate(struct scep_call *c, const struct ca_outcome *out)
{
	OWNED_BUF all = BUF_INIT(c->bag.max);
	int e = buf_append(&all, buf_bytes(&out->certificate));

	if (!e && c->scep->bag == SCEP_BAG_CHAIN)
		e = buf_append(&all, buf_bytes(&out->chain));
	c->status = SCEP_SUCCESS;
	return e ? e : bundle_write_in_order(buf_bytes(&all), &c->bag);
}

int scep_take_outcome(struct scep_call *c, int e, const struct ca_outcome *out)
{
	const char *reason;

	if (e < 0)
		return e;
	if (e) {
		reason = arena_strdup(c->q->arena, out->reason);
		c->is_limited = out->is_limited;
		return !reason ? -ENOMEM : e == CA_CALL_BUSY ? scep_later(c, out->retry_after_s, reason) :
								  scep_fail(c, SCEP_BAD_REQUEST, reason);
	}
	if (out->disposition == CA_ISSUED)
		return take_certificate(c, out);
	if (out->disposition != CA_UNDER_SUBMISSION && out->disposition != CA_INCOMPLETE)
		return take_refusal(c, out);
	c->status = SCEP_PENDING;
	return 0;
}

/* Before its certificate renews by itself a challenge speaks for the request, as for a first one. Clients send the one
 * that they have spent again: they are told from when on the certificate does. */
static int submit_with_challenge(struct scep_call *c, struct enrolment *n, struct ca_outcome *out)
{
	char when[CA_REASON_SIZE];
	int e;

	memcpy(when, out->reason, sizeof(when));
	e = submit(c, n, out);
	if (e == CA_CALL_REFUSED)
		memcpy(out->reason, when, sizeof(when));
	return e;
}

static int ask(struct scep_call *c, struct enrolment *n, struct ca_outcome *out)
{
	int e = submit(c, n, out);

	if (e == CA_CALL_TOO_EARLY && n->csr.challenge.len) {
		e = take_challenge(c, n);
		if (e)
			return e;
		e = submit_with_challenge(c, n, out);
	}
	if (e == CA_CALL_VERDICT_WANTED)
		return judge_and_submit(c, n, out);
	if (n->claim.kind == CA_EVIDENCE_EXTERNAL)
		return scep_take_judged(c, n->csr.der, e, out);
	return scep_take_outcome(c, e, out);
}

int scep_enroll(struct scep_call *c)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct enrolment n = { 0 };
	int e;

	if (!read_request(c, &n.csr))
		return scep_refuse_content(c);
	e = identify(c, &n);
	if (e)
		return e;
	if (!scep_enter_wait(c->scep))
		return scep_later(c, 0, SCEP_CROWDED_TEXT);
	e = ask(c, &n, &out);
	scep_leave_wait(c->scep);
	return e;
}
