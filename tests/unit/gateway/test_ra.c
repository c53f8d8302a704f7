/* Keys of registration authorities, against a core that the test plays and a signer of this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "core/base/clock.h"
#include "core/registry.h"
#include "core/signer/signer.h"
#include "gateway/ra_int.h"
#include "tests/unit/gateway/tls_client.h"

/* ---- the core ---- */

struct ca_door {
	int unused;
};

static struct {
	atomic_int key_chain;      /* what ca_get_key_chain() answers; 0: it has the certificate of one key */
	atomic_bool is_holding;
	atomic_int submits;        /* what ca_submit() answers */
	atomic_uint submissions;
	uint8_t transaction_key[32];
	long from, to;             /* of what is issued */
	struct buf certificate, key;
} core;

static struct ca_door door;

void ca_outcome_fini(struct ca_outcome *out)
{
	buf_fini(&out->certificate);
	buf_fini(&out->chain);
}

const char *ca_status_word(enum ca_status status)
{
	return "";
}

int ca_get_chain(struct ca_door *ca, struct buf *out)
{
	return tls_client_der(buf_bytes(&core.certificate), out) ? 0 : -EIO;
}

int ca_get_key_chain(struct ca_door *ca, unsigned key_index, struct buf *out)
{
	int e = core.key_chain;

	return e ? e : key_index ? CA_CALL_NOT_FOUND : ca_get_chain(ca, out);
}

int ca_submit(struct ca_door *ca, const struct ca_submission *s, struct ca_outcome *out)
{
	long ahead = (long)(clock_wall_s() - time(NULL));

	core.submissions++;
	memcpy(core.transaction_key, s->transaction_key, sizeof(core.transaction_key));
	if (core.submits)
		return core.submits;
	out->id = 7;
	out->disposition = core.is_holding ? CA_UNDER_SUBMISSION : CA_ISSUED;
	if (core.is_holding)
		return 0;
	return tls_client_sign(s->request, buf_bytes(&core.certificate), buf_bytes(&core.key), ahead + core.from,
			       ahead + core.to, &out->certificate) && ca_get_chain(ca, &out->chain) == 0 ? 0 : -EIO;
}

static void new_ca(void)
{
	buf_fini(&core.certificate);
	buf_fini(&core.key);
	core.certificate = core.key = BUF_INIT(65536);
	assert_true(tls_client_certificate("Test CA", 10, &core.certificate, &core.key));
}

/* ---- the gateway ---- */

static const uint8_t kek[SIGNER_KEK_SIZE] = { 1 };
static const char *const names[] = { "ca.example" };

static struct {
	char folder[64];
	struct signer *signer;
	struct gw_ras *ras;
	const struct proto_ra *ra;
} place;

static void open_place(const char *key_type)
{
	assert_int_equal(signer_new_ra(&place.signer, kek), 0);
	assert_int_equal(gw_ras_new(&place.ras, place.signer, place.folder), 0);
	place.ra = gw_ras_add(place.ras, "scep", key_type, &door);
	assert_non_null(place.ra);
	gw_ras_set_names(place.ras, "scep", names, 1);
	core.submissions = 0;
}

static void start(void)
{
	open_place("rsa-2048");
	assert_int_equal(gw_ras_start(place.ras), 0);
}

/* Without its thread, whose rounds the test makes. */
static void start_still(const char *key_type)
{
	open_place(key_type);
	gw_ras_look(place.ras);
}

static void stop(void)
{
	gw_ras_drop(&place.ras);
	signer_drop(&place.signer);
}

