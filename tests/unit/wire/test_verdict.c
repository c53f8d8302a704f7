/* Statements of the validator: what goes in comes out, and nobody else can make or bend one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/own.h"
#include "core/wire/verdict.h"

static const uint8_t key[VERDICT_KEY_SIZE] = { 1, 2, 3 };

static const struct verdict some = { .target = "mdm", .endpoint = "phones", .scope = "*.example\nCN=phone-*",
				     .until_ms = 1800000000123, .request = { 7 }, .transaction_key = { [31] = 9 } };

static int read(struct bytes octets, struct verdict *out, struct arena *arena)
{
	return verdict_read(out, key, octets, arena);
}

static void what_was_stated_is_read(void **state)
{
	OWNED_BUF octets = BUF_INIT(VERDICT_MAX);
	OWNED(arena) arena = NULL;
	struct verdict got;

	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	assert_int_equal(verdict_write(key, &some, &octets), 0);
	assert_int_equal(read(buf_bytes(&octets), &got, arena), 0);
	assert_string_equal(got.target, some.target);
	assert_string_equal(got.endpoint, some.endpoint);
	assert_string_equal(got.scope, some.scope);
	assert_int_equal(got.until_ms, some.until_ms);
	assert_memory_equal(got.request, some.request, sizeof(got.request));
	assert_memory_equal(got.transaction_key, some.transaction_key, sizeof(got.transaction_key));
}

static void no_bit_may_be_another(void **state)
{
	OWNED_BUF octets = BUF_INIT(VERDICT_MAX);
	OWNED(arena) arena = NULL;
	struct verdict got;

	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	assert_int_equal(verdict_write(key, &some, &octets), 0);
	for (size_t i = 0; i < 8 * octets.len; i++) {
		octets.ptr[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(read(buf_bytes(&octets), &got, arena), -EBADMSG);
		octets.ptr[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t n = 0; n < octets.len; n++)
		assert_int_equal(read(bytes_of(octets.ptr, n), &got, arena), -EBADMSG);
	assert_int_equal(read(buf_bytes(&octets), &got, arena), 0);
	assert_int_equal(buf_append_char(&octets, 0), 0);
	assert_int_equal(read(buf_bytes(&octets), &got, arena), -EBADMSG);
}

static void another_key_is_another_daemons(void **state)
{
	static const uint8_t other[VERDICT_KEY_SIZE] = { 1, 2, 4 };
	OWNED_BUF octets = BUF_INIT(VERDICT_MAX);
	OWNED(arena) arena = NULL;
	struct verdict got;

	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	assert_int_equal(verdict_write(other, &some, &octets), 0);
	assert_int_equal(read(buf_bytes(&octets), &got, arena), -EBADMSG);
}

static void what_does_not_fit_is_not_stated(void **state)
{
	static char scope[70000];
	OWNED_BUF octets = BUF_INIT(VERDICT_MAX), little = BUF_INIT(40);
	struct verdict long_one = some;

	memset(scope, 'x', sizeof(scope) - 1);
	long_one.scope = scope;
	assert_int_equal(verdict_write(key, &long_one, &octets), -EMSGSIZE);
	assert_int_equal(verdict_write(key, &some, &little), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_stated_is_read),
		cmocka_unit_test(no_bit_may_be_another),
		cmocka_unit_test(another_key_is_another_daemons),
		cmocka_unit_test(what_does_not_fit_is_not_stated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
