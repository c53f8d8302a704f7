/* What was found out about keys: once, for a while, and never more than fits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/memo.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "core/base/clock.h"
#include "tests/test.h"

#define LONG_MS 60000
#define WAITERS 8

static struct memo *memo;

static int make(void **state)
{
	return memo_new(&memo, 4, 64);
}

static int drop(void **state)
{
	clock_fake_end();
	memo_drop(&memo);
	return 0;
}

/* A key from a number. */
static const uint8_t *key(unsigned n)
{
	static _Thread_local uint8_t octets[MEMO_KEY_SIZE];

	memset(octets, 0, sizeof(octets));
	memcpy(octets, &n, sizeof(n));
	return octets;
}

static void assert_known(unsigned n, int wanted, const char *text)
{
	OWNED_BUF octets = BUF_INIT(100);
	int number = -1;

	assert_true(memo_find(memo, key(n), &number, &octets));
	assert_int_equal(number, wanted);
	assert_string_equal(buf_str(&octets), text);
}

static void assert_unknown(unsigned n)
{
	assert_false(memo_find(memo, key(n), NULL, NULL));
}

static void keep(unsigned n, const char *text)
{
	memo_keep(memo, key(n), (int)n, bytes_of_str(text), LONG_MS);
}

static void tells_what_was_kept(void **state)
{
	assert_unknown(1);
	keep(1, "one");
	keep(2, "");
	assert_known(1, 1, "one");
	assert_known(2, 2, "");
	memo_keep(memo, key(1), 7, bytes_of_str("other"), LONG_MS);
	assert_known(1, 7, "other");
	memo_forget(memo, key(1));
	assert_unknown(1);
	memo_forget(memo, key(1));
	assert_known(2, 2, "");
}

static void forgets_in_time(void **state)
{
	clock_fake_set(1000000000000);
	memo_keep(memo, key(1), 1, bytes_of_str("one"), 1000);
	clock_fake_advance(999);
	assert_known(1, 1, "one");
	clock_fake_advance(1);
	assert_unknown(1);
	memo_keep(memo, key(2), 2, bytes_of_str("two"), 0);
	assert_unknown(2);
}

static void the_first_goes_when_it_is_full_and_not_before(void **state)
{
	for (unsigned n = 1; n <= 4; n++)
		keep(n, "x");
	/* A place that is free again is used. */
	memo_forget(memo, key(3));
	keep(5, "x");
	assert_known(1, 1, "x");
	keep(6, "x");
	assert_unknown(1);
	for (unsigned n = 4; n <= 6; n++)
		assert_known(n, (int)n, "x");
	/* What is kept again became known now. */
	keep(2, "x");
	keep(7, "x");
	assert_unknown(4);
	assert_known(2, 2, "x");
}

static void octets_are_bounded_too(void **state)
{
	static const char thirty[] = "123456789012345678901234567890";
	char long_text[66];

	keep(1, thirty);
	keep(2, thirty);
	keep(3, thirty);
	assert_unknown(1);
	assert_known(2, 2, thirty);
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	keep(4, long_text);
	assert_unknown(4);
}

static void one_finds_out_and_others_do_not(void **state)
{
	int number = 0;

	assert_int_equal(memo_begin(memo, key(1), 0, NULL, NULL), 0);
	assert_int_equal(memo_begin(memo, key(1), 0, NULL, NULL), MEMO_BUSY);
	assert_int_equal(memo_begin(memo, key(1), 5, NULL, NULL), MEMO_BUSY);
	assert_int_equal(memo_begin(memo, key(2), 0, NULL, NULL), 0);
	assert_unknown(1);
	memo_forget(memo, key(1));
	assert_int_equal(memo_begin(memo, key(1), 0, NULL, NULL), MEMO_BUSY);
	memo_keep(memo, key(1), 3, bytes_of_str("found"), LONG_MS);
	assert_int_equal(memo_begin(memo, key(1), 0, &number, NULL), MEMO_KNOWN);
	assert_int_equal(number, 3);
	memo_keep(memo, key(2), 0, bytes_of(NULL, 0), 0);
	assert_int_equal(memo_begin(memo, key(2), 0, NULL, NULL), 0);
	memo_keep(memo, key(2), 0, bytes_of(NULL, 0), 0);
}

