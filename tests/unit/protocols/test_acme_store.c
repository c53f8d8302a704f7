/* The store by itself: what it remembers without asking the database, and how it forgets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/db.h"
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
		assert_int_equal(acme_store_add_order(store, arena, &o, NOW_S, 1000, INT64_MAX), 0);
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

/* A store of its own over the same file, which has seen none of the writes. */
static struct acme_store *open_another(void)
{
	struct acme_store *another = NULL;
	char why[256] = "", path[64];

	snprintf(path, sizeof(path), "%s/acme.db", folder);
	assert_int_equal(acme_store_open(&another, path, why, sizeof(why)), 0);
	return another;
}

static void expect_same_text(const char *a, const char *b)
{
	assert_string_equal(a ? a : "(none)", b ? b : "(none)");
}

static void expect_same_authz(const struct acme_authz *a, const struct acme_authz *b)
{
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->account, b->account);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->expires_s, b->expires_s);
	assert_int_equal(a->challenge.id, b->challenge.id);
	assert_int_equal(a->challenge.status, b->challenge.status);
	assert_int_equal(a->challenge.validated_s, b->challenge.validated_s);
	expect_same_text(a->name, b->name);
	expect_same_text(a->value, b->value);
	expect_same_text(a->challenge.name, b->challenge.name);
	expect_same_text(a->challenge.type, b->challenge.type);
	expect_same_text(a->challenge.token, b->challenge.token);
	expect_same_text(a->challenge.address, b->challenge.address);
	expect_same_text(a->challenge.error, b->challenge.error);
}

/* What this store remembers is what the file says. */
static void expect_the_truth(const char *name, int64_t now_s, enum acme_status status)
{
	struct acme_store *another = open_another();
	struct acme_order mine, truth;
	struct acme_authz authz;

	assert_int_equal(acme_store_get_order(store, arena, name, now_s, &mine), 0);
	assert_int_equal(acme_store_get_order(another, arena, name, now_s, &truth), 0);
	acme_store_drop(&another);
	assert_int_equal(mine.status, status);
	assert_int_equal(mine.status, truth.status);
	assert_int_equal(mine.id, truth.id);
	assert_int_equal(mine.account, truth.account);
	assert_int_equal(mine.created_s, truth.created_s);
	assert_int_equal(mine.expires_s, truth.expires_s);
	assert_int_equal(mine.finalized_s, truth.finalized_s);
	assert_int_equal(mine.core_id, truth.core_id);
	assert_int_equal(mine.to_collect, truth.to_collect);
	assert_int_equal(mine.n_authz, truth.n_authz);
	assert_true(bytes_equal(mine.csr, truth.csr));
	expect_same_text(mine.error, truth.error);
	expect_same_text(mine.certificate, truth.certificate);
	for (size_t i = 0; i < mine.n_authz; i++) {
		expect_same_authz(&mine.authz[i], &truth.authz[i]);
		assert_int_equal(acme_store_get_challenge(store, arena, truth.authz[i].challenge.name, now_s, &authz),
				 0);
		expect_same_authz(&authz, &truth.authz[i]);
	}
}

#define LIVE_NAME "AZqwErTyUiOpAsDfGhJkLzXc"

static struct acme_order add_live_order(void)
{
	struct acme_authz *list = arena_alloc(arena, 2 * sizeof(*list));
	struct acme_order o = { .account = 1, .name = LIVE_NAME, .status = ACME_PENDING, .expires_s = NOW_S + 100,
				.authz = list, .n_authz = 2 };

	assert_non_null(list);
	for (unsigned k = 0; k < 2; k++)
		list[k] = (struct acme_authz){
			.account = 1, .name = arena_printf(arena, LIVE_NAME "-%u", k), .kind = CA_NAME_DNS,
			.value = "a.example", .status = ACME_PENDING, .expires_s = NOW_S + 100,
			.challenge = { .name = arena_printf(arena, LIVE_NAME "-%u-0", k), .type = "http-01",
				       .token = "t", .status = ACME_PENDING },
		};
	assert_int_equal(acme_store_add_order(store, arena, &o, NOW_S, 1000, INT64_MAX), 0);
	return o;
}

static void set_challenge(const struct acme_authz *a, enum acme_status status)
{
	struct acme_authz set = *a;

	set.challenge.status = status;
	if (status == ACME_VALID) {
		set.status = ACME_VALID;
		set.expires_s = NOW_S + 1000;
		set.challenge.validated_s = NOW_S + 1;
		set.challenge.address = "192.0.2.1";
	}
	assert_int_equal(acme_store_set_challenge(store, &set), 0);
}

