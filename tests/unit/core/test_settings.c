/* What the core refuses of its configuration, and what it says then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/own.h"
#include "core/core.h"

static const struct conf_option endpoint_rows[] = {
	{ .name = "name", .type = CONF_STRING, .fallback = CONF_NEEDED },
	{ .name = "ca", .type = CONF_STRING, .fallback = CONF_NEEDED },
	{ .name = "profile", .type = CONF_STRING },
	{ 0 },
};

static const struct conf_option root_rows[] = {
	{ .name = "core", .type = CONF_SECTION, .rows = ca_core_rows },
	{ .name = "cas", .type = CONF_SECTIONS, .rows = ca_ca_rows },
	{ .name = "profiles", .type = CONF_SECTIONS, .rows = ca_profile_rows },
	{ .name = "endpoints", .type = CONF_SECTIONS, .rows = endpoint_rows },
	{ 0 },
};

static struct conf_error error;

/* With these rows in the lists besides what there always is. */
static int check(const char *profiles, const char *endpoints)
{
	OWNED(conf) conf = NULL;
	char text[2048];

	snprintf(text, sizeof(text),
		 "cas: [{name: CA1, policy: {module: p}}]\nprofiles: [{name: server}%s]\nendpoints: [%s]\n", profiles,
		 endpoints);
	error = (struct conf_error){ 0 };
	if (conf_parse(&conf, bytes_of_str(text), "test.yaml", root_rows, &error))
		fail_msg("%s", error.text);
	return ca_core_check(conf_root(conf), &error);
}

static void an_endpoint_names_what_there_is(void **state)
{
	assert_int_equal(check("", "{name: e, ca: ca1, profile: server}, {name: f, ca: CA1}"), 0);
	assert_int_equal(check("", "{name: e, ca: CA2, profile: server}"), -EINVAL);
	assert_non_null(strstr(error.text, "there is no CA named 'CA2' under cas:"));
	assert_int_equal(check("", "{name: e, ca: CA1, profile: sever}"), -EINVAL);
	assert_non_null(strstr(error.text, "there is no profile named 'sever' under profiles:"));
	assert_int_equal(check("", "{name: internal, ca: CA1, profile: server}"), -EINVAL);
	assert_non_null(strstr(error.text, "'internal' is the gateway's own endpoint"));
}

/* Whether the file has a profile of that name or not. */
static void no_client_gets_a_certificate_of_the_gateway(void **state)
{
	static const char *const own[] = { "scep-ra", "gateway-tls" };
	char row[128], profile[64], wanted[128];

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		snprintf(row, sizeof(row), "{name: e, ca: CA1, profile: %s}", own[i]);
		snprintf(profile, sizeof(profile), ", {name: %s}", own[i]);
		snprintf(wanted, sizeof(wanted), "'%s' is the profile of the gateway's own certificates", own[i]);
		assert_int_equal(check("", row), -EINVAL);
		assert_non_null(strstr(error.text, wanted));
		assert_int_equal(check(profile, row), -EINVAL);
		assert_non_null(strstr(error.text, wanted));
		/* It may be there, as the file wants it. */
		assert_int_equal(check(profile, "{name: e, ca: CA1, profile: server}"), 0);
	}
}

static void nobody_renews_by_a_certificate_of_the_gateway(void **state)
{
	assert_int_equal(check(", {name: other, renewable-from: [server]}", ""), 0);
	assert_int_equal(check(", {name: other, renewable-from: [scep-ra]}", ""), -EINVAL);
	assert_non_null(strstr(error.text, "there is no profile 'scep-ra' of clients under profiles:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_endpoint_names_what_there_is),
		cmocka_unit_test(no_client_gets_a_certificate_of_the_gateway),
		cmocka_unit_test(nobody_renews_by_a_certificate_of_the_gateway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
