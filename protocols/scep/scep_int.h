/* What the files of the SCEP adapter share.
 *
 * A message goes through protocols/scep/operation.c: read, checked, decrypted; then a function takes it, by its type,
 * and fills in what is answered. It returns 0, or SCEP_ANSWERED when a function that it called has filled it in, or
 * negative.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"
#include "protocols/attributes.h"
#include "protocols/csr.h"
#include "protocols/limit.h"
#include "protocols/memo.h"
#include "protocols/scep/envelope.h"
#include "protocols/scep/message.h"
#include "protocols/scep/reply.h"

#include <stdatomic.h>

#define SCEP_BODY_MAX SCEP_MESSAGE_MAX
#define SCEP_LINE_MAX ((size_t)32 << 10)
#define SCEP_ANSWERED 1 /* the answer stands in the call: end here */

/* What goes back beside a new certificate. */
enum scep_bag { SCEP_BAG_LEAF, SCEP_BAG_CHAIN };

/* What GetCACert answers. */
enum scep_cacert { SCEP_CACERT_CHAIN, SCEP_CACERT_RA, SCEP_CACERT_RA_ONLY, SCEP_CACERT_CA };

struct scep_next;

/* What is known of requests whose challenges a target judges. */
struct scep_judged {
	struct memo *statements; /* what the target said, until the core has taken it; by what it was asked */
	struct memo *cases;      /* those that are not at their end, by poll key: a target wants to hear of the end with
				  * the request, and clients ask again without it */
	struct memo *told;       /* of whose end it has heard, by poll key and number of the request */
};

struct scep {
	struct ca_door *ca;
	const struct proto_waits *waits;
	const struct proto_ra *ra;
	const struct validator *judge; /* asks who judges the challenges; NULL: the core does */
	bool awaits_end;               /* he must have heard of a certificate before anybody gets it */
	struct scep_judged judged;     /* with `judge` */
	char *endpoint, *profile;
	enum scep_legacy legacy;
	bool takes_oaep;
	enum scep_bag bag;
	enum scep_cacert cacert;
	unsigned retry_after_s;          /* 0: the core's own idea */
	struct proto_attributes attributes;
	struct limit *failure_limit;
	struct limit *line_limit;        /* of lines in the log about what costs its sender nothing */
	struct scep_next *next;
	_Atomic unsigned long long n_issued, n_pending, n_certificates, n_crls, n_failed, n_undecrypted, n_malformed,
		n_later, n_limited, n_judged_against, n_unjudged,
		n_untold, n_missed;
};

/* One PKIOperation. */
struct scep_call {
	struct scep *scep;
	const struct http_request *q;
	struct http_reply *r;
	struct scep_message message;
	struct scep_envelope envelope;
	const struct proto_ra_key *key;   /* to which the message was encrypted, and which answers */
	struct bytes content;             /* what was encrypted, while it is taken; empty when it cannot be opened */
	/* The answer. */
	enum scep_status status;
	enum scep_fail fail;
	const char *fail_text;
	struct buf bag;                   /* SUCCESS: what is encrypted for the client; DER */
	unsigned retry_after_s;           /* not 0: not now; no CertRep, but 503 */
	const char *later_text;           /* with it: why */
	bool is_limited;                  /* with it: because of what the sender has done */
};

/* ---- protocols/scep/scep.c ---- */

/* What is got and what is posted, of an endpoint. */
int scep_get(void *state, const struct http_request *q, struct http_reply *r);
int scep_post(void *state, const struct http_request *q, struct http_reply *r);

/* ---- protocols/scep/places.c ---- */

/* The same of several, of which the request says which is meant; `state` is a struct proto_group. */
int scep_get_shared(void *state, const struct http_request *q, struct http_reply *r);
int scep_post_shared(void *state, const struct http_request *q, struct http_reply *r);

/* ---- protocols/scep/operation.c ---- */

int scep_operate(struct scep_call *c, struct bytes octets);

/* They are no message, and there is no transaction to answer in: 400. */
int scep_refuse_octets(struct scep *s, const struct http_request *q, struct http_reply *r, const char *why);

/* The answer is a failure: always SCEP_ANSWERED. `text` lives as long as the request. */
int scep_fail(struct scep_call *c, enum scep_fail fail, const char *text);

