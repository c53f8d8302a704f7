/* The router: exact, undecoded but for labels, the longest prefix first.
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

static const struct proto_route est_routes[] = {
	{ "GET", "/cacerts", handle },
	{ "POST", "/simpleenroll", handle },
	{ 0 },
};

static const struct gw_mount est = { .name = "est", .prefix = "/.well-known/est", .routes = est_routes,
				     .decodes_prefix = true };
static const struct gw_mount label = { .name = "label", .prefix = "/.well-known/est/ca:1", .routes = est_routes,
				       .decodes_prefix = true };
static const struct gw_mount longer = { .name = "longer", .prefix = "/.well-known/est/ca:12", .routes = est_routes,
					.decodes_prefix = true };

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

static void tells_labels_apart(void **state)
{
	static const struct {
		const char *method, *path;
		const struct gw_mount *mount; /* NULL: 404 */
	} cases[] = {
		{ "GET", "/.well-known/est/cacerts", &est },
		{ "POST", "/.well-known/est/simpleenroll", &est },
		{ "GET", "/.well-known/est/ca:1/cacerts", &label },
		{ "GET", "/.well-known/est/ca%3A1/cacerts", &label },
		{ "GET", "/.well-known/est/ca%3a1/cacerts", &label },
		{ "HEAD", "/.well-known/est/%63%61%3a%31/cacerts", &label },
		{ "GET", "/.well-known/est/ca:12/cacerts", &longer },
		{ "GET", "/.well-known/est/ca%3A1%32/cacerts", &longer },
		{ "GET", "/%2Ewell-known/%65st/cacerts", &est },
		/* Decoded once. */
		{ "GET", "/.well-known/est/ca%253A1/cacerts", NULL },
		/* No escape is a border between segments. */
		{ "GET", "/.well-known%2fest/cacerts", NULL },
		{ "GET", "/.well-known/est%2Fca:1/cacerts", NULL },
		{ "GET", "/.well-known/est/ca:1%2Fcacerts", NULL },
		{ "GET", "/.well-known/est/ca:1%00/cacerts", NULL },
		{ "GET", "/.well-known/est/%00/cacerts", NULL },
		{ "GET", "/.well-known/est/ca%3/cacerts", NULL },
		{ "GET", "/.well-known/est/ca%3", NULL },
		{ "GET", "/.well-known/est/ca%", NULL },
		{ "GET", "/.well-known/est/ca%3g1/cacerts", NULL },
		{ "GET", "/.well-known/est/ca% 3A1/cacerts", NULL },
		/* The operation is as it is. */
		{ "GET", "/.well-known/est/%63acerts", NULL },
		{ "GET", "/.well-known/est/ca:1/%63acerts", NULL },
		{ "GET", "/.well-known/est", NULL },
		{ "GET", "/.well-known/est/", NULL },
		{ "GET", "/.well-known/est//cacerts", NULL },
		{ "GET", "/.well-known/est/ca:1", NULL },
		{ "GET", "/.well-known/est/ca:1/", NULL },
		{ "GET", "/.well-known/est/CA:1/cacerts", NULL },
		{ "GET", "/.well-known/est/ca:/cacerts", NULL },
		{ "GET", "/.well-known/est/none/cacerts", NULL },
		{ "GET", "/.well-known/est/ca:1/ca:1/cacerts", NULL },
		{ "POST", "/.well-known/brski/requestvoucher", NULL },
		{ "GET", "/.well-known/brski", NULL },
	};
	const struct gw_mount *mounts[] = { &est, &label, &longer, &pages };
	struct gw_router *router;
	struct gw_match match;
	size_t i, k;
	int r;

	for (k = 0; k < 4; k++) {
		assert_int_equal(gw_router_new(&router), 0);
		for (i = 0; i < 4; i++) /* in any order */
			assert_int_equal(gw_router_add(router, mounts[(i * 3 + k) % 4]), 0);
		for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			r = gw_router_find(router, cases[i].method, cases[i].path, &match);
			if (r != (cases[i].mount ? 0 : GW_ROUTE_NOT_FOUND) || match.mount != cases[i].mount)
				fail_msg("%s is %d at %s", cases[i].path, r, match.mount ? match.mount->name : "-");
		}
		gw_router_drop(&router);
	}
}

