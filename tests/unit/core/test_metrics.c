/* What is wrong with the core, or will be, and who is told: health and metrics.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/anchor_int.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/credentials.h"
#include "core/keys.h"
#include "core/signer/signer_int.h"
#include "core/worker.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

#define BEGIN_MS 1772366400000
#define DAY_MS 86400000ll
#define SETTLE_MS 60000

static struct rig rig;

static void start(const struct rig_settings *settings)
{
	struct conf_error error = { 0 };

	clock_fake_set(BEGIN_MS);
	script_reset();
	rig_init(&rig, settings);
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void stop(void)
{
	rig_stop(&rig);
	assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
	rig_fini(&rig);
	clock_fake_end();
}

static void expect_health(bool is_well, const char *line)
{
	OWNED_BUF text = BUF_INIT(65536);

	if (ca_core_health(rig.core, &text) != is_well || !strstr(buf_str(&text), line))
		fail_msg("no \"%s\" in: %s", line, buf_str(&text));
}

static void expect_metric(const char *line)
{
	OWNED_BUF text = BUF_INIT(65536);

	ca_core_metrics(rig.core, &text);
	if (!strstr(buf_str(&text), line))
		fail_msg("no \"%s\" in: %s", line, buf_str(&text));
}

static void submit(const char *name)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_int_equal(rig_submit(rig.door, "acme:1", name, name, &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
}

/* ---- the clock ---- */

static void a_clock_behind_its_past_is_told(void **state)
{
	start(&(struct rig_settings){ 0 });
	expect_health(true, "clock: ok\n");
	expect_metric("\ngatehouse_clock_behind_seconds 0\n");
	clock_fake_advance(-5 * 60 * 1000);
	expect_health(true, "clock: ok\n");
	clock_fake_advance(-5 * 60 * 1000);
	expect_health(false, "clock: 600 s behind the latest time seen");
	expect_metric("\ngatehouse_clock_behind_seconds 600\n");
	assert_int_equal(clock_guard_accept(rig.core, "unix:carol"), 0);
	expect_health(true, "clock: ok\n");
	expect_metric("\ngatehouse_clock_behind_seconds 0\n");
	stop();
}

/* ---- the anchor ---- */

static int no_mac(struct signer *s, uint64_t key, struct bytes label, struct bytes octets,
		  uint8_t out[static SIGNER_MAC_SIZE], char why[static SIGNER_WHY_SIZE])
{
	return -ETIMEDOUT;
}

static void an_anchor_that_stays_behind_is_told(void **state)
{
	struct signer_ways ways;
	const struct signer_ways *whole;
	struct anchor_lag lag;

	start(&(struct rig_settings){ 0 });
	submit("a.example");
	assert_true(worker_settle(rig.core->anchoring, SETTLE_MS));
	assert_int_equal(anchor_measure(rig.core, &lag), 0);
	assert_int_equal(lag.records, 0);
	assert_int_equal(lag.for_s, 0);
	assert_int_equal(lag.seq, rig_number(&rig, "SELECT max(seq) FROM audit"));
	expect_health(true, "audit anchor: ok\n");
	whole = rig.core->signer->ways;
	ways = *whole;
	ways.mac = no_mac;
	rig.core->signer->ways = &ways;
	submit("b.example");
	assert_true(worker_settle(rig.core->anchoring, SETTLE_MS));
	/* For a moment that is as it should be. */
	assert_int_equal(anchor_measure(rig.core, &lag), 0);
	assert_int_equal(lag.records, rig_number(&rig, "SELECT max(seq) FROM audit") - lag.seq);
	assert_true(lag.records > 0);
	rig.core->anchor->whole_s -= ANCHOR_LATE_S;
	expect_health(false, "audit anchor: is late; ");
	expect_metric("\n# TYPE gatehouse_audit_anchor_lag_records gauge\ngatehouse_audit_anchor_lag_records ");
	assert_int_equal(anchor_measure(rig.core, &lag), 0);
	assert_true(lag.for_s >= ANCHOR_LATE_S);
	rig.core->signer->ways = whole;
	assert_true(worker_settle(rig.core->anchoring, SETTLE_MS));
	expect_health(true, "audit anchor: ok\n");
	expect_metric("\ngatehouse_audit_anchor_lag_records 0\n");
	expect_metric("\ngatehouse_audit_anchor_lag_seconds 0\n");
	stop();
}

