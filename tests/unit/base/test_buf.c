/* Buffers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/buf.h"

#include <errno.h>

static void ends_in_a_nul_that_is_not_counted(void **state)
{
	OWNED_BUF b = BUF_INIT(100);

	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_append_str(&b, "abc"), 0);
	assert_int_equal(buf_append_char(&b, 'd'), 0);
	assert_int_equal(buf_printf(&b, "-%d", 12), 0);
	assert_int_equal(b.len, 7);
	assert_string_equal(buf_str(&b), "abcd-12");
	buf_consume(&b, 3);
	assert_string_equal(buf_str(&b), "d-12");
	buf_consume(&b, 4);
	assert_string_equal(buf_str(&b), "");
}

static void takes_exactly_its_limit(void **state)
{
	OWNED_BUF b = BUF_INIT(1000);
	int i;

	for (i = 0; i < 1000; i++)
		assert_int_equal(buf_append_char(&b, 'x'), 0);
	assert_int_equal(strlen(buf_str(&b)), 1000);
	assert_int_equal(buf_append_char(&b, 'x'), -EMSGSIZE);
	assert_int_equal(b.len, 1000);
}

static void stays_failed_until_reset(void **state)
{
	OWNED_BUF b = BUF_INIT(4);

	assert_int_equal(buf_append_str(&b, "hello"), -EMSGSIZE);
	assert_int_equal(buf_append_str(&b, "x"), -EMSGSIZE);
	assert_int_equal(buf_printf(&b, "x"), -EMSGSIZE);
	assert_null(buf_room(&b, 1));
	assert_int_equal(buf_status(&b), -EMSGSIZE);
	assert_null(buf_take_str(&b));
	buf_reset(&b);
	assert_int_equal(buf_append_str(&b, "four"), 0);
	assert_string_equal(buf_str(&b), "four");
}

static void gives_its_memory_away(void **state)
{
	OWNED_BUF b = BUF_INIT(100);
	char *text;

	assert_null(buf_take_str(&b));
	assert_int_equal(buf_append_str(&b, "mine"), 0);
	text = buf_take_str(&b);
	assert_string_equal(text, "mine");
	free(text);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_append_str(&b, "again"), 0);
	assert_string_equal(buf_str(&b), "again");
}

static void leaves_nothing_after_a_wipe(void **state)
{
	struct buf b = BUF_INIT(100);

	assert_int_equal(buf_append_str(&b, "secret"), 0);
	buf_wipe(&b);
	assert_null(b.ptr);
	assert_int_equal(b.len, 0);
	buf_wipe(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_in_a_nul_that_is_not_counted),
		cmocka_unit_test(takes_exactly_its_limit),
		cmocka_unit_test(stays_failed_until_reset),
		cmocka_unit_test(gives_its_memory_away),
		cmocka_unit_test(leaves_nothing_after_a_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
