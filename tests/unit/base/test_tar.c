/* Headers of archives, as every tar reads them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/tar.h"

static uint8_t block[TAR_BLOCK];
static char name[TAR_NAME_SIZE];
static uint64_t size;

static void reads_what_it_wrote(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 512, 077777777777, 0100000000000, 1ull << 50 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(tar_print("core/core.db", sizes[i], 1795000000, block), 0);
		assert_int_equal(tar_parse(block, name, &size), 0);
		assert_string_equal(name, "core/core.db");
		assert_int_equal(size, sizes[i]);
	}
}

static void knows_the_end(void **state)
{
	memset(block, 0, sizeof(block));
	assert_int_equal(tar_parse(block, name, &size), 1);
}

static void refuses_what_it_would_not_write(void **state)
{
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		assert_int_equal(tar_print("core/core.db", 1000, 1795000000, block), 0);
		block[i] ^= 1;
		assert_int_equal(tar_parse(block, name, &size), -EBADMSG);
	}
}

static void refuses_names_and_sizes_without_room(void **state)
{
	char long_name[TAR_NAME_SIZE + 1];

	memset(long_name, 'a', TAR_NAME_SIZE);
	long_name[TAR_NAME_SIZE] = '\0';
	assert_int_equal(tar_print(long_name, 1, 0, block), -ENAMETOOLONG);
	assert_int_equal(tar_print("", 1, 0, block), -ENAMETOOLONG);
	assert_int_equal(tar_print("a", UINT64_MAX, 0, block), -EFBIG);
}

static void pads_to_whole_blocks(void **state)
{
	assert_int_equal(tar_padding(0), 0);
	assert_int_equal(tar_padding(1), 511);
	assert_int_equal(tar_padding(512), 0);
	assert_int_equal(tar_padding(513), 511);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_wrote),
		cmocka_unit_test(knows_the_end),
		cmocka_unit_test(refuses_what_it_would_not_write),
		cmocka_unit_test(refuses_names_and_sizes_without_room),
		cmocka_unit_test(pads_to_whole_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