static int set_up(void **state)
{
	snprintf(place.folder, sizeof(place.folder), "/tmp/gatehouse-test-XXXXXX");
	core.key_chain = 0;
	core.is_holding = false;
	core.submits = 0;
	core.from = -60;
	core.to = 86400;
	new_ca();
	return mkdtemp(place.folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(void **state)
{
	nftw(place.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	buf_fini(&core.certificate);
	buf_fini(&core.key);
	return 0;
}

/* How many keys answer, and the certificate for new messages. */
static size_t list(struct buf *newest)
{
	struct proto_ra_key *keys;
	struct arena *arena;
	size_t n;
	int e;

	assert_int_equal(arena_new(&arena, 65536), 0);
	e = place.ra->list(place.ra->state, arena, &keys, &n);
	assert_true(e == 0 || e == -ENOENT);
	if (newest && !e)
		assert_int_equal(buf_append(newest, keys[0].certificate), 0);
	arena_drop(&arena);
	return e ? 0 : n;
}

static void wait_for_keys(size_t n)
{
	int64_t end = clock_mono_ms() + 60000;

	while (list(NULL) != n && clock_mono_ms() < end)
		usleep(10000);
	assert_int_equal(list(NULL), n);
}

/* Sooner or later: the thread may be between two lines. */
static void expect_health(bool is_well, const char *line)
{
	int64_t end = clock_mono_ms() + 60000;
	OWNED_BUF text = BUF_INIT(4096);

	while (gw_ras_health(place.ras, &text) != is_well || !strstr(buf_str(&text), line)) {
		if (clock_mono_ms() > end)
			fail_msg("no '%s' in '%s'", line, buf_str(&text));
		buf_reset(&text);
		usleep(10000);
	}
}

static void expect_metric(const char *line)
{
	OWNED_BUF text = BUF_INIT(4096);

	gw_ras_print_metrics(place.ras, &text);
	if (!strstr(buf_str(&text), line))
		fail_msg("no '%s' in '%s'", line, buf_str(&text));
}

/* Which is in the folder afterwards. */
static void get_first_key(struct buf *certificate)
{
	start();
	assert_int_equal(core.submissions, 1);
	assert_int_equal(list(certificate), 1);
	stop();
}

/* ---- tests ---- */

static void a_stored_key_is_used_again(void **state)
{
	OWNED_BUF first = BUF_INIT(65536), again = BUF_INIT(65536);
	uint8_t wrapped[256] = { 0, 1 }, key[16];

	get_first_key(&first);
	start();
	assert_int_equal(core.submissions, 0);
	assert_int_equal(list(&again), 1);
	assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&again)));
	assert_int_equal(place.ra->unwrap(place.ra->state, 0, PROTO_RA_PKCS1, bytes_of(wrapped, sizeof(wrapped)), key,
					  sizeof(key)), 0);
	assert_int_equal(place.ra->unwrap(place.ra->state, 1, PROTO_RA_PKCS1, bytes_of(wrapped, sizeof(wrapped)), key,
					  sizeof(key)), -ENOENT);
	stop();
}

/* A core that has just been started answers nothing for a while, and that is not a no. */
static void a_busy_core_costs_no_key(void **state)
{
	static const int answers[] = { CA_CALL_BUSY, CA_CALL_REFUSED, -ETIMEDOUT };
	OWNED_BUF first = BUF_INIT(65536);

	get_first_key(&first);
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		OWNED_BUF again = BUF_INIT(65536);

		core.key_chain = answers[i];
		start();
		assert_int_equal(list(NULL), 0);
		expect_health(false, "endpoint scep: its stored keys cannot be looked at: ");
		core.key_chain = 0;
		wait_for_keys(1);
		assert_int_equal(list(&again), 1);
		assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&again)));
		assert_int_equal(core.submissions, 0);
		stop();
	}
}

static void a_key_of_another_ca_is_not_used(void **state)
{
	OWNED_BUF first = BUF_INIT(65536), again = BUF_INIT(65536);

	get_first_key(&first);
	new_ca();
	start();
	assert_int_equal(core.submissions, 1);
	assert_int_equal(list(&again), 1);
	assert_false(bytes_equal(buf_bytes(&first), buf_bytes(&again)));
	stop();
}

