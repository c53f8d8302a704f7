/* Finalize, what becomes of it, and the certificate (RFC 8555 7.4, 7.4.2).
 *
 * The order's name is the transaction key: however often an order is finalized or polled, the core has one request
 * for it. A result that is not final is kept as `processing` with the PKCS#10 octets, so that a later poll can ask
 * the core for the request, or submit the same octets again when the core could not say yet. The certificate of such
 * a request is committed here first and collected from the core afterwards: should the gateway end between the two,
 * the certificate is not lost, and the core is told at the next look at it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/der.h"
#include "core/base/digest.h"
#include "core/base/log.h"
#include "protocols/acme/csr_key.h"

#define PEM_LINE 64
#define CHAIN_MAX 1000000

/* How an order goes on after an answer of the core. */
enum step {
	STEP_WAIT,    /* keep it as processing; the client polls */
	STEP_ISSUE,
	STEP_REFUSE,  /* this request is over, and so is the order */
	STEP_REJECT,  /* the octets were no good: finalize answers with the problem and may be repeated with others */
	STEP_FAIL,    /* a failure inside: finalize may be repeated */
};

static const enum step step_of_disposition[] = {
	[CA_INCOMPLETE] = STEP_WAIT,
	[CA_ERROR] = STEP_FAIL, /* or REJECT, see below */
	[CA_DENIED] = STEP_REFUSE,
	[CA_ISSUED] = STEP_ISSUE,
	[CA_UNDER_SUBMISSION] = STEP_WAIT,
	[CA_REVOKED] = STEP_REFUSE,
};

/* What a status means to an ACME client. */
static const enum acme_error error_of_status[] = {
	[CA_STATUS_NONE] = ACME_ERR_SERVER_INTERNAL,
	[CA_STATUS_BAD_REQUEST] = ACME_ERR_BAD_CSR,
	[CA_STATUS_BAD_SIGNATURE] = ACME_ERR_BAD_CSR,
	[CA_STATUS_BAD_KEY] = ACME_ERR_BAD_PUBLIC_KEY,
	[CA_STATUS_BAD_NAME] = ACME_ERR_BAD_CSR,
	[CA_STATUS_POLICY_DENIED] = ACME_ERR_UNAUTHORIZED,
	[CA_STATUS_ADMIN_DENIED] = ACME_ERR_UNAUTHORIZED,
	[CA_STATUS_EXPIRED] = ACME_ERR_UNAUTHORIZED,
	[CA_STATUS_SUPERSEDED] = ACME_ERR_UNAUTHORIZED,
	[CA_STATUS_POLICY_FAILURE] = ACME_ERR_SERVER_INTERNAL,
	[CA_STATUS_SIGNER_FAILURE] = ACME_ERR_SERVER_INTERNAL,
	[CA_STATUS_BUILD_FAILURE] = ACME_ERR_SERVER_INTERNAL,
};

/* What an answer of the core means for the order. */
struct verdict {
	enum step step;
	enum acme_error error;
	const char *detail; /* in the arena */
};

/* One handler at a time asks the core about an order; the others answer "processing". */
static bool claim(struct acme *acme, int64_t order)
{
	bool claimed = true;

	pthread_mutex_lock(&acme->claims_lock);
	for (size_t i = 0; i < acme->n_claims; i++)
		claimed = claimed && acme->claims[i] != order;
	claimed = claimed && acme->n_claims < ACME_CLAIMS_MAX;
	if (claimed)
		acme->claims[acme->n_claims++] = order;
	pthread_mutex_unlock(&acme->claims_lock);
	return claimed;
}

static void unclaim(struct acme *acme, int64_t order)
{
	pthread_mutex_lock(&acme->claims_lock);
	for (size_t i = 0; i < acme->n_claims; i++)
		if (acme->claims[i] == order)
			acme->claims[i] = acme->claims[--acme->n_claims];
	pthread_mutex_unlock(&acme->claims_lock);
}

/* The PEM chain. */

