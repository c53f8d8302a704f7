/* gateway/tickets.c: how long a ticket is good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "gateway/tickets.h"

#define HOUR ((int64_t)3600000)

static void makes_a_key_each_12_hours_and_accepts_the_two_before(void **state)
{
	struct gw_ticket_key first, second, key;
	struct gw_tickets *t;

	assert_int_equal(gw_tickets_new(&t, 5), 0);
	assert_int_equal(gw_tickets_get(t, 5, &first), 0);
	assert_int_equal(gw_tickets_get(t, 5 + 12 * HOUR - 1, &key), 0);
	assert_memory_equal(&key, &first, sizeof(key));
	assert_int_equal(gw_tickets_find(t, first.name, 5 + 12 * HOUR - 1, &key), 0);
	assert_int_equal(gw_tickets_get(t, 5 + 12 * HOUR, &second), 0);
	assert_memory_not_equal(second.name, first.name, sizeof(first.name));
	assert_memory_not_equal(second.cipher, first.cipher, sizeof(first.cipher));
	assert_memory_not_equal(second.mac, first.mac, sizeof(first.mac));
	assert_int_equal(gw_tickets_find(t, first.name, 5 + 36 * HOUR - 1, &key), GW_TICKETS_OLD);
	assert_memory_equal(&key, &first, sizeof(key));
	assert_int_equal(gw_tickets_find(t, first.name, 5 + 36 * HOUR, &key), GW_TICKETS_UNKNOWN);
	assert_int_equal(gw_tickets_find(t, second.name, 5 + 36 * HOUR, &key), GW_TICKETS_OLD);
	gw_tickets_drop(&t);
}

/* Keys do not live longer because nobody came, and what is new does not live shorter. */
static void keeps_its_turns_when_nobody_comes(void **state)
{
	struct gw_ticket_key first, key, later;
	struct gw_tickets *t;

	assert_int_equal(gw_tickets_new(&t, 0), 0);
	assert_int_equal(gw_tickets_get(t, 0, &first), 0);
	assert_int_equal(gw_tickets_find(t, first.name, 1000 * HOUR, &key), GW_TICKETS_UNKNOWN);
	assert_int_equal(gw_tickets_get(t, 1000 * HOUR, &key), 0);
	/* The turn began at 996 hours. */
	assert_int_equal(gw_tickets_get(t, 1008 * HOUR - 1, &later), 0);
	assert_memory_equal(&key, &later, sizeof(key));
	assert_int_equal(gw_tickets_get(t, 1008 * HOUR, &later), 0);
	assert_memory_not_equal(&key, &later, sizeof(key));
	gw_tickets_drop(&t);
}

static void knows_no_keys_of_others(void **state)
{
	struct gw_ticket_key key, other = { .name = "0123456789abcde" };
	struct gw_tickets *a, *b;

	assert_int_equal(gw_tickets_new(&a, 0), 0);
	assert_int_equal(gw_tickets_new(&b, 0), 0);
	assert_int_equal(gw_tickets_find(a, other.name, 0, &key), GW_TICKETS_UNKNOWN);
	memset(other.name, 0, sizeof(other.name));
	assert_int_equal(gw_tickets_find(a, other.name, 0, &key), GW_TICKETS_UNKNOWN);
	assert_int_equal(gw_tickets_get(b, 0, &other), 0);
	assert_int_equal(gw_tickets_find(a, other.name, 0, &key), GW_TICKETS_UNKNOWN);
	gw_tickets_drop(&a);
	gw_tickets_drop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_a_key_each_12_hours_and_accepts_the_two_before),
		cmocka_unit_test(keeps_its_turns_when_nobody_comes),
		cmocka_unit_test(knows_no_keys_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
