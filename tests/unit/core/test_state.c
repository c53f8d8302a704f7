/* core/state.c: the whole matrix, and the words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/exit.h"
#include "core/state.h"

static const int states[] = { 0,
			      CA_STATE_ACTIVE,
			      CA_STATE_PENDING,
			      CA_STATE_FOREIGN,
			      CA_STATE_ISSUED,
			      CA_STATE_REVOKED,
			      CA_STATE_ERROR,
			      CA_STATE_DENIED };

/* Every transition that is legal; what is not here is not. */
static const struct {
	int from;
	enum ca_action action;
	enum ca_state next;
} legal[] = {
	{ 0, CA_ACTION_RECEIVE, CA_STATE_ACTIVE },
	{ CA_STATE_ACTIVE, CA_ACTION_REJECT, CA_STATE_ERROR },
	{ CA_STATE_ACTIVE, CA_ACTION_ISSUE, CA_STATE_ISSUED },
	{ CA_STATE_ACTIVE, CA_ACTION_PEND, CA_STATE_PENDING },
	{ CA_STATE_ACTIVE, CA_ACTION_DENY, CA_STATE_DENIED },
	{ CA_STATE_ACTIVE, CA_ACTION_FAIL, CA_STATE_ERROR },
	{ CA_STATE_ACTIVE, CA_ACTION_RETURN, CA_STATE_PENDING },
	{ CA_STATE_ACTIVE, CA_ACTION_READY, CA_STATE_PENDING },
	{ CA_STATE_PENDING, CA_ACTION_SET_ATTRIBUTES, CA_STATE_PENDING },
	{ CA_STATE_PENDING, CA_ACTION_SET_EXTENSION, CA_STATE_PENDING },
	{ CA_STATE_PENDING, CA_ACTION_EDIT, CA_STATE_PENDING },
	{ CA_STATE_PENDING, CA_ACTION_ADMIN_DENY, CA_STATE_DENIED },
	{ CA_STATE_PENDING, CA_ACTION_RESUBMIT, CA_STATE_ACTIVE },
	{ CA_STATE_PENDING, CA_ACTION_SUPERSEDE, CA_STATE_DENIED },
	{ CA_STATE_PENDING, CA_ACTION_EXPIRE, CA_STATE_DENIED },
	{ CA_STATE_PENDING, CA_ACTION_WITHDRAW, CA_STATE_DENIED },
	{ CA_STATE_ISSUED, CA_ACTION_REVOKE, CA_STATE_REVOKED },
	{ CA_STATE_ISSUED, CA_ACTION_HOLD, CA_STATE_REVOKED },
	{ CA_STATE_REVOKED, CA_ACTION_REVOKE, CA_STATE_REVOKED },
	{ CA_STATE_REVOKED, CA_ACTION_RELEASE, CA_STATE_ISSUED },
	{ 0, CA_ACTION_IMPORT, CA_STATE_ISSUED },
	{ 0, CA_ACTION_IMPORT_FOREIGN, CA_STATE_FOREIGN },
	{ CA_STATE_PENDING, CA_ACTION_IMPORT, CA_STATE_ISSUED },
};

static int wanted(int from, enum ca_action action)
{
	for (size_t i = 0; i < sizeof(legal) / sizeof(*legal); i++)
		if (legal[i].from == from && legal[i].action == action)
			return (int)legal[i].next;
	return -1;
}

static void allows_the_documented_transitions_and_no_others(void **state)
{
	size_t allowed = 0;

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		for (int action = 0; action < CA_ACTION_COUNT_; action++) {
			enum ca_state next = (enum ca_state)77;
			int e = ca_state_next((enum ca_state)states[i], (enum ca_action)action, &next);
			int want = wanted(states[i], (enum ca_action)action);

			assert_int_equal(e, want < 0 ? -EPERM : 0);
			assert_int_equal((int)next, want < 0 ? 77 : want);
			allowed += e == 0;
		}
	assert_int_equal(allowed, sizeof(legal) / sizeof(*legal));
}

static void nothing_leaves_a_terminal_state(void **state)
{
	static const enum ca_state ends[] = { CA_STATE_ERROR, CA_STATE_DENIED, CA_STATE_FOREIGN };

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		for (int action = 0; action < CA_ACTION_COUNT_; action++) {
			enum ca_state next;

			assert_int_equal(ca_state_next(ends[i], (enum ca_action)action, &next), -EPERM);
		}
}

static void numbers_are_those_of_the_documented_database(void **state)
{
	assert_int_equal(CA_STATE_ACTIVE, 8);
	assert_int_equal(CA_STATE_PENDING, 9);
	assert_int_equal(CA_STATE_FOREIGN, 12);
	assert_int_equal(CA_STATE_ISSUED, 20);
	assert_int_equal(CA_STATE_REVOKED, 21);
	assert_int_equal(CA_STATE_ERROR, 30);
	assert_int_equal(CA_STATE_DENIED, 31);
	assert_int_equal(ca_state_disposition(CA_STATE_ACTIVE), 0);
	assert_int_equal(ca_state_disposition(CA_STATE_ERROR), 1);
	assert_int_equal(ca_state_disposition(CA_STATE_DENIED), 2);
	assert_int_equal(ca_state_disposition(CA_STATE_ISSUED), 3);
	assert_int_equal(ca_state_disposition(CA_STATE_PENDING), 5);
	assert_int_equal(ca_state_disposition(CA_STATE_REVOKED), 6);
	assert_int_equal(ca_state_disposition(CA_STATE_FOREIGN), 0);
}

static void every_action_and_state_has_a_word_of_its_own(void **state)
{
	for (int a = 0; a < CA_ACTION_COUNT_; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(ca_action_word((enum ca_action)a), ca_action_word((enum ca_action)b));
	for (size_t a = 1; a < sizeof(states) / sizeof(*states); a++)
		for (size_t b = 1; b < a; b++)
			assert_string_not_equal(ca_state_word((enum ca_state)states[a]),
						ca_state_word((enum ca_state)states[b]));
	assert_string_equal(ca_status_word(CA_STATUS_NONE), "");
	for (int a = CA_STATUS_BAD_REQUEST; a <= CA_STATUS_WITHDRAWN; a++)
		for (int b = CA_STATUS_NONE; b < a; b++)
			assert_string_not_equal(ca_status_word((enum ca_status)a), ca_status_word((enum ca_status)b));
	assert_string_equal(ca_status_word((enum ca_status)99), "?");
	assert_string_equal(ca_state_word((enum ca_state)99), "?");
	assert_string_equal(ca_event_word((enum ca_event)0x800), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allows_the_documented_transitions_and_no_others),
		cmocka_unit_test(nothing_leaves_a_terminal_state),
		cmocka_unit_test(numbers_are_those_of_the_documented_database),
		cmocka_unit_test(every_action_and_state_has_a_word_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
