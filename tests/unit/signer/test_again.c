/* A core whose signer is a process that is killed and started again. The core never is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/create.h"
#include "core/kek.h"
#include "core/wire/link.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"
#include "tests/unit/signer/signer_process.h"

#define PATIENCE_MS 10000

static struct rig rig;
static struct child process;
static struct link *signer_link;
static struct ca_core_env env;
static uint8_t kek[SIGNER_KEK_SIZE];

/* What the supervisor does when a signer is gone. */
static void start_signer(void)
{
	signer_process_start(&process, &(struct signer_process_options){
		.kek = bytes_of(kek, sizeof(kek)), .threads = "2" });
	link_attach(signer_link, process.link);
	process.link = -1;
}

static void make_other_ca(void)
{
	struct ca_life_result made = CA_LIFE_RESULT_INIT;
	char why[CREATE_WHY_SIZE] = "";

	if (ca_create(&(struct ca_create_options){ .data_folder = rig.folder, .kek = { .data_folder = rig.folder },
						   .name = "Other", .key_type = "ec-p256", .lifetime_s = 86400 },
		      &made, why))
		fail_msg("%s", why);
	ca_life_result_fini(&made);
}

static int start_with(struct rig_settings settings)
{
	struct conf_error error = { 0 };
	char why[KEK_WHY_SIZE];
	char path[128];

	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	script_reset();
	rig_init(&rig, &settings);
	if (settings.cas)
		make_other_ca();
	snprintf(path, sizeof(path), "%s/kek", rig.folder);
	assert_int_equal(kek_load(path, false, kek, why), 0);
	/* The core must not need it. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(link_new(&signer_link, &(struct link_options){ .window = SIGNER_WINDOW }), 0);
	start_signer();
	env = (struct ca_core_env){ .signer = signer_link, .is_separated = true };
	rig.env = &env;
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
	return 0;
}

static int start(void **state)
{
	return start_with((struct rig_settings){ .policy = "{module: p}", .core = "deny-window: 0s" });
}

static int start_two_cas(void **state)
{
	return start_with((struct rig_settings){
		.policy = "{module: p}",
		.core = "deny-window: 0s",
		.cas = "{name: Other, policy: {module: p}}",
		.endpoints = "{name: other, ca: Other, profile: " RIG_PROFILE "}",
	});
}

static int stop(void **state)
{
	rig_settle(&rig);
	rig_stop(&rig);
	link_drop(&signer_link);
	child_kill(&process);
	assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
	rig_fini(&rig);
	return 0;
}

static int submit(const char *name, enum ca_disposition *disposition, unsigned *retry_after_s)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = rig_submit(rig.door, "acme:1", name, name, &out);

	*disposition = out.disposition;
	*retry_after_s = out.retry_after_s;
	return e;
}

static void expect_issued(const char *name)
{
	enum ca_disposition disposition;
	unsigned retry_after_s;

	assert_int_equal(submit(name, &disposition, &retry_after_s), 0);
	assert_int_equal(disposition, CA_ISSUED);
}

static void expect_busy(const char *name)
{
	enum ca_disposition disposition;
	unsigned retry_after_s;

	assert_int_equal(submit(name, &disposition, &retry_after_s), CA_CALL_BUSY);
	assert_int_equal(disposition, CA_INCOMPLETE);
	assert_true(retry_after_s > 0);
}

static void wait_for(const char *sql, int64_t value)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (rig_number(&rig, sql) != value) {
		if (clock_mono_ms() > end_ms)
			fail_msg("%s is %lld", sql, (long long)rig_number(&rig, sql));
		usleep(20000);
	}
}

static void expect_health(const char *line, bool is_well)
{
	OWNED_BUF text = BUF_INIT(4096);

	assert_int_equal(ca_core_health(rig.core, &text), is_well);
	if (!strstr(buf_str(&text), line))
		fail_msg("no '%s' in: %s", line, buf_str(&text));
}

#define UNFINISHED "SELECT count(*) FROM requests WHERE state=8"
#define ISSUED "SELECT count(*) FROM requests WHERE state=20"

static void a_request_waits_for_the_signer_and_gets_what_was_planned(void **state)
{
	int64_t start_ms;

	expect_issued("a.example");
	expect_health("signer: ok, ", true);
	child_kill(&process);
	start_ms = clock_mono_ms();
	expect_busy("b.example");
	assert_in_range(clock_mono_ms() - start_ms, 0, 4000);
	assert_int_equal(rig_number(&rig, UNFINISHED " AND tbs IS NOT NULL"), 1);
	expect_health("signer: does not answer", false);
	/* Known to be dead: nothing more is written, and nobody waits. */
	start_ms = clock_mono_ms();
	expect_busy("c.example");
	expect_busy("b.example");
	assert_in_range(clock_mono_ms() - start_ms, 0, 1000);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 2);
	assert_true(rig_write(&rig, "CREATE TABLE planned AS SELECT tbs FROM requests WHERE state=8"));
	start_signer();
	wait_for(ISSUED, 2);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM planned p JOIN requests r ON r.tbs=p.tbs"
					  " JOIN certificates c ON c.request_id=r.id"
					  " WHERE instr(c.certificate, p.tbs) > 0"), 1);
	expect_issued("b.example");
	expect_issued("c.example");
	expect_health("signer: ok, ", true);
	assert_true(rig_write(&rig, "DROP TABLE planned"));
}

