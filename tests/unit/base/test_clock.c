/* The clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/clock.h"

#include <errno.h>
#include <time.h>

static void follows_the_machine_until_it_is_faked(void **state)
{
	int64_t before = (int64_t)time(NULL);
	int64_t now = clock_wall_s();

	assert_in_range(now, before, before + 2);
	assert_in_range(clock_wall_ms() / 1000, before, before + 2);
}

static void stands_still_at_the_time_of_a_test(void **state)
{
	int64_t mono;

	clock_fake_set(1700000000123);
	mono = clock_mono_ms();
	assert_int_equal(clock_wall_ms(), 1700000000123);
	assert_int_equal(clock_wall_s(), 1700000000);
	clock_fake_advance(5000);
	assert_int_equal(clock_wall_s(), 1700000005);
	assert_int_equal(clock_mono_ms(), mono + 5000);
	clock_fake_end();
	assert_true(clock_wall_s() != 1700000005);
}

static void never_takes_monotonic_time_back(void **state)
{
	int64_t mono = clock_mono_ms(), next;

	clock_fake_set(2000000000000);
	clock_fake_advance(3600000);
	next = clock_mono_ms();
	assert_true(next >= mono + 3600000);
	clock_fake_set(1000);
	assert_true(clock_mono_ms() >= next);
	clock_fake_end();
	assert_true(clock_mono_ms() >= next);
}

static void prints_rfc_3339(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	assert_string_equal(clock_print_s(1795411970, text), "2026-11-23T05:32:50Z");
	assert_string_equal(clock_print_s(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_print_ms(1795411970007, text), "2026-11-23T05:32:50.007Z");
	assert_string_equal(clock_print_ms(-1, text), "1969-12-31T23:59:59.999Z");
	assert_string_equal(clock_print_s(INT64_MAX, text), "invalid-time");
}

static void reads_rfc_3339(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} good[] = {
		{ "2026-11-23T05:32:50Z", 1795411970 },      { "2026-11-23t05:32:50z", 1795411970 },
		{ "2026-11-23T06:32:50+01:00", 1795411970 }, { "2026-11-22T23:32:50.999999-06:00", 1795411970 },
		{ "1990-12-31T23:59:60Z", 662688000 },       { "1990-12-31T15:59:60-08:00", 662688000 },
		{ "2024-02-29T00:00:00Z", 1709164800 },
	};
	static const char *const bad[] = {
		"", "2026-11-23", "2026-11-23T05:32:50", "2026-11-23 05:32:50Z", "2026-11-23T05:32Z",
		"2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-11-23T24:00:00Z",
		"2026-11-23T05:60:00Z", "2026-11-23T05:32:61Z", "2026-11-23T05:32:60Z", "2026-11-23T05:32:50.Z",
		"2026-11-23T05:32:50+1:00", "2026-11-23T05:32:50+24:00", "2026-11-23T05:32:50ZZ",
		"+026-11-23T05:32:50Z",
		"2026-11-31T00:00:00Z", "2026-02-30T23:59:60Z",
	};
	int64_t t;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(clock_parse_s(good[i].text, &t), 0);
		assert_int_equal(t, good[i].want);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(clock_parse_s(bad[i], &t), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_machine_until_it_is_faked),
		cmocka_unit_test(stands_still_at_the_time_of_a_test),
		cmocka_unit_test(never_takes_monotonic_time_back),
		cmocka_unit_test(prints_rfc_3339),
		cmocka_unit_test(reads_rfc_3339),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
