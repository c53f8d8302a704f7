/* Challenges that a target outside judges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "core/base/digest.h"

#define RETRY_AFTER_S 15
/* The statement is used a moment after it was kept, and by then it must still be good. */
#define STATEMENT_KEEP_MS (JUDGEMENT_GOOD_MS - 10000)
/* So that messages that are played over and over do not come to the target, whose answer would be the same. Not longer:
 * who has set right there what was wrong need not wait. */
#define DENIAL_KEEP_MS 5000
#define STATEMENTS_MAX 4096
#define STATEMENTS_OCTETS ((size_t)8 << 20)
#define CASES_MAX 8192
#define CASES_OCTETS ((size_t)32 << 20)
#define CASE_KEEP_MS ((int64_t)366 * 86400 * 1000)
#define TOLD_MAX 16384
#define TOLD_KEEP_MS ((int64_t)86400 * 1000)

int scep_judged_new(struct scep_judged *j)
{
	int e = memo_new(&j->statements, STATEMENTS_MAX, STATEMENTS_OCTETS);

	if (!e)
		e = memo_new(&j->cases, CASES_MAX, CASES_OCTETS);
	return e ? e : memo_new(&j->told, TOLD_MAX, 0);
}

void scep_judged_fini(struct scep_judged *j)
{
	memo_drop(&j->statements);
	memo_drop(&j->cases);
	memo_drop(&j->told);
}

/* ---- the question ---- */

/* Whoever sends the same octets in the same transaction asks the same. */
static int name_question(const struct proto_csr *csr, const uint8_t *transaction_key, uint8_t key[static MEMO_KEY_SIZE])
{
	struct bytes pieces[] = { bytes_of(transaction_key, CA_TRANSACTION_KEY_SIZE), csr->der };

	return digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(*pieces), key);
}

static int ask(struct scep_call *c, const struct proto_csr *csr, const uint8_t *transaction_key, struct buf *statement)
{
	const struct validator *judge = c->scep->judge;
	const struct judgement what = {
		.endpoint = c->scep->endpoint,
		.request = csr->der,
		.challenge = csr->challenge,
		.transaction_id = scep_print_transaction_id(c),
		.transaction_key = transaction_key,
	};

	return what.transaction_id ? judge->judge(judge->state, &what, statement) : -ENOMEM;
}

/* Once: of two equal messages that come at a time the second one waits. What the target has allowed is kept until the
 * core has taken it, should the core not answer at first: the target may have spent the challenge. */
static int ask_once(struct scep_call *c, const struct proto_csr *csr, const uint8_t *transaction_key,
		    struct buf *statement)
{
	struct memo *statements = c->scep->judged.statements;
	uint8_t key[MEMO_KEY_SIZE];
	int verdict = JUDGEMENT_BUSY;
	int e = name_question(csr, transaction_key, key);

	if (!e)
		e = memo_begin(statements, key, JUDGEMENT_TIMEOUT_MAX_MS, &verdict, statement);
	if (e)
		return e < 0 ? e : verdict;
	verdict = ask(c, csr, transaction_key, statement);
	memo_keep(statements, key, verdict, buf_bytes(statement),
		  verdict == 0 ? STATEMENT_KEEP_MS : verdict == JUDGEMENT_DENIED ? DENIAL_KEEP_MS : 0);
	return verdict;
}

int scep_judge(struct scep_call *c, const struct proto_csr *csr, const uint8_t *transaction_key, struct buf *statement)
{
	int e = ask_once(c, csr, transaction_key, statement);

	if (e == JUDGEMENT_DENIED) {
		atomic_fetch_add(&c->scep->n_judged_against, 1);
		return scep_fail(c, SCEP_BAD_REQUEST, "the request was refused");
	}
	if (e > 0) {
		atomic_fetch_add(&c->scep->n_unjudged, 1);
		return scep_later(c, RETRY_AFTER_S, "the service that judges challenges gave no answer");
	}
	return e;
}

/* A failure of ours that ends in ERROR may be over when the client comes again, as a challenge of the core's comes back
 * then. */
void scep_settle_statement(struct scep_call *c, const struct proto_csr *csr, const uint8_t *transaction_key, int e,
			   const struct ca_outcome *out)
{
	uint8_t key[MEMO_KEY_SIZE];

	if (e < 0 || e == CA_CALL_BUSY || (!e && out->disposition == CA_ERROR))
		return;
	if (!name_question(csr, transaction_key, key))
		memo_forget(c->scep->judged.statements, key);
}

/* ---- the end ---- */

static char *hex_of(struct arena *arena, struct bytes octets)
{
	char *text = arena_alloc(arena, 2 * octets.len + 1);

	for (size_t i = 0; text && i < octets.len; i++)
		snprintf(text + 2 * i, 3, "%02X", octets.ptr[i]);
	return text;
}

