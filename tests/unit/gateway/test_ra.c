/* Keys of registration authorities, against a core that the test plays and a signer of this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <ftw.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/registry.h"
#include "core/signer/signer.h"
#include "gateway/ra.h"
#include "tests/unit/gateway/tls_client.h"

/* ---- the core ---- */

struct ca_door {
	int unused;
};

static struct {
	atomic_int key_chain;      /* what ca_get_key_chain() answers; 0: it has the certificate of one key */
	atomic_bool is_holding;
	atomic_uint submissions;
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
	core.submissions++;
	out->id = 7;
	out->disposition = core.is_holding ? CA_UNDER_SUBMISSION : CA_ISSUED;
	if (core.is_holding)
		return 0;
	return tls_client_sign(s->request, buf_bytes(&core.certificate), buf_bytes(&core.key), core.from, core.to,
			       &out->certificate) && ca_get_chain(ca, &out->chain) == 0 ? 0 : -EIO;
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

static void start(void)
{
	assert_int_equal(signer_new_ra(&place.signer, kek), 0);
	assert_int_equal(gw_ras_new(&place.ras, place.signer, place.folder), 0);
	place.ra = gw_ras_add(place.ras, "scep", "rsa-2048", &door);
	assert_non_null(place.ra);
	gw_ras_set_names(place.ras, "scep", names, 1);
	core.submissions = 0;
	assert_int_equal(gw_ras_start(place.ras), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_stored_key_is_used_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_busy_core_costs_no_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_key_of_another_ca_is_not_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(health_and_metrics_say_how_it_stands, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
