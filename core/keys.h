/* The keys of the CAs at the signer: loaded at the start, and again when the signer was started again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* Reach the signer and load the key of every CA. 0; CA_CORE_NO_CA; negative; `error` says what is wrong. */
int keys_start(struct ca_core *core, struct conf_error *error);

/* Have a TBSCertificate signed by the CA's key. 0; SIGNER_REFUSED with a sentence in `why`; negative: it cannot be
 * signed now, and keys_away() knows it from then on. */
int keys_sign(struct ca *ca, struct bytes tbs, struct buf *signature, char why[static SIGNER_WHY_SIZE]);

/* Why nothing can be signed for this CA now, a sentence; NULL when it can as far as is known. */
const char *keys_away(const struct ca *ca);

/* Where the signer was away or has not all keys: is it back, and does it load them now? Each CA whose key it has goes
 * on. False: the signer does not answer. */
bool keys_probe(struct ca_core *core);