static void health_and_metrics_say_how_it_stands(void **state)
{
	char end[CLOCK_TEXT_SIZE], line[256];

	core.is_holding = true;
	start();
	expect_health(false, "endpoint scep: request 7 waits for approval\n");
	expect_metric("gatehouse_ra_not_after_seconds{endpoint=\"scep\"} 0\n");
	core.is_holding = false;
	/* In its last third already: the next one is due when the gateway looks again. */
	core.from = -86400;
	core.to = 7200;
	wait_for_keys(1);
	clock_print_s(clock_wall_s() + 7200, end);
	end[13] = 0; /* to the hour */
	snprintf(line, sizeof(line), "endpoint scep: ok, RA certificate until %s", end);
	expect_health(true, line);
	expect_metric("gatehouse_ra_older_keys{endpoint=\"scep\"} 0\n");
	expect_metric("gatehouse_ra_signer_answers{endpoint=\"scep\"} 1\n");
	stop();
	core.is_holding = true;
	start();
	snprintf(line, sizeof(line), "endpoint scep: ok, but its RA certificate ends at %s", end);
	expect_health(true, line);
	expect_health(true, " and there is no next one: request 7 waits for approval\n");
	core.is_holding = false;
	core.from = -60;
	core.to = 86400;
	wait_for_keys(2);
	expect_health(true, "endpoint scep: ok, RA certificate until ");
	snprintf(line, sizeof(line), ", 1 older key answers until %s", end);
	expect_health(true, line);
	expect_metric("gatehouse_ra_older_keys{endpoint=\"scep\"} 1\n");
	gw_ras_probe(place.ras);
	expect_health(true, "endpoint scep: ok");
	stop();
}

/* ---- time ---- */

#define HOUR_MS ((int64_t)3600 * 1000)
#define DAY_MS (24 * HOUR_MS)
#define DAY_S ((long)86400)
#define NOW_MS (1800000000LL * 1000)

static int set_up_clock(void **state)
{
	clock_fake_set(NOW_MS);
	return set_up(state);
}

static int tear_down_clock(void **state)
{
	clock_fake_end();
	return tear_down(state);
}

static void look_after_ms(int64_t ms)
{
	clock_fake_advance(ms);
	gw_ras_look(place.ras);
}

static void look_after_jump(int64_t ms)
{
	clock_fake_jump(ms);
	gw_ras_look(place.ras);
}

static bool is_stored_key(const char *name)
{
	return strncmp(name, "ra-scep.", 8) == 0 && strlen(name) == strlen("ra-scep.0123456789abcdef.pem");
}

/* Of the files of keys with a certificate: how many, and the path of one. */
static unsigned count_files(char one[static PATH_MAX])
{
	DIR *d = opendir(place.folder);
	const struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(d)) != NULL)
		if (is_stored_key(entry->d_name)) {
			snprintf(one, PATH_MAX, "%s/%s", place.folder, entry->d_name);
			n++;
		}
	closedir(d);
	return n;
}

static void expect_files(unsigned n)
{
	char one[PATH_MAX];

	assert_int_equal(count_files(one), n);
}

static struct authority *authority(void)
{
	return place.ra->state;
}

/* Of a day each: more than there are places for keys. */
static void a_key_that_ended_leaves_memory_and_signer(void **state)
{
	uint8_t wrapped[256] = { 0, 1 }, out[16];
	uint64_t first_in_signer, number;
	char why[SIGNER_WHY_SIZE];

	start_still("rsa-2048");
	assert_int_equal(place.ra->unwrap(place.ra->state, authority()->keys[0]->number, PROTO_RA_PKCS1,
					  bytes_of(wrapped, sizeof(wrapped)), out, sizeof(out)), 0);
	first_in_signer = authority()->keys[0]->signer;
	number = authority()->keys[0]->number;
	for (unsigned i = 1; i <= RA_KEYS_MAX + 8; i++) {
		look_after_ms(17 * HOUR_MS);
		assert_int_equal(core.submissions, i + 1);
		assert_in_range(list(NULL), 1, 2);
		assert_in_range(authority()->n_keys, 1, 2);
	}
	assert_int_equal(signer_unwrap(place.signer, first_in_signer, SIGNER_WRAPPING_PKCS1,
				       bytes_of(wrapped, sizeof(wrapped)), out, sizeof(out), why), SIGNER_UNKNOWN_KEY);
	assert_int_equal(place.ra->unwrap(place.ra->state, (unsigned)number, PROTO_RA_PKCS1,
					  bytes_of(wrapped, sizeof(wrapped)), out, sizeof(out)), -ENOENT);
	expect_health(true, "endpoint scep: ok, RA certificate until ");
	stop();
}

