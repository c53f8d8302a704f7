/* Roles by user and group, role separation, and what officers are limited to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/roles.h"

#include <errno.h>
#include <stdio.h>

#include "core/admin_rights.h"
#include "core/core.h"
#include "tests/test.h"

static const struct conf_option root_rows[] = {
	{ .name = "core", .type = CONF_SECTION, .rows = ca_core_rows },
	{ .name = "profiles", .type = CONF_SECTIONS, .rows = ca_profile_rows },
	{ 0 },
};

static struct conf_error error;

static struct conf *read_conf(const char *core)
{
	char text[2048];
	struct conf *conf = NULL;

	snprintf(text, sizeof(text), "core: {%s}\nprofiles: [{name: server}, {name: switch}]\n", core);
	error = (struct conf_error){ 0 };
	if (conf_parse(&conf, bytes_of_str(text), "test.yaml", root_rows, &error))
		fail_msg("%s", error.text);
	return conf;
}

static int check_text(const char *core)
{
	struct conf *conf = read_conf(core);
	int e = roles_check(conf_root(conf), &error);

	conf_drop(&conf);
	return e;
}

static const struct roles_user root = { .name = "root", .uid = 0, .groups = { 0 }, .n_groups = 1 };
static const struct roles_user daemon_user = { .name = "daemon", .uid = 1, .groups = { 1 }, .n_groups = 1 };

static unsigned roles_for(const char *core, const struct roles_user *user, bool is_owner)
{
	struct conf *conf = read_conf(core);
	struct ca_admin_caller who = { .name = "unix:x" };

	roles_find(conf_section(conf_root(conf), "core"), user, is_owner, &who);
	conf_drop(&conf);
	return who.roles;
}

static void root_is_administrator_unless_the_file_says_otherwise(void **state)
{
	assert_int_equal(roles_for("", &root, false), CA_ROLE_ADMINISTRATOR);
	assert_int_equal(roles_for("administrators: [daemon]", &root, false), 0);
	assert_int_equal(roles_for("administrators: []", &root, false), 0);
}

static void each_list_gives_its_role(void **state)
{
	assert_int_equal(roles_for("officers: [daemon]", &daemon_user, false), CA_ROLE_OFFICER);
	assert_int_equal(roles_for("auditors: [daemon]", &daemon_user, false), CA_ROLE_AUDITOR);
	assert_int_equal(roles_for("operators: [daemon]", &daemon_user, false), CA_ROLE_OPERATOR);
	assert_int_equal(roles_for("administrators: [daemon]", &daemon_user, false), CA_ROLE_ADMINISTRATOR);
	assert_int_equal(roles_for("officers: [daemon], auditors: [daemon]", &daemon_user, false),
			 CA_ROLE_OFFICER | CA_ROLE_AUDITOR);
}

static void a_group_gives_its_role_to_its_members(void **state)
{
	assert_int_equal(roles_for("officers: ['%daemon']", &daemon_user, false), CA_ROLE_OFFICER);
	assert_int_equal(roles_for("officers: ['%daemon']", &root, false), CA_ROLE_ADMINISTRATOR);
	assert_int_equal(roles_for("officers: ['%no-such-group']", &daemon_user, false), 0);
	/* A user's name is not a group's. */
	assert_int_equal(roles_for("officers: ['%root']", &daemon_user, false), 0);
}

static void the_owner_of_everything_holds_every_role(void **state)
{
	assert_int_equal(roles_for("", &daemon_user, true), CA_ROLES_ALL);
	assert_int_equal(roles_for("role-separation: true", &daemon_user, true), CA_ROLE_ADMINISTRATOR);
	assert_int_equal(roles_for("role-separation: true, officers: [daemon]", &daemon_user, true), CA_ROLE_OFFICER);
}

static void with_separation_two_roles_are_none(void **state)
{
	const char *conf = "role-separation: true, officers: [daemon], auditors: ['%daemon']";

	assert_int_equal(roles_for(conf, &daemon_user, false), 0);
	assert_int_equal(roles_for("role-separation: true, officers: [daemon]", &daemon_user, false), CA_ROLE_OFFICER);
}

static void with_separation_the_file_may_not_list_anybody_twice(void **state)
{
	assert_int_equal(check_text("role-separation: true, officers: [alice], auditors: [bob]"), 0);
	assert_int_equal(check_text("officers: [alice], auditors: [alice]"), 0);
	assert_int_equal(check_text("role-separation: true, officers: [bob, alice], auditors: [alice]"), -EINVAL);
	assert_non_null(strstr(error.text, "'alice' stands among the auditors too"));
	/* Also where one of the two is the default. */
	assert_int_equal(check_text("role-separation: true, officers: [root]"), -EINVAL);
}

