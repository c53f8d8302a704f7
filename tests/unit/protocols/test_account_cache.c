/* Accounts that are kept: what is read once, what is forgotten, and that nobody is shown what was before a write.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/store.h"

/* What happens, once, right behind the next read of a row. */
static void (*behind_read)(void);

static int read_account(struct acme_store *s, struct arena *a, int64_t id, struct acme_account *out)
{
	int e = acme_store_get_account(s, a, id, out);
	void (*happens)(void) = behind_read;

	if (happens) {
		behind_read = NULL;
		happens();
	}
	return e;
}

#define acme_store_get_account read_account
#include "protocols/acme/account_cache.c"
#undef acme_store_get_account

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/protocols/signing.h"

#define NOW_S 1800000000
#define ACCOUNTS 16

static struct acme_store *store;
static struct account_cache *cache;
static struct jwk *keys[ACCOUNTS];
static char folder[32];

static int make_keys(void **state)
{
	for (size_t i = 0; i < ACCOUNTS; i++) {
		struct signing_key k = signing_key_make(i % 2 ? "EdDSA" : "ES256", 0);
		const char *why = NULL;

		assert_int_equal(jwk_read(&keys[i], bytes_of_str(k.jwk), &why), 0);
		signing_key_fini(&k);
	}
	return 0;
}

static int drop_keys(void **state)
{
	for (size_t i = 0; i < ACCOUNTS; i++)
		jwk_drop(&keys[i]);
	return 0;
}

static void add_account(const char *jwk, const char *thumbprint, int64_t expected_id)
{
	const struct acme_account account = {
		.status = ACME_VALID, .jwk = jwk, .thumbprint = thumbprint, .contact = "[]", .terms_s = 7,
	};
	int64_t id;

	assert_int_equal(acme_store_add_account(store, &account, NOW_S, &id), 0);
	assert_int_equal(id, expected_id);
}

/* Accounts 1 to ACCOUNTS, and a cache of four. */
static int start(void **state)
{
	char why[256] = "", path[64];

	snprintf(folder, sizeof(folder), "/tmp/test_cache_XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/acme.db", folder);
	assert_int_equal(acme_store_open(&store, path, why, sizeof(why)), 0);
	for (int i = 0; i < ACCOUNTS; i++)
		add_account(keys[i]->text, keys[i]->thumbprint, i + 1);
	assert_int_equal(account_cache_new(&cache, store, 4), 0);
	return 0;
}

