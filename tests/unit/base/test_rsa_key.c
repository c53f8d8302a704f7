/* core/base/rsa_key.c: one spelling of a key is read, and it is the key that libcrypto reads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/x509.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "core/base/rsa_key.h"

static struct bytes spki_of(EVP_PKEY *key, uint8_t **der)
{
	int n = i2d_PUBKEY(key, der);

	assert_true(n > 0);
	return bytes_of(*der, (size_t)n);
}

static void it_is_the_key_that_libcrypto_wrote(void **unused)
{
	static const unsigned bits[] = { 1024, 2048, 3072 };

	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		EVP_PKEY *made = EVP_RSA_gen(bits[i]), *read;
		uint8_t *der = NULL;

		read = rsa_key_from_spki(spki_of(made, &der));
		assert_non_null(read);
		assert_int_equal(EVP_PKEY_eq(read, made), 1);
		EVP_PKEY_free(read);
		EVP_PKEY_free(made);
		OPENSSL_free(der);
	}
}

static void other_kinds_are_left_to_others(void **unused)
{
	EVP_PKEY *ec = EVP_EC_gen("P-256");
	uint8_t *der = NULL;

	assert_null(rsa_key_from_spki(spki_of(ec, &der)));
	OPENSSL_free(der);
	EVP_PKEY_free(ec);
	assert_null(rsa_key_from_spki(bytes_of("", 0)));
}

/* Octet by octet around a key that is good otherwise. */
static void another_spelling_is_not_read(void **unused)
{
	EVP_PKEY *made = EVP_RSA_gen(2048);
	OWNED_BUF bent = BUF_INIT(1024);
	struct bytes spki;
	uint8_t *der = NULL;

	spki = spki_of(made, &der);
	for (size_t n = 0; n < spki.len; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, spki.ptr, n);
		assert_null(rsa_key_from_spki(bytes_of(copy, n)));
		free(copy);
	}
	assert_int_equal(buf_append(&bent, spki), 0);
	assert_int_equal(buf_append_char(&bent, 0), 0);
	assert_null(rsa_key_from_spki(buf_bytes(&bent)));
	/* The octet that counts unused bits stands behind the algorithm of 15 octets and two heads of 4. */
	bent.ptr[23] = 1;
	assert_null(rsa_key_from_spki(bytes_of(bent.ptr, spki.len)));
	bent.ptr[23] = 0;
	bent.ptr[18] = 0x04;
	assert_null(rsa_key_from_spki(bytes_of(bent.ptr, spki.len)));
	OPENSSL_free(der);
	EVP_PKEY_free(made);
}

static int read_numbers(const char *der, size_t n)
{
	BIGNUM *modulus, *exponent;
	int e = rsa_key_read(bytes_of(der, n), &modulus, &exponent);

	assert_int_equal(e == 0, modulus != NULL);
	assert_int_equal(e == 0, exponent != NULL);
	BN_free(modulus);
	BN_free(exponent);
	return e;
}
#define READ(der) read_numbers(der, sizeof(der) - 1)

static void numbers_are_positive_and_shortest(void **unused)
{
	assert_int_equal(READ("\x30\x06\x02\x01\x0f\x02\x01\x03"), 0);
	assert_int_equal(READ("\x30\x07\x02\x02\x00\x8f\x02\x01\x03"), 0);
	assert_int_equal(READ("\x30\x06\x02\x01\x8f\x02\x01\x03"), -EINVAL);         /* negative */
	assert_int_equal(READ("\x30\x07\x02\x02\x00\x0f\x02\x01\x03"), -EINVAL);     /* a needless zero */
	assert_int_equal(READ("\x30\x05\x02\x00\x02\x01\x03"), -EINVAL);             /* none */
	assert_int_equal(READ("\x30\x03\x02\x01\x0f"), -EINVAL);                     /* one number */
	assert_int_equal(READ("\x30\x09\x02\x01\x0f\x02\x01\x03\x02\x01\x03"), -EINVAL);
	assert_int_equal(READ("\x30\x06\x02\x01\x0f\x02\x01\x03\x00"), -EINVAL);
	assert_int_equal(READ("\x31\x06\x02\x01\x0f\x02\x01\x03"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_key_that_libcrypto_wrote),
		cmocka_unit_test(other_kinds_are_left_to_others),
		cmocka_unit_test(another_spelling_is_not_read),
		cmocka_unit_test(numbers_are_positive_and_shortest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
