/* The setting `attributes` of endpoints: what the administrator adds, and never what only the adapter knows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/attributes.h"

#include "tests/test.h"

#include <errno.h>

static const struct conf_option rows[] = {
	{ .name = "attributes", .type = CONF_MAP },
	{ 0 },
};

/* The core's part is played. */
bool ca_attribute_is_observed(const char *name)
{
	return strcmp(name, "user-agent") == 0;
}

static int read_it(const char *text, struct proto_attributes *out, char why[static 128])
{
	struct conf_error error = { 0 };
	struct conf *conf = NULL;
	int e;

	if (conf_parse(&conf, bytes_of_str(text), "test", rows, &error))
		fail_msg("%s", error.text);
	e = proto_attributes_read(out, conf_root(conf), why, 128);
	conf_drop(&conf);
	return e;
}

static void takes_those_of_the_configuration(void **state)
{
	struct proto_attributes a;
	char why[128] = "";

	assert_int_equal(read_it("attributes: {site: north, owner: lab}\n", &a, why), 0);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.all[0].name, "site");
	assert_string_equal(a.all[0].value, "north");
	assert_string_equal(a.all[1].name, "owner");
	assert_string_equal(a.all[1].value, "lab");
	proto_attributes_fini(&a);
	assert_int_equal(a.n, 0);
	assert_int_equal(read_it("{}\n", &a, why), 0);
	assert_int_equal(a.n, 0);
	proto_attributes_fini(&a);
}

static void refuses_what_only_the_adapter_knows(void **state)
{
	struct proto_attributes a;
	char why[128] = "";

	assert_int_equal(read_it("attributes: {site: north, user-agent: mine}\n", &a, why), -EINVAL);
	assert_non_null(strstr(why, "'user-agent'"));
	proto_attributes_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_those_of_the_configuration),
		cmocka_unit_test(refuses_what_only_the_adapter_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
