/* What an ACME client does with keys: JWS (ES256), thumbprint, PKCS#10. All of it P-256.
 *
 * The load shares two cores with the server that it measures, so these are written for few cycles: the PKCS#10 and
 * the JWK element by element, no decoder, no second look at what was just made.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#define KEYS_POINT_SIZE 65       /* uncompressed */
#define KEYS_THUMBPRINT_SIZE 44  /* 43 characters and the NUL */
#define KEYS_JWK_SIZE 160
#define KEYS_CSR_SIZE 700

/* base64url without padding, as a string; `size` has room for 4 octets for each 3 begun, and 1. Its length. */
size_t keys_base64url(char *out, const void *data, size_t n);

/* A fresh key and its public point. NULL on failure. */
EVP_PKEY *keys_make(uint8_t point[static KEYS_POINT_SIZE]);

/* The public key as RFC 7638 orders it, and its thumbprint. */
void keys_print_jwk(const uint8_t point[static KEYS_POINT_SIZE], char jwk[static KEYS_JWK_SIZE],
		    char thumbprint[static KEYS_THUMBPRINT_SIZE]);

/* {"protected", "payload", "signature"} of two texts. The length; 0 on failure. */
size_t keys_print_jws(char *out, size_t size, EVP_PKEY *key, const char *header, const char *payload);

/* A PKCS#10 request for one DNS name of at most 80 octets in the subjectAltName, with an empty subject. The length of
 * the DER; 0 on failure. */
size_t keys_make_csr(uint8_t out[static KEYS_CSR_SIZE], EVP_PKEY *key, const uint8_t point[static KEYS_POINT_SIZE],
		     const char *name);
