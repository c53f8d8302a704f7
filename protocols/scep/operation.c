/* PKIOperation (RFC 8894 4.3): what every message goes through.
 *
 * Size, shape, one signer and one recipient, algorithms, signature: all that comes before a key of ours is used.
 * Whatever goes wrong while it is used has one answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <errno.h>

#include <openssl/crypto.h>

#include "core/base/log.h"

#define REPLY_MAX ((size_t)1 << 20)
#define RETRY_AFTER_S 5

int scep_fail(struct scep_call *c, enum scep_fail fail, const char *text)
{
	c->status = SCEP_FAILURE;
	c->fail = fail;
	c->fail_text = text;
	return SCEP_ANSWERED;
}

int scep_refuse_content(struct scep_call *c)
{
	atomic_fetch_add(&c->scep->n_undecrypted, 1);
	return scep_fail(c, SCEP_BAD_MESSAGE_CHECK,
			 "the message cannot be decrypted, or holds nothing of its type that its sender signed");
}

int scep_later(struct scep_call *c, unsigned retry_after_s, const char *text)
{
	c->retry_after_s = retry_after_s ? retry_after_s : RETRY_AFTER_S;
	c->later_text = text;
	return SCEP_ANSWERED;
}

/* ---- what each type is for ---- */

#define COUNTS(what) offsetof(struct scep, n_##what)

static const struct operation {
	int type;
	const char *word;
	int (*admit)(struct scep_call *c); /* may he ask? Before a key is used; NULL: anybody may */
	int (*take)(struct scep_call *c);
	bool is_opened;                    /* it counts what is in the envelope */
	size_t counter;                    /* of those that succeed */
} operations[] = {
	{ SCEP_PKCS_REQ, "PKCSReq", NULL, scep_enroll, true, COUNTS(issued) },
	{ SCEP_RENEWAL_REQ, "RenewalReq", NULL, scep_enroll, true, COUNTS(issued) },
	{ SCEP_UPDATE_REQ, "UpdateReq", NULL, scep_enroll, true, COUNTS(issued) },
	{ SCEP_CERT_POLL, "CertPoll", NULL, scep_poll, false, COUNTS(issued) },
	{ SCEP_GET_CERT, "GetCert", scep_admit_holder, scep_get_certificate, true, COUNTS(certificates) },
	{ SCEP_GET_CRL, "GetCRL", scep_admit_holder, scep_get_crl, true, COUNTS(crls) },
};

/* NULL: refused. */
static const struct operation *find_operation(int type)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (operations[i].type == type)
			return &operations[i];
	return NULL;
}

/* ---- decryption ---- */

static bool find_key(struct scep_call *c, const struct proto_ra_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (scep_envelope_is_for(&c->envelope, keys[i].certificate)) {
			c->key = &keys[i];
			return true;
		}
	return false;
}

/* A padding that is wrong, a key that is another one and a content that is garbage are the same failure: who could tell
 * them apart would have the key open other people's messages for him. */
static int decrypt(struct scep_call *c, struct buf *content, bool *is_open)
{
	const struct proto_ra *ra = c->scep->ra;
	uint8_t key[PROTO_RA_UNWRAPPED_MAX];
	int e;

	if (!scep_enter_wait(c->scep))
		return scep_later(c, 0, SCEP_CROWDED_TEXT);
	e = ra->unwrap(ra->state, c->key->number, c->envelope.wrapping, c->envelope.wrapped, key,
		       c->envelope.cipher->key_size);
	scep_leave_wait(c->scep);
	if (!e)
		*is_open = scep_envelope_open(&c->envelope, key, content);
	OPENSSL_cleanse(key, sizeof(key));
	return e;
}

/* ---- the message ---- */

