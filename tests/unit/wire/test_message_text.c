/* Strings in messages are text, wherever they stand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/wire/message_text.h"

#include "admin.pb-c.h"

static bool is_good(const char *octets, size_t n)
{
	return message_text_is_good(&gatehouse__admin__call__descriptor, bytes_of(octets, n));
}

#define GOOD(octets) assert_true(is_good(octets, sizeof(octets) - 1))
#define BAD(octets) assert_false(is_good(octets, sizeof(octets) - 1))

/* Call 5 is deny, its field 3 the reason; call 80 makes a credential, its fields 4 and 6 are lists. */
static void a_string_is_utf8_without_nul(void **state)
{
	GOOD("");
	GOOD("\x2a\x00");
	GOOD("\x2a\x07\x1a\x05" "caf\xc3\xa9");
	BAD("\x2a\x06\x1a\x04" "caf\xe9");
	BAD("\x2a\x06\x1a\x04" "caf\xc3");
	BAD("\x2a\x05\x1a\x03" "a\0b");
	GOOD("\x82\x05\x06\x22\x01" "a" "\x32\x01" "b");
	BAD("\x82\x05\x06\x22\x01" "a" "\x32\x01" "\xff");
}

static void octets_are_no_text_and_neither_is_what_nobody_knows(void **state)
{
	GOOD("\x1a\x03\x12\x01\xff"); /* approve: the digest */
	GOOD("\x2a\x03\x7a\x01\xff"); /* a field that deny has not */
	GOOD("\xfa\x7f\x01\xff");       /* a call that is not there */
	GOOD("\x28\x05");                /* deny as a number: protobuf-c refuses it */
}

static void what_is_no_field_is_no_text(void **state)
{
	BAD("\x2a");
	BAD("\x2a\x05\x1a");
	BAD("\x2a\x02\x1a\x05");
	BAD("\x2b\x2c");
	BAD("\x80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_string_is_utf8_without_nul),
		cmocka_unit_test(octets_are_no_text_and_neither_is_what_nobody_knows),
		cmocka_unit_test(what_is_no_field_is_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
