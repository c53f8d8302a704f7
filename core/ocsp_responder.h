/* A delegated OCSP responder (RFC 6960 4.2.2.2): a key of the signer's, and the certificate in which a key of a CA says
 * that it may answer for it.
 *
 * Its certificate does not come by a submission: the signer signs no PKCS#10 with such a key, and policy has no say in
 * whether a CA answers. It is planned and stored like any other (a row with its TBS, signed, the row with the
 * certificate), has a record of its own in the audit trail, and the signer holds it against a floor of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

#define OCSP_RESPONDER_LIFETIME_S (7 * 86400)

struct ocsp_responder {
	_Atomic unsigned refs;
	struct ca_core *core;
	const char *ca;
	int64_t row;                       /* ocsp_responders.id */
	struct buf sealed, certificate;
	uint8_t key_hash[DIGEST_MAX];      /* SHA-1 of the key, by which responses name it */
	struct bytes algorithm;
	int64_t not_before_s, not_after_s;
	_Atomic uint64_t signer;           /* the signer's number for the key */
};

struct ocsp_responder *ocsp_responder_hold(struct ocsp_responder *r);
void ocsp_responder_drop(struct ocsp_responder **r);

/* The newest one of this key of a CA, loaded, signed now if a crash left it unsigned; or a new one, when the newest
 * has less than half of its life to go. 0 with a reference; positive or negative with a sentence in `why`. */
int ocsp_responder_get(struct ca_key *key, struct ocsp_responder **out, char why[static CA_REASON_SIZE]);

/* Is it time for another one? */
bool ocsp_responder_is_due(const struct ocsp_responder *r, const struct ca_key *key, int64_t now_s);

/* Append the signature of this ResponseData. 0; positive: the signer refused; negative: not now. */
int ocsp_responder_sign(struct ocsp_responder *r, struct bytes data, struct buf *signature,
			char why[static SIGNER_WHY_SIZE]);
