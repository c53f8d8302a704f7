/* Which addresses the validator may contact.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "gateway/validator/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/un.h>

static const struct {
	const char *address;
	bool allowed;
} table[] = {
	/* Public. */
	{ "1.1.1.1", true },
	{ "8.8.8.8", true },
	{ "9.255.255.255", true },
	{ "11.0.0.0", true },
	{ "100.63.255.255", true },
	{ "100.128.0.0", true },
	{ "126.255.255.255", true },
	{ "128.0.0.0", true },
	{ "168.63.129.15", true },
	{ "169.253.255.255", true },
	{ "169.255.0.0", true },
	{ "172.15.255.255", true },
	{ "172.32.0.0", true },
	{ "192.0.1.0", true },
	{ "192.167.255.255", true },
	{ "192.169.0.0", true },
	{ "198.17.255.255", true },
	{ "198.20.0.0", true },
	{ "223.255.255.255", true },
	{ "2606:4700::1111", true },
	{ "2001:200::1", true },
	{ "2a00:1450:4001::1", true },
	{ "2001:db7::1", true },
	{ "2003::1", true },
	{ "::ffff:8.8.8.8", true },
	/* This host, loopback, unspecified, broadcast. */
	{ "0.0.0.0", false },
	{ "0.1.2.3", false },
	{ "127.0.0.1", false },
	{ "127.1.2.3", false },
	{ "127.255.255.255", false },
	{ "255.255.255.255", false },
	{ "::", false },
	{ "::1", false },
	/* Metadata services of clouds. */
	{ "169.254.169.254", false },
	{ "100.100.100.200", false },
	{ "fd00:ec2::254", false },
	{ "168.63.129.16", false },
	{ "192.0.0.192", false },
	/* Private. */
	{ "10.0.0.0", false },
	{ "10.255.255.255", false },
	{ "172.16.0.1", false },
	{ "172.31.255.255", false },
	{ "192.168.0.1", false },
	{ "100.64.0.1", false },
	{ "100.127.255.255", false },
	{ "fc00::1", false },
	{ "fdff:ffff::1", false },
	{ "fec0::1", false },
	/* Link-local, multicast, reserved. */
	{ "169.254.0.1", false },
	{ "fe80::1", false },
	{ "febf::1", false },
	{ "224.0.0.1", false },
	{ "239.255.255.250", false },
	{ "240.0.0.1", false },
	{ "ff02::1", false },
	{ "ff0e::1", false },
	/* Documentation, benchmarks, protocol assignments. */
	{ "192.0.0.1", false },
	{ "192.0.2.1", false },
	{ "198.51.100.1", false },
	{ "203.0.113.1", false },
	{ "198.18.0.1", false },
	{ "198.19.255.255", false },
	{ "192.88.99.1", false },
	{ "2001:db8::1", false },
	{ "3fff::1", false },
	{ "2001:2::1", false },
	{ "2001:10::1", false },
	/* IPv4 in disguise. */
	{ "::ffff:127.0.0.1", false },
	{ "::ffff:10.0.0.1", false },
	{ "::ffff:169.254.169.254", false },
	{ "::127.0.0.1", false },
	{ "::8.8.8.8", false },
	{ "64:ff9b::7f00:1", false },
	{ "64:ff9b::808:808", false },
	{ "64:ff9b:1::1", false },
	{ "2002:7f00:1::1", false },
	{ "2002:808:808::1", false },
	{ "2001:0:4136:e378::1", false },
	{ "100::1", false },
	{ "4000::1", false },
};

static struct ip_address parse(const char *text)
{
	struct ip_address a;

	assert_int_equal(ip_address_parse(&a, text), 0);
	return a;
}

static void allows_public_addresses_only(void **state)
{
	const struct address_rules none = { NULL, 0 };
	struct ip_address a;
	size_t i;

	assert_true(sizeof(table) / sizeof(table[0]) >= 60);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		a = parse(table[i].address);
		if (address_allowed(&none, &a) != table[i].allowed)
			fail_msg("%s must be %s", table[i].address, table[i].allowed ? "allowed" : "refused");
	}
}

static void allows_what_is_listed_and_nothing_beside_it(void **state)
{
	struct ip_range ranges[2];
	const struct address_rules rules = { ranges, 2 };
	struct ip_address a;

	assert_int_equal(ip_range_parse(&ranges[0], "10.1.0.0/16"), 0);
	assert_int_equal(ip_range_parse(&ranges[1], "fd00:1::/32"), 0);
	a = parse("10.1.2.3");
	assert_true(address_allowed(&rules, &a));
	a = parse("::ffff:10.1.2.3");
	assert_true(address_allowed(&rules, &a));
	a = parse("10.2.0.1");
	assert_false(address_allowed(&rules, &a));
	a = parse("fd00:1::5");
	assert_true(address_allowed(&rules, &a));
	a = parse("fd00:2::5");
	assert_false(address_allowed(&rules, &a));
	a = parse("8.8.8.8");
	assert_true(address_allowed(&rules, &a));
}

static void refuses_no_address_at_all(void **state)
{
	assert_false(address_allowed(&(struct address_rules){ NULL, 0 }, &(struct ip_address){ 0 }));
}

static void reads_socket_addresses_of_both_families(void **state)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	char text[IP_TEXT_SIZE];
	struct ip_address a;

	assert_int_equal(address_of_socket(&a, (struct sockaddr *)&v4), 0);
	assert_string_equal(ip_address_print(&a, text), "192.0.2.1");
	assert_int_equal(address_of_socket(&a, (struct sockaddr *)&v6), 0);
	assert_string_equal(ip_address_print(&a, text), "::1");
	assert_int_equal(address_of_socket(&a, (struct sockaddr *)&local), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allows_public_addresses_only),
		cmocka_unit_test(allows_what_is_listed_and_nothing_beside_it),
		cmocka_unit_test(refuses_no_address_at_all),
		cmocka_unit_test(reads_socket_addresses_of_both_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