static void remembers_what_it_wrote(void **state)
{
	struct acme_order o = add_live_order();
	struct acme_certificate cert;

	expect_the_truth(o.name, NOW_S, ACME_PENDING);
	expect_the_truth(o.name, NOW_S + 100, ACME_INVALID);
	set_challenge(&o.authz[0], ACME_PROCESSING);
	expect_the_truth(o.name, NOW_S, ACME_PENDING);
	set_challenge(&o.authz[0], ACME_VALID);
	expect_the_truth(o.name, NOW_S, ACME_PENDING);
	set_challenge(&o.authz[1], ACME_VALID);
	expect_the_truth(o.name, NOW_S, ACME_READY);
	o.status = ACME_PROCESSING;
	o.csr = bytes_of_str("octets");
	o.finalized_s = NOW_S + 2;
	o.core_id = 17;
	assert_int_equal(acme_store_set_processing(store, &o), 0);
	expect_the_truth(o.name, NOW_S, ACME_PROCESSING);
	o.certificate = LIVE_NAME "-c";
	o.to_collect = true;
	o.status = ACME_VALID;
	assert_int_equal(acme_store_set_valid(store, &o, "pem"), 0);
	expect_the_truth(o.name, NOW_S, ACME_VALID);
	assert_int_equal(acme_store_set_collected(store, o.name), 0);
	expect_the_truth(o.name, NOW_S, ACME_VALID);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(acme_store_get_certificate(store, arena, o.certificate, &cert), 0);
		assert_true(bytes_equal(cert.pem, bytes_of_str("pem")));
		assert_string_equal(cert.order, o.name);
		assert_false(cert.to_collect);
	}
}

static void remembers_what_was_given_up_and_forgets_what_is_gone(void **state)
{
	struct acme_order o = add_live_order();
	struct acme_authz given_up = o.authz[1];
	bool more;

	set_challenge(&o.authz[0], ACME_VALID);
	set_challenge(&o.authz[0], ACME_PROCESSING); /* too late, changes nothing */
	expect_the_truth(o.name, NOW_S, ACME_PENDING);
	given_up.status = ACME_DEACTIVATED;
	assert_int_equal(acme_store_deactivate_authz(store, &given_up), 0);
	expect_the_truth(o.name, NOW_S, ACME_INVALID);
	o.error = "{}";
	o.status = ACME_INVALID;
	assert_int_equal(acme_store_set_invalid(store, &o), 0);
	expect_the_truth(o.name, NOW_S, ACME_INVALID);
	assert_int_equal(acme_store_sweep(store, NOW_S + 2000, NOW_S + 2000, &more), 0);
	assert_int_equal(acme_store_get_order(store, arena, o.name, NOW_S, &o), ACME_STORE_NONE);
	assert_false(is_there(LIVE_NAME "-0"));
}

/* The file as schema 2 had it. */
static int go_back(struct db_conn *conn, void *arg)
{
	static const char *const steps[] = {
		"ALTER TABLE orders ADD COLUMN csr BLOB",
		"ALTER TABLE orders ADD COLUMN pem TEXT",
		"UPDATE orders SET csr=(SELECT csr FROM result WHERE order_id=id),"
		" pem=(SELECT pem FROM result WHERE order_id=id)",
		"DROP TABLE result",
		"DROP INDEX account_to_withdraw",
		"ALTER TABLE account DROP COLUMN withdrawn",
		"DROP INDEX account_first",
		"ALTER TABLE account DROP COLUMN first_thumbprint",
		"ALTER TABLE account DROP COLUMN external",
		"ALTER TABLE account DROP COLUMN binding",
		"PRAGMA user_version=2",
	};
	int e = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !e; i++)
		e = db_run(conn, steps[i]);
	return e;
}

static void takes_over_what_an_older_version_wrote(void **state)
{
	static const char *const five[] = { "", "", "", "", "", NULL };
	struct acme_order waiting = add_live_order(), out;
	struct acme_certificate cert;
	struct acme_account account;
	struct db *db = NULL;
	char why[256] = "", path[64];

	snprintf(path, sizeof(path), "%s/acme.db", folder);
	waiting.status = ACME_PROCESSING;
	waiting.csr = bytes_of_str("octets");
	assert_int_equal(acme_store_set_processing(store, &waiting), 0);
	add_orders("valid", 1, NOW_S + 1000, NOW_S + 1000);
	assert_int_equal(acme_store_get_order(store, arena, "valid-0", NOW_S, &out), 0);
	out.csr = bytes_of_str("other octets");
	out.certificate = "valid-0-c";
	assert_int_equal(acme_store_set_valid(store, &out, "pem"), 0);
	acme_store_drop(&store);
	assert_int_equal(db_open(&db, &(struct db_options){ .path = path, .application_id = 0x47484143,
							    .migrations = five }, why, sizeof(why)), 0);
	assert_int_equal(db_write(db, go_back, NULL), 0);
	db_drop(&db);
	assert_int_equal(acme_store_open(&store, path, why, sizeof(why)), 0);
	assert_int_equal(acme_store_get_order(store, arena, LIVE_NAME, NOW_S, &out), 0);
	assert_int_equal(out.status, ACME_PROCESSING);
	assert_true(bytes_equal(out.csr, bytes_of_str("octets")));
	assert_int_equal(acme_store_get_certificate(store, arena, "valid-0-c", &cert), 0);
	assert_true(bytes_equal(cert.pem, bytes_of_str("pem")));
	assert_int_equal(acme_store_get_account(store, arena, 1, &account), 0);
	assert_string_equal(account.first_thumbprint, "t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(looks_at_one_page_of_authorizations_a_time, start, stop),
		cmocka_unit_test_setup_teardown(remembers_what_it_wrote, start, stop),
		cmocka_unit_test_setup_teardown(remembers_what_was_given_up_and_forgets_what_is_gone, start, stop),
		cmocka_unit_test_setup_teardown(takes_over_what_an_older_version_wrote, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
