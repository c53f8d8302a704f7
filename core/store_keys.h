/* The rows of keys: sealed, with what was certified of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/db.h"
#include "core/signer/signer.h"

#include <stdbool.h>

#define CA_KEYS_MAX 16 /* of one CA, in all its life */

/* In the store as these numbers. */
enum ca_key_state {
	CA_KEY_WAITING = 1, /* made; its certificate is still to come from elsewhere */
	CA_KEY_CURRENT = 2, /* signs what is new; one for each CA and purpose */
	CA_KEY_OLD = 3,     /* speaks for what it signed before, and signs nothing new */
};

struct ca_key_row {
	int64_t id;
	unsigned position;      /* 0, 1, … in the order of their lives, among the keys of one CA and purpose */
	enum ca_key_state state;
	struct buf ca;          /* its name as it was spelled then: what `sealed` is bound to */
	struct buf sealed, spki;
	struct buf certificate; /* empty while it waits, and for keys that have none */
	struct buf issuers;     /* of an intermediate: the certificates behind its own, DER one after the other */
	struct buf request;     /* the PKCS#10 of one that waits, or waited */
};
void ca_key_row_fini(struct ca_key_row *row);

/* Is any key kept here, sealed under a key-encryption key that must not be replaced? */
int store_has_ca_keys(struct db *db, bool *answer);

/* The key of `ca` (without case) and this purpose at place `n` of their order. 0; CA_CALL_NOT_FOUND. */
int store_load_ca_key(struct db *db, const char *ca, enum signer_purpose purpose, size_t n, struct ca_key_row *out);

/* The key of this row. 0; CA_CALL_NOT_FOUND. */
int store_get_ca_key(struct db *db, int64_t id, struct ca_key_row *out);

/* Add a key in this state, behind the others of its CA and purpose. 0; DB_CONFLICT when there is one in it. */
int store_add_ca_key(struct db *db, const char *ca, enum signer_purpose purpose, enum ca_key_state state,
		     struct bytes sealed, struct bytes spki, struct bytes certificate, int64_t now_ms);

/* One step in the life of a CA, with its record in the audit trail. */
struct ca_key_change {
	const char *ca;
	enum signer_purpose purpose;
	int64_t row;                            /* the key that was waiting; 0: a new one, with sealed and spki */
	enum ca_key_state state;                /* of this key, from now on */
	struct bytes sealed, spki, certificate, issuers, request;
	int64_t retires;                        /* this key becomes CA_KEY_OLD; 0: none */
	struct bytes new_with_old, old_with_new; /* between the two; empty: none */
	int64_t now_ms;
	const char *actor, *action;
};
/* 0; DB_CONFLICT: the keys of the CA are others by now. */
int store_change_ca_key(struct db *db, const struct ca_key_change *change);

/* A certificate of one key by another of the same CA. */
struct ca_cross_row {
	int64_t key_id, by_key_id;
	struct buf certificate;
};
/* The one at place `n` of their order. 0; CA_CALL_NOT_FOUND. */
int store_load_ca_cross(struct db *db, const char *ca, size_t n, struct ca_cross_row *out);