static int stop(void **state)
{
	static const char *const files[] = { "acme.db", "acme.db-wal", "acme.db-shm" };
	char path[64];

	account_cache_drop(&cache);
	acme_store_drop(&store);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static struct known_account *get(int64_t id)
{
	struct known_account *known = NULL;

	assert_int_equal(account_cache_get(cache, id, &known), 0);
	assert_int_equal(known->row.id, id);
	return known;
}

static void expect_contact(int64_t id, const char *contact)
{
	struct known_account *known = get(id);

	assert_string_equal(known->row.contact, contact);
	known_account_unref(&known);
	assert_null(known);
}

static void gives_the_row_and_its_key(void **state)
{
	for (int i = 0; i < ACCOUNTS; i++) {
		struct known_account *known = get(i + 1);

		assert_int_equal(known->row.status, ACME_VALID);
		assert_int_equal(known->row.terms_s, 7);
		assert_string_equal(known->row.contact, "[]");
		assert_string_equal(known->row.jwk, keys[i]->text);
		assert_string_equal(known->row.thumbprint, keys[i]->thumbprint);
		assert_string_equal(known->key->text, keys[i]->text);
		assert_true(bytes_equal(buf_bytes(&known->key->spki), buf_bytes(&keys[i]->spki)));
		known_account_unref(&known);
	}
}

/* Written past the cache, as nobody does: so it is seen who reads the store again. */
static void reads_the_store_once(void **state)
{
	expect_contact(1, "[]");
	assert_int_equal(acme_store_set_contact(store, 1, "[\"mailto:a@example.com\"]"), 0);
	expect_contact(1, "[]");
}

static void shows_a_write_to_the_next_request(void **state)
{
	struct known_account *before = get(1);

	assert_int_equal(account_cache_set_contact(cache, 1, "[\"mailto:a@example.com\"]"), 0);
	expect_contact(1, "[\"mailto:a@example.com\"]");
	assert_string_equal(before->row.contact, "[]"); /* who holds it keeps what it was */
	known_account_unref(&before);
	assert_int_equal(account_cache_set_contact(cache, 2, "[\"mailto:b@example.com\"]"), 0); /* was not kept */
	expect_contact(2, "[\"mailto:b@example.com\"]");
	expect_contact(1, "[\"mailto:a@example.com\"]");
}

static void shows_another_key_to_the_next_request(void **state)
{
	struct signing_key k = signing_key_make("ES384", 0);
	struct known_account *before = get(1), *after;
	struct jwk *key = NULL;
	const char *why = NULL;

	assert_int_equal(jwk_read(&key, bytes_of_str(k.jwk), &why), 0);
	assert_int_equal(account_cache_set_key(cache, 1, keys[1]->thumbprint, key->text, key->thumbprint),
			 ACME_STORE_LATE);
	assert_int_equal(account_cache_set_key(cache, 1, keys[0]->thumbprint, keys[1]->text, keys[1]->thumbprint),
			 ACME_STORE_EXISTS);
	assert_int_equal(account_cache_set_key(cache, 1, keys[0]->thumbprint, key->text, key->thumbprint), 0);
	after = get(1);
	assert_string_equal(before->row.thumbprint, keys[0]->thumbprint);
	assert_string_equal(after->row.thumbprint, key->thumbprint);
	assert_string_equal(after->key->text, key->text);
	assert_string_equal(after->row.first_thumbprint, keys[0]->thumbprint);
	known_account_unref(&before);
	known_account_unref(&after);
	jwk_drop(&key);
	signing_key_fini(&k);
}

static void shows_the_end_of_an_account_to_the_next_request(void **state)
{
	struct known_account *known = get(1);

	assert_int_equal(account_cache_deactivate(cache, 1), 0);
	assert_int_equal(known->row.status, ACME_VALID);
	known_account_unref(&known);
	known = get(1);
	assert_int_equal(known->row.status, ACME_DEACTIVATED);
	known_account_unref(&known);
	assert_int_equal(account_cache_set_key(cache, 1, keys[0]->thumbprint, "{}", "new"), ACME_STORE_LATE);
}

static void write_contact(void)
{
	assert_int_equal(account_cache_set_contact(cache, 1, "[\"mailto:a@example.com\"]"), 0);
}

/* The write is finished before the reader comes to keep what it read. */
static void keeps_no_row_that_was_written_while_it_was_read(void **state)
{
	behind_read = write_contact;
	expect_contact(1, "[]");
	assert_null(behind_read);
	expect_contact(1, "[\"mailto:a@example.com\"]");
}

static void does_not_remember_that_an_account_was_absent(void **state)
{
	struct signing_key k = signing_key_make("ES384", 0);
	struct known_account *known = NULL;
	struct jwk *key = NULL;
	const char *why = NULL;

	assert_int_equal(account_cache_get(cache, ACCOUNTS + 1, &known), ACME_STORE_NONE);
	assert_null(known);
	assert_int_equal(jwk_read(&key, bytes_of_str(k.jwk), &why), 0);
	add_account(key->text, key->thumbprint, ACCOUNTS + 1);
	expect_contact(ACCOUNTS + 1, "[]");
	jwk_drop(&key);
	signing_key_fini(&k);
}

static void says_when_a_stored_key_is_none(void **state)
{
	struct known_account *known = NULL;

	add_account("{}", "x", ACCOUNTS + 1);
	assert_int_equal(account_cache_get(cache, ACCOUNTS + 1, &known), -EBADMSG);
	assert_null(known);
}

/* Written past the cache again: the old contact is what was kept, the new one what was forgotten. */
static void forgets_what_was_not_used_for_the_longest(void **state)
{
	for (int64_t id = 1; id <= 4; id++)
		expect_contact(id, "[]");
	expect_contact(1, "[]"); /* now 2 is the oldest */
	expect_contact(5, "[]");
	for (int64_t id = 1; id <= 5; id++)
		assert_int_equal(acme_store_set_contact(store, id, "[\"mailto:new@example.com\"]"), 0);
	expect_contact(1, "[]");
	expect_contact(3, "[]");
	expect_contact(4, "[]");
	expect_contact(5, "[]");
	expect_contact(2, "[\"mailto:new@example.com\"]");
	expect_contact(1, "[\"mailto:new@example.com\"]"); /* 2 took its place */
}

static void keeps_what_is_held_after_it_was_forgotten(void **state)
{
	struct known_account *held = get(1);

	for (int64_t id = 2; id <= 10; id++)
		expect_contact(id, "[]");
	account_cache_drop(&cache);
	assert_string_equal(held->key->text, keys[0]->text);
	assert_string_equal(held->row.contact, "[]");
	known_account_unref(&held);
	assert_int_equal(account_cache_new(&cache, store, 4), 0);
}

static atomic_uint stale;

/* Each thread writes one account and must find what it wrote; it reads all the others between. */
static void *write_and_read(void *arg)
{
	int64_t own = (int64_t)(intptr_t)arg;

	for (int round = 0; round < 20; round++) {
		struct known_account *known = NULL;
		char contact[64];

		snprintf(contact, sizeof(contact), "[\"mailto:%d@example.com\"]", round);
		if (account_cache_set_contact(cache, own, contact) || account_cache_get(cache, own, &known) ||
		    strcmp(known->row.contact, contact) != 0)
			atomic_fetch_add(&stale, 1);
		known_account_unref(&known);
		for (int64_t id = 1; id <= ACCOUNTS; id++) {
			if (account_cache_get(cache, id, &known) || known->row.id != id ||
			    strcmp(known->key->text, keys[id - 1]->text) != 0)
				atomic_fetch_add(&stale, 1);
			known_account_unref(&known);
		}
	}
	return NULL;
}

static void never_shows_sixteen_threads_what_was_before_their_writes(void **state)
{
	pthread_t threads[ACCOUNTS];

	account_cache_drop(&cache);
	assert_int_equal(account_cache_new(&cache, store, 12), 0); /* both hits and forgetting */
	atomic_store(&stale, 0);
	for (intptr_t i = 0; i < ACCOUNTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_and_read, (void *)(i + 1)), 0);
	for (int i = 0; i < ACCOUNTS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&stale), 0);
	for (int64_t id = 1; id <= ACCOUNTS; id++)
		expect_contact(id, "[\"mailto:19@example.com\"]");
}

#define CACHE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE(gives_the_row_and_its_key),
		CACHE(reads_the_store_once),
		CACHE(shows_a_write_to_the_next_request),
		CACHE(shows_another_key_to_the_next_request),
		CACHE(shows_the_end_of_an_account_to_the_next_request),
		CACHE(keeps_no_row_that_was_written_while_it_was_read),
		CACHE(does_not_remember_that_an_account_was_absent),
		CACHE(says_when_a_stored_key_is_none),
		CACHE(forgets_what_was_not_used_for_the_longest),
		CACHE(keeps_what_is_held_after_it_was_forgotten),
		CACHE(never_shows_sixteen_threads_what_was_before_their_writes),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
