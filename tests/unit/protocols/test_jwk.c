/* Public keys as JSON: the example of RFC 7638, what is taken, what is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/jwk.h"

#include <openssl/x509.h>

#include "tests/test.h"
#include "tests/unit/protocols/signing.h"

#define RFC7638_N \
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4" \
	"n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0" \
	"zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-c" \
	"sFCur-kEgU8awapJzKnqDKgw"

/* RFC 8037 A.2 */
#define RFC8037_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

static int read_key(const char *text, const char **why)
{
	struct jwk *key = NULL;
	int e = jwk_read(&key, bytes_of_str(text), why);

	assert_int_equal(key != NULL, e == 0);
	if (e > 0)
		assert_non_null(*why);
	jwk_drop(&key);
	return e;
}

static void expect(const char *text, int outcome)
{
	const char *why = NULL;
	int e = read_key(text, &why);

	if (e != outcome)
		fail_msg("%d instead of %d (%s): %s", e, outcome, why ? why : "", text);
}

/* RFC 7638 3.1: members that are not needed (alg, kid) do not count. */
static void prints_the_thumbprint_of_the_rfc(void **state)
{
	const char *why = NULL;
	struct jwk *key = NULL;

	assert_int_equal(jwk_read(&key, bytes_of_str("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\","
						     "\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}"), &why), 0);
	assert_string_equal(key->thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	assert_string_equal(key->text, "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\"}");
	assert_int_equal(key->type, JWK_RSA);
	jwk_drop(&key);
}

/* RFC 8037 A.3. */
static void prints_the_thumbprint_of_an_edwards_key(void **state)
{
	const char *why = NULL;
	struct jwk *key = NULL;

	assert_int_equal(jwk_read(&key, bytes_of_str("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" RFC8037_X "\"}"),
				  &why), 0);
	assert_string_equal(key->thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
	jwk_drop(&key);
}

static void reads_back_what_it_wrote(void **state)
{
	static const char *const algs[] = { "ES256", "ES384", "RS256", "EdDSA" };

	for (size_t i = 0; i < 4; i++) {
		struct signing_key k = signing_key_make(algs[i], 2048);
		struct jwk *first = NULL, *second = NULL;
		const char *why = NULL;

		assert_int_equal(jwk_read(&first, bytes_of_str(k.jwk), &why), 0);
		assert_int_equal(jwk_read(&second, bytes_of_str(first->text), &why), 0);
		assert_string_equal(first->thumbprint, second->thumbprint);
		assert_string_equal(first->text, second->text);
		jwk_drop(&first);
		jwk_drop(&second);
		signing_key_fini(&k);
	}
}

/* What is compared with the key of a request must be spelled as everybody spells it. */
static void writes_a_key_as_libcrypto_does(void **state)
{
	static const struct {
		const char *alg;
		unsigned bits;
	} kinds[] = {
		{ "ES256", 0 }, { "ES384", 0 }, { "EdDSA", 0 }, { "RS256", 2048 }, { "RS256", 2056 }, { "RS256", 3072 },
		{ "RS256", 4096 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct signing_key k = signing_key_make(kinds[i].alg, kinds[i].bits);
		struct jwk *key = NULL;
		const char *why = NULL;
		uint8_t *der = NULL;
		int len = i2d_PUBKEY(k.key, &der);

		assert_int_equal(jwk_read(&key, bytes_of_str(k.jwk), &why), 0);
		assert_int_equal(key->spki.len, len);
		assert_memory_equal(key->spki.ptr, der, (size_t)len);
		OPENSSL_free(der);
		jwk_drop(&key);
		signing_key_fini(&k);
	}
}

/* No random key has them: an exponent whose first bit is set, and a modulus whose first bit is not. */
static void writes_integers_as_libcrypto_does(void **state)
{
	uint8_t octets[258];
	char *modulus, *text;
	struct jwk *key = NULL;
	const char *why = NULL;
	uint8_t *der = NULL;
	int len;

	memset(octets, 0x7f, sizeof(octets));
	modulus = signing_base64url(bytes_of(octets, sizeof(octets)));
	text = signing_text("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"__________8\"}", modulus);
	assert_int_equal(jwk_read(&key, bytes_of_str(text), &why), 0);
	len = i2d_PUBKEY(key->key, &der);
	assert_int_equal(key->spki.len, len);
	assert_memory_equal(key->spki.ptr, der, (size_t)len);
	OPENSSL_free(der);
	jwk_drop(&key);
	free(modulus);
	free(text);
}

static void refuses_keys_with_missing_or_foreign_members(void **state)
{
	expect("{}", JWK_MALFORMED);
	expect("[]", JWK_MALFORMED);
	expect("\"x\"", JWK_MALFORMED);
	expect("{\"kty\":1}", JWK_MALFORMED);
	expect("{\"kty\":\"RSA\"}", JWK_MALFORMED);
	expect("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\"}", JWK_MALFORMED);
	expect("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":3}", JWK_MALFORMED);
	expect("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC8037_X "\"}", JWK_MALFORMED);
	expect("{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", JWK_MALFORMED);
	expect("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" RFC8037_X "\",\"d\":\"AA\"}", JWK_MALFORMED);
	expect("{\"kty\":\"RSA\",\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\"}", JWK_MALFORMED);
}

static void refuses_types_and_curves_it_does_not_know(void **state)
{
	expect("{\"kty\":\"oct\",\"k\":\"AAAA\"}", JWK_MALFORMED);
	expect("{\"kty\":\"oct\"}", JWK_UNSUPPORTED);
	expect("{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}", JWK_UNSUPPORTED);
	expect("{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}", JWK_UNSUPPORTED);
	expect("{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"AA\"}", JWK_UNSUPPORTED);
	expect("{\"kty\":\"OKP\",\"crv\":\"P-256\",\"x\":\"" RFC8037_X "\",\"y\":\"AA\"}", JWK_UNSUPPORTED);
	expect("{\"kty\":\"rsa\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\"}", JWK_UNSUPPORTED);
}

/* n with the given RSA exponent. */
static void expect_exponent(const char *e, int outcome)
{
	char *text = signing_text("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"%s\"}", e);

	expect(text, outcome);
	free(text);
}

static void limits_rsa_exponents(void **state)
{
	expect_exponent("Aw", 0);
	expect_exponent("AQAB", 0);
	expect_exponent("__________8", 0);                  /* 64 bits */
	expect_exponent("AQ", JWK_UNSUPPORTED);             /* 1 */
	expect_exponent("AA", JWK_MALFORMED);               /* 0 */
	expect_exponent("AAEAAQ", JWK_MALFORMED);           /* leading zero */
	expect_exponent("AQAA", JWK_UNSUPPORTED);           /* even */
	expect_exponent("AQAAAAAAAAAB", JWK_UNSUPPORTED);   /* 65 bits */
	expect_exponent("AQAB=", JWK_MALFORMED);
	expect_exponent("AQ AB", JWK_MALFORMED);
	expect_exponent("", JWK_MALFORMED);
}

static void limits_rsa_sizes(void **state)
{
	static const struct {
		unsigned bits;
		int outcome;
	} cases[] = { { 1024, JWK_UNSUPPORTED }, { 2040, JWK_UNSUPPORTED }, { 2048, 0 }, { 3072, 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct signing_key k = signing_key_make("RS256", cases[i].bits);

		expect(k.jwk, cases[i].outcome);
		signing_key_fini(&k);
	}
	/* 8192 bits, odd: only its size is wrong. */
	{
		uint8_t octets[1024];
		char *n, *text;

		memset(octets, 0xff, sizeof(octets));
		n = signing_base64url(bytes_of(octets, sizeof(octets)));
		text = signing_text("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\"}", n);
		expect(text, JWK_UNSUPPORTED);
		free(n);
		free(text);
	}
}

static void refuses_points_that_are_not_on_the_curve(void **state)
{
	/* (1, 1) and the coordinates of a point with one of them too short or too long. */
	expect("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
	       "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}", JWK_UNSUPPORTED);
	expect("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	       "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", JWK_UNSUPPORTED);
	expect("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"}", JWK_MALFORMED);
	expect("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", JWK_MALFORMED);
}

/* A coordinate with a zero octet in front keeps it (RFC 7518 6.2.1.2), so a P-384 length under P-256 is refused. */
static void refuses_coordinates_of_another_curve(void **state)
{
	struct signing_key k = signing_key_make("ES384", 0);
	char *at = strstr(k.jwk, "P-384");

	memcpy(at, "P-256", 5);
	expect(k.jwk, JWK_MALFORMED);
	signing_key_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_the_thumbprint_of_the_rfc),
		cmocka_unit_test(prints_the_thumbprint_of_an_edwards_key),
		cmocka_unit_test(reads_back_what_it_wrote),
		cmocka_unit_test(writes_a_key_as_libcrypto_does),
		cmocka_unit_test(writes_integers_as_libcrypto_does),
		cmocka_unit_test(refuses_keys_with_missing_or_foreign_members),
		cmocka_unit_test(refuses_types_and_curves_it_does_not_know),
		cmocka_unit_test(limits_rsa_exponents),
		cmocka_unit_test(limits_rsa_sizes),
		cmocka_unit_test(refuses_points_that_are_not_on_the_curve),
		cmocka_unit_test(refuses_coordinates_of_another_curve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
