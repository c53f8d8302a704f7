/* What the files of the EST adapter share.
 *
 * An endpoint is one label (RFC 7030 3.2.2). Each operation is a function that takes a `struct est_call`, one request
 * of a client. It returns 0 when it has filled the reply, EST_ANSWERED when a function that it called has, or negative.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"
#include "protocols/attributes.h"
#include "protocols/csr.h"
#include "protocols/est/csrattrs_write.h"
#include "protocols/est/keygen.h"
#include "protocols/est/text.h"

#include <pthread.h>
#include <stdatomic.h>

#define EST_ANSWERED 1 /* the reply is filled: end here */

/* How base64 in replies is broken into lines. */
enum est_base64 { EST_BASE64_AUTO, EST_BASE64_LINES, EST_BASE64_SINGLE };

/* How clients may say who they are. */
enum est_auth { EST_AUTH_BASIC, EST_AUTH_TOKEN, EST_AUTH_CERTIFICATE, EST_AUTH_KINDS_ };

/* Linking of identity and proof of possession (RFC 7030 3.5). */
enum est_pop { EST_POP_OFF, EST_POP_VERIFY, EST_POP_REQUIRE };

/* What a challengePassword is (RFC 7030 3.5: a value of the TLS connection). */
enum est_challenge { EST_CHALLENGE_LINKING, EST_CHALLENGE_SECRET, EST_CHALLENGE_IGNORE };

/* Was the request signed for this connection? */
enum est_link {
	EST_LINK_NO,
	EST_LINK_YES,
	EST_LINK_RA, /* it was signed by somebody for whom a registration authority asks (RFC 7030 3.7) */
};

enum est_operation { EST_SIMPLEENROLL, EST_SIMPLEREENROLL, EST_SERVERKEYGEN };

struct est {
	struct ca_door *ca;
	const struct proto_waits *waits;
	char *endpoint, *profile;
	char *label;                     /* decoded; "" for the default one */
	struct proto_attributes attributes;
	bool auth[EST_AUTH_KINDS_];      /* which are taken */
	bool needs_all;                  /* each of these, or any */
	enum est_pop pop;
	enum est_challenge challenge;
	enum est_base64 base64;
	enum est_csrattrs csrattrs;
	unsigned retry_after_s;          /* 0: the core's own idea */
	struct est_cacerts *cacerts;
	struct est_crls *crls;
	enum est_keygen keygen;          /* of what type the keys are that are made for clients */
	struct est_sample *sample;       /* a key of that type, with which the core is asked before one is made */
	struct est_shared_keys *shared_keys;
	const struct proto_identity *identity; /* signs such keys when they are encrypted */
	_Atomic unsigned long long n_cacerts, n_crls, n_csrattrs, n_issued, n_pending, n_unauthenticated, n_refused,
		n_server_keys;
};

struct est_call;

/* Who asks. */
struct est_client {
	const char *requester;             /* what the core calls him: "est:user:alice" */
	struct ca_credential_claim claim;  /* by which he is that; goes with each submission of his */
	struct ca_credential_claim also;   /* the same, where two are needed; else of the kind NONE */
	enum ca_trust trust;               /* of his certificate */
	/* The core has not been asked about him yet: this does, before he is told anything of his request. 0;
	 * EST_ANSWERED: it does not take him, or cannot tell. NULL: it was asked. */
	int (*confirm)(struct est_call *c);
};

struct est_call {
	struct est *est;
	const struct http_request *q;
	struct http_reply *r;
	enum est_operation operation;
	struct proto_csr csr;       /* after est_receive() */
	struct est_client client; /* the same */
	enum est_link link;       /* the same */
};

/* ---- protocols/est/est.c ---- */

/* A label that RFC 7030 3.2.2 allows: one segment of a path, and not the name of an operation. */
bool est_is_label(const char *label);

/* ---- protocols/est/message.c: what goes in and out as base64 ---- */