static int append_pem(struct buf *out, struct bytes der)
{
	OWNED_BUF text = BUF_INIT(CHAIN_MAX);
	int e = base64_encode(&text, der);
	struct bytes rest = buf_bytes(&text), line;

	if (e)
		return e;
	buf_append_str(out, "-----BEGIN CERTIFICATE-----\n");
	while (rest.len > 0) {
		(void)bytes_take(&rest, rest.len < PEM_LINE ? rest.len : PEM_LINE, &line);
		buf_append(out, line);
		buf_append_char(out, '\n');
	}
	return buf_append_str(out, "-----END CERTIFICATE-----\n");
}

/* Certificates one after the other. */
static int append_pem_chain(struct buf *out, struct bytes chain)
{
	while (chain.len > 0) {
		struct bytes content, der;
		unsigned tag;
		int e;

		if (der_read(&chain, &tag, &content, &der) || tag != DER_SEQUENCE)
			return -EBADMSG;
		e = append_pem(out, der);
		if (e)
			return e;
	}
	return 0;
}

/* Leaf and issuers. Some clients refuse a chain of one, so the CA is asked when the answer brought no issuer. */
static int print_chain(struct acme_call *c, const struct ca_outcome *out, struct buf *pem)
{
	OWNED_BUF chain = BUF_INIT(CHAIN_MAX);
	int e = append_pem(pem, buf_bytes(&out->certificate));

	if (!e && out->chain.len > 0)
		return append_pem_chain(pem, buf_bytes(&out->chain));
	if (!e)
		e = ca_get_chain(c->acme->ca, &chain);
	return e ? (e < 0 ? e : -EIO) : append_pem_chain(pem, buf_bytes(&chain));
}

/* Results. */

/* The gateway has the certificate now: tell the core, which then lets nobody else spend the approval it was made by.
 * As long as that does not work it is tried again whenever the order or its certificate is read. 0: the core knows. */
static int collect(struct acme_call *c, const char *order, int64_t core_id)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	const char *requester = acme_requester(c);
	int told = requester ? ca_retrieve(c->acme->ca, requester, core_id, &out) : -ENOMEM, e;

	if (told == CA_CALL_NOT_FOUND || told == CA_CALL_REFUSED)
		told = 0;
	e = told ? told : acme_store_set_collected(c->acme->store, order);
	if (e)
		log_warn("acme.collect.failed", "endpoint", c->acme->endpoint, "order", order, "error",
			 e < 0 ? strerror(-e) : "busy");
	return told > 0 ? -EBUSY : told;
}

void acme_finalize_collect(struct acme_call *c, struct acme_order *o)
{
	if (o->status == ACME_VALID && o->to_collect)
		(void)collect(c, o->name, o->core_id);
	o->to_collect = false; /* not twice for one request of the client */
}

/* What waited is collected; what is decided at once needs nobody to tell that it arrived. But an order from before a
 * restart, or before a write of ours failed, may have waited although nothing here says so. */
static int store_issued(struct acme_call *c, struct acme_order *o, const struct ca_outcome *out)
{
	OWNED_BUF pem = BUF_INIT(CHAIN_MAX);
	int e = print_chain(c, out, &pem);

	if (e)
		return e;
	o->to_collect = o->status == ACME_PROCESSING || o->created_s <= atomic_load(&c->acme->unsure_until_s);
	o->status = ACME_VALID;
	o->core_id = out->id;
	o->certificate = arena_printf(c->q->arena, "%s-c", o->name);
	if (!o->certificate)
		return -ENOMEM;
	e = acme_store_set_valid(c->acme->store, o, buf_str(&pem));
	if (!e)
		atomic_fetch_add(&c->acme->orders_valid, 1);
	if (!e)
		acme_finalize_collect(c, o);
	return e;
}

static int store_refused(struct acme_call *c, struct acme_order *o, const struct verdict *v)
{
	int e;

	o->status = ACME_INVALID;
	o->error = acme_problem_text(c->q->arena, v->error, v->detail);
	if (!o->error)
		return -ENOMEM;
	e = acme_store_set_invalid(c->acme->store, o);
	if (!e)
		atomic_fetch_add(&c->acme->orders_invalid, 1);
	return e;
}

static int store_waiting(struct acme_call *c, struct acme_order *o, int64_t core_id)
{
	if (o->status == ACME_PROCESSING && o->core_id == core_id)
		return 0;
	o->status = ACME_PROCESSING;
	o->core_id = core_id;
	return acme_store_set_processing(c->acme->store, o);
}

