/* Token buckets: a burst, then a rate, for each address by itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/limit.h"

#include "core/base/clock.h"
#include "tests/test.h"

static int stop_clock(void **state)
{
	clock_fake_set(1000000000000);
	return 0;
}

static int run_clock(void **state)
{
	clock_fake_end();
	return 0;
}

static struct limit *make(unsigned per_hour, unsigned burst)
{
	struct limit *l = NULL;

	assert_int_equal(limit_new(&l, per_hour, burst), 0);
	return l;
}

static void allows_a_burst_and_then_the_rate(void **state)
{
	struct limit *l = make(3600, 3);
	unsigned wait_s = 0;

	for (int i = 0; i < 3; i++)
		assert_true(limit_take(l, "192.0.2.1", 1, &wait_s));
	assert_false(limit_take(l, "192.0.2.1", 1, &wait_s));
	assert_in_range(wait_s, 1, 2);
	clock_fake_advance(1000);
	assert_true(limit_take(l, "192.0.2.1", 1, &wait_s));
	assert_false(limit_take(l, "192.0.2.1", 1, &wait_s));
	clock_fake_advance(3600 * 1000);
	for (int i = 0; i < 3; i++)
		assert_true(limit_take(l, "192.0.2.1", 1, &wait_s));
	assert_false(limit_take(l, "192.0.2.1", 1, &wait_s));
	limit_drop(&l);
}

static void takes_several_at_once(void **state)
{
	struct limit *l = make(3600, 10);
	unsigned wait_s = 0;

	assert_true(limit_take(l, "account:1", 7, &wait_s));
	assert_false(limit_take(l, "account:1", 7, &wait_s));
	assert_in_range(wait_s, 4, 5);
	assert_true(limit_take(l, "account:1", 3, &wait_s));
	assert_true(limit_take(l, "account:2", 10, &wait_s));
	limit_drop(&l);
}

static void counts_each_address_by_itself(void **state)
{
	struct limit *l = make(1, 1);
	unsigned wait_s = 0;

	assert_true(limit_take(l, "192.0.2.1", 1, &wait_s));
	assert_true(limit_take(l, "192.0.2.2", 1, &wait_s));
	assert_true(limit_take(l, NULL, 1, &wait_s));
	assert_false(limit_take(l, "192.0.2.1", 1, &wait_s));
	assert_in_range(wait_s, 3600, 3601);
	limit_drop(&l);
}

static void counts_an_ipv6_network_as_one(void **state)
{
	struct limit *l = make(1, 1);
	unsigned wait_s = 0;

	assert_true(limit_take(l, "2001:db8::1", 1, &wait_s));
	assert_false(limit_take(l, "2001:db8::ffff:1", 1, &wait_s));
	assert_true(limit_take(l, "2001:db8:0:1::1", 1, &wait_s));
	limit_drop(&l);
}

static void counts_an_ipv4_address_as_one_however_it_is_written(void **state)
{
	struct limit *l = make(1, 1);
	unsigned wait_s = 0;

	assert_true(limit_take(l, "::ffff:192.0.2.1", 1, &wait_s));
	assert_false(limit_take(l, "192.0.2.1", 1, &wait_s));
	assert_true(limit_take(l, "::ffff:192.0.2.2", 1, &wait_s));
	limit_drop(&l);
}

static void gives_back_what_was_not_used(void **state)
{
	struct limit *l = make(1, 2);
	unsigned wait_s = 0;

	for (int i = 0; i < 100; i++) {
		assert_true(limit_take(l, "192.0.2.1", 1, &wait_s));
		limit_give_back(l, "192.0.2.1", 1);
	}
	/* Never more than the burst. */
	limit_give_back(l, "192.0.2.1", 5);
	assert_true(limit_take(l, "192.0.2.1", 2, &wait_s));
	assert_false(limit_take(l, "192.0.2.1", 1, &wait_s));
	limit_drop(&l);
}

static void remembers_a_busy_address_among_many_quiet_ones(void **state)
{
	struct limit *l = make(3600, 1000);
	char address[32];
	unsigned wait_s = 0;

	for (int i = 0; i < 1000; i++)
		assert_true(limit_take(l, "192.0.2.1", 1, &wait_s));
	for (int i = 0; i < 50000; i++) {
		snprintf(address, sizeof(address), "10.%d.%d.%d", i / 65536, i / 256 % 256, i % 256);
		assert_true(limit_take(l, address, 1, &wait_s));
	}
	assert_false(limit_take(l, "192.0.2.1", 1, &wait_s));
	limit_drop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allows_a_burst_and_then_the_rate),
		cmocka_unit_test(takes_several_at_once),
		cmocka_unit_test(counts_each_address_by_itself),
		cmocka_unit_test(counts_an_ipv6_network_as_one),
		cmocka_unit_test(counts_an_ipv4_address_as_one_however_it_is_written),
		cmocka_unit_test(gives_back_what_was_not_used),
		cmocka_unit_test(remembers_a_busy_address_among_many_quiet_ones),
	};

	return cmocka_run_group_tests(tests, stop_clock, run_clock);
}
