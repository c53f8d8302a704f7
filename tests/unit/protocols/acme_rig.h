/* One ACME endpoint between a client, a validator and a core that are all played by the test.
 *
 * The handlers are called as the gateway would call them: a request in, a reply out, routed by the adapter's own
 * table. The clock stands still unless a test moves it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "protocols/acme/acme.h"
#include "protocols/jose/json_gate.h"
#include "tests/unit/protocols/signing.h"

#include <openssl/types.h>

#define RIG_BASE "https://ca.example:8443"
#define RIG_NOW_MS 1800000000000
#define RIG_KID "kid-1" /* the one external account that the fake core knows; for names of example.com */
#define RIG_MAC_KEY "the key of an external account"

/* What the fake core answers next to each call, and what it saw. */
struct rig_core {
	int call;                         /* what ca_submit/ca_peek/ca_retrieve return */
	int retrieve_call;                /* what ca_retrieve returns if that is 0 */
	enum ca_disposition disposition;
	enum ca_status status;
	const char *reason;
	bool no_chain;                    /* the answer brings no issuer */
	void (*during_submit)(void *arg); /* called inside ca_submit() */
	void *during_arg;
	int revoke_call[4];               /* what ca_revoke() returns for each proof */
	int check_call;                   /* what ca_check_credential() returns if it is not 0 */
	int checks;
	char bound[64];                   /* the account of RIG_KID; "": none yet */
	char last_external[64], last_external_account[64]; /* of the last submission */
	int submits, peeks, retrieves, revokes;
	struct ca_revocation last_revocation; /* its pointers are good only where noted below */
	struct buf last_revoked;          /* the certificate */
	const int *rig_waiting;           /* handlers that wait */
	int waiting;                      /* that many at the last ca_submit() */
	struct ca_submission last;        /* its pointers are good only where noted below */
	int withdraws, withdraw_call;     /* of ca_withdraw(), and what it answers */
	char last_withdrawn[64];
	char last_revoker[64], last_revoked_names[512];
	char last_requester[64], last_names[512], last_evidence[512], last_attributes[2048];
	struct buf last_request;
	struct bytes leaf, issuer;        /* DER */
};

/* What the fake validator answers. */
struct rig_validator {
	int call; /* 0 or VALIDATION_RUNNING, VALIDATION_BUSY */
	enum validation_problem problem;
	int checks;
	unsigned last_wait_ms;
	char last_name[256], last_authorization[256];
};

struct rig {
	void *state;              /* the adapter's instance */
	char folder[64];
	struct rig_core core;
	struct rig_validator validator;
	bool may_wait;
	int waiting;
	EVP_PKEY *cert_key;       /* in the CSRs */
};

/* A reply, kept until the next request of the same client. */
struct rig_answer {
	struct arena *arena;
	struct http_reply r;
	cJSON *json; /* NULL when the body is none */
};

struct rig_client {
	struct rig *rig;
	struct signing_key key;
	char nonce[64];
	char kid[256];            /* "" : sign with jwk */
	struct rig_answer a;      /* the last answer */
	const char *content_type; /* NULL: application/jose+json */
	const char *url;          /* NULL: the one that is asked */
	const char *user_agent;   /* NULL: test-client/1.0 */
};

/* `conf`: YAML of the endpoint's options. */
void rig_start(struct rig *rig, const char *conf);
void rig_stop(struct rig *rig);
/* Stop (or crash) and start again with the same folder. */
void rig_restart(struct rig *rig, const char *conf);

void rig_client_init(struct rig_client *c, struct rig *rig, const char *alg);
void rig_client_fini(struct rig_client *c);

/* GET or HEAD of "/acme/…". */
void rig_get(struct rig_client *c, const char *method, const char *url);

/* A signed POST; `payload` "" is POST-as-GET. Returns the HTTP status. */
int rig_post(struct rig_client *c, const char *url, const char *payload);

/* A POST with this body, as it is. */
int rig_post_body(struct rig_client *c, const char *url, const char *body);

/* The protected header as rig_post() would make it, to be freed. */
char *rig_header(struct rig_client *c, const char *url);

/* The header of the last answer; NULL when absent. `rel`: the Link with this relation, only the URL. */
const char *rig_answer_header(const struct rig_client *c, const char *name);
const char *rig_answer_link(struct rig_client *c, const char *rel);

/* A string of the last JSON body by a path like "challenges.0.url"; "" when it is not there. */
const char *rig_json(const struct rig_client *c, const char *path);

/* "malformed" of the last problem document; checks its form. */
const char *rig_problem(const struct rig_client *c);

/* Steps that must succeed. Texts are to be freed. */
void rig_register(struct rig_client *c);
char *rig_order(struct rig_client *c, const char *name);         /* the order's URL */
void rig_validate(struct rig_client *c, const char *order);      /* all its authorizations */
char *rig_ready_order(struct rig_client *c, const char *name);
int rig_finalize(struct rig_client *c, const char *order, const char *san); /* the HTTP status */
