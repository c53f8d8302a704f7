/* The keys of the CAs at the signer: loaded at the start, and again when the signer was started again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* Reach the signer and load all keys. A CA whose key cannot be used waits, and the log says why; when that is so for
 * each of them the first is said in `error`. 0; CA_CORE_NO_CA; negative. */
int keys_start(struct ca_core *core, struct conf_error *error);

/* When the core ends. */
void keys_free(struct ca_core *core);

/* The store has other keys of this CA than before: take them. What is being signed under another one goes on. 0;
 * negative: not now, and keys_probe() tries again. */
int keys_refresh(struct ca *ca);

/* What clients get behind a certificate that this key signed: DER, one certificate after the other, the issuer's own
 * first. Certificates of one key by another stand where they help: behind what the current key signed come those by
 * older keys, down to a root that clients may have since long; behind what an old key signed those by newer ones.
 * Appends. 0, -EMSGSIZE, -ENOMEM. */
int keys_append_chain(const struct ca_key *key, struct buf *out);

/* The same for the key with this index. 0; CA_CALL_NOT_FOUND; negative. */
int keys_append_chain_of(const struct ca *ca, unsigned index, struct buf *out);

/* ---- signing ----
 * 0; SIGNER_REFUSED with a sentence in `why`; negative: it cannot be signed now, and keys_away() knows it from then
 * on.
 */

int keys_sign(struct ca_key *key, struct bytes tbs, struct buf *signature, char why[static SIGNER_WHY_SIZE]);

/* A ResponseData of at most SIGNER_PIECE_MAX octets. */
int keys_sign_ocsp(struct ca_key *key, struct bytes response_data, struct buf *signature,
		   char why[static SIGNER_WHY_SIZE]);

/* Begin what core/signer/signer.h goes on with: signer_stream_data(), _end(), _drop(). */
int keys_stream_begin(struct ca_key *key, enum signer_stream_kind kind, struct signer_stream **out,
		      char why[static SIGNER_WHY_SIZE]);

/* A MAC under the core's own key, which the signer has and nobody else: the same for the same label and octets as
 * long as the store lives. 0; negative: the signer is away. */
int keys_mac(struct ca_core *core, const char *label, struct bytes octets, uint8_t out[static SIGNER_MAC_SIZE]);

/* Why no certificate can be signed for this CA now, a sentence; NULL when it can as far as is known. */
const char *keys_away(const struct ca *ca);

/* The same, without the signer being away as a whole. */
const char *keys_trouble(const struct ca *ca);

/* Does the certificate of its current key end within its `end-alarm`? */
bool keys_near_end(const struct ca *ca);

/* A profile of one of its endpoints that gives more life than the CA has left, so that certificates end with the CA;
 * NULL: none. */
const struct ca_profile *keys_shortened(const struct ca *ca);

/* Tell the log of CAs that are near their end, or past it: at the start, and when core->watched_day is over. */
void keys_watch(struct ca_core *core);

/* Where the signer was away or has not all keys: is it back, and does it load them now? Each CA whose key it has goes
 * on. False: the signer does not answer. */
bool keys_probe(struct ca_core *core);
