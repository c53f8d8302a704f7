/* The rows of keys: sealed, with what was certified of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/db.h"
#include "core/signer/signer.h"

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
	struct buf sealed, spki, certificate;
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