static void a_right_names_a_profile_that_exists(void **state)
{
	assert_int_equal(check_text("officer-rights: [{officer: bob, profiles: [server, any]}]"), 0);
	assert_int_equal(check_text("officer-rights: [{officer: bob, profiles: [sever]}]"), -EINVAL);
	assert_non_null(strstr(error.text, "there is no profile named 'sever'"));
}

/* As `user`, an officer: may he decide about a request of this profile and requester? */
static int check_as(const char *core, const struct roles_user *user, bool is_owner, const char *profile,
		    const char *requester)
{
	struct conf *conf = read_conf(core);
	struct ca_admin_caller who = { .name = "unix:daemon", .has_uid = true, .uid = user->uid };
	const char *why = NULL;
	int e;

	roles_find(conf_section(conf_root(conf), "core"), user, is_owner, &who);
	e = admin_check_officer(&who, profile, requester, &why);
	assert_int_equal(e != 0, why != NULL);
	conf_drop(&conf);
	return e;
}

static int check_officer(const char *core, const struct roles_user *user, const char *profile, const char *requester)
{
	return check_as(core, user, false, profile, requester);
}

static void without_rows_the_owner_handles_everything_and_nobody_else_anything(void **state)
{
	assert_int_equal(check_officer("officers: [daemon]", &daemon_user, "server", "acme:1"), CA_ADMIN_RESTRICTED);
	assert_int_equal(check_as("officers: [root]", &daemon_user, true, "server", "acme:1"), 0);
	assert_int_equal(check_as("officers: [root], officer-rights: [{officer: root, profiles: any}]", &daemon_user,
				  true, "server", "acme:1"), CA_ADMIN_RESTRICTED);
	assert_int_equal(check_officer("administrators: [daemon]", &daemon_user, "server", "acme:1"),
			 CA_ADMIN_NOT_PERMITTED);
}

static void with_a_row_for_another_an_officer_handles_nothing(void **state)
{
	assert_int_equal(check_officer("officers: [daemon], officer-rights: [{officer: bob, profiles: any}]",
				       &daemon_user, "server", "acme:1"), CA_ADMIN_RESTRICTED);
}

static void a_row_limits_by_profile_and_by_requester(void **state)
{
	const char *conf = "officers: [daemon], officer-rights: [{officer: daemon, profiles: [server], "
			   "requesters: ['acme:1*']}, {officer: '%daemon', profiles: [switch]}]";

	assert_int_equal(check_officer(conf, &daemon_user, "server", "acme:17"), 0);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "acme:7"), CA_ADMIN_RESTRICTED);
	assert_int_equal(check_officer(conf, &daemon_user, "switch", "est:x"), 0);
	assert_int_equal(check_officer(conf, &daemon_user, "other", "acme:17"), CA_ADMIN_RESTRICTED);
}

static void nobody_decides_about_his_own_request_by_any_name(void **state)
{
	const char *conf = "officers: [daemon], officer-rights: [{officer: daemon, profiles: any}]";

	assert_int_equal(check_officer(conf, &daemon_user, "server", "unix:daemon"), CA_ADMIN_NOT_PERMITTED);
	/* The same person by number, and a name that the user database gives to his number. */
	assert_int_equal(check_officer(conf, &daemon_user, "server", "unix:1"), CA_ADMIN_NOT_PERMITTED);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "unix:root"), 0);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "unix:"), 0);
	/* An EST user of his name is he. */
	assert_int_equal(check_officer(conf, &daemon_user, "server", "est:user:daemon"), CA_ADMIN_NOT_PERMITTED);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "est:user:Daemon"), CA_ADMIN_NOT_PERMITTED);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "est:user:root"), 0);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "est:user:daemon2"), 0);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "est:user:"), 0);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "est:token:1"), 0);
	assert_int_equal(check_officer(conf, &daemon_user, "server", "acme:1"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_administrator_unless_the_file_says_otherwise),
		cmocka_unit_test(each_list_gives_its_role),
		cmocka_unit_test(a_group_gives_its_role_to_its_members),
		cmocka_unit_test(the_owner_of_everything_holds_every_role),
		cmocka_unit_test(with_separation_two_roles_are_none),
		cmocka_unit_test(with_separation_the_file_may_not_list_anybody_twice),
		cmocka_unit_test(a_right_names_a_profile_that_exists),
		cmocka_unit_test(without_rows_the_owner_handles_everything_and_nobody_else_anything),
		cmocka_unit_test(with_a_row_for_another_an_officer_handles_nothing),
		cmocka_unit_test(a_row_limits_by_profile_and_by_requester),
		cmocka_unit_test(nobody_decides_about_his_own_request_by_any_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
