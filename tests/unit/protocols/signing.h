/* A client's half of JOSE for the tests: keys made at run time, and signed messages.
 *
 * Failures are failures of the test: every function asserts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#include <openssl/types.h>

struct signing_key {
	const char *alg; /* "ES256", "ES384", "RS256", "EdDSA" */
	EVP_PKEY *key;
	char *jwk;       /* its public half */
};

/* `bits` for RSA; ignored otherwise. */
struct signing_key signing_key_make(const char *alg, unsigned bits);
void signing_key_fini(struct signing_key *k);

/* base64url, to be freed. */
char *signing_base64url(struct bytes data);

/* The signature over text as JWS writes it, base64url. */
char *signing_signature(const struct signing_key *k, const char *input);

/* A flattened JWS with this protected header (JSON) and payload, to be freed. */
char *signing_message(const struct signing_key *k, const char *header, const char *payload);

/* The same with a MAC: "HS256", "HS384" or "HS512" under this key. */
char *signing_mac_message(const char *alg, struct bytes key, const char *header, const char *payload);

/* A string made by printf, to be freed. */
char *signing_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A PKCS#10 request for DNS names with this key, DER in base64url, to be freed. */
char *signing_csr(EVP_PKEY *key, const char *san);

/* A self-signed certificate in DER; to be freed. `san`: as openssl.cnf(5) has it; NULL: none. */
struct bytes signing_certificate(EVP_PKEY *key, const char *common_name, const char *san);