/* Nobody asked while it was away: whoever comes first finds a signer that knows no key. */
static void a_signer_that_came_back_unnoticed_gets_its_keys_again(void **state)
{
	expect_issued("a.example");
	for (int i = 0; i < 3; i++) {
		char name[32];

		child_kill(&process);
		start_signer();
		snprintf(name, sizeof(name), "b%d.example", i);
		expect_issued(name);
	}
	assert_int_equal(rig_number(&rig, UNFINISHED), 0);
}

static void a_signer_that_hangs_is_away_too(void **state)
{
	int64_t start_ms;

	assert_int_equal(kill(process.pid, SIGSTOP), 0);
	start_ms = clock_mono_ms();
	expect_busy("a.example");
	assert_in_range(clock_mono_ms() - start_ms, 1500, 4000);
	assert_int_equal(kill(process.pid, SIGCONT), 0);
	wait_for(ISSUED, 1);
	expect_issued("a.example");
}

/* A signer that cannot open the keys says no to loading them. That is not a no to what shall be signed. */
static void a_signer_with_another_key_encryption_key_refuses_no_request(void **state)
{
	uint8_t right = kek[0];

	child_kill(&process);
	kek[0] ^= 1;
	start_signer();
	expect_busy("a.example");
	assert_int_equal(rig_number(&rig, UNFINISHED), 1);
	/* The finisher asks it once a second: that it answers does not make it good. */
	usleep(2500000);
	expect_health("signer: ok, ", false);
	expect_health("ca " RIG_CA ": the signer does not load the key of this CA", false);
	expect_busy("b.example");
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 1);
	child_kill(&process);
	kek[0] = right;
	start_signer();
	wait_for(ISSUED, 1);
}

static int submit_to_other(const char *name, struct ca_outcome *out)
{
	OWNED_BUF der = BUF_INIT(CA_REQUEST_MAX);
	struct ca_name proven = { CA_NAME_DNS, name, CA_EVIDENCE_ACME_AUTHORIZATION, "authz 1 http-01" };
	struct ca_submission s = { .protocol = "acme", .endpoint = "other", .profile = RIG_PROFILE,
				   .requester = "acme:1", .evidence = CA_EVIDENCE_ACME_AUTHORIZATION,
				   .source_address = "192.0.2.7", .names = &proven, .n_names = 1 };
	struct ca_door *door = NULL;
	char where[64];
	int e;

	snprintf(where, sizeof(where), "%sOther", rig_address(&rig));
	assert_int_equal(ca_locate(&door, where, RIG_INTERMEDIARY), 0);
	assert_int_equal(csr_make(&(struct csr_spec){ .names = &name, .n_names = 1 }, &der), 0);
	s.request = buf_bytes(&der);
	rig_key(name, s.transaction_key);
	e = ca_submit(door, &s, out);
	ca_door_drop(&door);
	return e;
}

static void expect_other_busy(const char *name)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_int_equal(submit_to_other(name, &out), CA_CALL_BUSY);
	assert_true(out.retry_after_s > 0);
}

