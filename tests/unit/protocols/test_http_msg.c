/* protocols/http_msg.c: dates, and octets that replies share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "protocols/http_msg.h"
#include "tests/unit/octets.h"

static void writes_and_reads_the_date_of_rfc_9110(void **state)
{
	static const int64_t times[] = { 0, 784111777, 1772366400, 2524607999, 2524608000, 253402300799 };
	char text[HTTP_DATE_SIZE];
	int64_t again;

	assert_string_equal(http_date_print(784111777, text), "Sun, 06 Nov 1994 08:49:37 GMT");
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		assert_int_equal(http_date_parse(http_date_print(times[i], text), &again), 0);
		assert_int_equal(again, times[i]);
	}
}

static void reads_no_other_date(void **state)
{
	static const char *const wrong[] = {
		"", "x", "Sun, 06 Nov 1994 08:49:37", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 ovD 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994", "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06 N 1994 08:49:37 GMT",
	};
	int64_t seconds;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (http_date_parse(wrong[i], &seconds) != -EINVAL)
			fail_msg("'%s' is read as a date", wrong[i]);
}

static void octets_live_as_long_as_somebody_holds_them(void **state)
{
	struct http_octets *one = octets_in_file(bytes_of_str("abcdef")), *two;
	char room[4] = "";

	assert_int_equal(http_octets_size(one), 6);
	assert_true(http_octets_is_alone(one));
	two = http_octets_hold(one);
	assert_false(http_octets_is_alone(two));
	http_octets_drop(&one);
	assert_null(one);
	assert_int_equal(http_octets_read(two, 2, room, 3), 0);
	assert_string_equal(room, "cde");
	assert_int_equal(http_octets_read(two, 4, room, 3), -EIO);
	http_octets_withdraw(two);
	assert_int_equal(http_octets_read(two, 2, room, 3), -ESTALE);
	http_octets_withdraw(two);
	http_octets_drop(&two);
	http_octets_drop(&two);
}

static void octets_come_in_pieces(void **state)
{
	struct http_octets *one = octets_in_file(bytes_of_str("abcde")), *two = http_octets_hold(one);
	OWNED_BUF out = BUF_INIT(64);
	uint64_t at = 0;

	assert_int_equal(http_octets_next(&one, &at, 3, &out), 0);
	assert_string_equal(buf_str(&out), "abc");
	assert_int_equal(at, 3);
	assert_int_equal(http_octets_next(&one, &at, 3, &out), 0);
	assert_string_equal(buf_str(&out), "abcde");
	assert_null(one);
	assert_true(http_octets_is_alone(two));
	http_octets_drop(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_and_reads_the_date_of_rfc_9110),
		cmocka_unit_test(reads_no_other_date),
		cmocka_unit_test(octets_live_as_long_as_somebody_holds_them),
		cmocka_unit_test(octets_come_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
