/* Where loaded keys stand: numbers, who works with which, and which goes when there is no room.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/signer/places.h"

/* The signer's is more; a place knows nothing of it. */
struct key {
	int name;
};

static struct places places;
static int n_dropped, last_dropped;

static void drop(struct key *key)
{
	n_dropped++;
	last_dropped = key->name;
	free(key);
}

static int setup(void **state)
{
	clock_fake_set(1772366400000);
	n_dropped = last_dropped = 0;
	places = (struct places){ 0 };
	return places_init(&places, drop);
}

static int teardown(void **state)
{
	places_fini(&places);
	clock_fake_end();
	return 0;
}

static bool is_same(const struct key *key, const void *arg)
{
	return key->name == ((const struct key *)arg)->name;
}

static int add(int name, uint64_t *number)
{
	struct key *key = malloc(sizeof(*key));
	int e;

	assert_non_null(key);
	key->name = name;
	e = places_add(&places, key, is_same, number);
	if (e)
		free(key);
	return e;
}

static void expect_taken(uint64_t number, int name)
{
	struct key *key = places_take(&places, number);

	assert_non_null(key);
	assert_int_equal(key->name, name);
}

static void a_key_has_one_number_however_often_it_comes(void **state)
{
	uint64_t first, again, other;

	assert_int_equal(add(1, &first), 0);
	assert_int_equal(add(2, &other), 0);
	assert_int_equal(add(1, &again), PLACES_SAME);
	assert_true(first == again && first != other);
	expect_taken(first, 1);
	places_give(&places, first);
	assert_null(places_take(&places, first ^ 1ull << 63));
	assert_null(places_take(&places, first + 5));
}

static void there_is_room_for_more_than_sixty_four(void **state)
{
	uint64_t numbers[PLACES_MAX];

	for (int i = 0; i < PLACES_MAX; i++)
		assert_int_equal(add(i, &numbers[i]), 0);
	for (int i = 0; i < PLACES_MAX; i++) {
		expect_taken(numbers[i], i);
		places_give(&places, numbers[i]);
	}
	assert_int_equal(n_dropped, 0);
}

static void of_too_many_the_one_that_rests_for_longest_goes(void **state)
{
	uint64_t numbers[4], number;

	places.max = 3;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(add(i, &numbers[i]), 0);
		clock_fake_advance(1000);
	}
	expect_taken(numbers[0], 0); /* it was used last */
	places_give(&places, numbers[0]);
	clock_fake_advance(1000);
	assert_int_equal(add(3, &numbers[3]), 0);
	assert_int_equal(n_dropped, 1);
	assert_int_equal(last_dropped, 1);
	assert_null(places_take(&places, numbers[1]));
	/* Its place has another number now, and it itself too when it comes back. */
	assert_true(numbers[3] != numbers[1]);
	assert_int_equal(add(1, &number), 0);
	assert_int_equal(last_dropped, 2);
	assert_true(number != numbers[1]);
}

static void who_is_at_work_stays(void **state)
{
	uint64_t numbers[2], number;

	places.max = 2;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(add(i, &numbers[i]), 0);
		expect_taken(numbers[i], i);
	}
	assert_int_equal(add(2, &number), PLACES_FULL);
	places_give(&places, numbers[1]);
	assert_int_equal(add(2, &number), 0);
	assert_int_equal(last_dropped, 1);
	places_give(&places, numbers[0]);
}

static void one_that_leaves_is_found_by_nobody_and_ends_with_its_work(void **state)
{
	uint64_t one, again;

	assert_int_equal(add(1, &one), 0);
	expect_taken(one, 1);
	expect_taken(one, 1);
	places_leave(&places, is_same, &(struct key){ 1 });
	assert_null(places_take(&places, one));
	assert_false(places_has(&places, is_same, &(struct key){ 1 }));
	places_give(&places, one);
	assert_int_equal(n_dropped, 0);
	assert_int_equal(add(1, &again), 0);
	assert_true(again != one);
	assert_true(places_has(&places, is_same, &(struct key){ 1 }));
	places_give(&places, one);
	assert_int_equal(n_dropped, 1);
	/* Without work it goes at once. */
	places_leave(&places, is_same, &(struct key){ 1 });
	assert_int_equal(n_dropped, 2);
}

static void one_that_is_removed_goes_with_its_work(void **state)
{
	uint64_t busy, idle;

	assert_int_equal(add(1, &busy), 0);
	assert_int_equal(add(2, &idle), 0);
	expect_taken(busy, 1);
	places_remove(&places, idle);
	assert_int_equal(n_dropped, 1);
	places_remove(&places, busy);
	places_remove(&places, busy);
	assert_int_equal(n_dropped, 1);
	assert_null(places_take(&places, busy));
	places_give(&places, busy);
	assert_int_equal(n_dropped, 2);
	/* Of a number that names nothing any more another key has nothing to fear. */
	assert_int_equal(add(3, &busy), 0);
	places_remove(&places, idle);
	expect_taken(busy, 3);
	places_give(&places, busy);
}

static void who_rests_for_a_day_goes_when_another_comes(void **state)
{
	uint64_t idle, busy, number;

	assert_int_equal(add(1, &idle), 0);
	assert_int_equal(add(2, &busy), 0);
	expect_taken(busy, 2);
	clock_fake_advance(PLACES_REST_MS + 1);
	assert_int_equal(add(3, &number), 0);
	assert_int_equal(n_dropped, 1);
	assert_null(places_take(&places, idle));
	places_give(&places, busy);
	expect_taken(busy, 2);
	places_give(&places, busy);
}

/* A place has so many numbers and no more: none ever comes twice. */
static void no_number_names_two_keys(void **state)
{
	uint64_t number, first = 0, last = 0;

	for (int i = 0; i < 20000; i++) {
		assert_int_equal(add(i, &number), 0);
		assert_true(number != last);
		if (i == 0)
			first = number;
		else
			assert_true(number != first);
		last = number;
		places_leave(&places, is_same, &(struct key){ i });
	}
	assert_int_equal(n_dropped, 20000);
	assert_int_equal(first & (PLACES_MAX - 1), 0);
	assert_int_equal(last & (PLACES_MAX - 1), 1);
	assert_true(first >> 24 == last >> 24);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_key_has_one_number_however_often_it_comes),
		WITH(there_is_room_for_more_than_sixty_four),
		WITH(of_too_many_the_one_that_rests_for_longest_goes),
		WITH(who_is_at_work_stays),
		WITH(one_that_leaves_is_found_by_nobody_and_ends_with_its_work),
		WITH(one_that_is_removed_goes_with_its_work),
		WITH(who_rests_for_a_day_goes_when_another_comes),
		WITH(no_number_names_two_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
