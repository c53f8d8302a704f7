/* The router: exact, undecoded, in order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "gateway/router.h"

#include <errno.h>

static int handle(void *state, const struct http_request *q, struct http_reply *r)
{
	return 0;
}

static const struct proto_route acme_routes[] = {
	{ "GET", "/directory", handle },
	{ "GET", "/new-nonce", handle },
	{ "POST", "/order/{id}", handle },
	{ "POST", "/order/{id}/finalize", handle },
	{ "GET", "/terms", handle },
	{ "POST", "/terms", handle },
	{ 0 },
};

static const struct proto_route page_routes[] = { { "GET", "/healthz", handle }, { "GET", "/", handle }, { 0 } };

static const struct proto_route status_routes[] = {
	{ "POST", "/ocsp", handle },
	{ "GET", "/ocsp/{request...}", handle },
	{ 0 },
};

static const struct gw_mount status = { .name = "status", .prefix = "/status", .routes = status_routes };
static const struct gw_mount acme = { .name = "acme", .prefix = "/acme", .routes = acme_routes };
static const struct gw_mount pages = { .name = "gateway", .prefix = "", .routes = page_routes };

static struct gw_router *make(void)
{
	struct gw_router *router;

	assert_int_equal(gw_router_new(&router), 0);
	assert_int_equal(gw_router_add(router, &acme), 0);
	assert_int_equal(gw_router_add(router, &status), 0);
	assert_int_equal(gw_router_add(router, &pages), 0);
	return router;
}

static void finds_exact_paths_and_nothing_else(void **state)
{
	static const struct {
		const char *method, *path;
		int outcome;
	} cases[] = {
		{ "GET", "/acme/directory", 0 },
		{ "HEAD", "/acme/directory", 0 },
		{ "GET", "/", 0 },
		{ "GET", "/healthz", 0 },
		{ "POST", "/acme/order/7", 0 },
		{ "POST", "/acme/order/7/finalize", 0 },
		{ "POST", "/acme/order/%37", 0 },
		{ "POST", "/status/ocsp", 0 },
		{ "GET", "/status/ocsp/MEUw+w==", 0 },
		{ "GET", "/status/ocsp/a/b//c/", 0 },
		{ "GET", "/status/ocsp//", 0 },
		{ "GET", "/status/ocsp/", GW_ROUTE_NOT_FOUND },
		{ "GET", "/status/ocsp", GW_ROUTE_NOT_ALLOWED },
		{ "POST", "/status/ocsp/a/b", GW_ROUTE_NOT_ALLOWED },
		{ "GET", "/acme", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme/", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme/directory/", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme//directory", GW_ROUTE_NOT_FOUND },
		{ "GET", "//acme/directory", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme/./directory", GW_ROUTE_NOT_FOUND },
		{ "GET", "/x/../acme/directory", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme/%64irectory", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme%2fdirectory", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme/directory%00", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme/directory;x", GW_ROUTE_NOT_FOUND },
		{ "GET", "/ACME/directory", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acme/Directory", GW_ROUTE_NOT_FOUND },
		{ "GET", "/acmedirectory", GW_ROUTE_NOT_FOUND },
		{ "POST", "/acme/order/", GW_ROUTE_NOT_FOUND },
		{ "POST", "/acme/order//finalize", GW_ROUTE_NOT_FOUND },
		{ "POST", "/acme/order/7/8", GW_ROUTE_NOT_FOUND },
		{ "POST", "/acme/directory", GW_ROUTE_NOT_ALLOWED },
		{ "GET", "/acme/order/7", GW_ROUTE_NOT_ALLOWED },
		{ "HEAD", "/acme/order/7", GW_ROUTE_NOT_ALLOWED },
	};
	struct gw_router *router = make();
	struct gw_match match;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (gw_router_find(router, cases[i].method, cases[i].path, &match) != cases[i].outcome)
			fail_msg("%s %s is not %d", cases[i].method, cases[i].path, cases[i].outcome);
	gw_router_drop(&router);
}

static void gives_segments_as_they_were_sent(void **state)
{
	struct gw_router *router = make();
	struct gw_match match;

	assert_int_equal(gw_router_find(router, "POST", "/acme/order/a%20b/finalize", &match), 0);
	assert_ptr_equal(match.mount, &acme);
	assert_ptr_equal(match.route, &acme_routes[3]);
	assert_int_equal(match.n_params, 1);
	assert_true(bytes_equal_str(match.params[0], "a%20b"));
	gw_router_drop(&router);
}

static void gives_all_that_is_left_as_it_was_sent(void **state)
{
	struct gw_router *router = make();
	struct gw_match match;

	assert_int_equal(gw_router_find(router, "GET", "/status/ocsp/MEUw%2f/x//=", &match), 0);
	assert_ptr_equal(match.route, &status_routes[1]);
	assert_int_equal(match.n_params, 1);
	assert_true(bytes_equal_str(match.params[0], "MEUw%2f/x//="));
	gw_router_drop(&router);
}

static void says_what_is_allowed(void **state)
{
	struct gw_router *router = make();
	struct gw_match match;

	assert_int_equal(gw_router_find(router, "POST", "/healthz", &match), GW_ROUTE_NOT_ALLOWED);
	assert_string_equal(match.allow, "GET, HEAD");
	assert_int_equal(gw_router_find(router, "HEAD", "/acme/order/1", &match), GW_ROUTE_NOT_ALLOWED);
	assert_string_equal(match.allow, "POST");
	assert_int_equal(gw_router_find(router, "PUT", "/acme/terms", &match), GW_ROUTE_NOT_ALLOWED);
	assert_string_equal(match.allow, "GET, HEAD, POST");
	gw_router_drop(&router);
}

static void refuses_more_parameters_than_a_request_holds(void **state)
{
	static const struct proto_route routes[] = { { "GET", "/{a}/{b}/{c}/{d}/{e}", handle }, { 0 } };
	static const struct gw_mount mount = { .name = "x", .prefix = "/x", .routes = routes };
	struct gw_router *router = make();

	assert_int_equal(gw_router_add(router, &mount), -EINVAL);
	gw_router_drop(&router);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_exact_paths_and_nothing_else),
		cmocka_unit_test(gives_segments_as_they_were_sent),
		cmocka_unit_test(gives_all_that_is_left_as_it_was_sent),
		cmocka_unit_test(says_what_is_allowed),
		cmocka_unit_test(refuses_more_parameters_than_a_request_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
