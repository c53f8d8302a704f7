/* Public keys: which ones we take.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/key.h"

#include <errno.h>
#include <stdbool.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/x509.h>

/* Odd exponent from 65537 to 2^256 (FIPS 186-5 A.1.1); an odd modulus without a small factor. */
static const char *check_rsa(EVP_PKEY *key)
{
	BIGNUM *n = NULL, *e = NULL;
	const char *why = NULL;

	if (!EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) ||
	    !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e))
		why = "the RSA key cannot be read";
	else if (EVP_PKEY_get_bits(key) < 2048 || EVP_PKEY_get_bits(key) > 8192)
		why = "an RSA key must have 2048 to 8192 bits";
	else if (!BN_is_odd(e) || BN_num_bits(e) < 17 || BN_num_bits(e) > 256)
		why = "the RSA key's exponent must be odd and at least 65537";
	else if (!BN_is_odd(n))
		why = "the RSA key's modulus is even";
	for (BN_ULONG p = 3; !why && p <= 751; p += 2)
		if (BN_mod_word(n, p) == 0)
			why = "the RSA key's modulus has a small factor";
	BN_free(n);
	BN_free(e);
	return why;
}

static const struct {
	const char *group;
	const char *type;
} curves[] = { { "prime256v1", KEY_TYPE_P256 }, { "secp384r1", KEY_TYPE_P384 } };

static const char *check_ec(EVP_PKEY *key, const char **type)
{
	char group[64] = "", encoding[32] = "";
	EVP_PKEY_CTX *ctx;
	bool on_curve;

	if (!EVP_PKEY_get_group_name(key, group, sizeof(group), NULL))
		return "the EC key names no curve";
	if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof(encoding), NULL) &&
	    strcmp(encoding, OSSL_PKEY_EC_ENCODING_GROUP) != 0)
		return "the EC key writes its curve out instead of naming it";
	for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++)
		if (strcmp(group, curves[i].group) == 0)
			*type = curves[i].type;
	if (!*type)
		return "the EC key is on another curve than P-256 or P-384";
	ctx = EVP_PKEY_CTX_new(key, NULL);
	on_curve = ctx && EVP_PKEY_public_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	return on_curve ? NULL : "the EC key is not a point of its curve";
}

int key_from_spki(struct bytes spki, EVP_PKEY **key, const char **type, unsigned *bits, const char **why)
{
	const uint8_t *p = spki.ptr;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)spki.len);

	*key = NULL;
	*type = *why = NULL;
	if (!pkey || p != spki.ptr + spki.len) {
		*why = "the public key cannot be read";
	} else if (EVP_PKEY_is_a(pkey, "RSA")) {
		*type = KEY_TYPE_RSA;
		*why = check_rsa(pkey);
	} else if (EVP_PKEY_is_a(pkey, "EC")) {
		*why = check_ec(pkey, type);
	} else if (EVP_PKEY_is_a(pkey, "ED25519")) {
		*type = KEY_TYPE_ED25519;
	} else {
		*why = "the public key is of a type that is not accepted; use RSA, P-256, P-384 or Ed25519";
	}
	if (*why) {
		EVP_PKEY_free(pkey);
		return 1;
	}
	*bits = (unsigned)EVP_PKEY_get_bits(pkey);
	*key = pkey;
	return 0;
}
