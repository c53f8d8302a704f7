/* One instance of the ACME adapter, and one request to it.
 *
 * A POST, told from start to end. A route's function calls acme_post() with who may ask and what to do. It reads
 * the JWS, spends the nonce, compares the URL, finds the key and verifies, and calls the action with a `struct
 * acme_call`. The action fills the reply, with a document or with acme_problem(), and returns 0; a negative return
 * becomes the problem serverInternal. acme_post() then adds what every answer carries: a fresh nonce, the link to the
 * directory, and the headers that let browsers read them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "protocols/acme/account_cache.h"
#include "protocols/acme/identifier.h"
#include "protocols/acme/nonce.h"
#include "protocols/acme/store.h"
#include "protocols/adapter.h"
#include "protocols/attributes.h"
#include "protocols/jose/json_write.h"
#include "protocols/jose/jws.h"
#include "protocols/limit.h"

#define ACME_BODY_MAX 65536
#define ACME_TOKEN_SIZE 23 /* 22 letters and the NUL */
#define ACME_DOCUMENT_MAX 262144
#define ACME_IDENTIFIERS_MAX 100
#define ACME_CLAIMS_MAX 256
#define ACME_ACCOUNTS_KEPT 4096 /* some 4 KB each */
#define ACME_POLL_S 1 /* while a validation runs: it takes a moment, not minutes */

/* The settings of an endpoint, copied. */
struct acme_settings {
	char *terms_of_service; /* NULL: there are none */
	char *website;          /* NULL: none */
	char **caa_identities;
	size_t n_caa_identities;
	struct proto_attributes attributes;
	int64_t order_lifetime_s;
	int64_t authorization_lifetime_s;
	int64_t retention_s;
	bool authorization_reuse;
	bool external_account_required;
	unsigned open_orders;
};

struct acme {
	struct ca_door *ca;
	char *endpoint, *profile, *path;
	const struct validator *validator;
	const struct proto_waits *waits;
	struct acme_settings set;
	char directory_key[ACME_TOKEN_SIZE]; /* a member that means nothing: clients ignore unknown ones */
	struct acme_store *store;
	struct account_cache *accounts;
	struct nonces *nonces;
	struct limit *nonce_limit;
	struct limit *account_limit;
	struct limit *order_limit;          /* of an account, in identifiers */
	struct limit *challenge_limit;      /* of an account */
	struct limit *key_change_limit;     /* of an address */
	struct limit *revocation_limit;     /* of an address */
	pthread_mutex_t claims_lock;        /* for the two below */
	int64_t claims[ACME_CLAIMS_MAX];    /* orders for which a handler is asking the core right now */
	size_t n_claims;
	int64_t next_withdraw_ms;           /* only acme_tick() */
	int64_t next_sweep_ms;              /* only acme_tick() */
	atomic_llong unsure_until_s;        /* orders made until then may have results that were never written */
	atomic_ullong orders_made, orders_valid, orders_invalid, problems;
};

struct acme_call {
	struct acme *acme;
	const struct http_request *q;
	struct http_reply *r;
	int64_t now_s;
	struct jws *jws;
	const struct jwk *key;       /* what the message was signed with: that of one of the next two */
	struct known_account *known; /* NULL when the message carried its key */
	struct jwk *sent_key;        /* NULL when it named its account */
	struct acme_account account; /* unless the message carried its key */
	cJSON *payload;              /* an object; NULL for an empty payload (POST-as-GET) */
};

/* request.c */

enum acme_signer {
	ACME_BY_ACCOUNT, /* the message names an account of ours (kid) */
	ACME_BY_KEY,     /* the message carries its key (jwk) */
	ACME_BY_EITHER,
};

typedef int acme_action(struct acme_call *c);

int acme_post(struct acme *acme, const struct http_request *q, struct http_reply *r, enum acme_signer signer,
	      acme_action *action);

/* The same for what is asked for rarely and takes more to check: before anything is read, the address takes one from
 * `limit`. `what`: "key changes". */
int acme_post_limited(struct acme *acme, const struct http_request *q, struct http_reply *r, enum acme_signer signer,
		      acme_action *action, struct limit *limit, const char *what);

/* For resources that are read only: a payload is refused. */
int acme_post_as_get(struct acme *acme, const struct http_request *q, struct http_reply *r, acme_action *action);

/* For GET: the same frame around the action, without JWS; `c->account` is empty. */
int acme_get(struct acme *acme, const struct http_request *q, struct http_reply *r, acme_action *action);

