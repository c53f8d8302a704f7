/* What an ACME client does with keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/keys.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/sha.h>

#define SIGNATURE_MAX 80
#define PART_SIZE 4096
#define NAME_MAX_OCTETS 80

size_t keys_base64url(char *out, const void *data, size_t n)
{
	size_t len = (size_t)EVP_EncodeBlock((unsigned char *)out, data, (int)n);

	while (len > 0 && out[len - 1] == '=')
		len--;
	out[len] = '\0';
	for (size_t i = 0; i < len; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	return len;
}

EVP_PKEY *keys_make(uint8_t point[static KEYS_POINT_SIZE])
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	size_t n = 0;

	if (key && EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, KEYS_POINT_SIZE, &n) == 1 &&
	    n == KEYS_POINT_SIZE)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

void keys_print_jwk(const uint8_t point[static KEYS_POINT_SIZE], char jwk[static KEYS_JWK_SIZE],
		    char thumbprint[static KEYS_THUMBPRINT_SIZE])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char x[48], y[48], text[48] = "";

	keys_base64url(x, point + 1, 32);
	keys_base64url(y, point + 33, 32);
	snprintf(jwk, KEYS_JWK_SIZE, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
	SHA256((const uint8_t *)jwk, strlen(jwk), digest);
	keys_base64url(text, digest, sizeof(digest));
	memcpy(thumbprint, text, KEYS_THUMBPRINT_SIZE);
}

/* ECDSA-Sig-Value; 0 on failure. */
static size_t sign(EVP_PKEY *key, const void *data, size_t n, uint8_t out[static SIGNATURE_MAX])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = SIGNATURE_MAX;

	if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, out, &len, data, n) != 1)
		len = 0;
	EVP_MD_CTX_free(ctx);
	return len;
}

/* RFC 7518 3.4: r and s, 32 octets each. */
static int sign_raw(EVP_PKEY *key, const char *text, size_t n, uint8_t out[static 64])
{
	uint8_t der[SIGNATURE_MAX];
	const uint8_t *p = der;
	size_t len = sign(key, text, n, der);
	ECDSA_SIG *sig = len ? d2i_ECDSA_SIG(NULL, &p, (long)len) : NULL;
	int good = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
		   BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32;

	ECDSA_SIG_free(sig);
	return good ? 0 : -1;
}

size_t keys_print_jws(char *out, size_t size, EVP_PKEY *key, const char *header, const char *payload)
{
	size_t n_header = strlen(header), n_payload = strlen(payload), n;
	char input[2 * PART_SIZE], text[96];
	uint8_t raw[64];
	int len;

	if (n_header > PART_SIZE / 4 * 3 - 8 || n_payload > PART_SIZE / 4 * 3 - 8)
		return 0;
	n_header = keys_base64url(input, header, n_header);
	input[n_header] = '.';
	n_payload = keys_base64url(input + n_header + 1, payload, n_payload);
	n = n_header + 1 + n_payload;
	if (sign_raw(key, input, n, raw))
		return 0;
	keys_base64url(text, raw, sizeof(raw));
	len = snprintf(out, size, "{\"protected\":\"%.*s\",\"payload\":\"%s\",\"signature\":\"%s\"}", (int)n_header,
		       input, input + n_header + 1, text);
	return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

/* ---- DER, written from its end so that every length is known ---- */

struct der {
	uint8_t octets[KEYS_CSR_SIZE];
	size_t at; /* where the content begins */
};

static void prepend(struct der *d, const void *data, size_t n)
{
	d->at -= n;
	memcpy(d->octets + d->at, data, n);
}

static void prepend_octet(struct der *d, uint8_t octet)
{
	prepend(d, &octet, 1);
}

/* Tag and length in front of everything up to `end`, which is less than 65536 octets away. */
static void wrap(struct der *d, uint8_t tag, size_t end)
{
	size_t n = end - d->at;

	prepend_octet(d, (uint8_t)n);
	if (n > 255) {
		prepend_octet(d, (uint8_t)(n >> 8));
		prepend_octet(d, 0x82);
	} else if (n > 127) {
		prepend_octet(d, 0x81);
	}
	prepend_octet(d, tag);
}

/* [0] { extensionRequest { subjectAltName { name } } } */
static void prepend_attributes(struct der *d, const char *name)
{
	static const uint8_t extension_request[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e };
	static const uint8_t subject_alt_name[] = { 0x06, 0x03, 0x55, 0x1d, 0x11 };
	size_t end = d->at;

	prepend(d, name, strlen(name));
	wrap(d, 0x82, end); /* dNSName */
	wrap(d, 0x30, end);
	wrap(d, 0x04, end);
	prepend(d, subject_alt_name, sizeof(subject_alt_name));
	wrap(d, 0x30, end); /* Extension */
	wrap(d, 0x30, end);
	wrap(d, 0x31, end);
	prepend(d, extension_request, sizeof(extension_request));
	wrap(d, 0x30, end); /* Attribute */
	wrap(d, 0xa0, end);
}

static void prepend_info(struct der *d, const uint8_t *point, const char *name)
{
	static const uint8_t public_key[] = {
		0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, /* ecPublicKey */
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, /* P-256 */
	};
	static const uint8_t version_and_subject[] = { 0x02, 0x01, 0x00, 0x30, 0x00 };
	size_t end = d->at;

	prepend_attributes(d, name);
	prepend(d, point, KEYS_POINT_SIZE);
	prepend(d, public_key, sizeof(public_key));
	prepend(d, version_and_subject, sizeof(version_and_subject));
	wrap(d, 0x30, end);
}

size_t keys_make_csr(uint8_t out[static KEYS_CSR_SIZE], EVP_PKEY *key, const uint8_t point[static KEYS_POINT_SIZE],
		     const char *name)
{
	static const uint8_t ecdsa_with_sha256[] = {
		0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
	};
	struct der info = { .at = KEYS_CSR_SIZE }, csr = { .at = KEYS_CSR_SIZE };
	uint8_t signature[SIGNATURE_MAX];
	size_t n;

	if (strlen(name) > NAME_MAX_OCTETS)
		return 0;
	prepend_info(&info, point, name);
	n = sign(key, info.octets + info.at, KEYS_CSR_SIZE - info.at, signature);
	if (!n)
		return 0;
	prepend(&csr, signature, n);
	prepend_octet(&csr, 0); /* unused bits */
	wrap(&csr, 0x03, KEYS_CSR_SIZE);
	prepend(&csr, ecdsa_with_sha256, sizeof(ecdsa_with_sha256));
	prepend(&csr, info.octets + info.at, KEYS_CSR_SIZE - info.at);
	wrap(&csr, 0x30, KEYS_CSR_SIZE);
	n = KEYS_CSR_SIZE - csr.at;
	memcpy(out, csr.octets + csr.at, n);
	return n;
}