/* Failures keep their reason inside. */
static const char *detail_of(struct acme_call *c, enum acme_error error, const struct ca_outcome *out)
{
	if (error == ACME_ERR_SERVER_INTERNAL)
		return "the certificate authority could not process the request";
	return out->reason[0] ? arena_strdup(c->q->arena, out->reason) : "the request was refused";
}

/* `e`: what the call returned. A certificate for another key was made for a CSR whose finalize ended before its
 * result was written down here; who holds the key of this one must not get it. */
static struct verdict judge(struct acme_call *c, const struct acme_order *o, int e, const struct ca_outcome *out)
{
	struct verdict v = { .step = step_of_disposition[out->disposition], .error = error_of_status[out->status] };

	if (e < 0 || e == CA_CALL_BUSY)
		return (struct verdict){ .step = e < 0 ? STEP_FAIL : STEP_WAIT, .error = ACME_ERR_SERVER_INTERNAL };
	if (e == CA_CALL_REFUSED)
		v = (struct verdict){ .step = STEP_REFUSE, .error = ACME_ERR_UNAUTHORIZED };
	else if (v.step == STEP_REFUSE)
		v.error = ACME_ERR_UNAUTHORIZED;
	else if (v.step == STEP_FAIL && v.error != ACME_ERR_SERVER_INTERNAL)
		v.step = STEP_REJECT;
	if (v.step == STEP_ISSUE && !acme_csr_is_for(o->csr, buf_bytes(&out->certificate)))
		return (struct verdict){ STEP_REFUSE, ACME_ERR_ORDER_NOT_READY,
					 "the order was finalized with another csr before" };
	v.detail = detail_of(c, v.error, out);
	return v;
}

/* Names for the core. */
static struct ca_name *names_of(struct acme_call *c, const struct acme_order *o)
{
	struct ca_name *names = arena_alloc(c->q->arena, o->n_authz * sizeof(*names));

	for (size_t i = 0; names && i < o->n_authz; i++)
		if (acme_name_of(c, &o->authz[i], &names[i]))
			return NULL;
	return names;
}

/* The key of an order's transaction: the clock that its name begins with, so that the core's index of keys grows at
 * its end, then what tells it apart from every other. */
static int transaction_key(struct acme_call *c, const struct acme_order *o, uint8_t key[static SHA256_SIZE])
{
	struct bytes pieces[] = { bytes_of_str("acme"), bytes_of_str(c->acme->endpoint), bytes_of_str(o->name) };
	OWNED_BUF clock = BUF_INIT(ACME_NAME_CLOCK);
	uint8_t digest[SHA256_SIZE];
	int e = base64url_decode(&clock, bytes_of(o->name, ACME_NAME_CLOCK * 4 / 3));

	if (!e)
		e = digest_sha256_pieces(pieces, 3, digest);
	if (e)
		return e;
	memcpy(key, clock.ptr, ACME_NAME_CLOCK);
	memcpy(key + ACME_NAME_CLOCK, digest, SHA256_SIZE - ACME_NAME_CLOCK);
	return 0;
}

/* The same octets and the same key each time it is called for an order. */
static int submit_now(struct acme_call *c, const struct acme_order *o, struct ca_outcome *out)
{
	const struct acme *acme = c->acme;
	struct ca_submission s = {
		.protocol = "acme",
		.endpoint = acme->endpoint,
		.profile = acme->profile,
		.requester = acme_requester(c),
		.evidence = CA_EVIDENCE_ACME_AUTHORIZATION,
		.source_address = c->q->peer_address,
		.received_ms = c->q->received_ms,
		.request = o->csr,
		.names = names_of(c, o),
		.n_names = o->n_authz,
		.retry_after_s = acme_retry_after_s(o, c->now_s),
		.collect_s = acme_collect_s(o, c->now_s),
	};
	int e;

	s.attributes = acme_attributes(c, &s.n_attributes);
	if (c->account.external)
		s.credential = acme_binding_claim(c);
	if (!s.requester || !s.names || !s.attributes || (c->account.external && !s.credential))
		return -ENOMEM;
	e = transaction_key(c, o, s.transaction_key);
	return e ? e : ca_submit(acme->ca, &s, out);
}