/* Whatever was wrong with what was encrypted, and with its encryption: one answer, always SCEP_ANSWERED. */
int scep_refuse_content(struct scep_call *c);

/* Not now: always SCEP_ANSWERED. `text` lives as long as the request; `retry_after_s` 0: nobody knows when. */
int scep_later(struct scep_call *c, unsigned retry_after_s, const char *text);

#define SCEP_CROWDED_TEXT "too many messages wait for the certificate authority already"
#define SCEP_AWAY_TEXT "the certificate authority does not answer at the moment"
#define SCEP_SIGNER_AWAY_TEXT "the signer of this registration authority does not answer at the moment"
#define SCEP_NO_CERTIFICATE_TEXT "this registration authority has no certificate in force"

/* Ask before the core or the signer of the RA is asked, which may take a while (struct proto_waits). */
static inline bool scep_enter_wait(const struct scep *s)
{
	return !s->waits || s->waits->enter(s->waits->state);
}

static inline void scep_leave_wait(const struct scep *s)
{
	if (s->waits)
		s->waits->leave(s->waits->state);
}

/* ---- protocols/scep/capabilities.c ---- */

int scep_get_capabilities(struct scep *s, struct http_reply *r);

/* ---- protocols/scep/cacert.c ---- */

int scep_get_certificates(struct scep *s, const struct http_request *q, struct http_reply *r);

/* ---- protocols/scep/next.c ---- */

int scep_next_new(struct scep_next **out);
void scep_next_drop(struct scep_next **next);

/* Look again, when somebody has asked since the last time: about once a second. */
void scep_next_tick(struct scep *s);

/* Is there a next CA certificate, as far as is known? */
bool scep_has_next(struct scep *s);
int scep_get_next(struct scep *s, const struct http_request *q, struct http_reply *r);

/* ---- protocols/scep/enroll.c ---- */

/* Attributes of a submission that the adapter adds: no other ones may have these names. */
#define SCEP_ATTRIBUTES 4
extern const char *const scep_attribute_names[SCEP_ATTRIBUTES];

int scep_enroll(struct scep_call *c);

/* The client's text as others may print it; NULL: no memory. */
const char *scep_print_transaction_id(const struct scep_call *c);

/* By what a client is known who asks again without his request: the transaction, and the key that signs. */
int scep_poll_key(const struct scep_call *c, uint8_t key[static CA_POLL_KEY_SIZE]);

/* What a call of the core came to (`e`), as an answer. */
int scep_take_outcome(struct scep_call *c, int e, const struct ca_outcome *out);

/* Whose certificate signed the message, as the core says, which he shows for this use. 0, and `answer` lives as long as
 * the request. */
int scep_check_signer(struct scep_call *c, enum ca_certificate_use use, const struct ca_credential_answer **answer);

/* Was it made by its own key? */
bool scep_is_self_issued(struct bytes certificate);

/* ---- protocols/scep/lookup.c ---- */

int scep_admit_holder(struct scep_call *c);
int scep_get_certificate(struct scep_call *c);
int scep_get_crl(struct scep_call *c);

/* ---- protocols/scep/judge.c ---- */

#define SCEP_STATEMENT_MAX ((size_t)65568)

int scep_judged_new(struct scep_judged *j);
void scep_judged_fini(struct scep_judged *j);

/* Ask the target of the endpoint about a request, while the caller may wait. 0: allowed, with the statement for the
 * core; SCEP_ANSWERED; negative. */
int scep_judge(struct scep_call *c, const struct proto_csr *csr, const uint8_t *transaction_key,
	       struct buf *statement);

/* What came of the submission with that statement: whoever repeats it needs the statement again, or not. */
void scep_settle_statement(struct scep_call *c, const struct proto_csr *csr, const uint8_t *transaction_key, int e,
			   const struct ca_outcome *out);

/* As scep_take_outcome(), for a request that is the target's to judge: it hears of the end first, and once, with
 * `request` (empty: the client asks without it). A certificate of which it has not heard is not given out; the client
 * is told to ask again, and then it is told again. */
int scep_take_judged(struct scep_call *c, struct bytes request, int e, const struct ca_outcome *out);

/* ---- protocols/scep/poll.c ---- */

int scep_poll(struct scep_call *c);
