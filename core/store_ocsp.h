/* Rows of OCSP: what is known of a serial, and the keys and certificates of our own responders.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/store.h"

/* What the store says of a serial at this moment. */
struct store_status {
	enum {
		STORE_STATUS_NONE,    /* nobody has issued it here, or its row was purged */
		STORE_STATUS_PLANNED, /* it stands in something that is being signed, or was before a crash */
		STORE_STATUS_ISSUED,
		STORE_STATUS_REVOKED, /* held too */
	} kind;
	int64_t key_id;       /* who signed it; of the last two, like the rest */
	int64_t revoked_ms;
	int reason;
};

/* `serial`: RFC 5280 4.1.2.2, without leading zeros. One index look-up. 0 or negative. */
int store_get_status(struct ca_core *core, struct bytes serial, struct store_status *out);

/* A key of ours that answers for a key of a CA, with its certificate. */
struct ocsp_responder_row {
	int64_t id, key_id;
	uint8_t serial[SERIAL_SIZE];
	int64_t not_before_s, not_after_s;
	struct buf sealed, spki, tbs;
	struct buf certificate; /* empty: planned, perhaps signed, and not yet stored */
};
#define OCSP_RESPONDER_ROW_INIT \
	((struct ocsp_responder_row){ .sealed = BUF_INIT(SIGNER_SEALED_MAX), .spki = BUF_INIT(SIGNER_SPKI_MAX), \
				      .tbs = BUF_INIT(65536), .certificate = BUF_INIT(65536) })
void ocsp_responder_row_fini(struct ocsp_responder_row *row);

/* The newest one for this key of a CA. 0; CA_CALL_NOT_FOUND; negative. */
int store_load_responder(struct ca_core *core, int64_t key_id, struct ocsp_responder_row *out);

/* What will be signed is durable before the signer sees it: add the row, whose `id` is set. Keys of responders whose
 * certificates have ended are removed with it; the certificates stay. 0; STORE_DUPLICATE (the serial); negative. */
int store_plan_responder(struct ca_core *core, struct ocsp_responder_row *row, int64_t now_ms);

/* It is signed: row->certificate, with its audit record. 0 or negative. */
int store_add_responder(struct ca_core *core, const struct ca_key *key, const struct ocsp_responder_row *row,
			int64_t now_ms);
