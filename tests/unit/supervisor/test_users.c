/* The users of two configurations.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "gateway/supervisor/users.h"

/* ---- what the build would have made ---- */

struct proto_adapter;
struct ca_policy_module;
struct ca_exit_module;
const struct proto_adapter *const proto_adapters[] = { NULL };
const struct ca_policy_module *const policy_modules[] = { NULL };
const struct ca_exit_module *const exit_modules[] = { NULL };

/* What lies between the members is different in each of them. */
static struct users make(bool are_separated, int junk)
{
	struct users u;

	memset(&u, junk, sizeof(u));
	u.are_separated = are_separated;
	for (int i = 0; are_separated && i < ROLES_; i++) {
		u.of[i].uid = 100 + (uid_t)i;
		u.of[i].gid = 200 + (gid_t)i;
	}
	return u;
}

static void are_the_same_by_their_numbers(void **state)
{
	struct users a = make(true, 0), b = make(true, 0xff);

	assert_true(users_are_same(&a, &b));
	b.of[ROLE_GATEWAY].uid++;
	assert_false(users_are_same(&a, &b));
	b = make(true, 0xff);
	b.of[ROLE_SIGNER].gid++;
	assert_false(users_are_same(&a, &b));
}

static void have_no_numbers_when_they_are_one(void **state)
{
	struct users one = make(false, 0), other = make(false, 0x55), separated = make(true, 0);

	assert_true(users_are_same(&one, &other));
	assert_false(users_are_same(&one, &separated));
	assert_false(users_are_same(&separated, &one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(are_the_same_by_their_numbers),
		cmocka_unit_test(have_no_numbers_when_they_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
