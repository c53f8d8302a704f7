/* Nonces: each is good once, none of a former life is, except after a graceful stop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/nonce.h"

#include "tests/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test_nonce_XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/nonces", folder);
	return 0;
}

static int drop_folder(void **state)
{
	unlink(path);
	return rmdir(folder);
}

static struct nonces *start(void)
{
	struct nonces *n = NULL;

	assert_int_equal(nonces_new(&n, path), 0);
	return n;
}

static void is_good_exactly_once(void **state)
{
	struct nonces *n = start();
	char text[NONCE_SIZE];

	assert_int_equal(nonces_issue(n, text), 0);
	assert_int_equal(strlen(text), 22);
	assert_int_equal(nonces_redeem(n, text), 0);
	assert_int_equal(nonces_redeem(n, text), NONCE_REFUSED);
	nonces_drop(&n);
}

static void is_good_however_late_and_in_any_order(void **state)
{
	struct nonces *n = start();
	char text[1000][NONCE_SIZE];

	for (int i = 0; i < 1000; i++)
		assert_int_equal(nonces_issue(n, text[i]), 0);
	for (int i = 999; i >= 0; i--)
		assert_int_equal(nonces_redeem(n, text[i]), 0);
	nonces_drop(&n);
}

static void refuses_what_it_did_not_give_out(void **state)
{
	struct nonces *n = start();

	assert_int_equal(nonces_redeem(n, "AAAAAAAAAAAAAAAAAAAAAA"), NONCE_REFUSED);
	assert_int_equal(nonces_redeem(n, "AAAA"), NONCE_REFUSED);
	assert_int_equal(nonces_redeem(n, ""), NONCE_REFUSED);
	assert_int_equal(nonces_redeem(n, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), NONCE_REFUSED);
	assert_int_equal(nonces_redeem(n, "AAAAAAAAAAAAAAAAAAAAAB"), NONCE_NO_NONCE); /* trailing bits */
	assert_int_equal(nonces_redeem(n, "AAAAAAAAAAAAAAAAAAAAAA=="), NONCE_NO_NONCE);
	assert_int_equal(nonces_redeem(n, "not a nonce"), NONCE_NO_NONCE);
	nonces_drop(&n);
}

static int by_text(const void *a, const void *b)
{
	return memcmp(a, b, NONCE_SIZE);
}

static void gives_no_nonce_twice(void **state)
{
	enum { N = 100000 };
	struct nonces *n = start();
	char (*all)[NONCE_SIZE] = calloc(N, NONCE_SIZE);

	assert_non_null(all);
	for (int i = 0; i < N; i++)
		assert_int_equal(nonces_issue(n, all[i]), 0);
	qsort(all, N, NONCE_SIZE, by_text);
	for (int i = 1; i < N; i++)
		assert_memory_not_equal(all[i - 1], all[i], NONCE_SIZE);
	free(all);
	nonces_drop(&n);
}

struct worker {
	pthread_t thread;
	struct nonces *nonces;
	int refused;
};

static void *use_many(void *arg)
{
	struct worker *w = arg;
	char text[NONCE_SIZE];

	for (int i = 0; i < 5000; i++)
		w->refused += nonces_issue(w->nonces, text) || nonces_redeem(w->nonces, text) ||
			      nonces_redeem(w->nonces, text) != NONCE_REFUSED;
	return NULL;
}

static void serves_many_threads_at_once(void **state)
{
	struct nonces *n = start();
	struct worker workers[4];

	for (int i = 0; i < 4; i++) {
		workers[i] = (struct worker){ .nonces = n };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, use_many, &workers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].refused, 0);
	}
	nonces_drop(&n);
}

static void survives_a_graceful_stop(void **state)
{
	struct nonces *n = start();
	char used[NONCE_SIZE], held[NONCE_SIZE], fresh[NONCE_SIZE];
	struct stat st;

	assert_int_equal(nonces_issue(n, used), 0);
	assert_int_equal(nonces_issue(n, held), 0);
	assert_int_equal(nonces_redeem(n, used), 0);
	assert_int_equal(nonces_save(n), 0);
	nonces_drop(&n);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	n = start();
	assert_int_equal(access(path, F_OK), -1); /* used once */
	assert_int_equal(nonces_redeem(n, used), NONCE_REFUSED);
	assert_int_equal(nonces_redeem(n, held), 0);
	assert_int_equal(nonces_redeem(n, held), NONCE_REFUSED);
	assert_int_equal(nonces_issue(n, fresh), 0);
	assert_string_not_equal(fresh, used);
	assert_string_not_equal(fresh, held);
	nonces_drop(&n);
}

static void refuses_the_nonces_of_a_life_that_crashed(void **state)
{
	struct nonces *n = start();
	char text[NONCE_SIZE];

	assert_int_equal(nonces_issue(n, text), 0);
	nonces_drop(&n); /* nothing was saved */
	n = start();
	assert_int_equal(nonces_redeem(n, text), NONCE_REFUSED);
	nonces_drop(&n);
}

/* A saved file, changed by writing `octet` at `at`, or cut there. */
static void damage(off_t at, const char *octet)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	if (octet)
		assert_int_equal(pwrite(fd, octet, 1, at), 1);
	else
		assert_int_equal(ftruncate(fd, at), 0);
	close(fd);
}

static void starts_afresh_when_the_file_is_damaged(void **state)
{
	static const struct {
		off_t at;
		const char *octet;
	} cases[] = { { 0, "X" }, { 1000, "\x55" }, { 44, "\x55" }, { 100, NULL }, { 0, NULL } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nonces *n = start();
		char text[NONCE_SIZE];

		assert_int_equal(nonces_issue(n, text), 0);
		assert_int_equal(nonces_save(n), 0);
		nonces_drop(&n);
		damage(cases[i].at, cases[i].octet);
		n = start();
		assert_int_equal(nonces_redeem(n, text), NONCE_REFUSED);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(nonces_issue(n, text), 0);
		assert_int_equal(nonces_redeem(n, text), 0);
		nonces_drop(&n);
	}
}

static void takes_no_file_that_others_could_read(void **state)
{
	struct nonces *n = start();
	char text[NONCE_SIZE];

	assert_int_equal(nonces_issue(n, text), 0);
	assert_int_equal(nonces_save(n), 0);
	nonces_drop(&n);
	assert_int_equal(chmod(path, 0644), 0);
	n = start();
	assert_int_equal(nonces_redeem(n, text), NONCE_REFUSED);
	nonces_drop(&n);
}

static void counts_what_it_gave_and_refused(void **state)
{
	struct nonces *n = start();
	uint64_t issued, refused;
	char text[NONCE_SIZE];

	assert_int_equal(nonces_issue(n, text), 0);
	assert_int_equal(nonces_redeem(n, "AAAA"), NONCE_REFUSED);
	nonces_count(n, &issued, &refused);
	assert_int_equal(issued, 1);
	assert_int_equal(refused, 1);
	nonces_drop(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_good_exactly_once),
		cmocka_unit_test(is_good_however_late_and_in_any_order),
		cmocka_unit_test(refuses_what_it_did_not_give_out),
		cmocka_unit_test(gives_no_nonce_twice),
		cmocka_unit_test(serves_many_threads_at_once),
		cmocka_unit_test(survives_a_graceful_stop),
		cmocka_unit_test(refuses_the_nonces_of_a_life_that_crashed),
		cmocka_unit_test(starts_afresh_when_the_file_is_damaged),
		cmocka_unit_test(takes_no_file_that_others_could_read),
		cmocka_unit_test(counts_what_it_gave_and_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
