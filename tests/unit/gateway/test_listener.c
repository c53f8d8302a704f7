/* What absolute URLs begin with: the Host of the client is believed only if it is a name of the listener.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/listener.h"
#include "tests/test.h"

static const char *const names[] = { "ca.example", "192.0.2.1", "2001:db8::1" };

static char default_url[] = "https://ca.example:8443";

static const char *base_url(const char *host, struct arena *arena)
{
	struct gw_listener l = {
		.options = { .is_tls = true, .names = names, .n_names = 3 },
		.default_url = default_url,
	};

	return gw_listener_base_url(&l, host, arena);
}

static void expect(const char *host, const char *url)
{
	struct arena *arena = NULL;

	assert_int_equal(arena_new(&arena, 65536), 0);
	assert_string_equal(base_url(host, arena), url);
	arena_drop(&arena);
}

static void repeats_a_host_that_it_answers_to(void **state)
{
	expect("ca.example", "https://ca.example");
	expect("CA.example:443", "https://ca.example:443");
	expect("ca.example:65535", "https://ca.example:65535");
	expect("192.0.2.1:8443", "https://192.0.2.1:8443");
	expect("[2001:db8::1]", "https://[2001:db8::1]");
	expect("[2001:DB8::1]:9", "https://[2001:db8::1]:9");
}

static void uses_its_first_name_for_any_other(void **state)
{
	static const char *const hosts[] = {
		"evil.example", "evil.example:443", "ca.example.evil.example", "", ":443", "ca.example:",
		"ca.example:0", "ca.example:65536", "ca.example:123456", "ca.example:000001", "ca.example:4a",
		"ca.example:-1", "ca.example:443:443", "[2001:db8::1]evil.example", "[2001:db8::1]evil.example:443",
		"[2001:db8::1", "[]", "2001:db8::1", "[ca.example", "[ca.example]",
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
		expect(hosts[i], default_url);
	expect(NULL, default_url);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeats_a_host_that_it_answers_to),
		cmocka_unit_test(uses_its_first_name_for_any_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
