/* Public keys: which ones we take.
 *
 * The SubjectPublicKeyInfo is read by our own strict reader and imported part by part: that costs a tenth of what
 * libcrypto's decoders cost, and nothing but the one usual spelling of a key gets through.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/key.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "core/base/der.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

static const char unreadable[] = "the public key cannot be read";

/* A positive INTEGER without a needless zero in front. */
static BIGNUM *read_positive(struct bytes *in)
{
	struct bytes content;

	if (der_expect(in, DER_INTEGER, &content) || content.len == 0 || (content.ptr[0] & 0x80) ||
	    (content.len > 1 && content.ptr[0] == 0 && !(content.ptr[1] & 0x80)))
		return NULL;
	return BN_bin2bn(content.ptr, (int)content.len, NULL);
}

static EVP_PKEY *import(const char *algorithm, int selection, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
	EVP_PKEY *key = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return key;
}

/* Odd exponent from 65537 to 2^256 (FIPS 186-5 A.1.1); an odd modulus without a small factor. */
static const char *check_rsa(const BIGNUM *n, const BIGNUM *e)
{
	if (BN_num_bits(n) < RSA_BITS_MIN || BN_num_bits(n) > RSA_BITS_MAX)
		return "an RSA key must have 2048 to 8192 bits";
	if (!BN_is_odd(e) || BN_num_bits(e) < 17 || BN_num_bits(e) > 256)
		return "the RSA key's exponent must be odd and at least 65537";
	if (!BN_is_odd(n))
		return "the RSA key's modulus is even";
	for (BN_ULONG p = 3; p <= 751; p += 2)
		if (BN_mod_word(n, p) == 0)
			return "the RSA key's modulus has a small factor";
	return NULL;
}

static EVP_PKEY *import_rsa(const BIGNUM *n, const BIGNUM *e)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
		params = OSSL_PARAM_BLD_to_param(build);
	if (params)
		key = import("RSA", EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	return key;
}

static EVP_PKEY *read_rsa(struct bytes parameters, struct bytes bits, const char **type, const char **why)
{
	static const uint8_t null[] = { 0x05, 0x00 };
	BIGNUM *n = NULL, *e = NULL;
	struct bytes numbers;
	EVP_PKEY *key = NULL;

	*type = KEY_TYPE_RSA;
	if (!bytes_equal(parameters, bytes_of(null, sizeof(null))) || der_expect(&bits, DER_SEQUENCE, &numbers) ||
	    bits.len || !(n = read_positive(&numbers)) || !(e = read_positive(&numbers)) || numbers.len)
		*why = unreadable;
	else
		*why = check_rsa(n, e);
	if (!*why)
		key = import_rsa(n, e);
	BN_free(n);
	BN_free(e);
	return key;
}

static const struct curve {
	struct bytes oid; /* of the named curve, as a whole element */
	const char *group, *type;
	size_t point;     /* octets of an uncompressed point */
} curves[] = {
	{ { (const uint8_t *)"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10 }, "P-256", KEY_TYPE_P256, 65 },
	{ { (const uint8_t *)"\x06\x05\x2b\x81\x04\x00\x22", 7 }, "P-384", KEY_TYPE_P384, 97 },
};

/* Keys without a point, one for each curve: to make a curve anew takes four times as long as to copy it. */
static EVP_PKEY *templates[sizeof(curves) / sizeof(*curves)];
static pthread_once_t templates_once = PTHREAD_ONCE_INIT;

static void make_templates(void)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++) {
		OSSL_PARAM params[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curves[i].group, 0),
			OSSL_PARAM_construct_end(),
		};

		templates[i] = import("EC", EVP_PKEY_KEY_PARAMETERS, params);
	}
}

static EVP_PKEY *import_point(EVP_PKEY *template, struct bytes point)
{
	EVP_PKEY *key = EVP_PKEY_dup(template);

	if (key && EVP_PKEY_set1_encoded_public_key(key, point.ptr, point.len) == 1)
		return key;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return NULL;
}

/* The import refuses a point that is not on the curve; both curves have cofactor 1, so no more is to be checked. */
static EVP_PKEY *read_ec(struct bytes parameters, struct bytes bits, const char **type, const char **why)
{
	EVP_PKEY *key = NULL;

	pthread_once(&templates_once, make_templates);
	*why = "the EC key is on another curve than P-256 or P-384, or does not name it";
	for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++) {
		if (!bytes_equal(parameters, curves[i].oid))
			continue;
		*type = curves[i].type;
		*why = templates[i] ? "the EC key is not an uncompressed point of its curve" : NULL;
		if (templates[i] && bits.len == curves[i].point && bits.ptr[0] == 0x04)
			key = import_point(templates[i], bits);
	}
	if (key)
		*why = NULL;
	return key;
}

static EVP_PKEY *read_ed25519(struct bytes parameters, struct bytes bits, const char **type, const char **why)
{
	EVP_PKEY *key = NULL;

	*type = KEY_TYPE_ED25519;
	if (parameters.len == 0 && bits.len == 32)
		key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, bits.ptr, bits.len);
	*why = key ? NULL : unreadable;
	return key;
}

static const struct {
	const char *oid;
	EVP_PKEY *(*read)(struct bytes parameters, struct bytes bits, const char **type, const char **why);
} algorithms[] = {
	{ "1.2.840.113549.1.1.1", read_rsa },
	{ "1.2.840.10045.2.1", read_ec },
	{ "1.3.101.112", read_ed25519 },
};

int key_from_spki(struct bytes spki, EVP_PKEY **key, const char **type, unsigned *bits, const char **why)
{
	struct bytes parts, algorithm, oid, octets;
	char name[64];

	*key = NULL;
	*type = NULL;
	*why = unreadable;
	if (der_expect(&spki, DER_SEQUENCE, &parts) || spki.len || der_expect(&parts, DER_SEQUENCE, &algorithm) ||
	    der_expect(&parts, DER_BIT_STRING, &octets) || parts.len || octets.len < 2 || octets.ptr[0] != 0 ||
	    der_expect(&algorithm, DER_OID, &oid) || der_oid_print(oid, name, sizeof(name)))
		return 1;
	octets = bytes_of(octets.ptr + 1, octets.len - 1);
	*why = "the public key is of a type that is not accepted; use RSA, P-256, P-384 or Ed25519";
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++)
		if (strcmp(algorithms[i].oid, name) == 0)
			*key = algorithms[i].read(algorithm, octets, type, why);
	if (!*key)
		return *why ? 1 : -ENOMEM;
	*bits = (unsigned)EVP_PKEY_get_bits(*key);
	return 0;
}
