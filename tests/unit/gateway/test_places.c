/* gateway/places.c: where endpoints are besides their own paths, and who is meant where nothing says so.
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

static int handle(void *state, const struct http_request *q, struct http_reply *r)
{
	return 0;
}

static const struct proto_route own[] = { { "GET", "", handle }, { "GET", "/{below...}", handle }, { 0 } };
static const struct proto_route shared[] = { { "GET", "/sought", handle }, { "GET", "/cgi/sought", handle }, { 0 } };
static const struct proto_places places = { .named = "/sought", .routes = shared };
static const struct proto_adapter adapter = { .name = "sought", .routes = own, .places = &places };

static int states[2];

#define ENDPOINT(i, name_, path) { .adapter = &adapter, .state = &states[i], \
	.mount = { .name = name_, .prefix = path, .routes = own, .state = &states[i], .ignores_case = true } }
static const struct gw_endpoint one = ENDPOINT(0, "one", "/first"), two = ENDPOINT(1, "two", "/sought/one/two");
static const struct gw_endpoint *const both[] = { &one, &two };

/* Those of the configuration, then the places of `n` endpoints. */
static struct gw_router *make(struct gw_places **list, size_t n, const char *fallback)
{
	struct gw_router *router;

	assert_int_equal(gw_router_new(&router), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(gw_router_add(router, &both[i]->mount), 0);
	assert_int_equal(gw_places_add(list, &adapter, both, n, fallback, router), 0);
	return router;
}

static void *find(const struct gw_router *router, const char *path)
{
	struct gw_match match;

	return gw_router_find(router, "GET", path, &match) ? NULL : match.mount->state;
}

static void an_endpoint_is_where_its_name_is(void **state)
{
	struct gw_places *list = NULL;
	struct gw_router *router = make(&list, 2, NULL);

	assert_ptr_equal(find(router, "/first"), &states[0]);
	assert_ptr_equal(find(router, "/sought/one"), &states[0]);
	assert_ptr_equal(find(router, "/SOUGHT/One/x.exe"), &states[0]);
	assert_ptr_equal(find(router, "/sought/two"), &states[1]);
	assert_null(find(router, "/sought/three"));
	assert_null(find(router, "/sought/"));
	/* A path that was written comes first. */
	assert_ptr_equal(find(router, "/sought/one/two"), &states[1]);
	gw_router_drop(&router);
	gw_places_drop(&list);
}

static void where_no_name_is_the_group_is_asked(void **state)
{
	static const struct {
		size_t n;
		const char *fallback;
		void *expected;
	} cases[] = { { 1, NULL, &states[0] }, { 1, "one", &states[0] }, { 2, NULL, NULL }, { 2, "two", &states[1] } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct gw_places *list = NULL;
		struct gw_router *router = make(&list, cases[i].n, cases[i].fallback);
		const struct proto_group *group = find(router, "/sought");

		assert_non_null(group);
		assert_ptr_equal(find(router, "/CGI/Sought"), group);
		assert_int_equal(group->n, cases[i].n);
		assert_string_equal(group->members[0].endpoint, "one");
		assert_ptr_equal(group->members[0].state, &states[0]);
		assert_ptr_equal(group->fallback, cases[i].expected);
		gw_router_drop(&router);
		gw_places_drop(&list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_endpoint_is_where_its_name_is),
		cmocka_unit_test(where_no_name_is_the_group_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
