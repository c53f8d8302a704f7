/* Rows of credentials.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/credentials.h"
#include "core/store.h"

struct credential_insert {
	enum ca_evidence_kind kind;
	const char *name, *note, *actor, *endpoints, *profiles, *scope;
	struct bytes secret, salt;  /* none for EAB; VENDOR, RA: certificates */
	bool is_by_name;
	unsigned delegates;         /* challenges that it may have waiting at once; 0: it may have none made */
	int64_t delegated_by;       /* CHALLENGE: the credential whose bearer had it made; 0: an administrator did */
	const char *device;         /* CHALLENGE: of which a request must name one, a line each; NULL: none */
	const char *detail;         /* for the trail; NULL */
	int64_t now_ms, until_ms;   /* 0: without end */
	unsigned uses;              /* 0: without end */
	int64_t id;                 /* out */
};

/* 0; DB_CONFLICT: the name is or was somebody's. */
int store_add_credential(struct ca_core *core, struct credential_insert *c);

/* Inside a write: insert it, with the record of who made it. */
int store_insert_credential(struct db_conn *conn, struct credential_insert *c);

/* core/store_delegate.c: a challenge that the bearer of `c->delegated_by` had made, of whom it takes one use. `limit`:
 * how many of his may wait. 0; STORE_FULL; STORE_SPENT: he is revoked, over or used up by now. */
struct delegation_insert {
	struct credential_insert *challenge;
	const char *by; /* "user alice" */
	unsigned limit;
};
int store_add_delegated(struct ca_core *core, struct delegation_insert *d);

/* 0; CA_CALL_NOT_FOUND; STORE_CHANGED: it was revoked before. What it had made and is not used goes with it. */
int store_revoke_credential(struct ca_core *core, const char *actor, enum ca_evidence_kind kind, const char *name,
			    int64_t now_ms);
int store_set_password(struct ca_core *core, const char *actor, const char *user, struct bytes hash, struct bytes salt,
		       int64_t now_ms);

struct credential_found {
	struct credential_row row;
	struct bytes secret, salt;
};

/* By its name (EAB, USER) or by its secret's SHA-256 (CHALLENGE, TOKEN). In the arena. 0; CA_CALL_NOT_FOUND. */
int store_find_credential(struct ca_core *core, enum ca_evidence_kind kind, const char *name, struct bytes secret,
			  struct arena *arena, struct credential_found *out);

#define CREDENTIAL_LISTED_MAX 100 /* vendors, or RAs, that live */

int store_count_live(struct ca_core *core, enum ca_evidence_kind kind, int64_t *n);

/* Numbers of those of a kind that are not revoked and for this endpoint and profile; what is over comes last. */
int store_live_credentials(struct ca_core *core, enum ca_evidence_kind kind, const char *endpoint, const char *profile,
			   int64_t ids[static CREDENTIAL_LISTED_MAX], size_t *n);

/* One of them, in the arena. 0; CA_CALL_NOT_FOUND: it was revoked meanwhile. */
int store_load_credential(struct ca_core *core, int64_t id, struct arena *arena, struct credential_found *out);

/* Bind an EAB key to an account. 0, also when it was bound to it before; STORE_SPENT. */
int store_bind_account(struct ca_core *core, int64_t id, const char *kid, const char *account, int64_t now_ms);
int store_is_bound(struct ca_core *core, int64_t id, const char *account, bool *answer);

/* May an approval still go on with it? Swept rows were good until their end. */
int store_is_credential_revoked(struct ca_core *core, int64_t id, bool *answer);

/* A wrong one was shown. `text`: which, as far as it is known. */
int store_credential_failed(struct ca_core *core, const char *text, const char *source, int64_t now_ms);

/* Inside a write: one use of it. 0; STORE_SPENT: it is revoked, over or used up. */
int store_take_credential(struct db_conn *conn, int64_t id, int64_t now_ms);

/* Inside a write, with the end of a credential: the challenges that it had made and that nobody has used, or with which
 * something waits, end too. */
int store_revoke_delegated(struct db_conn *conn, int64_t id, int64_t now_ms);

/* Inside a write: a record about credentials. */
int store_record_credential(struct db_conn *conn, const char *actor, const char *action, const char *subject,
			    const char *detail, int64_t now_ms);

/* Inside the transaction that writes the row of `r`: what proved it is used, and for CHALLENGE and others with a count
 * used up. 0; STORE_SPENT. */
int store_use_credentials(struct db_conn *conn, const struct ca_request *r, int64_t now_ms);

/* The same for a row that ends as ERROR: what it used comes back. */
int store_return_credentials(struct db_conn *conn, const struct ca_request *r, int64_t now_ms);

int store_sweep_credentials(struct ca_core *core, int64_t before_ms);
