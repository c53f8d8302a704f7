/* A clock that goes steadily, and one that is set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/clock.h"
#include "core/base/steady.h"

static int set_up(void **state)
{
	clock_fake_set(1000000000);
	return 0;
}

static int tear_down(void **state)
{
	clock_fake_end();
	return 0;
}

static void a_clock_is_steady_after_six_hours(void **state)
{
	struct steady s = { 0 };

	assert_false(steady_is(&s));
	assert_true(steady_has_moved(&s));
	for (int hours = 0; hours < 6; hours++) {
		assert_false(steady_is(&s));
		clock_fake_advance(3600 * 1000);
		assert_false(steady_has_moved(&s));
	}
	assert_true(steady_is(&s));
}

/* Forth and back; a little is what synchronisation does all the time. */
static void a_clock_that_is_set_begins_anew(void **state)
{
	static const int64_t jumps[] = { STEADY_PATIENCE_MS + 1000, -STEADY_PATIENCE_MS - 1000 };
	struct steady s = { 0 };

	for (int i = 0; i < 2; i++) {
		steady_has_moved(&s);
		clock_fake_advance(STEADY_MS);
		clock_fake_jump(STEADY_PATIENCE_MS / 2);
		assert_false(steady_has_moved(&s));
		assert_true(steady_is(&s));
		clock_fake_jump(jumps[i]);
		assert_true(steady_has_moved(&s));
		assert_false(steady_is(&s));
		clock_fake_advance(STEADY_MS - 1);
		assert_false(steady_has_moved(&s));
		assert_false(steady_is(&s));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_clock_is_steady_after_six_hours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_begins_anew, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