static void a_key_at_work_stays_until_it_has_done(void **state)
{
	struct ra_key *key;

	start_still("rsa-2048");
	key = gw_ra_hold_key(authority(), authority()->keys[0]->number);
	look_after_ms(2 * DAY_MS);
	assert_int_equal(list(NULL), 1);
	assert_int_equal(authority()->n_keys, 2);
	assert_ptr_equal(gw_ra_hold_key(authority(), key->number), key);
	gw_ra_let_key_go(authority(), key);
	gw_ra_let_key_go(authority(), key);
	gw_ras_look(place.ras);
	assert_int_equal(authority()->n_keys, 1);
	stop();
}

static void rename_stored(const char *from, const char *to)
{
	char path[PATH_MAX];

	while (count_files(path)) {
		char *at = strstr(path, from), other[PATH_MAX];

		snprintf(other, sizeof(other), "%.*s%s%s", (int)(at - path), path, to, at + strlen(from));
		assert_int_equal(rename(path, other), 0);
	}
}

static void rename_back(const char *aside)
{
	DIR *d = opendir(place.folder);
	const struct dirent *entry;

	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, aside, strlen(aside)) == 0) {
			char from[PATH_MAX], to[PATH_MAX];

			snprintf(from, sizeof(from), "%s/%s", place.folder, entry->d_name);
			snprintf(to, sizeof(to), "%s/ra-scep%s", place.folder, entry->d_name + strlen(aside));
			assert_int_equal(rename(from, to), 0);
		}
	closedir(d);
}

/* Each is in its last third when it comes, so another one is due at once. */
static void fill_table(unsigned n)
{
	core.from = -70 * DAY_S;
	core.to = 30 * DAY_S;
	start_still("rsa-2048");
	for (unsigned i = 0; i < 2 * n; i++)
		look_after_ms(HOUR_MS + 1000);
}

static void a_full_table_asks_for_no_more_and_the_newest_are_loaded(void **state)
{
	OWNED_BUF newest = BUF_INIT(65536), again = BUF_INIT(65536);
	char one[PATH_MAX];
	unsigned n_old;

	fill_table(1);
	stop();
	n_old = count_files(one);
	assert_in_range(n_old, 2, 3);
	rename_stored("/ra-scep", "/aside");
	fill_table(RA_KEYS_MAX);
	assert_int_equal(core.submissions, RA_KEYS_MAX);
	assert_int_equal(list(&newest), RA_KEYS_MAX);
	expect_health(true, "it has 32 keys in force");
	expect_files(RA_KEYS_MAX);
	stop();
	rename_back("aside");
	expect_files(RA_KEYS_MAX + n_old);
	start_still("rsa-2048");
	assert_int_equal(core.submissions, 0);
	assert_int_equal(list(&again), RA_KEYS_MAX);
	assert_true(bytes_equal(buf_bytes(&newest), buf_bytes(&again)));
	assert_true(authority()->keys[0]->octets.not_before_s > NOW_MS / 1000 - 70 * DAY_S + 2 * 3600);
	stop();
}

