/* gateway/peers.c: the share of one address.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "gateway/peers.h"

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage a = { 0 };
	struct sockaddr_in *four = (struct sockaddr_in *)&a;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a;

	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
		six->sin6_family = AF_INET6;
	}
	return a;
}

static bool enter(struct gw_peers *p, const char *text, struct gw_peer_key *key)
{
	struct sockaddr_storage a = address(text);

	return gw_peers_enter(p, (const struct sockaddr *)&a, key);
}

static void gives_each_address_its_share_and_takes_it_back(void **state)
{
	struct gw_peer_key keys[4];
	struct gw_peers *p;

	assert_int_equal(gw_peers_new(&p, 2), 0);
	assert_true(enter(p, "192.0.2.1", &keys[0]));
	assert_true(enter(p, "192.0.2.1", &keys[1]));
	assert_false(enter(p, "192.0.2.1", &keys[2]));
	assert_true(enter(p, "192.0.2.2", &keys[3]));
	/* The one that was refused is counted until it is closed, then its place is free. */
	gw_peers_leave(p, &keys[2]);
	assert_false(enter(p, "::ffff:192.0.2.1", &keys[2]));
	gw_peers_leave(p, &keys[2]);
	gw_peers_leave(p, &keys[0]);
	assert_true(enter(p, "192.0.2.1", &keys[0]));
	gw_peers_leave(p, &keys[2]);
	gw_peers_drop(&p);
}

static void takes_a_subscriber_of_ipv6_for_one(void **state)
{
	struct gw_peer_key key, other;
	struct gw_peers *p;

	assert_int_equal(gw_peers_new(&p, 1), 0);
	assert_true(enter(p, "2001:db8:1:2::1", &key));
	assert_false(enter(p, "2001:db8:1:2:ffff::9", &other));
	gw_peers_leave(p, &other);
	assert_true(enter(p, "2001:db8:1:3::1", &other));
	gw_peers_drop(&p);
}

static void counts_nothing_without_a_limit(void **state)
{
	struct gw_peer_key key;
	struct gw_peers *p;

	assert_int_equal(gw_peers_new(&p, 0), 0);
	for (int i = 0; i < 100; i++)
		assert_true(enter(p, "192.0.2.1", &key));
	gw_peers_leave(p, &key);
	gw_peers_drop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_each_address_its_share_and_takes_it_back),
		cmocka_unit_test(takes_a_subscriber_of_ipv6_for_one),
		cmocka_unit_test(counts_nothing_without_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