static void an_anchor_that_cannot_be_written_is_told(void **state)
{
	struct anchor *a;
	char kept[256];
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(full >= 0);
	start(&(struct rig_settings){ 0 });
	submit("a.example");
	assert_true(worker_settle(rig.core->anchoring, SETTLE_MS));
	a = rig.core->anchor;
	snprintf(kept, sizeof(kept), "%s.kept", a->path);
	/* No file of this name can be opened, and what is open is full. */
	pthread_mutex_lock(&a->lock);
	assert_int_equal(rename(a->path, kept), 0);
	assert_int_equal(mkdir(a->path, 0700), 0);
	assert_true(dup2(full, a->fd) >= 0);
	pthread_mutex_unlock(&a->lock);
	submit("b.example");
	assert_true(worker_settle(rig.core->anchoring, SETTLE_MS));
	expect_health(false, "audit anchor: cannot be written; ");
	assert_int_equal(rmdir(a->path), 0);
	assert_int_equal(rename(kept, a->path), 0);
	assert_true(worker_settle(rig.core->anchoring, SETTLE_MS));
	expect_health(true, "audit anchor: ok\n");
	close(full);
	stop();
}

/* ---- CAs ---- */

static void a_ca_that_ends_before_what_it_certifies_would_is_told(void **state)
{
	const struct ca *ca;

	start(&(struct rig_settings){ .profile = "lifetime: 90d",
				      .endpoints = "{name: long, ca: CA1, profile: device}",
				      .profiles = "{name: device, lifetime: 365d}" });
	ca = &rig.core->cas[0];
	assert_null(keys_shortened(ca));
	expect_health(true, "ca " RIG_CA ": ok\n");
	expect_metric("\ngatehouse_ca_shortens{ca=\"" RIG_CA "\"} 0\n");
	/* It has 3,650 days: first the longer profile is cut, then both, and then the CA is near its end itself. */
	clock_fake_advance(3300 * DAY_MS);
	assert_string_equal(keys_shortened(ca)->name, "device");
	assert_false(keys_near_end(ca));
	expect_health(true, ", before what profile device gives: gatehouse ca rollover\n");
	expect_metric("\ngatehouse_ca_shortens{ca=\"" RIG_CA "\"} 1\n");
	expect_metric("\ngatehouse_ca_near_end{ca=\"" RIG_CA "\"} 0\n");
	clock_fake_advance(325 * DAY_MS);
	assert_string_equal(keys_shortened(ca)->name, RIG_PROFILE);
	assert_true(keys_near_end(ca));
	expect_health(true, ", before what profile " RIG_PROFILE " gives: gatehouse ca rollover\n");
	stop();
}

/* ---- credentials ---- */

static void make(const char *name, const char *profile, const char *scope)
{
	static const struct ca_admin_caller admin = { .name = "unix:root", .roles = CA_ROLE_ADMINISTRATOR };
	static const char *const endpoints[] = { RIG_ENDPOINT, "other" };
	struct credential_spec spec = { .kind = CA_EVIDENCE_USER, .name = name, .endpoints = endpoints,
					.n_endpoints = 2, .profiles = &profile, .n_profiles = 1, .scope = &scope,
					.n_scope = 1 };
	struct credential_made made;
	char why[CA_REASON_SIZE];

	if (ca_admin_create_credential(rig.core, &admin, &spec, &made, why))
		fail_msg("%s", why);
}

static void expect_for_any(int64_t n, int64_t n_unheld)
{
	struct credentials_any any;
	char line[128];

	assert_int_equal(credentials_count_any(rig.core, &any), 0);
	assert_int_equal(any.n, n);
	assert_int_equal(any.n_unheld, n_unheld);
	snprintf(line, sizeof(line), "\ngatehouse_credentials_any_scope %lld\n", (long long)n);
	expect_metric(line);
	snprintf(line, sizeof(line), "\ngatehouse_credentials_any_scope_unheld %lld\n", (long long)n_unheld);
	expect_metric(line);
}

static void credentials_for_any_name_are_counted(void **state)
{
	static const struct ca_admin_caller admin = { .name = "unix:root", .roles = CA_ROLE_ADMINISTRATOR };
	char why[CA_REASON_SIZE];

	start(&(struct rig_settings){ .endpoints = "{name: other, ca: CA1, profile: held}",
				      .profiles = "{name: held, any-scope: pend}" });
	make("alice", RIG_PROFILE, "*.example");
	expect_for_any(0, 0);
	make("bob", "held", "any");
	expect_for_any(1, 0);
	make("carol", RIG_PROFILE, "any");
	expect_for_any(2, 1);
	assert_int_equal(ca_admin_revoke_credential(rig.core, &admin, CA_EVIDENCE_USER, "carol", why), 0);
	expect_for_any(1, 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_behind_its_past_is_told),
		cmocka_unit_test(an_anchor_that_stays_behind_is_told),
		cmocka_unit_test(an_anchor_that_cannot_be_written_is_told),
		cmocka_unit_test(a_ca_that_ends_before_what_it_certifies_would_is_told),
		cmocka_unit_test(credentials_for_any_name_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
