/* What SCEP messages may be signed, digested and encrypted with: everything else is refused before a key is used.
 *
 * libcrypto alone would take MD5 and Blowfish. SHA-1 and Triple-DES are for endpoints with `legacy: sha1-3des` (RFC
 * 8894 2.9 and 7.5 want neither), single DES for those with `legacy: des`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>

#include "core/base/bytes.h"

#include <stdbool.h>

enum scep_legacy { SCEP_LEGACY_NONE, SCEP_LEGACY_SHA1_3DES, SCEP_LEGACY_DES };

struct scep_digest {
	struct bytes oid;         /* content of the OID */
	const char *name;         /* libcrypto's, and the signer's */
	const char *word;         /* "SHA-256": the keyword of GetCACaps */
	size_t size;
	enum scep_legacy from;    /* the endpoint's setting that takes it */
};

struct scep_cipher {
	struct bytes oid;
	const char *name;         /* libcrypto's */
	size_t key_size, iv_size; /* octets */
	enum scep_legacy from;
};

/* NULL: unknown, or not taken. `algorithm` is the content of an AlgorithmIdentifier. */
const struct scep_digest *scep_digest_find(struct bytes algorithm, enum scep_legacy legacy);

/* The IV stands in the parameters. */
const struct scep_cipher *scep_cipher_find(struct bytes algorithm, enum scep_legacy legacy, struct bytes *iv);

/* May this kind of key have signed with this algorithm and that digest? `rsaEncryption` says nothing of the digest
 * (RFC 3370 3.2), the others have to say the same. */
bool scep_signature_fits(struct bytes algorithm, EVP_PKEY *key, const struct scep_digest *digest);
const struct scep_digest *scep_digest_default(void); /* SHA-256 */

/* The digest that a signature algorithm of this kind of key names; NULL: it names none, or is of no such key. */
const struct scep_digest *scep_digest_of(struct bytes algorithm, EVP_PKEY *key);

/* `digest->size` octets. False: libcrypto cannot. */
bool scep_digest_make(const struct scep_digest *digest, struct bytes data, uint8_t *out);

/* Is it one of `n` pieces, one after the other, under this key? */
bool scep_signature_verifies(EVP_PKEY *key, const struct scep_digest *digest, const struct bytes *pieces, size_t n,
			     struct bytes signature);

/* The cipher of an answer: that of the request, but nothing weaker than AES-128, which even clients that ask with
 * less can read. */
const struct scep_cipher *scep_cipher_for_reply(const struct scep_cipher *asked);

/* A cipher of libcrypto, of a context of its own where only the legacy provider has it; NULL: it has not. Lives as
 * long as the process. */
const EVP_CIPHER *scep_cipher_get(const struct scep_cipher *cipher);

/* The name of a cipher that this setting takes and libcrypto has not; NULL: it has all of them. */
const char *scep_cipher_missing(enum scep_legacy legacy);