/* The blob of one CA is damaged: its requests wait, those of the other CA do not notice. */
static void a_key_that_does_not_load_stops_its_own_ca_only(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_true(rig_write(&rig, "CREATE TABLE kept AS SELECT sealed FROM ca_keys WHERE ca='Other'"));
	assert_true(rig_write(&rig, "UPDATE ca_keys SET sealed=x'00' WHERE ca='Other'"));
	child_kill(&process);
	start_signer();
	expect_issued("a.example");
	expect_other_busy("x.example");
	assert_int_equal(rig_number(&rig, UNFINISHED), 1);
	/* Known from now on: nothing more is written of it. */
	expect_other_busy("y.example");
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 2);
	expect_health("signer: ok, ", false);
	expect_health("ca Other: the signer does not load the key of this CA", false);
	expect_health("ca " RIG_CA ": ok", false);
	for (int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "b%d.example", i);
		expect_issued(name);
		/* As long as the finisher takes to find it out once more. */
		usleep(700000);
	}
	/* The signer went away in between and came back: that one CA's key is still missing holds nobody up. */
	child_kill(&process);
	expect_busy("c.example");
	start_signer();
	wait_for(ISSUED, 5);
	expect_issued("d.example");
	assert_true(rig_write(&rig, "UPDATE ca_keys SET sealed=(SELECT sealed FROM kept) WHERE ca='Other'"));
	wait_for(UNFINISHED, 0);
	assert_int_equal(submit_to_other("z.example", &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
	expect_health("ca Other: ok", true);
	assert_true(rig_write(&rig, "DROP TABLE kept"));
}

/* A start with what is damaged: the other CA works, and what is mended is noticed without another start. */
static void a_key_that_does_not_load_stops_no_start(void **state)
{
	struct conf_error error = { 0 };

	assert_true(rig_write(&rig, "CREATE TABLE kept AS SELECT sealed FROM ca_keys WHERE ca='Other'"));
	assert_true(rig_write(&rig, "UPDATE ca_keys SET sealed=x'00' WHERE ca='Other'"));
	rig_stop(&rig);
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
	expect_issued("a.example");
	expect_other_busy("x.example");
	expect_health("ca Other: the signer does not load the key of this CA", false);
	assert_true(rig_write(&rig, "UPDATE ca_keys SET sealed=(SELECT sealed FROM kept) WHERE ca='Other'"));
	for (int i = 0; i < 50 && ca_core_health(rig.core, &(struct buf)BUF_INIT(0)) == false; i++)
		usleep(100000);
	expect_health("ca Other: ok", true);
	/* When it is so for every CA there is nothing to start. */
	assert_true(rig_write(&rig, "UPDATE ca_keys SET sealed=x'00' WHERE purpose=1"));
	rig_stop(&rig);
	assert_int_equal(rig_start(&rig, &error), -EKEYREJECTED);
	assert_non_null(
		strstr(error.text, "the key of CA '" RIG_CA "' cannot be used: the sealed key does not open"));
	assert_true(rig_write(&rig, "UPDATE ca_keys SET sealed=(SELECT sealed FROM kept) WHERE ca='Other'"));
	assert_true(rig_write(&rig, "DROP TABLE kept"));
	assert_int_equal(rig_start(&rig, &error), 0);
}

static atomic_uint n_issued, n_wrong;

static void *submit_many(void *arg)
{
	for (unsigned i = 0; i < 40; i++) {
		enum ca_disposition disposition;
		unsigned retry_after_s;
		char name[32];
		int e;

		snprintf(name, sizeof(name), "n%u-%u.example", *(unsigned *)arg, i);
		e = submit(name, &disposition, &retry_after_s);
		if (e == 0 && disposition == CA_ISSUED)
			n_issued++;
		else if (e != CA_CALL_BUSY)
			n_wrong++;
		usleep(10000);
	}
	return NULL;
}

static void nothing_is_lost_or_refused_while_signers_die(void **state)
{
	static unsigned numbers[4] = { 0, 1, 2, 3 };
	pthread_t threads[4];

	n_issued = n_wrong = 0;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &numbers[i]), 0);
	for (unsigned i = 0; i < 6; i++) {
		usleep(300000);
		child_kill(&process);
		usleep(i % 2 ? 100000 : 0);
		start_signer();
	}
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(n_wrong, 0);
	assert_true(n_issued > 0);
	wait_for(UNFINISHED, 0);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE state<>20"), 0);
	assert_int_equal(rig_number(&rig, "SELECT count(*) - count(DISTINCT serial) FROM requests"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_waits_for_the_signer_and_gets_what_was_planned, start,
						stop),
		cmocka_unit_test_setup_teardown(a_signer_that_came_back_unnoticed_gets_its_keys_again, start, stop),
		cmocka_unit_test_setup_teardown(a_signer_that_hangs_is_away_too, start, stop),
		cmocka_unit_test_setup_teardown(a_signer_with_another_key_encryption_key_refuses_no_request, start,
						stop),
		cmocka_unit_test_setup_teardown(a_key_that_does_not_load_stops_its_own_ca_only, start_two_cas, stop),
		cmocka_unit_test_setup_teardown(a_key_that_does_not_load_stops_no_start, start_two_cas, stop),
		cmocka_unit_test_setup_teardown(nothing_is_lost_or_refused_while_signers_die, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
