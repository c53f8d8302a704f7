/* The keys of the CAs at the signer: loaded at the start, and again when the signer was started again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* Reach the signer and load the key of every CA. 0; CA_CORE_NO_CA; negative; `error` says what is wrong. */
int keys_start(struct ca_core *core, struct conf_error *error);

/* Have a TBSCertificate signed by the CA's key. 0; SIGNER_REFUSED with a sentence in `why`; negative: the signer is
 * away, and whoever asks knows it from core->is_signer_failing now. */
int keys_sign(struct ca *ca, struct bytes tbs, struct buf *signature, char why[static SIGNER_WHY_SIZE]);

/* Find out whether a signer that was away is back, and has the keys again. True: it is. */
bool keys_probe(struct ca_core *core);
