/* IP addresses and ranges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/ip.h"

#include <errno.h>

static const char *canonical(const char *text, char out[static IP_TEXT_SIZE])
{
	struct ip_address a;

	if (ip_address_parse(&a, text))
		return "refused";
	return ip_address_print(&a, out);
}

static void reads_one_spelling_of_ipv4_and_all_of_ipv6(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" }, { "::1", "::1" }, { "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
		{ "::ffff:1.2.3.4", "::ffff:1.2.3.4" }, { "1.2.3", "refused" }, { "01.2.3.4", "refused" },
		{ "0x7f.1", "refused" }, { "2130706433", "refused" }, { "1.2.3.256", "refused" },
		{ "[::1]", "refused" }, { "fe80::1%1", "refused" }, { "", "refused" }, { "1.2.3.4 ", "refused" },
	};
	char out[IP_TEXT_SIZE];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(canonical(rows[i].text, out), rows[i].canonical);
}

static void prints_no_address_as_nothing(void **state)
{
	char out[IP_TEXT_SIZE] = "x";

	assert_string_equal(ip_address_print(&(struct ip_address){ 0 }, out), "");
}

static void unmaps_only_mapped_addresses(void **state)
{
	struct ip_address a, b;

	assert_int_equal(ip_address_parse(&a, "::ffff:192.0.2.1"), 0);
	a = ip_address_unmap(&a);
	assert_int_equal(ip_address_parse(&b, "192.0.2.1"), 0);
	assert_true(ip_address_equal(&a, &b));
	assert_int_equal(ip_address_parse(&a, "::192.0.2.1"), 0);
	assert_int_equal(ip_address_unmap(&a).len, 16);
}

static bool contains(const char *range, const char *address)
{
	struct ip_range r;
	struct ip_address a;

	assert_int_equal(ip_range_parse(&r, range), 0);
	assert_int_equal(ip_address_parse(&a, address), 0);
	return ip_range_contains(&r, &a);
}

static void compares_exactly_the_bits_of_the_prefix(void **state)
{
	assert_true(contains("10.0.0.0/8", "10.255.0.1"));
	assert_false(contains("10.0.0.0/8", "11.0.0.0"));
	assert_true(contains("172.16.0.0/12", "172.31.255.255"));
	assert_false(contains("172.16.0.0/12", "172.32.0.0"));
	assert_true(contains("192.0.2.1", "192.0.2.1"));
	assert_false(contains("192.0.2.1/32", "192.0.2.2"));
	assert_true(contains("0.0.0.0/0", "255.1.2.3"));
	assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(contains("::1", "::1"));
}

static void never_matches_across_families(void **state)
{
	assert_false(contains("0.0.0.0/0", "::"));
	assert_false(contains("::/0", "10.0.0.1"));
}

static void refuses_what_is_no_range(void **state)
{
	static const char *const wrong[] = { "",          "10.0.0.0/",   "10.0.0.0/33", "10.0.0.0/08", "10.0.0.1/8",
					     "10.0.0/8",  "::/129",      "::1/64",      "10.0.0.0/8 ", "/8",
					     "::/-1",     "10.0.0.0/1000", "10.0.0.0/8/8" };
	struct ip_range r;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(ip_range_parse(&r, wrong[i]), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_one_spelling_of_ipv4_and_all_of_ipv6),
		cmocka_unit_test(prints_no_address_as_nothing),
		cmocka_unit_test(unmaps_only_mapped_addresses),
		cmocka_unit_test(compares_exactly_the_bits_of_the_prefix),
		cmocka_unit_test(never_matches_across_families),
		cmocka_unit_test(refuses_what_is_no_range),
	};

	return cmocka_run_group_tests_name("base/ip", tests, NULL, NULL);
}
