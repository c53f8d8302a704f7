/* core/base/secret.c: what libcrypto lets go is overwritten.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <openssl/crypto.h>

#include "core/base/secret.h"

/* Before anything else, as in a process: libcrypto has given no memory yet. */
static int set_up(void **unused)
{
	return secret_wipe_freed();
}

static void memory_that_grows_keeps_what_it_held(void **unused)
{
	char *p = OPENSSL_malloc(16), *grown;

	memcpy(p, "fifteen octets.", 16);
	grown = OPENSSL_realloc(p, 4096);
	assert_non_null(grown);
	assert_string_equal(grown, "fifteen octets.");
	grown = OPENSSL_realloc(grown, 8);
	assert_memory_equal(grown, "fifteen ", 8);
	assert_null(OPENSSL_realloc(grown, 0));
	assert_non_null(p = OPENSSL_realloc(NULL, 8));
	OPENSSL_free(p);
	OPENSSL_free(NULL);
}

static void libcrypto_works_with_it(void **unused)
{
	uint8_t mac[SHA256_SIZE];

	assert_int_equal(secret_mac(bytes_of_str("key"), bytes_of_str("data"), mac), 0);
	assert_int_equal(mac[0], 0x50);
	assert_int_equal(mac[31], 0xd0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_grows_keeps_what_it_held),
		cmocka_unit_test(libcrypto_works_with_it),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