/* "https://host/acme" + the formatted path, in the request's arena; NULL when memory is short. */
char *acme_url(const struct acme_call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* 128 random bits. 0 or negative. */
int acme_random_token(char out[static ACME_TOKEN_SIZE]);

/* A name for an order that is made now. 0 or negative. */
int acme_new_name(char out[static ACME_ORDER_NAME_SIZE]);

/* A core that is busy or away holds up whoever asks it: so many handlers may wait for it, the others are told that it
 * is busy. True: acme_leave_wait() follows. */
bool acme_enter_wait(const struct acme_call *c);
void acme_leave_wait(const struct acme_call *c);

/* A finished JSON document as the answer. */
int acme_reply_json(struct acme_call *c, int status, const struct buf *document);

/* problem.c */

enum acme_error {
	ACME_ERR_ACCOUNT_DOES_NOT_EXIST = 1,
	ACME_ERR_ALREADY_REVOKED,
	ACME_ERR_BAD_CSR,
	ACME_ERR_BAD_NONCE,
	ACME_ERR_BAD_PUBLIC_KEY,
	ACME_ERR_BAD_REVOCATION_REASON,
	ACME_ERR_BAD_SIGNATURE_ALGORITHM,
	ACME_ERR_CONNECTION,
	ACME_ERR_DNS,
	ACME_ERR_EXTERNAL_ACCOUNT_REQUIRED,
	ACME_ERR_INCORRECT_RESPONSE,
	ACME_ERR_INVALID_CONTACT,
	ACME_ERR_MALFORMED,
	ACME_ERR_ORDER_NOT_READY,
	ACME_ERR_RATE_LIMITED,
	ACME_ERR_REJECTED_IDENTIFIER,
	ACME_ERR_SERVER_INTERNAL,
	ACME_ERR_TLS,
	ACME_ERR_UNAUTHORIZED,
	ACME_ERR_UNSUPPORTED_CONTACT,
	ACME_ERR_UNSUPPORTED_IDENTIFIER,
	ACME_ERR_USER_ACTION_REQUIRED,
};

/* A problem of one identifier among several (RFC 8555 6.7.1). */
struct acme_subproblem {
	enum acme_error error;
	const char *detail;
	const char *type, *value; /* of the identifier, as sent */
};

/* Answer with a problem document and the usual status of its type. Always 0 unless the reply cannot be written. */
int acme_problem(struct acme_call *c, enum acme_error error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int acme_problem_status(struct acme_call *c, int status, enum acme_error error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int acme_problem_with(struct acme_call *c, enum acme_error error, const char *detail,
		      const struct acme_subproblem *subs, size_t n_subs);

/* 0 when the account of the call may do `n` more of `what`; 1: it may not, answered; negative. */
int acme_limit_account(struct acme_call *c, struct limit *limit, unsigned n, const char *what);

/* What is answered for every object that is not there, or is somebody else's: one and the same octets. */
int acme_not_found(struct acme_call *c);

/* The document as text in the request's arena, to be kept with an object; NULL when memory is short. */
const char *acme_problem_text(struct arena *a, enum acme_error error, const char *detail);

/* A refusal of the gateway as a problem document. */
void acme_print_refusal(struct buf *body, int status, const char *text);

/* directory.c */

int acme_directory(struct acme_call *c);
int acme_new_nonce(struct acme_call *c);

/* account.c */

/* Who the account is for the core: the same for ever, whatever key it has. The number is for people; the key that
 * it was made with makes it nobody else's, should this database be lost and the numbers begin anew while the core
 * remembers who had which certificate. NULL when memory is short. */
const char *acme_requester(struct acme_call *c);

/* Tell the core of accounts that were deactivated, so that nobody decides about what it holds for them; again later
 * when it does not answer. */
void acme_withdraw_ended(struct acme *a);

/* Answer with the account and its URL. */
int acme_reply_account(struct acme_call *c, const struct acme_account *a, int status);

int acme_new_account(struct acme_call *c);
int acme_account(struct acme_call *c);
int acme_account_orders(struct acme_call *c);

/* key_change.c */

int acme_key_change(struct acme_call *c);

/* binding.c */

/* The external account that a new account comes with: checked, bound, and filled into `a`. Nothing when there is none
 * and none is needed. 0; 1: answered; negative. */
int acme_binding_read(struct acme_call *c, struct acme_account *a);

/* What each submission of an account that has an external one carries; NULL when memory is short. */
const struct ca_credential_claim *acme_binding_claim(struct acme_call *c);

/* For each of the names, whether the account's external account, if it has one, may not have it. 0; 1: answered, it
 * is not good any more; negative. */
int acme_binding_check_names(struct acme_call *c, const struct ca_name *names, size_t n, bool *outside);

/* new_order.c */

int acme_new_order(struct acme_call *c);

/* order_poll.c */

int acme_order(struct acme_call *c);

/* order.c */

/* The order that the route's {id} names, if it is the caller's: 0, ACME_STORE_NONE (answered already), negative. */
int acme_order_load(struct acme_call *c, struct acme_order *out);

/* Answer with the order; `status` 200 or 201. */
int acme_order_reply(struct acme_call *c, const struct acme_order *o, int status);

/* How long a client should wait before it asks for a processing order again. */
unsigned acme_retry_after_s(const struct acme_order *o, int64_t now_s);

/* How long the core should know a repeat of the order as one: while the order lasts. 0, as long as the core does by
 * itself, for one that has expired. */
unsigned acme_collect_s(const struct acme_order *o, int64_t now_s);

/* authz.c */

int acme_authz(struct acme_call *c);
int acme_challenge(struct acme_call *c);

/* A challenge that is being checked: ask how far it is, store what came of it, and refresh `authz`. */
int acme_authz_refresh(struct acme_call *c, struct acme_authz *authz, unsigned wait_ms);

/* The name that it proves, with the evidence (trust: the gateway's word). 0 or -ENOMEM. */
int acme_name_of(struct acme_call *c, const struct acme_authz *a, struct ca_name *out);

/* attribute.c */

/* What goes with each request of this client to the policy; NULL when memory is short. */
struct ca_attribute *acme_attributes(struct acme_call *c, size_t *n);

/* finalize.c */

int acme_finalize(struct acme_call *c);
int acme_certificate(struct acme_call *c);

/* An order that is processing: ask the core what became of its request and store a result. `o` is refreshed. */
int acme_finalize_poll(struct acme_call *c, struct acme_order *o);

/* An order whose certificate was not collected from the core yet: do it now. */
void acme_finalize_collect(struct acme_call *c, struct acme_order *o);

/* revoke.c */

int acme_revoke_cert(struct acme_call *c);