static const struct proto_route scep_routes[] = {
	{ "GET", "", handle },
	{ "POST", "", handle },
	{ "GET", "/{below...}", handle },
	{ "GET", "/MScep/{name}/x", handle },
	{ 0 },
};
static const struct gw_mount scep = { .name = "scep", .prefix = "/SCEP/Name", .routes = scep_routes,
				      .ignores_case = true, .refuses_head = true };

static void takes_either_case_where_the_mount_says_so(void **state)
{
	static const struct {
		const char *method, *path;
		int outcome;
	} cases[] = {
		{ "GET", "/SCEP/Name", 0 },
		{ "POST", "/scep/name", 0 },
		{ "GET", "/sCeP/nAmE/pkiclient.exe", 0 },
		{ "GET", "/scep/nam", GW_ROUTE_NOT_FOUND },
		{ "GET", "/scep/name2", GW_ROUTE_NOT_FOUND },
		{ "GET", "/scep/nam%65", GW_ROUTE_NOT_FOUND },
		{ "GET", "/scep\x0fname", GW_ROUTE_NOT_FOUND },
		{ "GET", "/ACME/directory", GW_ROUTE_NOT_FOUND },
		{ "GET", "/HEALTHZ", GW_ROUTE_NOT_FOUND },
		{ "HEAD", "/scep/name", GW_ROUTE_NOT_ALLOWED },
		{ "HEAD", "/scep/name/x", GW_ROUTE_NOT_ALLOWED },
		{ "DELETE", "/scep/name", GW_ROUTE_NOT_ALLOWED },
		{ "POST", "/scep/name/pkiclient.exe", GW_ROUTE_NOT_ALLOWED },
	};
	struct gw_router *router = make();
	struct gw_match match;

	assert_int_equal(gw_router_add(router, &scep), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (gw_router_find(router, cases[i].method, cases[i].path, &match) != cases[i].outcome)
			fail_msg("%s %s is not %d", cases[i].method, cases[i].path, cases[i].outcome);
	assert_int_equal(gw_router_find(router, "PUT", "/scep/name", &match), GW_ROUTE_NOT_ALLOWED);
	assert_string_equal(match.allow, "GET, POST");
	/* A parameter is as it was sent. */
	assert_int_equal(gw_router_find(router, "GET", "/scep/name/AbC", &match), 0);
	assert_true(bytes_equal_str(match.params[0], "AbC"));
	gw_router_drop(&router);
}

static void the_first_of_two_equal_prefixes_counts(void **state)
{
	static const struct gw_mount second = { .name = "second", .prefix = "/acme", .routes = acme_routes };
	struct gw_router *router = make();
	struct gw_match match;

	assert_int_equal(gw_router_add(router, &second), 0);
	assert_int_equal(gw_router_find(router, "GET", "/acme/directory", &match), 0);
	assert_ptr_equal(match.mount, &acme);
	gw_router_drop(&router);
}

/* What another mount would take for its own. */
static void prefers_the_longest_prefix(void **state)
{
	static const struct proto_route all[] = { { "GET", "/{rest...}", handle }, { 0 } };
	static const struct gw_mount wide = { .name = "wide", .prefix = "/.well-known", .routes = all };
	const struct gw_mount *orders[2][2] = { { &wide, &est }, { &est, &wide } };
	struct gw_router *router;
	struct gw_match match;

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(gw_router_new(&router), 0);
		assert_int_equal(gw_router_add(router, orders[i][0]), 0);
		assert_int_equal(gw_router_add(router, orders[i][1]), 0);
		assert_int_equal(gw_router_find(router, "GET", "/.well-known/est/cacerts", &match), 0);
		assert_ptr_equal(match.mount, &est);
		assert_int_equal(gw_router_find(router, "GET", "/.well-known/est/other", &match), 0);
		assert_ptr_equal(match.mount, &wide);
		gw_router_drop(&router);
	}
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
		cmocka_unit_test(tells_labels_apart),
		cmocka_unit_test(takes_either_case_where_the_mount_says_so),
		cmocka_unit_test(the_first_of_two_equal_prefixes_counts),
		cmocka_unit_test(prefers_the_longest_prefix),
		cmocka_unit_test(gives_segments_as_they_were_sent),
		cmocka_unit_test(gives_all_that_is_left_as_it_was_sent),
		cmocka_unit_test(says_what_is_allowed),
		cmocka_unit_test(refuses_more_parameters_than_a_request_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