/* Policy and signer may take a while. When too many handlers wait already the answer is that of a busy core: the
 * request is kept as processing, and a later poll submits it. */
static int submit(struct acme_call *c, const struct acme_order *o, struct ca_outcome *out)
{
	int e;

	if (!acme_enter_wait(c))
		return CA_CALL_BUSY;
	e = submit_now(c, o, out);
	acme_leave_wait(c);
	return e;
}

/* What the core says of a request it knows, without collecting the result: that comes after our own commit. */
static int look(struct acme_call *c, const struct acme_order *o, struct ca_outcome *out)
{
	const char *requester = acme_requester(c);
	int e;

	if (!requester)
		return -ENOMEM;
	if (!acme_enter_wait(c))
		return CA_CALL_BUSY;
	e = ca_peek(c->acme->ca, requester, o->core_id, out);
	acme_leave_wait(c);
	return e;
}

/* What was proven when the order was finalized may have expired, or been given up, since. */
static const struct acme_authz *find_unproven(const struct acme_order *o)
{
	for (size_t i = 0; i < o->n_authz; i++)
		if (o->authz[i].status != ACME_VALID)
			return &o->authz[i];
	return NULL;
}

static int ask(struct acme_call *c, const struct acme_order *o, struct ca_outcome *out)
{
	int e = o->core_id ? look(c, o, out) : CA_CALL_NOT_FOUND; /* which is not an answer */
	const struct acme_authz *unproven = find_unproven(o);

	if (e != CA_CALL_NOT_FOUND)
		return e;
	ca_outcome_fini(out);
	*out = CA_OUTCOME_INIT;
	if (!unproven)
		return submit(c, o, out);
	out->disposition = CA_DENIED;
	snprintf(out->reason, sizeof(out->reason), "the authorization of %s is %s", unproven->value,
		 acme_status_word(unproven->status));
	return 0;
}

/* A poll changes the order only by a result; a failure inside is no result, the next poll asks again. */
static int poll_claimed(struct acme_call *c, struct acme_order *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = ask(c, o, &out);
	struct verdict v = judge(c, o, e, &out);

	if (e == CA_CALL_BUSY)
		return 0;
	switch (v.step) {
	case STEP_WAIT:
		return store_waiting(c, o, out.id);
	case STEP_ISSUE:
		return store_issued(c, o, &out);
	case STEP_REFUSE:
	case STEP_REJECT:
		return store_refused(c, o, &v);
	case STEP_FAIL:
		return e < 0 ? e : store_refused(c, o, &v);
	}
	return -EINVAL;
}

int acme_finalize_poll(struct acme_call *c, struct acme_order *o)
{
	int64_t id = o->id;
	int e;

	if (!claim(c->acme, id))
		return 0;
	e = acme_order_load(c, o); /* another handler may just have finished it */
	if (!e && o->status == ACME_PROCESSING)
		e = poll_claimed(c, o);
	unclaim(c->acme, id);
	return e;
}

/* Finalize. */

/* 0; 1: answered; negative. */
static int check_csr(struct acme_call *c, struct bytes der)
{
	static const struct {
		enum acme_error error;
		const char *detail;
	} answers[] = {
		[CSR_KEY_OF_ACCOUNT] = { ACME_ERR_BAD_CSR, "the key of the csr is the key of the account" },
		[CSR_KEY_NO_CSR] = { ACME_ERR_BAD_CSR, "the csr is not a PKCS#10 request in DER" },
	};
	int outcome = acme_csr_key(der, buf_bytes(&c->key->spki)); /* RFC 8555 11.1 */
	int e;

	if (outcome == 0)
		return 0;
	e = acme_problem(c, answers[outcome].error, "%s", answers[outcome].detail);
	return e ? e : 1;
}

/* The octets of the payload's csr in the arena. 0; 1: answered; negative. */
static int read_csr(struct acme_call *c, struct bytes *csr)
{
	const char *text = json_get_string(c->payload, "csr");
	OWNED_BUF der = BUF_INIT(CA_REQUEST_MAX);
	int e = text ? base64url_decode(&der, bytes_of_str(text)) : -EINVAL;

	if (e == -EINVAL || e == -EMSGSIZE || (!e && der.len == 0)) {
		e = acme_problem(c, ACME_ERR_BAD_CSR, "csr is the base64url form of a PKCS#10 request in DER");
		return e ? e : 1;
	}
	if (e)
		return e;
	*csr = arena_copy(c->q->arena, buf_bytes(&der));
	return csr->ptr ? 0 : -ENOMEM;
}

