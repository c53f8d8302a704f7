/* The keys of the CAs at the signer: loaded at the start, and again when the signer was started again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* Reach the signer and load the keys of every CA. A CA whose key cannot be used waits, and the log says why; when that
 * is so for each of them the first is said in `error`. 0; CA_CORE_NO_CA; negative. */
int keys_start(struct ca_core *core, struct conf_error *error);

/* When the core ends. */
void keys_free(struct ca *ca);

/* What clients get behind a certificate that this key signed: DER, one certificate after the other, the issuer's own
 * first. Appends. 0, -EMSGSIZE, -ENOMEM. */
int keys_append_chain(const struct ca_key *key, struct buf *out);

/* The same for the key with this index. 0; CA_CALL_NOT_FOUND; negative. */
int keys_append_chain_of(const struct ca *ca, unsigned index, struct buf *out);

/* Have a TBSCertificate signed by this key. 0; SIGNER_REFUSED with a sentence in `why`; negative: it cannot be signed
 * now, and keys_away() knows it from then on. */
int keys_sign(struct ca_key *key, struct bytes tbs, struct buf *signature, char why[static SIGNER_WHY_SIZE]);

/* Why no certificate can be signed for this CA now, a sentence; NULL when it can as far as is known. */
const char *keys_away(const struct ca *ca);

/* The same, without the signer being away as a whole. */
const char *keys_trouble(const struct ca *ca);

/* Where the signer was away or has not all keys: is it back, and does it load them now? Each CA whose key it has goes
 * on. False: the signer does not answer. */
bool keys_probe(struct ca_core *core);