static const char *print_end(struct arena *arena, const X509 *certificate)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
		return NULL;
	return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.000Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static const char *print_issuer(struct arena *arena, const X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	const char *text = NULL;
	char *octets;
	long n;

	if (bio && X509_NAME_print_ex(bio, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
		n = BIO_get_mem_data(bio, &octets);
		text = n > 0 ? arena_strndup(arena, bytes_of(octets, (size_t)n)) : "";
	}
	BIO_free(bio);
	return text;
}

static int describe(struct arena *arena, struct bytes der, struct notification *n)
{
	const uint8_t *p = der.ptr;
	X509 *certificate = d2i_X509(NULL, &p, (long)der.len);
	uint8_t digest[DIGEST_MAX];
	const ASN1_INTEGER *serial;
	int e = certificate && !digest_of(DIGEST_SHA1, der, digest) ? 0 : -EIO;

	if (!e) {
		serial = X509_get0_serialNumber(certificate);
		n->certificate = der;
		n->thumbprint = hex_of(arena, bytes_of(digest, digest_size(DIGEST_SHA1)));
		n->serial = hex_of(arena, bytes_of(ASN1_STRING_get0_data(serial),
						   (size_t)ASN1_STRING_length(serial)));
		n->not_after = print_end(arena, certificate);
		n->issuer = print_issuer(arena, certificate);
		e = n->thumbprint && n->serial && n->not_after && n->issuer ? 0 : -ENOMEM;
	}
	X509_free(certificate);
	ERR_clear_error();
	return e;
}

static int tell(struct scep_call *c, struct bytes request, const struct ca_outcome *out)
{
	const struct validator *judge = c->scep->judge;
	struct notification n = { .endpoint = c->scep->endpoint, .request = request,
				  .transaction_id = scep_print_transaction_id(c),
				  .is_issued = c->status == SCEP_SUCCESS, .description = c->fail_text,
				  .fail = (unsigned)c->fail };
	int e = n.transaction_id ? 0 : -ENOMEM;

	if (!e && n.is_issued)
		e = describe(c->q->arena, buf_bytes(&out->certificate), &n);
	return e ? e : judge->notify(judge->state, &n);
}

/* About one request, whatever becomes of it later, as when it is revoked. Whoever asks at the same time waits. */
static int tell_once(struct scep_call *c, const uint8_t *poll_key, struct bytes request, const struct ca_outcome *out)
{
	struct memo *told = c->scep->judged.told;
	struct bytes pieces[] = { bytes_of(poll_key, CA_POLL_KEY_SIZE), bytes_of(&out->id, sizeof(out->id)) };
	uint8_t key[MEMO_KEY_SIZE];
	int e = digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(*pieces), key);

	if (!e)
		e = memo_begin(told, key, JUDGEMENT_TIMEOUT_MAX_MS, NULL, NULL);
	if (e)
		return e == MEMO_KNOWN ? 0 : e == MEMO_BUSY ? JUDGEMENT_BUSY : e;
	e = tell(c, request, out);
	memo_keep(told, key, 0, bytes_of(NULL, 0), e ? 0 : TOLD_KEEP_MS);
	return e;
}

static void keep_case(struct scep_call *c, const uint8_t *key, struct bytes request)
{
	if (request.len)
		memo_keep(c->scep->judged.cases, key, 0, request, CASE_KEEP_MS);
}

/* The target has not been told: whoever asks again has it told again. */
static int hold_back(struct scep_call *c, const uint8_t *key, struct bytes request)
{
	atomic_fetch_add(&c->scep->n_untold, 1);
	keep_case(c, key, request);
	buf_reset(&c->bag);
	c->status = SCEP_PENDING;
	return 0;
}

int scep_take_judged(struct scep_call *c, struct bytes request, int e, const struct ca_outcome *out)
{
	OWNED_BUF kept = BUF_INIT(CA_REQUEST_MAX);
	uint8_t key[CA_POLL_KEY_SIZE];
	int told;

	e = scep_take_outcome(c, e, out);
	if (e < 0 || c->retry_after_s || !out->id)
		return e;
	if (scep_poll_key(c, key))
		return -EIO;
	if (!request.len && memo_find(c->scep->judged.cases, key, NULL, &kept))
		request = buf_bytes(&kept);
	if (c->status == SCEP_PENDING) {
		keep_case(c, key, request);
		return e;
	}
	told = tell_once(c, key, request, out);
	if (told < 0)
		return told;
	if (c->status == SCEP_SUCCESS && told == NOTIFICATION_LOST)
		return scep_fail(c, SCEP_BAD_REQUEST, "the request is not known any more; send it again");
	if (c->status == SCEP_SUCCESS && told && c->scep->awaits_end)
		return hold_back(c, key, request);
	if (told)
		atomic_fetch_add(&c->scep->n_missed, 1);
	memo_forget(c->scep->judged.cases, key);
	return e;
}