/* Set a year ahead when the machine starts, and right again later; then at the beginning of time. */
static void a_clock_that_is_wrong_costs_no_key(void **state)
{
	OWNED_BUF first = BUF_INIT(65536), again = BUF_INIT(65536), last = BUF_INIT(65536);

	start_still("rsa-2048");
	assert_int_equal(list(&first), 1);
	stop();
	clock_fake_jump(400 * DAY_MS);
	start_still("rsa-2048");
	assert_int_equal(core.submissions, 1);
	assert_int_equal(list(NULL), 1);
	expect_files(2);
	look_after_jump(-400 * DAY_MS);
	assert_int_equal(core.submissions, 1);
	assert_int_equal(list(&again), 1);
	assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&again)));
	core.submits = CA_CALL_BUSY;
	look_after_jump(-clock_wall_ms() + HOUR_MS);
	assert_int_equal(list(NULL), 0);
	assert_int_equal(core.submissions, 2);
	expect_health(false, "endpoint scep: the core is busy");
	for (int i = 0; i < 8; i++)
		look_after_ms(HOUR_MS);
	look_after_jump(NOW_MS + 9 * HOUR_MS - clock_wall_ms());
	assert_int_equal(list(&last), 1);
	assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&last)));
	expect_files(2);
	stop();
}

static void what_is_not_in_force_by_the_clock_is_not_asked_for_without_end(void **state)
{
	core.from = 30 * DAY_S;
	core.to = 60 * DAY_S;
	start_still("rsa-2048");
	expect_health(false, "look at the clock");
	for (int minutes = 0; minutes < 6 * 60; minutes++)
		look_after_ms(60000);
	assert_in_range(core.submissions, 5, 12);
	assert_int_equal(list(NULL), 0);
	/* Until it is in force. */
	core.submissions = 0;
	look_after_jump(31 * DAY_MS);
	assert_in_range(list(NULL), 5, 12);
	assert_int_equal(core.submissions, 0);
	expect_health(true, "endpoint scep: ok");
	stop();
}

/* A certificate that ends with that of its CA is in its last third when it comes. */
static void the_end_of_a_ca_is_not_met_with_certificate_after_certificate(void **state)
{
	core.from = -DAY_S;
	core.to = 3600;
	start_still("rsa-2048");
	for (core.to -= 60; core.to > 0; core.to -= 60) {
		look_after_ms(60000);
		assert_in_range(list(NULL), 1, RA_KEYS_MAX);
	}
	assert_in_range(core.submissions, 4, 16);
	stop();
}

static void put(const char *name, int64_t changed_s)
{
	struct utimbuf times = { changed_s, changed_s };
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", place.folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(utime(path, &times), 0);
}

static bool is_there(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", place.folder, name);
	return access(path, F_OK) == 0;
}

/* Nothing is removed before the clock has been steady for six hours, nor before it has been of no use for 30 days. */
static void files_go_when_nothing_can_bring_them_back(void **state)
{
	start_still("rsa-2048");
	stop();
	rename_stored("/ra-scep", "/ra-gone");
	start_still("rsa-2048");
	stop();
	put("ra-gone.new", NOW_MS / 1000);
	put("ra-scep.new", NOW_MS / 1000);
	put("other.pem", NOW_MS / 1000);
	core.is_holding = true;
	clock_fake_jump(32 * DAY_MS);
	start_still("rsa-2048");
	for (int hours = 0; hours < 6; hours++) {
		expect_files(1);
		assert_true(is_there("ra-gone.new"));
		look_after_ms(HOUR_MS);
	}
	look_after_ms(HOUR_MS);
	expect_files(0);
	assert_false(is_there("ra-gone.new"));
	assert_true(is_there("ra-scep.new"));
	assert_true(is_there("other.pem"));
	rename_back("ra-gone");
	expect_files(0);
	stop();
}

static void a_file_stays_for_thirty_days(void **state)
{
	start_still("rsa-2048");
	core.to = 300 * DAY_S;
	for (int days = 0; days < 30; days++) {
		look_after_ms(DAY_MS);
		expect_files(2);
	}
	look_after_ms(DAY_MS + HOUR_MS);
	expect_files(1);
	stop();
}