/* The body of a request that must be of this media type, into the arena. 0; EST_ANSWERED with 415 or 400. */
int est_read_body(struct est_call *c, const char *type, struct bytes *der);

/* Append base64 in the form that this client reads: older clients fail on any line break, others without. */
bool est_wants_lines(const struct est_call *c);
int est_base64_write(const struct est_call *c, struct bytes der, struct buf *out);

/* Reply with octets in that form, and Content-Transfer-Encoding, which RFC 8951 3 gave up but clients ask for. */
int est_reply_base64(struct est_call *c, int status, const char *type, struct bytes der);

/* Reply with one sentence (RFC 8951 5), or to nobody that may ask with that. Always EST_ANSWERED or negative. */
int est_refuse(struct est_call *c, int status, const char *text);
int est_refuse_later(struct est_call *c, int status, unsigned retry_after_s, const char *text); /* Retry-After */

/* ---- protocols/est/auth.c ---- */

/* Who asks? Fills c->client. 0; EST_ANSWERED: nobody that may, and the reply says how he can say who he is. With
 * EST_CHALLENGE_SECRET after the CSR was read, else before anything is. About a user with a password the core is not
 * asked where the submission does it: one call instead of two. */
int est_authenticate(struct est_call *c);

/* The core refused what it took a moment ago. Always EST_ANSWERED or negative. */
int est_refuse_client(struct est_call *c, const char *reason);

/* ---- protocols/est/link.c ---- */

/* Was the CSR signed for this TLS connection? Fills c->link. 0; EST_ANSWERED: it says so and was not, or has to
 * say so and does not. */
int est_check_link(struct est_call *c);

/* ---- protocols/est/enroll.c ---- */

const char *est_operation_word(enum est_operation operation);

/* Ask before the core is asked, which may take a while (struct proto_waits). */
bool est_enter_wait(const struct est_call *c);
void est_leave_wait(const struct est_call *c);

/* What every enrolment begins with: who asks, for what, and over which connection. Fills csr, client and link. 0;
 * EST_ANSWERED. */
int est_receive(struct est_call *c);

/* Submit this PKCS#10 (DER) for the client; the transaction is that of c->csr. 0: issued, `out` has the certificate;
 * EST_ANSWERED: pending, denied, later, and whatever else there is. */
int est_submit(struct est_call *c, struct bytes request, struct ca_outcome *out);

/* Would it be issued with a key that is made now? `request` has one that stands for it. 0: it would; EST_ANSWERED, as
 * est_submit(). */
int est_submit_keyless(struct est_call *c, struct bytes request);

int est_enroll(struct est_call *c);

/* ---- protocols/est/cacerts.c ---- */

#define EST_CERTIFICATES_MAX ((size_t)256 << 10) /* octets in DER */

int est_cacerts_new(struct est_cacerts **out);
void est_cacerts_drop(struct est_cacerts **cacerts);
int est_cacerts(struct est_call *c);

/* ---- protocols/est/crls.c ---- */

int est_crls_new(struct est_crls **out);
void est_crls_drop(struct est_crls **crls);
int est_crls(struct est_call *c);

/* ---- protocols/est/csrattrs.c ---- */

int est_csrattrs(struct est_call *c);

/* ---- protocols/est/shared_keys.c: keys that the gateway and clients have (RFC 7030 4.4.1.1) ---- */

/* From the files of the map of this name. 0; -ENOMEM; negative with a sentence in `why`. */
int est_shared_keys_new(struct est_shared_keys **out, const struct conf_section *conf, const char *name, char *why,
			size_t why_size);
void est_shared_keys_drop(struct est_shared_keys **keys);

/* Lives as long as the keys. Empty: there is none with this identifier. */
struct bytes est_shared_keys_find(const struct est_shared_keys *keys, struct bytes identifier);

/* ---- protocols/est/serverkeygen.c ---- */

int est_sample_new(struct est_sample **out);
void est_sample_drop(struct est_sample **sample);
int est_serverkeygen(struct est_call *c);
