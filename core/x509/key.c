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
#include <openssl/params.h>

#include "core/base/der.h"
#include "core/base/rsa_key.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

static const char unreadable[] = "the public key cannot be read";

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

/* Products of the odd primes up to 751, as many in each as keep below 2^24: one remainder of the modulus by a product
 * tells as much as one by each of its primes. */
#define LAST_PRIME 751
#define PRODUCT_MAX (1u << 24)
#define PRODUCTS_MAX 64
#define LIMB_OCTETS 4
#define LIMBS_MAX (RSA_BITS_MAX / 8 / LIMB_OCTETS)

static struct product {
	uint32_t value;
	uint32_t powers[LIMBS_MAX]; /* of 2^32, by the product */
} products[PRODUCTS_MAX];
static size_t n_products;
static pthread_once_t products_once = PTHREAD_ONCE_INIT;

static void end_product(uint32_t value)
{
	struct product *p = &products[n_products++];
	uint64_t power = 1;

	p->value = value;
	for (size_t i = 0; i < LIMBS_MAX; i++) {
		p->powers[i] = (uint32_t)power;
		power = (power << 32) % value;
	}
}

static bool is_prime(uint32_t n)
{
	for (uint32_t d = 3; d * d <= n; d += 2)
		if (n % d == 0)
			return false;
	return true;
}

static void make_products(void)
{
	uint32_t value = 1;

	for (uint32_t p = 3; p <= LAST_PRIME; p += 2) {
		if (!is_prime(p))
			continue;
		if ((uint64_t)value * p >= PRODUCT_MAX) {
			end_product(value);
			value = 1;
		}
		value *= p;
	}
	end_product(value);
}

/* Of two odd numbers. */
static bool have_common_factor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a != 1;
}

/* An odd number of at most RSA_BITS_MAX. No sum overflows: 256 limbs times a power below 2^24 is below 2^64. */
static bool has_small_factor(const BIGNUM *n)
{
	size_t n_limbs = ((size_t)BN_num_bytes(n) + LIMB_OCTETS - 1) / LIMB_OCTETS;
	uint8_t octets[RSA_BITS_MAX / 8];
	uint32_t limbs[LIMBS_MAX];

	pthread_once(&products_once, make_products);
	BN_bn2lebinpad(n, octets, sizeof(octets));
	for (size_t i = 0; i < n_limbs; i++)
		limbs[i] = (uint32_t)octets[4 * i] | (uint32_t)octets[4 * i + 1] << 8 |
			   (uint32_t)octets[4 * i + 2] << 16 | (uint32_t)octets[4 * i + 3] << 24;
	for (const struct product *p = products; p < products + n_products; p++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < n_limbs; i++)
			sum += (uint64_t)limbs[i] * p->powers[i];
		if (have_common_factor(p->value, (uint32_t)(sum % p->value)))
			return true;
	}
	return false;
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
	return has_small_factor(n) ? "the RSA key's modulus has a small factor" : NULL;
}

static EVP_PKEY *read_rsa(struct bytes parameters, struct bytes bits, const char **type, const char **why)
{
	static const uint8_t null[] = { 0x05, 0x00 };
	BIGNUM *n = NULL, *e = NULL;
	EVP_PKEY *key = NULL;

	*type = KEY_TYPE_RSA;
	if (!bytes_equal(parameters, bytes_of(null, sizeof(null))) || rsa_key_read(bits, &n, &e))
		*why = unreadable;
	else
		*why = check_rsa(n, e);
	if (!*why)
		key = rsa_key_import(n, e);
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
