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

static int enter_at(struct gw_peers *p, const char *text, int64_t now_ms, struct gw_peer_key *key)
{
	struct sockaddr_storage a = address(text);

	return gw_peers_enter(p, (const struct sockaddr *)&a, now_ms, key);
}

static bool enter(struct gw_peers *p, const char *text, struct gw_peer_key *key)
{
	return enter_at(p, text, 0, key) == 0;
}

static void gives_each_address_its_share_and_takes_it_back(void **state)
{
	struct gw_peer_key keys[4];
	struct gw_peers *p;

	assert_int_equal(gw_peers_new(&p, 2, 0), 0);
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

	assert_int_equal(gw_peers_new(&p, 1, 0), 0);
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

	assert_int_equal(gw_peers_new(&p, 0, 0), 0);
	for (int i = 0; i < 100; i++)
		assert_true(enter(p, "192.0.2.1", &key));
	gw_peers_leave(p, &key);
	gw_peers_drop(&p);
}

static bool blame(struct gw_peers *p, const char *text, int64_t now_ms)
{
	struct gw_peer_key key;

	enter_at(p, text, now_ms, &key);
	gw_peers_leave(p, &key);
	return gw_peers_blame(p, &key, now_ms);
}

static int state_of(struct gw_peers *p, const char *text, int64_t now_ms)
{
	struct gw_peer_key key;
	int r = enter_at(p, text, now_ms, &key);

	gw_peers_leave(p, &key);
	return r;
}

static void pauses_an_address_that_floods(void **state)
{
	struct gw_peers *p;

	assert_int_equal(gw_peers_new(&p, 0, 1000), 0);
	assert_false(blame(p, "192.0.2.1", 5000));
	assert_false(blame(p, "192.0.2.1", 5001));
	assert_int_equal(state_of(p, "192.0.2.1", 5001), 0);
	assert_true(blame(p, "192.0.2.1", 5002));
	assert_int_equal(state_of(p, "192.0.2.1", 5003), GW_PEERS_PAUSED);
	assert_int_equal(state_of(p, "::ffff:192.0.2.1", 5003), GW_PEERS_PAUSED);
	assert_int_equal(state_of(p, "192.0.2.2", 5003), 0);
	/* What was open when the pause began is cut too, and does not prolong it. */
	assert_false(blame(p, "192.0.2.1", 5004));
	assert_false(blame(p, "192.0.2.1", 5004));
	assert_int_equal(state_of(p, "192.0.2.1", 5990), GW_PEERS_PAUSED);
	assert_int_equal(state_of(p, "192.0.2.1", 6010), 0);
	/* From now on one is enough, until it was quiet for as long as it has cuts. */
	assert_true(blame(p, "192.0.2.1", 6010));
	assert_int_equal(state_of(p, "192.0.2.1", 6500), GW_PEERS_PAUSED);
	assert_int_equal(state_of(p, "192.0.2.1", 7010), 0);
	assert_false(blame(p, "192.0.2.1", 10000));
	assert_false(blame(p, "192.0.2.1", 10000));
	assert_int_equal(state_of(p, "192.0.2.1", 10000), 0);
	gw_peers_drop(&p);
}

static void pauses_a_subscriber_of_ipv6_as_one(void **state)
{
	struct gw_peers *p;

	assert_int_equal(gw_peers_new(&p, 10, 1000), 0);
	blame(p, "2001:db8:1:2::1", 5000);
	blame(p, "2001:db8:1:2::2", 5000);
	assert_true(blame(p, "2001:db8:1:2::3", 5000));
	assert_int_equal(state_of(p, "2001:db8:1:2:ffff::9", 5001), GW_PEERS_PAUSED);
	assert_int_equal(state_of(p, "2001:db8:1:3::1", 5001), 0);
	gw_peers_drop(&p);
}

static void pauses_nobody_when_it_is_told_so(void **state)
{
	struct gw_peers *p;

	assert_int_equal(gw_peers_new(&p, 10, 0), 0);
	for (int i = 0; i < 100; i++)
		assert_false(blame(p, "192.0.2.1", 5000));
	assert_int_equal(state_of(p, "192.0.2.1", 5000), 0);
	gw_peers_drop(&p);
}

/* More addresses than there are places: memory does not grow, and the newest are remembered. */
static void remembers_the_latest_of_many(void **state)
{
	struct gw_peers *p;
	char text[32];
	int i, k;

	assert_int_equal(gw_peers_new(&p, 0, 1000), 0);
	for (i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i / 256, i % 256);
		for (k = 0; k < 3; k++)
			blame(p, text, 5000 + i / 100);
	}
	assert_int_equal(state_of(p, text, 5100), GW_PEERS_PAUSED);
	assert_int_equal(state_of(p, "10.0.0.0", 5100), 0);
	gw_peers_drop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_each_address_its_share_and_takes_it_back),
		cmocka_unit_test(takes_a_subscriber_of_ipv6_for_one),
		cmocka_unit_test(counts_nothing_without_a_limit),
		cmocka_unit_test(pauses_an_address_that_floods),
		cmocka_unit_test(pauses_a_subscriber_of_ipv6_as_one),
		cmocka_unit_test(pauses_nobody_when_it_is_told_so),
		cmocka_unit_test(remembers_the_latest_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