/* Killed between the two files. */
static void a_key_that_has_its_certificate_is_not_certified_again(void **state)
{
	char one[PATH_MAX], new[PATH_MAX];

	start_still("rsa-2048");
	assert_int_equal(count_files(one), 1);
	snprintf(new, sizeof(new), "%s/ra-scep.new", place.folder);
	assert_int_equal(link(one, new), 0);
	look_after_ms(17 * HOUR_MS);
	assert_int_equal(core.submissions, 2);
	assert_int_equal(list(NULL), 2);
	expect_files(2);
	assert_false(is_there("ra-scep.new"));
	stop();
}

static void another_type_of_key_is_made_when_the_configuration_says_so(void **state)
{
	start_still("rsa-2048");
	stop();
	clock_fake_advance(HOUR_MS);
	start_still("rsa-3072");
	assert_int_equal(core.submissions, 1);
	assert_int_equal(list(NULL), 2);
	assert_true(gw_ra_key_is_of_type(&gw_ra_newest_key(authority(), clock_wall_s())->octets, "rsa-3072"));
	stop();
	start_still("rsa-3072");
	assert_int_equal(core.submissions, 0);
	stop();
}

static void a_request_that_is_held_stays_one(void **state)
{
	uint8_t first[32];

	core.is_holding = true;
	start_still("rsa-2048");
	memcpy(first, core.transaction_key, sizeof(first));
	stop();
	start_still("rsa-2048");
	assert_memory_equal(first, core.transaction_key, sizeof(first));
	core.is_holding = false;
	look_after_ms(2000);
	assert_memory_equal(first, core.transaction_key, sizeof(first));
	assert_int_equal(list(NULL), 1);
	assert_false(is_there("ra-scep.new"));
	stop();
	/* What waits for another type of key is for nothing. */
	core.is_holding = true;
	start_still("rsa-3072");
	stop();
	start_still("rsa-4096");
	memcpy(first, core.transaction_key, sizeof(first));
	stop();
	start_still("rsa-4096");
	assert_memory_equal(first, core.transaction_key, sizeof(first));
	stop();
}

static void a_file_that_others_read_is_not_used(void **state)
{
	char one[PATH_MAX];

	start_still("rsa-2048");
	stop();
	assert_int_equal(count_files(one), 1);
	assert_int_equal(chmod(one, 0640), 0);
	start_still("rsa-2048");
	assert_int_equal(core.submissions, 1);
	assert_int_equal(list(NULL), 1);
	expect_files(2);
	/* It is looked at again. */
	assert_int_equal(chmod(one, 0600), 0);
	look_after_ms(HOUR_MS);
	assert_int_equal(list(NULL), 2);
	stop();
}

#define WITH_CLOCK(test) cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_stored_key_is_used_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_busy_core_costs_no_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_key_of_another_ca_is_not_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(health_and_metrics_say_how_it_stands, set_up, tear_down),
		WITH_CLOCK(a_key_that_ended_leaves_memory_and_signer),
		WITH_CLOCK(a_key_at_work_stays_until_it_has_done),
		WITH_CLOCK(a_full_table_asks_for_no_more_and_the_newest_are_loaded),
		WITH_CLOCK(a_clock_that_is_wrong_costs_no_key),
		WITH_CLOCK(what_is_not_in_force_by_the_clock_is_not_asked_for_without_end),
		WITH_CLOCK(the_end_of_a_ca_is_not_met_with_certificate_after_certificate),
		WITH_CLOCK(files_go_when_nothing_can_bring_them_back),
		WITH_CLOCK(a_file_stays_for_thirty_days),
		WITH_CLOCK(a_key_that_has_its_certificate_is_not_certified_again),
		WITH_CLOCK(another_type_of_key_is_made_when_the_configuration_says_so),
		WITH_CLOCK(a_request_that_is_held_stays_one),
		WITH_CLOCK(a_file_that_others_read_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
