/* What several endpoints of one protocol count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/gateway_int.h"

#include "core/exit.h"
#include "core/policy.h"
#include "tests/test.h"

/* The core is linked in, but has nothing to do. */
const struct ca_policy_module *const policy_modules[] = { NULL };
const struct ca_exit_module *const exit_modules[] = { NULL };
const struct proto_adapter *const proto_adapters[] = { NULL };

static unsigned long long read_number(void *state)
{
	return *(const unsigned *)state;
}

static unsigned long long read_double(void *state)
{
	return 2ull * *(const unsigned *)state;
}

static const struct proto_counter counters[] = {
	{ "t_numbers", "Numbers.", read_number },
	{ "t_doubles", "Doubles.", read_double },
	{ 0 },
};

static const struct proto_counter gauges[] = { { "t_level", "How high it is.", read_number }, { 0 } };

static const char *weakness(void *state)
{
	return *(const unsigned *)state > 1 ? "takes anything" : NULL;
}

static const struct proto_adapter counting = { .name = "t", .counters = counters, .gauges = gauges,
					       .weakness = weakness }, silent = { .name = "s" };

/* A scraper refuses a metric with two heads, or one that is torn apart. */
static void prints_one_head_for_a_metric_of_two_endpoints(void **state)
{
	unsigned one = 1, two = 2;
	const struct gw_endpoint endpoints[] = {
		{ .adapter = &silent, .mount = { .name = "quiet" } },
		{ .adapter = &counting, .state = &one, .mount = { .name = "a" } },
		{ .adapter = &silent, .mount = { .name = "hush" } },
		{ .adapter = &counting, .state = &two, .mount = { .name = "b" } },
	};
	OWNED_BUF out = BUF_INIT(4096);

	gw_endpoints_print_counters(endpoints, 4, &out);
	assert_string_equal(buf_str(&out),
			    "# HELP gatehouse_t_numbers_total Numbers.\n# TYPE gatehouse_t_numbers_total counter\n"
			    "gatehouse_t_numbers_total{endpoint=\"a\"} 1\n"
			    "gatehouse_t_numbers_total{endpoint=\"b\"} 2\n"
			    "# HELP gatehouse_t_doubles_total Doubles.\n# TYPE gatehouse_t_doubles_total counter\n"
			    "gatehouse_t_doubles_total{endpoint=\"a\"} 2\n"
			    "gatehouse_t_doubles_total{endpoint=\"b\"} 4\n"
			    "# HELP gatehouse_t_level How high it is.\n# TYPE gatehouse_t_level gauge\n"
			    "gatehouse_t_level{endpoint=\"a\"} 1\n"
			    "gatehouse_t_level{endpoint=\"b\"} 2\n");
	buf_reset(&out);
	gw_endpoints_print_weaknesses(endpoints, 4, &out);
	assert_string_equal(buf_str(&out), "endpoint b algorithms: ok, but takes anything\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_one_head_for_a_metric_of_two_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