static int take_content(struct scep_call *c, const struct operation *o)
{
	OWNED_BUF content = BUF_INIT(SCEP_MESSAGE_MAX + 64);
	bool is_open = false;
	int e = decrypt(c, &content, &is_open);

	if (e == -EAGAIN)
		return scep_later(c, 0, SCEP_SIGNER_AWAY_TEXT);
	if (e)
		return e;
	/* What does not open is taken as empty: it goes the way of whatever else is wrong inside. */
	if (is_open)
		c->content = buf_bytes(&content);
	e = o->take(c);
	c->content = bytes_of(NULL, 0);
	return e;
}

static int take_envelope(struct scep_call *c, const struct operation *o, const struct proto_ra_key *keys, size_t n)
{
	int e = scep_envelope_read(&c->envelope, c->message.content, c->scep->legacy, c->scep->takes_oaep, c->q->arena);

	if (e == SCEP_ENVELOPE_ALGORITHM)
		return scep_fail(c, SCEP_BAD_ALG, "the message is encrypted with an algorithm that is not taken here");
	if (e == -EINVAL)
		return scep_fail(c, SCEP_BAD_REQUEST, "the message holds no EnvelopedData with one recipient");
	if (e)
		return e;
	if (!find_key(c, keys, n))
		return scep_fail(c, SCEP_BAD_ALG, "the message is encrypted for another certificate; fetch the one of "
						  "this registration authority with GetCACert");
	e = o->admit ? o->admit(c) : 0;
	if (e)
		return e;
	return o->is_opened ? take_content(c, o) : o->take(c);
}

static int take_message(struct scep_call *c, const struct proto_ra_key *keys, size_t n)
{
	const struct operation *o = find_operation(c->message.type);
	const char *why;
	enum scep_fail fail;
	int e = scep_message_check(&c->message, c->scep->legacy, &fail, &why);

	c->key = &keys[0];
	if (e == -EKEYREJECTED)
		return scep_fail(c, fail, why);
	if (e)
		return e;
	return o ? take_envelope(c, o, keys, n) :
		   scep_fail(c, SCEP_BAD_REQUEST, "the message is of a type that is not served here");
}

/* ---- the answer ---- */

/* What was issued or is held has had its place: whoever is turned away now has spent his challenge for nothing. */
static int write_reply(struct scep_call *c, const struct scep_reply *reply, struct buf *out)
{
	bool takes_place = c->status == SCEP_FAILURE;
	int e;

	if (takes_place && !scep_enter_wait(c->scep))
		return scep_later(c, 0, SCEP_CROWDED_TEXT);
	e = scep_reply_write(c->scep->ra, c->key, reply, c->q->arena, out);
	if (takes_place)
		scep_leave_wait(c->scep);
	return e == -EAGAIN ? scep_later(c, 0, SCEP_SIGNER_AWAY_TEXT) : e;
}

static int write_answer(struct scep_call *c, struct buf *out)
{
	OWNED_BUF envelope = BUF_INIT(REPLY_MAX);
	struct scep_reply reply = {
		.to = &c->message, .status = c->status, .fail = c->fail, .fail_text = c->fail_text,
	};
	int e = 0;

	if (c->status == SCEP_SUCCESS)
		e = scep_envelope_write(c->message.signer, c->message.key, c->envelope.wrapping,
					scep_cipher_for_reply(c->envelope.cipher), buf_bytes(&c->bag), &envelope);
	reply.envelope = buf_bytes(&envelope);
	return e ? e : write_reply(c, &reply, out);
}

static const char *const fail_words[] = {
	[SCEP_BAD_ALG] = "badAlg",   [SCEP_BAD_MESSAGE_CHECK] = "badMessageCheck", [SCEP_BAD_REQUEST] = "badRequest",
	[SCEP_BAD_TIME] = "badTime", [SCEP_BAD_CERT_ID] = "badCertId",
};

static const char *type_word(const struct scep_call *c)
{
	const struct operation *o = find_operation(c->message.type);

	return o ? o->word : "unknown";
}

/* Most clients print the failInfo at best, and never its text. */
static void tell_failure(const struct scep_call *c)
{
	log_info("scep.refused", "endpoint", c->scep->endpoint, "from", c->q->peer_address, "type", type_word(c),
		 "fail", fail_words[c->fail], "reason", c->fail_text);
}

