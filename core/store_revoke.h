/* Rows of revocation: what is written when a certificate is revoked, held or released, and how one is found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/store.h"

/* The request of the certificate with this serial (RFC 5280 4.1.2.2, without leading zeros). 0; CA_CALL_NOT_FOUND. */
int store_find_serial(struct ca_core *core, struct bytes serial, int64_t *id);

/* Is this public key blocked, because somebody else has its private half? */
int store_is_key_blocked(struct ca_core *core, const uint8_t spki_hash[static SHA256_SIZE], bool *answer);

/* How many keys are blocked: while none is, nobody needs to ask. */
int store_count_blocked_keys(struct ca_core *core, int64_t *n);

/* One change of a certificate that was issued. */
struct store_revocation {
	struct ca_request *r;     /* as read; lines are written; on 0 state, revoked_ms, revoked_reason are new */
	enum ca_action action;    /* REVOKE, HOLD, RELEASE; legal in r->state */
	int reason;               /* enum ca_revocation_reason; RELEASE: removeFromCRL, for the event */
	int64_t effective_ms;     /* since when; not looked at for RELEASE */
	const char *actor;        /* for the audit trail */
};

/* Write it with its timeline lines and exit events. 0; STORE_CHANGED: the row is no longer as it was read. */
int store_revoke(struct ca *ca, const struct store_revocation *revocation);

/* Inside a write of another function: the same with its audit record, without lines. */
struct revoke_rows {
	int64_t request_id, version; /* version 0: any */
	enum ca_action action;
	enum ca_state from;
	int reason;
	int64_t effective_ms, now_ms;
	const char *actor, *detail;  /* for the audit trail */
};
int revoke_write(struct db_conn *conn, struct ca *ca, const struct revoke_rows *rows);
