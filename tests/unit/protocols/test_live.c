/* Live orders: what is kept is what the database says, or is not kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/live.h"
#include "tests/test.h"

#include <unistd.h>

#define NOW_S 1800000000

static struct live *live;
static struct arena *arena;

static int start(void **state)
{
	assert_int_equal(arena_new(&arena, 1 << 24), 0);
	assert_int_equal(live_new(&live, 3), 0);
	return 0;
}

static int stop(void **state)
{
	live_drop(&live);
	arena_drop(&arena);
	return 0;
}

/* The order `number`, with one authorization; its texts are in memory that the caller may overwrite. */
static struct acme_order make_order(unsigned number)
{
	struct acme_authz *z = arena_alloc(arena, sizeof(*z));
	struct acme_order o = {
		.id = number, .account = 1, .name = arena_printf(arena, "%024u", number), .status = ACME_PENDING,
		.created_s = NOW_S, .expires_s = NOW_S + number, .authz = z, .n_authz = 1,
	};

	assert_non_null(z);
	*z = (struct acme_authz){
		.id = number, .account = 1, .name = arena_printf(arena, "%s-0", o.name), .kind = CA_NAME_DNS,
		.value = "a.example", .status = ACME_PENDING, .expires_s = NOW_S + 100,
		.challenge = { .id = number, .name = arena_printf(arena, "%s-0-0", o.name), .type = "http-01",
			       .token = "t", .status = ACME_PENDING },
	};
	return o;
}

static void add(const struct acme_order *o)
{
	live_add_begins(live, o->name);
	live_order_added(live, true, o);
}

static bool is_kept(const struct acme_order *o)
{
	struct acme_order out;

	return live_get_order(live, arena, o->name, &out);
}

static struct acme_authz valid_authz(const struct acme_order *o)
{
	struct acme_authz z = o->authz[0];

	z.status = z.challenge.status = ACME_VALID;
	z.challenge.validated_s = NOW_S + 1;
	z.challenge.address = "192.0.2.1";
	return z;
}

static struct acme_order valid_order(const struct acme_order *o)
{
	struct acme_order valid = *o;

	valid.status = ACME_VALID;
	valid.csr = bytes_of_str("csr");
	valid.core_id = 7;
	valid.certificate = arena_printf(arena, "%s-c", o->name);
	return valid;
}

static void shows_each_write(void **state)
{
	struct acme_order o = make_order(1), valid = valid_order(&o), out;
	struct acme_authz z = valid_authz(&o), found;
	struct acme_certificate cert;

	add(&o);
	live_write_begins(live, z.name);
	assert_true(live_get_authz(live, arena, z.name, &found));
	assert_int_equal(found.status, ACME_PENDING);
	live_authz_written(live, true, &z);
	assert_true(live_get_authz(live, arena, z.challenge.name, &found));
	assert_int_equal(found.challenge.status, ACME_VALID);
	assert_string_equal(found.challenge.address, "192.0.2.1");
	assert_false(live_take_certificate(live, arena, valid.certificate, &cert));
	live_write_begins(live, o.name);
	live_order_written(live, true, &valid, "pem");
	assert_true(live_get_order(live, arena, o.name, &out));
	assert_int_equal(out.status, ACME_VALID);
	assert_int_equal(out.core_id, 7);
	assert_int_equal(out.authz[0].status, ACME_VALID);
	assert_true(bytes_equal(out.csr, bytes_of_str("csr")));
	assert_false(live_take_certificate(live, arena, o.name, &cert));
	assert_true(live_take_certificate(live, arena, valid.certificate, &cert));
	assert_true(bytes_equal(cert.pem, bytes_of_str("pem")));
	assert_string_equal(cert.order, o.name);
	assert_false(is_kept(&o));
}

static void forgets_what_two_wrote_at_once(void **state)
{
	struct acme_order o = make_order(1);
	struct acme_authz z = valid_authz(&o);

	add(&o);
	live_write_begins(live, z.name);
	live_write_begins(live, o.name);
	assert_true(is_kept(&o));
	live_authz_written(live, true, &z);
	assert_false(is_kept(&o));
	live_order_written(live, true, &o, NULL); /* which finds nothing to do */
	assert_false(is_kept(&o));
}

static void forgets_what_was_not_written(void **state)
{
	struct acme_order o = make_order(1);

	add(&o);
	live_write_begins(live, o.name);
	live_order_collected(live, false, o.name);
	assert_false(is_kept(&o));
}

static void shows_an_order_only_when_it_was_committed(void **state)
{
	struct acme_order o = make_order(1), lost = make_order(2);
	struct acme_authz found;

	live_add_begins(live, o.name);
	assert_false(is_kept(&o));
	assert_false(live_get_authz(live, arena, o.authz[0].name, &found));
	live_order_added(live, true, &o);
	assert_true(is_kept(&o));
	live_add_begins(live, lost.name);
	live_order_added(live, false, &lost);
	assert_false(is_kept(&lost));
}

/* A client that knows the names may write as soon as the order is committed. */
static void forgets_what_was_written_before_the_order_was_added(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct acme_order o = make_order(i + 1);
		struct acme_authz z = valid_authz(&o);

		live_add_begins(live, o.name);
		live_write_begins(live, z.name);
		if (i == 0)
			live_order_added(live, true, &o);
		live_authz_written(live, true, &z);
		if (i == 1)
			live_order_added(live, true, &o);
		assert_false(is_kept(&o));
	}
}

static void forgets_what_was_written_without_a_begin(void **state)
{
	struct acme_order o = make_order(1);
	struct acme_authz z = valid_authz(&o);

	live_write_begins(live, z.name);
	add(&o);
	live_authz_written(live, true, &z);
	assert_false(is_kept(&o));
	add(&o);
	live_write_begins(live, z.name);
	live_authz_written(live, true, &z);
	assert_true(is_kept(&o));
}

static void keeps_no_order_with_the_authorization_of_another(void **state)
{
	struct acme_order first = make_order(1), second = make_order(2);

	second.authz[0] = first.authz[0];
	add(&second);
	assert_false(is_kept(&second));
}

static void forgets_the_oldest_first_and_what_expired(void **state)
{
	struct acme_order o[4];

	for (unsigned i = 0; i < 4; i++) {
		o[i] = make_order(i + 1);
		add(&o[i]);
	}
	assert_false(is_kept(&o[0]));
	assert_true(is_kept(&o[1]));
	live_forget_expired(live, o[2].expires_s);
	assert_false(is_kept(&o[1]));
	assert_true(is_kept(&o[2]));
	assert_true(is_kept(&o[3]));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(shows_each_write),
		TEST(forgets_what_two_wrote_at_once),
		TEST(forgets_what_was_not_written),
		TEST(shows_an_order_only_when_it_was_committed),
		TEST(forgets_what_was_written_before_the_order_was_added),
		TEST(forgets_what_was_written_without_a_begin),
		TEST(keeps_no_order_with_the_authorization_of_another),
		TEST(forgets_the_oldest_first_and_what_expired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