/* Of what costs its sender nothing there may be any number. */
static bool may_tell(struct scep *s, const struct http_request *q)
{
	unsigned pause_s;

	return limit_take(s->line_limit, q->peer_address, 1, &pause_s);
}

/* Nothing but the status comes to most clients. */
static void tell_later(const struct scep_call *c)
{
	if (may_tell(c->scep, c->q))
		log_warn("scep.later", "endpoint", c->scep->endpoint, "from", c->q->peer_address, "type", type_word(c),
			 "reason", c->later_text);
}

static void count(struct scep_call *c)
{
	const struct operation *o = find_operation(c->message.type);
	struct scep *s = c->scep;
	_Atomic unsigned long long *counter = c->status == SCEP_PENDING ? &s->n_pending : &s->n_failed;

	if (c->status == SCEP_SUCCESS && o)
		counter = (_Atomic unsigned long long *)((char *)s + o->counter);
	atomic_fetch_add(counter, 1);
}

static int refuse(struct scep_call *c, int status, unsigned retry_after_s, const char *text)
{
	int e = http_reply_retry_after(c->r, retry_after_s);

	return e ? e : http_reply_text(c->r, status, text);
}

static int put_off(struct scep_call *c)
{
	atomic_fetch_add(&c->scep->n_later, 1);
	tell_later(c);
	return refuse(c, 503, c->retry_after_s, c->later_text);
}

static int answer(struct scep_call *c)
{
	OWNED_BUF out = BUF_INIT(REPLY_MAX);
	int e = c->retry_after_s ? SCEP_ANSWERED : write_answer(c, &out);

	if (e)
		return e > 0 ? put_off(c) : e;
	count(c);
	if (c->status == SCEP_FAILURE)
		tell_failure(c);
	return http_reply_body(c->r, 200, "application/x-pki-message", buf_bytes(&out));
}

/* What we cannot do now costs nobody anything; who has shown too many wrong credentials pays as who failed, and who
 * failed does though we cannot sign it now. */
static bool has_failed(const struct scep_call *c)
{
	return c->is_limited || c->status == SCEP_FAILURE;
}

/* Before any key is used, and every message that is refused costs two uses: a message pays when it comes, and who did
 * not fail is paid back. */
static int operate(struct scep_call *c)
{
	const struct proto_ra *ra = c->scep->ra;
	struct proto_ra_key *keys;
	unsigned retry_after_s;
	size_t n;
	int e;

	if (!limit_take(c->scep->failure_limit, c->q->peer_address, 1, &retry_after_s)) {
		atomic_fetch_add(&c->scep->n_limited, 1);
		return refuse(c, 429, retry_after_s, "too many messages from this address were refused");
	}
	e = ra->list(ra->state, c->q->arena, &keys, &n);
	if (!e)
		e = take_message(c, keys, n);
	else if (e == -ENOENT)
		e = scep_later(c, 0, SCEP_NO_CERTIFICATE_TEXT);
	if (e >= 0)
		e = answer(c);
	if (!has_failed(c))
		limit_give_back(c->scep->failure_limit, c->q->peer_address, 1);
	return e;
}

int scep_refuse_octets(struct scep *s, const struct http_request *q, struct http_reply *r, const char *why)
{
	atomic_fetch_add(&s->n_malformed, 1);
	if (may_tell(s, q))
		log_info("scep.malformed", "endpoint", s->endpoint, "from", q->peer_address, "reason", why);
	return http_reply_text(r, 400, why);
}

int scep_operate(struct scep_call *c, struct bytes octets)
{
	const char *why;
	int e = scep_message_read(&c->message, octets, c->q->arena, &why);

	if (e)
		return e == -EINVAL ? scep_refuse_octets(c->scep, c->q, c->r, why) : e;
	c->bag = BUF_INIT(REPLY_MAX);
	e = operate(c);
	scep_message_fini(&c->message);
	buf_fini(&c->bag);
	return e;
}
