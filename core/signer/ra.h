/* What the key of a registration authority does (RFC 8894): open the envelopes that clients write to it, sign answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>

#include "core/signer/signer.h"

/* Decrypt with RSA and write `n` octets, whatever comes out: those of the envelope, or random ones. Which of the two
 * it was, neither the result nor the time tells: whoever could learn it would have the key open any envelope for him
 * (Bleichenbacher 1998). `n` is 8 to 32. 0; -EIO: libcrypto has no random octets. */
int ra_unwrap(EVP_PKEY *pkey, enum signer_wrapping wrapping, struct bytes wrapped, uint8_t *out, size_t n);

/* Is this a set of signed attributes (RFC 5652 5.3) of a digest of so many octets? NULL, or why not. Nothing that a
 * key of a CA signs begins like it. */
const char *ra_refuses_attributes(struct bytes attributes, size_t digest_size);
