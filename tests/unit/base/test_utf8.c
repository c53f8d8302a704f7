/* What is a character, and where text may be cut.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>

#include "tests/test.h"

#include "core/base/utf8.h"

static void each_form_begins_and_ends_where_it_should(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
	} cases[] = {
		{ "a", 1 }, { "\x7f", 1 }, { "\x80", 0 }, { "\xc1\xbf", 0 },
		{ "\xc2\x80", 2 }, { "\xdf\xbf", 2 }, { "\xc2", 0 }, { "\xc2\x41", 0 },
		{ "\xe0\x9f\xbf", 0 }, { "\xe0\xa0\x80", 3 }, { "\xed\x9f\xbf", 3 }, { "\xed\xa0\x80", 0 },
		{ "\xef\xbf\xbf", 3 }, { "\xef\xbf", 0 }, { "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 }, { "\xf4\x90\x80\x80", 0 }, { "\xf0\x90\x80\x41", 0 },
		{ "\xf5\x80\x80\x80", 0 }, { "\xff", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(utf8_length(bytes_of_str(cases[i].octets)), cases[i].len);
	assert_int_equal(utf8_length(bytes_of(NULL, 0)), 0);
}

static void text_is_characters_and_no_nul(void **state)
{
	assert_true(utf8_is_text(bytes_of(NULL, 0)));
	assert_true(utf8_is_text(bytes_of_str("caf\xc3\xa9 \xf0\x9f\x94\x91\n")));
	assert_false(utf8_is_text(bytes_of_str("caf\xe9")));
	assert_false(utf8_is_text(bytes_of_str("caf\xc3")));
	assert_false(utf8_is_text(bytes_of("a\0b", 3)));
}

static void text_is_cut_between_characters(void **state)
{
	assert_int_equal(utf8_fit("caf\xc3\xa9s", 4), 3);
	assert_int_equal(utf8_fit("caf\xc3\xa9s", 5), 5);
	assert_int_equal(utf8_fit("caf\xc3\xa9s", 100), 6);
	assert_int_equal(utf8_fit("", 4), 0);
	assert_int_equal(utf8_fit("ab\xff" "cd", 100), 2);
	assert_int_equal(utf8_fit("abc", 0), 0);
}

static void what_is_written_is_what_is_read(void **state)
{
	static const uint32_t characters[] = { 1, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff };
	static const uint32_t none[] = { 0xd800, 0xdbff, 0xdc00, 0xdfff, 0x110000, 0xffffffff };
	OWNED_BUF out = BUF_INIT(4);

	for (size_t i = 0; i < sizeof(characters) / sizeof(*characters); i++) {
		buf_reset(&out);
		assert_int_equal(utf8_append(&out, characters[i]), 0);
		assert_int_equal(utf8_length(buf_bytes(&out)), out.len);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_int_equal(utf8_append(&out, none[i]), -EINVAL);
	assert_int_equal(utf8_append(&out, 'a'), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_begins_and_ends_where_it_should),
		cmocka_unit_test(text_is_characters_and_no_nul),
		cmocka_unit_test(text_is_cut_between_characters),
		cmocka_unit_test(what_is_written_is_what_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
