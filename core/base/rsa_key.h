/* Public keys of RSA, without libcrypto's decoders, which cost ten times as much as this and take other spellings too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#include <openssl/bn.h>
#include <openssl/evp.h>

/* An RSAPublicKey (RFC 8017 A.1.1) in DER: two positive numbers. 0 with both new (BN_free); -EINVAL with neither. */
int rsa_key_read(struct bytes der, BIGNUM **n, BIGNUM **e);

/* A key of these numbers (EVP_PKEY_free), whatever they are worth; NULL: libcrypto does not take them. */
EVP_PKEY *rsa_key_import(const BIGNUM *n, const BIGNUM *e);

/* Of a SubjectPublicKeyInfo. NULL: it is of another kind, or spelled otherwise. */
EVP_PKEY *rsa_key_from_spki(struct bytes spki);
