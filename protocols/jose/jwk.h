/* Public keys as JSON (RFC 7517, 7518 6, 8037 2), read strictly.
 *
 * Taken: RSA with a modulus of 2048 to 4096 bits, EC P-256 and P-384, and Ed25519. Every member has the one spelling
 * its RFC allows (exact length, no leading zero octets of an integer, strict base64url), so the thumbprint of a key
 * is unique.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "protocols/jose/json_gate.h"

#include <openssl/types.h>

enum jwk_type { JWK_RSA = 1, JWK_P256, JWK_P384, JWK_ED25519 };

#define JWK_THUMBPRINT_SIZE 44 /* 43 letters of base64url and the NUL */

/* Nothing in it changes: any number of threads may verify with one key. */
struct jwk {
	enum jwk_type type;
	EVP_PKEY *key;
	EVP_MD_CTX *verifier;                 /* a verification that has begun, to be copied for each message */
	struct buf spki;                      /* the same as SubjectPublicKeyInfo in DER, as libcrypto would write it */
	char *text;                           /* the members of RFC 7638 3 in its form; read back by jwk_read() */
	char thumbprint[JWK_THUMBPRINT_SIZE]; /* RFC 7638, SHA-256, base64url */
};

enum {
	JWK_MALFORMED = 1,   /* members missing, of the wrong type or spelling, or private */
	JWK_UNSUPPORTED = 2, /* a key type, curve or size that is not taken, or not a point of its curve */
};

/* 0, an outcome above with a sentence in `*why` (static text), or negative. */
int jwk_parse(struct jwk **out, const cJSON *object, const char **why);

/* The same for text, e.g. one that was stored. Text that is not JSON is JWK_MALFORMED. */
int jwk_read(struct jwk **out, struct bytes text, const char **why);
void jwk_drop(struct jwk **key);
