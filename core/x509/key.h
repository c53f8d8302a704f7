/* Public keys: which ones we take, and how they are called.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#include <openssl/evp.h>

/* The words of the configuration for key types. */
#define KEY_TYPE_RSA "rsa"
#define KEY_TYPE_P256 "ec-p256"
#define KEY_TYPE_P384 "ec-p384"
#define KEY_TYPE_ED25519 "ed25519"

/* Read a SubjectPublicKeyInfo. 0 with a new `*key` (EVP_PKEY_free), its type word and bits; 1 for a key that nobody
 * should certify (type, size, exponent, curve, point), with a sentence in `*why`; negative. */
int key_from_spki(struct bytes spki, EVP_PKEY **key, const char **type, unsigned *bits, const char **why);
