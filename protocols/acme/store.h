/* What the gateway remembers for one ACME endpoint: accounts, orders, authorizations, challenges, certificates.
 *
 * A database of the gateway's own, behind core/base/db.h. An order that is decided at once is committed three times:
 * when it is made, when its authorization became valid, and with the result of finalize. One that has to wait is
 * committed when it begins to wait, too, and when its result was collected from the core; a challenge when its check
 * takes longer than a handler may wait. Everything that follows from these facts and the clock (an order is ready
 * because its authorizations are valid, or invalid because one is not) is computed when it is read and never stored.
 *
 * Objects are read into an arena and are snapshots: nothing in them changes when the database does. Names (`name`)
 * stand in URLs; numbers (`id`) stay inside, except those of accounts. The name of an order is the clock and 96 random
 * bits in base64url: the indexes of names grow at their ends, so that the orders of a commit share their pages. What
 * belongs to an order has a name that begins with that of the order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/submit.h"

#define ACME_ORDER_NAME_SIZE 25   /* 24 letters and the NUL */
#define ACME_NAME_SIZE 32         /* of whatever belongs to an order, with the NUL */
#define ACME_NAME_CLOCK 6         /* so many octets of a name are the clock */
#define ACME_ORDERS_PAGE 100

/* RFC 8555 7.1.6. Stored as these numbers: never renumber. */
enum acme_status {
	ACME_PENDING = 1,
	ACME_READY = 2,       /* orders; computed, never stored */
	ACME_PROCESSING = 3,
	ACME_VALID = 4,
	ACME_INVALID = 5,
	ACME_DEACTIVATED = 6, /* accounts and authorizations */
	ACME_EXPIRED = 7,     /* authorizations; computed, never stored */
};

const char *acme_status_word(enum acme_status status);

struct acme_account {
	int64_t id;
	enum acme_status status;
	const char *jwk;        /* as of jwk.text */
	const char *thumbprint;
	const char *first_thumbprint; /* of the key that it was made with: its name for the core, for ever */
	const char *contact;    /* a JSON array of URLs */
	int64_t terms_s;        /* when the terms were agreed to; 0: they were not */
	const char *external;   /* the key identifier of its external account; NULL: it has none */
	const char *binding;    /* what bound it, as it was sent: a JSON object; NULL */
};

struct acme_challenge {
	int64_t id;
	const char *name;
	const char *type;       /* "http-01" */
	const char *token;
	enum acme_status status;
	int64_t validated_s;    /* 0: not */
	const char *address;    /* what answered; NULL before */
	const char *error;      /* a problem document; NULL: none */
};

struct acme_authz {
	int64_t id;
	int64_t account;
	const char *name;
	enum ca_name_kind kind;
	const char *value;
	enum acme_status status;
	int64_t expires_s;
	struct acme_challenge challenge;
};

struct acme_order {
	int64_t id;
	int64_t account;
	const char *name;
	enum acme_status status;
	int64_t created_s, expires_s;
	int64_t finalized_s;     /* when its CSR was accepted; 0: it was not */
	struct bytes csr;        /* DER, kept from then on */
	int64_t core_id;         /* the core's request number; 0: not known */
	const char *error;       /* a problem document; NULL: none */
	const char *certificate; /* name of the certificate; NULL: none */
	bool to_collect;         /* the core is still to be told that its result arrived */
	struct acme_authz *authz;
	size_t n_authz;
};

struct acme_certificate {
	const char *order; /* its name */
	int64_t account, core_id;
	bool to_collect;   /* as in its order */
	struct bytes pem;
};

struct acme_store;

/* 0, or negative with a sentence in `why`. */
int acme_store_open(struct acme_store **out, const char *path, char *why, size_t why_size);
void acme_store_drop(struct acme_store **store);

enum {
	ACME_STORE_NONE = 1,   /* there is no such object */
	ACME_STORE_EXISTS = 2, /* an account with this key, or made with it, is there */
	ACME_STORE_FULL = 3,   /* the account has too many open orders */
	ACME_STORE_LATE = 4,   /* the account is not what it was when the request was read */
};

