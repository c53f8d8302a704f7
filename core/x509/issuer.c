/* A CA certificate, read once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/issuer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/digest.h"
#include "core/base/own.h"
#include "core/base/der.h"
#include "core/x509/key.h"

struct issuer {
	struct buf name, key_identifier, public_key;
	struct bytes algorithm;
	EVP_MD_CTX *begun; /* only read: every check is a copy of it, since to look algorithms up takes locks */
};

/* AlgorithmIdentifiers as RFC 4055 and RFC 5758 write them: NULL for RSA, nothing for ECDSA. */
static const uint8_t sha256_rsa[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
				      0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00 };
static const uint8_t ecdsa_sha256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
static const uint8_t ecdsa_sha384[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03 };

static const struct {
	const char *type;
	const uint8_t *algorithm;
	size_t size;
	const EVP_MD *(*md)(void);
} signatures[] = {
	{ KEY_TYPE_RSA, sha256_rsa, sizeof(sha256_rsa), EVP_sha256 },
	{ KEY_TYPE_P256, ecdsa_sha256, sizeof(ecdsa_sha256), EVP_sha256 },
	{ KEY_TYPE_P384, ecdsa_sha384, sizeof(ecdsa_sha384), EVP_sha384 },
};
#define N_SIGNATURES (sizeof(signatures) / sizeof(*signatures))

struct bytes signature_algorithm_of(struct bytes spki)
{
	struct bytes algorithm = { NULL, 0 };
	const char *type, *why;
	EVP_PKEY *key = NULL;
	unsigned bits;

	if (key_from_spki(spki, &key, &type, &bits, &why) == 0)
		for (size_t i = 0; i < N_SIGNATURES; i++)
			if (strcmp(signatures[i].type, type) == 0)
				algorithm = bytes_of(signatures[i].algorithm, signatures[i].size);
	EVP_PKEY_free(key);
	return algorithm;
}

int public_key_of(struct bytes spki, struct bytes *key)
{
	struct bytes parts, algorithm, bits;

	if (der_expect(&spki, DER_SEQUENCE, &parts) || der_expect(&parts, DER_SEQUENCE, &algorithm) ||
	    der_expect(&parts, DER_BIT_STRING, &bits) || bits.len < 2)
		return -EINVAL;
	*key = bytes_of(bits.ptr + 1, bits.len - 1);
	return 0;
}

int key_identifier(struct bytes spki, uint8_t out[static KEY_IDENTIFIER_SIZE])
{
	uint8_t hash[SHA256_SIZE];
	struct bytes key;

	if (public_key_of(spki, &key) || digest_sha256(key, hash))
		return -EINVAL;
	memcpy(out, hash, KEY_IDENTIFIER_SIZE);
	return 0;
}

static int append_name(struct buf *out, const X509_NAME *name)
{
	uint8_t *der = NULL;
	int n = i2d_X509_NAME(name, &der);
	int e = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -ENOMEM;

	OPENSSL_free(der);
	return e;
}

static int append_spki(struct buf *out, const X509_PUBKEY *key)
{
	uint8_t *der = NULL;
	int n = i2d_X509_PUBKEY(key, &der);
	int e = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -ENOMEM;

	OPENSSL_free(der);
	return e;
}

/* NULL: there is no such key, or algorithm, or no memory. */
static EVP_MD_CTX *begin_check(struct bytes algorithm, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = key ? EVP_MD_CTX_new() : NULL;

	for (size_t s = 0; ctx && s < N_SIGNATURES; s++)
		if (signatures[s].algorithm == algorithm.ptr &&
		    EVP_DigestVerifyInit(ctx, NULL, signatures[s].md(), NULL, key) == 1)
			return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

static int read_certificate(struct issuer *i, X509 *cert)
{
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(cert);
	OWNED_BUF spki = BUF_INIT(8192);
	struct bytes key;
	int e = append_name(&i->name, X509_get_subject_name(cert));

	if (!e)
		e = append_spki(&spki, X509_get_X509_PUBKEY(cert));
	if (e)
		return e;
	i->algorithm = signature_algorithm_of(buf_bytes(&spki));
	i->begun = begin_check(i->algorithm, X509_get0_pubkey(cert));
	if (!i->begun || !ski || public_key_of(buf_bytes(&spki), &key))
		return -EINVAL;
	e = buf_append(&i->public_key, key);
	if (e)
		return e;
	return buf_append(&i->key_identifier, bytes_of(ASN1_STRING_get0_data(ski), (size_t)ASN1_STRING_length(ski)));
}

int issuer_new(struct issuer **out, struct bytes certificate)
{
	const uint8_t *p = certificate.ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)certificate.len);
	OWNED(issuer) i = calloc(1, sizeof(*i));
	int e = i ? -EINVAL : -ENOMEM;

	if (i) {
		i->name = BUF_INIT(8192);
		i->key_identifier = BUF_INIT(256);
		i->public_key = BUF_INIT(8192);
	}
	if (i && cert && p == certificate.ptr + certificate.len)
		e = read_certificate(i, cert);
	X509_free(cert);
	ERR_clear_error();
	if (!e)
		*out = MOVE(i);
	return e;
}

void issuer_drop(struct issuer **ip)
{
	if (!*ip)
		return;
	buf_fini(&(*ip)->name);
	buf_fini(&(*ip)->key_identifier);
	buf_fini(&(*ip)->public_key);
	EVP_MD_CTX_free((*ip)->begun);
	free(*ip);
	*ip = NULL;
}

struct bytes issuer_get_name(const struct issuer *i)
{
	return buf_bytes(&i->name);
}

struct bytes issuer_get_key_identifier(const struct issuer *i)
{
	return buf_bytes(&i->key_identifier);
}

struct bytes issuer_get_public_key(const struct issuer *i)
{
	return buf_bytes(&i->public_key);
}

const char *issuer_get_key_type(const struct issuer *i)
{
	size_t s = 0;

	while (signatures[s].algorithm != i->algorithm.ptr)
		s++;
	return signatures[s].type;
}

struct bytes issuer_get_algorithm(const struct issuer *i)
{
	return i->algorithm;
}

struct issuer_check {
	EVP_MD_CTX *ctx;
};

int issuer_check_new(struct issuer_check **out, const struct issuer *issuer)
{
	struct issuer_check *c = calloc(1, sizeof(*c));
	int e = c && (c->ctx = EVP_MD_CTX_new()) ? 0 : -ENOMEM;

	if (!e && EVP_MD_CTX_copy_ex(c->ctx, issuer->begun) != 1)
		e = -EIO;
	ERR_clear_error();
	if (e)
		issuer_check_drop(&c);
	else
		*out = c;
	return e;
}

int issuer_check_add(struct issuer_check *c, struct bytes piece)
{
	return EVP_DigestVerifyUpdate(c->ctx, piece.ptr, piece.len) == 1 ? 0 : -EIO;
}

bool issuer_check_ends(struct issuer_check *c, struct bytes signature)
{
	bool ok = EVP_DigestVerifyFinal(c->ctx, signature.ptr, signature.len) == 1;

	ERR_clear_error();
	return ok;
}

void issuer_check_drop(struct issuer_check **cp)
{
	if (*cp)
		EVP_MD_CTX_free((*cp)->ctx);
	free(*cp);
	*cp = NULL;
}

bool issuer_verifies(const struct issuer *i, struct bytes tbs, struct bytes signature)
{
	struct issuer_check *c = NULL;
	bool ok = issuer_check_new(&c, i) == 0 && issuer_check_add(c, tbs) == 0 && issuer_check_ends(c, signature);

	issuer_check_drop(&c);
	return ok;
}