/* Who finds something out has his place, however much is kept meanwhile. */
static void what_is_being_found_out_is_not_pushed_out(void **state)
{
	assert_int_equal(memo_begin(memo, key(1), 0, NULL, NULL), 0);
	for (unsigned n = 2; n <= 9; n++)
		keep(n, "x");
	assert_int_equal(memo_begin(memo, key(1), 0, NULL, NULL), MEMO_BUSY);
	assert_known(6, 6, "x");
	memo_keep(memo, key(1), 1, bytes_of_str("late"), LONG_MS);
	assert_known(1, 1, "late");
	assert_unknown(6);
}

static atomic_int n_found, n_told;

static void *ask(void *arg)
{
	OWNED_BUF octets = BUF_INIT(100);
	int e = memo_begin(memo, key(1), LONG_MS, NULL, &octets);

	if (e == 0) {
		/* The first one fails, and one of the others does it. */
		bool fails = atomic_fetch_add(&n_found, 1) == 0;

		memo_keep(memo, key(1), 0, bytes_of_str("found"), fails ? 0 : LONG_MS);
	} else if (e == MEMO_KNOWN && strcmp(buf_str(&octets), "found") == 0) {
		atomic_fetch_add(&n_told, 1);
	}
	return NULL;
}

static void those_who_wait_get_what_one_found_out(void **state)
{
	pthread_t threads[WAITERS];

	n_found = n_told = 0;
	assert_int_equal(memo_begin(memo, key(1), 0, NULL, NULL), 0);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, NULL), 0);
	memo_keep(memo, key(1), 0, bytes_of(NULL, 0), 0);
	for (int i = 0; i < WAITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(n_found, 2);
	assert_int_equal(n_told, WAITERS - 2);
}

static atomic_int n_busy;

static void *wait(void *arg)
{
	int e = memo_begin(memo, key(1), LONG_MS, NULL, NULL);

	atomic_fetch_add(e == MEMO_BUSY ? &n_busy : &n_told, 1);
	return NULL;
}

/* However long they would wait. */
static void more_than_may_wait_are_told_at_once(void **state)
{
	pthread_t threads[2 * MEMO_WAITERS_MAX];

	n_busy = n_told = 0;
	assert_int_equal(memo_begin(memo, key(1), 0, NULL, NULL), 0);
	for (int i = 0; i < 2 * MEMO_WAITERS_MAX; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait, NULL), 0);
	while (n_busy < MEMO_WAITERS_MAX && n_told == 0)
		sched_yield();
	memo_keep(memo, key(1), 0, bytes_of_str("found"), LONG_MS);
	for (int i = 0; i < 2 * MEMO_WAITERS_MAX; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(n_busy, MEMO_WAITERS_MAX);
	assert_int_equal(n_told, MEMO_WAITERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_what_was_kept, make, drop),
		cmocka_unit_test_setup_teardown(forgets_in_time, make, drop),
		cmocka_unit_test_setup_teardown(the_first_goes_when_it_is_full_and_not_before, make, drop),
		cmocka_unit_test_setup_teardown(octets_are_bounded_too, make, drop),
		cmocka_unit_test_setup_teardown(one_finds_out_and_others_do_not, make, drop),
		cmocka_unit_test_setup_teardown(what_is_being_found_out_is_not_pushed_out, make, drop),
		cmocka_unit_test_setup_teardown(those_who_wait_get_what_one_found_out, make, drop),
		cmocka_unit_test_setup_teardown(more_than_may_wait_are_told_at_once, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
