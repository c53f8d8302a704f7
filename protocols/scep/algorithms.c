/* Allow-lists by OID.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/algorithms.h"

#include <pthread.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/provider.h>

#include "core/base/der.h"
#include "protocols/scep/oids.h"

static const struct scep_digest digests[] = {
	{ OID_INIT(OID_SHA256), "SHA256", "SHA-256", 32, SCEP_LEGACY_NONE },
	{ OID_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), "SHA384", "SHA-384", 48, SCEP_LEGACY_NONE },
	{ OID_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), "SHA512", "SHA-512", 64, SCEP_LEGACY_NONE },
	{ OID_INIT("\x2b\x0e\x03\x02\x1a"), "SHA1", "SHA-1", 20, SCEP_LEGACY_SHA1_3DES },
};
#define N_DIGESTS (sizeof(digests) / sizeof(*digests))

static const struct scep_cipher ciphers[] = {
	{ OID_INIT("\x60\x86\x48\x01\x65\x03\x04\x01\x02"), "AES-128-CBC", 16, 16, SCEP_LEGACY_NONE },
	{ OID_INIT("\x60\x86\x48\x01\x65\x03\x04\x01\x16"), "AES-192-CBC", 24, 16, SCEP_LEGACY_NONE },
	{ OID_INIT("\x60\x86\x48\x01\x65\x03\x04\x01\x2a"), "AES-256-CBC", 32, 16, SCEP_LEGACY_NONE },
	{ OID_INIT("\x2a\x86\x48\x86\xf7\x0d\x03\x07"), "DES-EDE3-CBC", 24, 8, SCEP_LEGACY_SHA1_3DES },
	{ OID_INIT("\x2b\x0e\x03\x02\x07"), "DES-CBC", 8, 8, SCEP_LEGACY_DES },
};

/* Signature algorithms: of which key, over which digest; NULL: whatever the message says. */
static const struct {
	struct bytes oid;
	const char *key, *digest;
} signatures[] = {
	{ OID_INIT(OID_RSA), "RSA", NULL },
	{ OID_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"), "RSA", "SHA1" },
	{ OID_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), "RSA", "SHA256" },
	{ OID_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"), "RSA", "SHA384" },
	{ OID_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"), "RSA", "SHA512" },
	{ OID_INIT("\x2a\x86\x48\xce\x3d\x04\x01"), "EC", "SHA1" },
	{ OID_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x02"), "EC", "SHA256" },
	{ OID_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x03"), "EC", "SHA384" },
	{ OID_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x04"), "EC", "SHA512" },
};

const struct scep_digest *scep_digest_default(void)
{
	return &digests[0];
}

const struct scep_digest *scep_digest_find(struct bytes algorithm, enum scep_legacy legacy)
{
	struct bytes oid;

	if (der_expect(&algorithm, DER_OID, &oid))
		return NULL;
	for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++)
		if (bytes_equal(digests[i].oid, oid))
			return digests[i].from <= legacy ? &digests[i] : NULL;
	return NULL;
}

const struct scep_cipher *scep_cipher_find(struct bytes algorithm, enum scep_legacy legacy, struct bytes *iv)
{
	struct bytes oid;

	if (der_expect(&algorithm, DER_OID, &oid))
		return NULL;
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(*ciphers); i++)
		if (bytes_equal(ciphers[i].oid, oid))
			return ciphers[i].from <= legacy && !der_expect(&algorithm, DER_OCTET_STRING, iv) &&
			       !algorithm.len && iv->len == ciphers[i].iv_size ? &ciphers[i] : NULL;
	return NULL;
}

bool scep_signature_fits(struct bytes algorithm, EVP_PKEY *key, const struct scep_digest *digest)
{
	struct bytes oid;

	if (der_expect(&algorithm, DER_OID, &oid))
		return false;
	for (size_t i = 0; i < sizeof(signatures) / sizeof(*signatures); i++)
		if (bytes_equal(signatures[i].oid, oid))
			return EVP_PKEY_is_a(key, signatures[i].key) &&
			       (!signatures[i].digest || strcmp(signatures[i].digest, digest->name) == 0);
	return false;
}

const struct scep_cipher *scep_cipher_for_reply(const struct scep_cipher *asked)
{
	return asked->from == SCEP_LEGACY_NONE ? asked : &ciphers[0];
}

const struct scep_digest *scep_digest_of(struct bytes algorithm, EVP_PKEY *key)
{
	const char *name = NULL;
	struct bytes oid;

	if (der_expect(&algorithm, DER_OID, &oid))
		return NULL;
	for (size_t i = 0; i < sizeof(signatures) / sizeof(*signatures); i++)
		if (bytes_equal(signatures[i].oid, oid) && EVP_PKEY_is_a(key, signatures[i].key))
			name = signatures[i].digest;
	for (size_t i = 0; name && i < N_DIGESTS; i++)
		if (strcmp(digests[i].name, name) == 0)
			return &digests[i];
	return NULL;
}

/* ---- what libcrypto has of them ---- */

/* Looked up once: to find an algorithm by its name takes libcrypto locks, and as long as to use it. */
static const EVP_CIPHER *fetched[sizeof(ciphers) / sizeof(*ciphers)];
static const EVP_MD *fetched_digests[N_DIGESTS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Single DES is fetched in a context of its own: in the common one, which TLS uses, it does not exist. */
static const EVP_CIPHER *fetch_old(const char *name)
{
	OSSL_LIB_CTX *old = OSSL_LIB_CTX_new();
	const EVP_CIPHER *cipher = NULL;

	if (old && OSSL_PROVIDER_load(old, "legacy") && OSSL_PROVIDER_load(old, "default"))
		cipher = EVP_CIPHER_fetch(old, name, NULL);
	if (!cipher)
		OSSL_LIB_CTX_free(old);
	return cipher;
}

static void fetch_all(void)
{
	for (size_t i = 0; i < N_DIGESTS; i++)
		fetched_digests[i] = EVP_MD_fetch(NULL, digests[i].name, NULL);
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(*ciphers); i++)
		fetched[i] = ciphers[i].from == SCEP_LEGACY_DES ? fetch_old(ciphers[i].name) :
								  EVP_CIPHER_fetch(NULL, ciphers[i].name, NULL);
	ERR_clear_error();
}

const EVP_CIPHER *scep_cipher_get(const struct scep_cipher *cipher)
{
	pthread_once(&once, fetch_all);
	return fetched[cipher - ciphers];
}

const char *scep_cipher_missing(enum scep_legacy legacy)
{
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(*ciphers); i++)
		if (ciphers[i].from <= legacy && !scep_cipher_get(&ciphers[i]))
			return ciphers[i].name;
	return NULL;
}

static const EVP_MD *get_digest(const struct scep_digest *digest)
{
	pthread_once(&once, fetch_all);
	return fetched_digests[digest - digests];
}

bool scep_digest_make(const struct scep_digest *digest, struct bytes data, uint8_t *out)
{
	const EVP_MD *md = get_digest(digest);

	return md && EVP_Digest(data.ptr ? data.ptr : (const void *)"", data.len, out, NULL, md, NULL) == 1;
}

bool scep_signature_verifies(EVP_PKEY *key, const struct scep_digest *digest, const struct bytes *pieces, size_t n,
			     struct bytes signature)
{
	const EVP_MD *md = get_digest(digest);
	EVP_MD_CTX *ctx = md ? EVP_MD_CTX_new() : NULL;
	bool ok = ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestVerifyUpdate(ctx, pieces[i].ptr, pieces[i].len) == 1;
	ok = ok && EVP_DigestVerifyFinal(ctx, signature.ptr, signature.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}