/* `account->first_thumbprint` is not read: it is the thumbprint. */
int acme_store_add_account(struct acme_store *s, const struct acme_account *account, int64_t now_s, int64_t *id);
int acme_store_get_account(struct acme_store *s, struct arena *a, int64_t id, struct acme_account *out);
int acme_store_find_account(struct acme_store *s, struct arena *a, const char *thumbprint, struct acme_account *out);
int acme_store_set_contact(struct acme_store *s, int64_t account, const char *contact);
/* From the key with the thumbprint `from` to another one. 0, ACME_STORE_EXISTS, ACME_STORE_LATE, negative. */
int acme_store_set_key(struct acme_store *s, int64_t account, const char *from, const char *jwk,
		       const char *thumbprint);
/* For ever. Its orders and authorizations end with it and need no write: they are good for their own account only,
 * which is refused from now on. */
int acme_store_deactivate_account(struct acme_store *s, int64_t account);

/* A deactivated account of which the core was not told: fills id (0: there is none) and first_thumbprint, in the arena;
 * and that it was told. */
int acme_store_find_ended(struct acme_store *s, struct arena *arena, struct acme_account *account);
int acme_store_account_withdrawn(struct acme_store *s, int64_t account);

/* Adds the order; fills in the ids and when it was made. Where its account has a valid authorization for the identifier
 * that lives until `reuse_s` at least, that one takes the place of the one in `order->authz`, its texts in `a`.
 * INT64_MAX: none is used again. */
int acme_store_add_order(struct acme_store *s, struct arena *a, struct acme_order *order, int64_t now_s,
			 unsigned open_max, int64_t reuse_s);
/* With its authorizations in the order in which they were asked for. */
int acme_store_get_order(struct acme_store *s, struct arena *a, const char *name, int64_t now_s,
			 struct acme_order *out);
/* The names of an account's orders that are not invalid, in the order of their making, at most ACME_ORDERS_PAGE, from
 * behind the order with id `after`. `*last`: id of the last one when there may be more, otherwise 0. */
int acme_store_list_orders(struct acme_store *s, struct arena *a, int64_t account, int64_t after, int64_t now_s,
			   const char *names[static ACME_ORDERS_PAGE], size_t *n, int64_t *last);

/* Results of finalize; `order` as it is afterwards. An order that is valid or invalid already stays as it is (0). */
int acme_store_set_processing(struct acme_store *s, const struct acme_order *order);
int acme_store_set_invalid(struct acme_store *s, const struct acme_order *order);
int acme_store_set_valid(struct acme_store *s, const struct acme_order *order, const char *pem);
/* The result of the order with this name was collected from the core. */
int acme_store_set_collected(struct acme_store *s, const char *name);

int acme_store_get_authz(struct acme_store *s, struct arena *a, const char *name, int64_t now_s,
			 struct acme_authz *out);
/* For each of `authz`, of which account, kind and value are filled in, a valid one. 0; ACME_STORE_NONE: there is none
 * for one of them; negative. */
int acme_store_find_valid_authz(struct acme_store *s, struct arena *a, struct acme_authz *authz, size_t n,
				int64_t now_s);
/* The authorization that has this challenge. */
int acme_store_get_challenge(struct acme_store *s, struct arena *a, const char *name, int64_t now_s,
			     struct acme_authz *out);

/* The challenge of `authz` is being checked, or was: status, validated_s, address and error are stored, and a valid
 * or invalid one carries its authorization along (`authz->expires_s` then too). Nothing changes when the
 * authorization is not pending any more. */
int acme_store_set_challenge(struct acme_store *s, const struct acme_authz *authz);
/* `authz` as it is afterwards. */
int acme_store_deactivate_authz(struct acme_store *s, const struct acme_authz *authz);

int acme_store_get_certificate(struct acme_store *s, struct arena *a, const char *name,
			       struct acme_certificate *out);

/* Forget orders that expired before `before_s` and authorizations that no order names and that are of no use any
 * more; some at a time. `*more`: call again soon. Only one thread sweeps. */
int acme_store_sweep(struct acme_store *s, int64_t now_s, int64_t before_s, bool *more);
