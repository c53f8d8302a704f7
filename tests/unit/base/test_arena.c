/* Arenas.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/arena.h"
#include "core/base/own.h"

#include <stdalign.h>

static void gives_zeroed_memory_aligned_for_any_type(void **state)
{
	OWNED(arena) a = NULL;
	size_t size, i;
	uint8_t *p;

	assert_int_equal(arena_new(&a, 1 << 20), 0);
	for (size = 1; size < 9000; size += 97) {
		p = arena_alloc(a, size);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		for (i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
	}
}

static void stops_at_its_limit(void **state)
{
	OWNED(arena) a = NULL;
	int n = 0;

	assert_int_equal(arena_new(&a, 1000), 0);
	assert_null(arena_alloc(a, 1001));
	assert_null(arena_alloc(a, SIZE_MAX));
	while (arena_alloc(a, 10))
		n++;
	assert_in_range(n, 50, 100);
}

static void copies_text_and_octets(void **state)
{
	OWNED(arena) a = NULL;
	char big[6000];
	struct bytes b;

	assert_int_equal(arena_new(&a, 1 << 20), 0);
	assert_string_equal(arena_strdup(a, "hello"), "hello");
	assert_string_equal(arena_strndup(a, bytes_of("hello", 2)), "he");
	assert_string_equal(arena_printf(a, "%d-%s", 7, "x"), "7-x");
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	assert_string_equal(arena_printf(a, "%s", big), big);
	b = arena_copy(a, bytes_of("\0\1\2", 3));
	assert_memory_equal(b.ptr, "\0\1\2", 3);
	assert_int_equal(b.len, 3);
	assert_null(arena_copy(a, bytes_of(NULL, 0)).ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_zeroed_memory_aligned_for_any_type),
		cmocka_unit_test(stops_at_its_limit),
		cmocka_unit_test(copies_text_and_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
