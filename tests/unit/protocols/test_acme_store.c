/* The store by itself: how it forgets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/store.h"
#include "tests/test.h"

#include <unistd.h>

#define NOW_S 1800000000

static struct acme_store *store;
static struct arena *arena;
static char folder[32];

static int start(void **state)
{
	const struct acme_account account = { .status = ACME_VALID, .jwk = "{}", .thumbprint = "t", .contact = "[]" };
	char why[256] = "", path[64];
	int64_t id;

	snprintf(folder, sizeof(folder), "/tmp/test_store_XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/acme.db", folder);
	assert_int_equal(arena_new(&arena, 1 << 24), 0);
	assert_int_equal(acme_store_open(&store, path, why, sizeof(why)), 0);
	assert_int_equal(acme_store_add_account(store, &account, NOW_S, &id), 0);
	assert_int_equal(id, 1);
	return 0;
}

static int stop(void **state)
{
	static const char *const files[] = { "acme.db", "acme.db-wal", "acme.db-shm" };
	char path[64];

	acme_store_drop(&store);
	arena_drop(&arena);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

/* Orders of a hundred authorizations each, which expire at `authz_s`. */
static void add_orders(const char *name, unsigned n, int64_t order_s, int64_t authz_s)
{
	for (unsigned i = 0; i < n; i++) {
		struct acme_authz *list = arena_alloc(arena, 100 * sizeof(*list));
		struct acme_order o = { .account = 1, .status = ACME_PENDING, .expires_s = order_s, .authz = list,
					.n_authz = 100 };

		assert_non_null(list);
		o.name = arena_printf(arena, "%s-%u", name, i);
		for (unsigned k = 0; k < 100; k++)
			list[k] = (struct acme_authz){
				.account = 1, .name = arena_printf(arena, "%s-%u-%u", name, i, k),
				.kind = CA_NAME_DNS, .value = "a.example", .status = ACME_PENDING,
				.expires_s = authz_s,
				.challenge = { .name = arena_printf(arena, "c-%s-%u-%u", name, i, k),
					       .type = "http-01", .token = "t", .status = ACME_PENDING },
			};
		assert_int_equal(acme_store_add_order(store, &o, NOW_S, 1000), 0);
	}
}

static bool is_there(const char *authz)
{
	struct acme_authz out;
	int e = acme_store_get_authz(store, arena, authz, NOW_S, &out);

	assert_true(e == 0 || e == ACME_STORE_NONE);
	return e == 0;
}

/* Many authorizations that expired, but whose orders can still be read; behind them some that nobody names. */
static void looks_at_one_page_of_authorizations_a_time(void **state)
{
	unsigned sweeps = 0;
	bool more;

	add_orders("kept", 12, NOW_S + 1000, NOW_S + 10);
	add_orders("gone", 1, NOW_S + 5, NOW_S + 20);
	do {
		assert_int_equal(acme_store_sweep(store, NOW_S + 100, NOW_S + 50, &more), 0);
		assert_false(more);
	} while (++sweeps < 10 && is_there("gone-0-99"));
	/* Two pages of 500, and the third with the rest. */
	assert_int_equal(sweeps, 3);
	assert_false(is_there("gone-0-0"));
	assert_true(is_there("kept-0-0"));
	assert_true(is_there("kept-11-99"));
	/* And from the beginning: what is of no use any more by then goes. */
	for (sweeps = 0; sweeps < 10 && is_there("kept-11-99"); sweeps++)
		assert_int_equal(acme_store_sweep(store, NOW_S + 2000, NOW_S + 1500, &more), 0);
	assert_int_equal(sweeps, 3);
	assert_false(is_there("kept-0-0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(looks_at_one_page_of_authorizations_a_time, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