static int reply_not_ready(struct acme_call *c, const struct acme_order *o)
{
	return acme_problem(c, ACME_ERR_ORDER_NOT_READY, "the order is %s", acme_status_word(o->status));
}

/* The first answer of the core to this CSR. */
static int finalize_claimed(struct acme_call *c, struct acme_order *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = submit(c, o, &out);
	struct verdict v = judge(c, o, e, &out);
	int failed = e < 0 ? e : 0;

	switch (v.step) {
	case STEP_WAIT:
		e = store_waiting(c, o, out.id);
		break;
	case STEP_ISSUE:
		e = store_issued(c, o, &out);
		break;
	case STEP_REFUSE:
		e = store_refused(c, o, &v);
		return e ? e : acme_problem(c, v.error, "%s", v.detail);
	case STEP_REJECT:
		return acme_problem(c, v.error, "%s", v.detail);
	case STEP_FAIL: /* nobody knows what became of it: the same octets must be asked for again */
		e = failed ? store_waiting(c, o, 0) : 0;
		if (e || failed)
			return e ? e : failed;
		return acme_problem(c, v.error, "%s", v.detail);
	}
	return e ? e : acme_order_reply(c, o, 200);
}

/* A repeat with the same CSR is a query; appliances finalize again until the order is valid. */
static int finalize_again(struct acme_call *c, struct acme_order *o, struct bytes csr)
{
	int e = 0;

	if (!bytes_equal(o->csr, csr))
		return reply_not_ready(c, o);
	if (o->status == ACME_PROCESSING)
		e = acme_finalize_poll(c, o);
	return e ? e : acme_order_reply(c, o, 200);
}

/* Somebody else is finalizing this order at this moment. */
static int reply_claimed(struct acme_call *c, struct acme_order *o)
{
	o->status = ACME_PROCESSING;
	o->finalized_s = c->now_s;
	return acme_order_reply(c, o, 200);
}

static int finalize_ready(struct acme_call *c, struct acme_order *o, struct bytes csr)
{
	int64_t id = o->id;
	int e;

	if (!claim(c->acme, id))
		return reply_claimed(c, o);
	e = acme_order_load(c, o);
	if (!e && o->status == ACME_READY) {
		o->csr = csr;
		o->finalized_s = c->now_s;
		e = finalize_claimed(c, o);
		if (e < 0)
			atomic_store(&c->acme->unsure_until_s, c->now_s);
		unclaim(c->acme, id);
		return e;
	}
	unclaim(c->acme, id);
	return e ? e : finalize_again(c, o, csr);
}

int acme_finalize(struct acme_call *c)
{
	struct acme_order o;
	struct bytes csr;
	int e = acme_order_load(c, &o);

	if (e)
		return e < 0 ? e : 0;
	if (o.status == ACME_PENDING || o.status == ACME_INVALID)
		return reply_not_ready(c, &o);
	e = read_csr(c, &csr);
	if (!e && o.status == ACME_READY)
		e = check_csr(c, csr);
	if (e)
		return e < 0 ? e : 0;
	e = o.status == ACME_READY ? finalize_ready(c, &o, csr) : finalize_again(c, &o, csr);
	return e < 0 ? e : 0;
}

/* The certificate. While the core takes it for uncollected, a newer order may spend its approval and have it revoked:
 * so it leaves only after the core was told. */
int acme_certificate(struct acme_call *c)
{
	struct acme_certificate cert;
	int e = acme_store_get_certificate(c->acme->store, c->q->arena, c->q->params[0], &cert);

	if (e < 0)
		return e;
	if (e == ACME_STORE_NONE || cert.account != c->account.id)
		return acme_not_found(c);
	if (cert.to_collect)
		e = collect(c, cert.order, cert.core_id);
	if (e)
		return e;
	return http_reply_body(c->r, 200, "application/pem-certificate-chain", cert.pem);
}
