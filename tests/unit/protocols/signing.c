/* Keys, messages, requests and certificates, made by OpenSSL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/protocols/signing.h"

#include <stdarg.h>

#include "core/base/base64.h"
#include "tests/test.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

char *signing_text(const char *format, ...)
{
	struct buf b = BUF_INIT(1 << 20);
	va_list args;

	va_start(args, format);
	assert_int_equal(buf_vprintf(&b, format, args), 0);
	va_end(args);
	return buf_take_str(&b);
}

char *signing_base64url(struct bytes data)
{
	OWNED_BUF b = BUF_INIT(1 << 20);

	assert_int_equal(base64url_encode(&b, data), 0);
	return strdup(buf_str(&b));
}

/* An integer parameter of a key as base64url of `size` octets; 0: as short as it is. */
static char *number_of(const EVP_PKEY *key, const char *param, int size)
{
	BIGNUM *bn = NULL;
	uint8_t octets[1024];
	int n;
	char *text;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &bn), 1);
	n = size ? size : BN_num_bytes(bn);
	assert_int_equal(BN_bn2binpad(bn, octets, n), n);
	text = signing_base64url(bytes_of(octets, (size_t)n));
	BN_free(bn);
	return text;
}

static char *jwk_of(const struct signing_key *k)
{
	uint8_t raw[32];
	size_t len = sizeof(raw);
	char *a, *b = NULL, *text;

	if (strcmp(k->alg, "RS256") == 0) {
		a = number_of(k->key, OSSL_PKEY_PARAM_RSA_N, 0);
		b = number_of(k->key, OSSL_PKEY_PARAM_RSA_E, 0);
		text = signing_text("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", a, b);
	} else if (strcmp(k->alg, "EdDSA") == 0) {
		assert_int_equal(EVP_PKEY_get_raw_public_key(k->key, raw, &len), 1);
		a = signing_base64url(bytes_of(raw, len));
		text = signing_text("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", a);
	} else {
		int size = strcmp(k->alg, "ES384") == 0 ? 48 : 32;

		a = number_of(k->key, OSSL_PKEY_PARAM_EC_PUB_X, size);
		b = number_of(k->key, OSSL_PKEY_PARAM_EC_PUB_Y, size);
		text = signing_text("{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}",
				    size == 48 ? "P-384" : "P-256", a, b);
	}
	free(a);
	free(b);
	return text;
}

struct signing_key signing_key_make(const char *alg, unsigned bits)
{
	struct signing_key k = { .alg = alg };

	if (strcmp(alg, "RS256") == 0)
		k.key = EVP_RSA_gen(bits);
	else if (strcmp(alg, "EdDSA") == 0)
		k.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		k.key = EVP_EC_gen(strcmp(alg, "ES384") == 0 ? "P-384" : "P-256");
	assert_non_null(k.key);
	k.jwk = jwk_of(&k);
	return k;
}

void signing_key_fini(struct signing_key *k)
{
	EVP_PKEY_free(k->key);
	free(k->jwk);
	*k = (struct signing_key){ 0 };
}

/* DER of ECDSA as r ‖ s. */
static size_t raw_ecdsa(const uint8_t *der, size_t len, int half, uint8_t *out)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);

	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, half), half);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, half), half);
	ECDSA_SIG_free(sig);
	return 2 * (size_t)half;
}

char *signing_signature(const struct signing_key *k, const char *input)
{
	const char *digest = strcmp(k->alg, "EdDSA") == 0 ? NULL : strcmp(k->alg, "ES384") == 0 ? "SHA384" : "SHA256";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[1024], raw[128];
	size_t len = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, k->key, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)input, strlen(input)), 1);
	EVP_MD_CTX_free(ctx);
	if (strncmp(k->alg, "ES", 2) != 0)
		return signing_base64url(bytes_of(sig, len));
	len = raw_ecdsa(sig, len, strcmp(k->alg, "ES384") == 0 ? 48 : 32, raw);
	return signing_base64url(bytes_of(raw, len));
}

/* base64url over text as JWS writes it, by a function that is told `arg`. */
static char *make_message(const char *header, const char *payload, char *(*sign)(const void *arg, const char *input),
			  const void *arg)
{
	char *h = signing_base64url(bytes_of_str(header)), *p = signing_base64url(bytes_of_str(payload));
	char *input = signing_text("%s.%s", h, p);
	char *s = sign(arg, input);
	char *message = signing_text("{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", h, p, s);

	free(h);
	free(p);
	free(input);
	free(s);
	return message;
}

static char *sign_with_key(const void *key, const char *input)
{
	return signing_signature(key, input);
}

char *signing_message(const struct signing_key *k, const char *header, const char *payload)
{
	return make_message(header, payload, sign_with_key, k);
}

struct mac_key {
	const char *digest;
	struct bytes key;
};

static char *sign_with_mac(const void *arg, const char *input)
{
	const struct mac_key *k = arg;
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t n = 0;

	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, k->digest, NULL, k->key.ptr, k->key.len, (const uint8_t *)input,
				  strlen(input), mac, sizeof(mac), &n));
	return signing_base64url(bytes_of(mac, n));
}

char *signing_mac_message(const char *alg, struct bytes key, const char *header, const char *payload)
{
	char digest[] = "SHA000";
	struct mac_key k = { digest, key };

	memcpy(digest + 3, alg + 2, 3);
	return make_message(header, payload, sign_with_mac, &k);
}

char *signing_csr(EVP_PKEY *key, const char *san)
{
	X509_REQ *req = X509_REQ_new();
	STACK_OF(X509_EXTENSION) *exts = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
	uint8_t *der = NULL;
	char *text;
	int len;

	assert_non_null(ext);
	sk_X509_EXTENSION_push(exts, ext);
	assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
	assert_int_equal(X509_REQ_add_extensions(req, exts), 1);
	assert_true(X509_REQ_sign(req, key, digest) > 0);
	len = i2d_X509_REQ(req, &der);
	assert_true(len > 0);
	text = signing_base64url(bytes_of(der, (size_t)len));
	OPENSSL_free(der);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	X509_REQ_free(req);
	return text;
}

static void add_san(X509 *cert, const char *san)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);

	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

struct bytes signing_certificate(EVP_PKEY *key, const char *common_name, const char *san)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
	uint8_t *der = NULL, *copy;
	int len;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)common_name, -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	if (san)
		add_san(cert, san);
	assert_true(X509_sign(cert, key, digest) > 0);
	len = i2d_X509(cert, &der);
	assert_true(len > 0);
	copy = malloc((size_t)len);
	assert_non_null(copy);
	memcpy(copy, der, (size_t)len);
	OPENSSL_free(der);
	X509_free(cert);
	return bytes_of(copy, (size_t)len);
}
