/* Many threads at the doors of one core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <pthread.h>

#include "core/base/log.h"
#include "core/base/own.h"
#include "core/store.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

#define THREADS_MAX 32
#define ROUNDS 200
#define LONG_ROUNDS 10000

static struct rig rig;

static void start(const char *policy)
{
	struct rig_settings settings = { .policy = policy, .core = "deny-window: 0s" };
	struct conf_error error = { 0 };

	script_reset();
	rig_init(&rig, &settings);
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void stop(void)
{
	rig_settle(&rig);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM outbox"), 0);
	rig_stop(&rig);
	/* What the threads did together keeps to the state table. */
	assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
	rig_fini(&rig);
	assert_string_equal(script_complaint(), "");
}

/* Everybody begins at once. */
static struct {
	pthread_barrier_t together;
	struct one {
		pthread_t thread;
		void (*fn)(struct one *o);
		unsigned number;
		const char *key;
		int outcome;
		enum ca_disposition disposition;
		int64_t id;
		size_t certificate;
	} all[THREADS_MAX];
} crowd;

static void *run_one(void *arg)
{
	struct one *o = arg;

	pthread_barrier_wait(&crowd.together);
	o->fn(o);
	return NULL;
}

static void run_all(unsigned n)
{
	pthread_barrier_init(&crowd.together, NULL, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_create(&crowd.all[i].thread, NULL, run_one, &crowd.all[i]), 0);
	for (unsigned i = 0; i < n; i++)
		pthread_join(crowd.all[i].thread, NULL);
	pthread_barrier_destroy(&crowd.together);
}

static void keep(struct one *o, int outcome, const struct ca_outcome *out)
{
	o->outcome = outcome;
	o->disposition = out->disposition;
	o->id = out->id;
	o->certificate = out->certificate.len;
}

static void submit_own(struct one *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	char requester[32], name[32], key[32];

	snprintf(requester, sizeof(requester), "acme:%u", o->number);
	snprintf(name, sizeof(name), "n%u.example", o->number);
	snprintf(key, sizeof(key), "own %u", o->number);
	keep(o, rig_submit(rig.door, requester, name, key, &out), &out);
}

static void submit_in_parallel(const char *policy)
{
	start(policy);
	script_slow(20);
	for (unsigned i = 0; i < THREADS_MAX; i++)
		crowd.all[i] = (struct one){ .fn = submit_own, .number = i };
	run_all(THREADS_MAX);
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		assert_int_equal(crowd.all[i].outcome, 0);
		assert_int_equal(crowd.all[i].disposition, CA_ISSUED);
	}
	assert_int_equal(rig_number(&rig, "SELECT count(DISTINCT serial) FROM certificates"), THREADS_MAX);
	/* Each answer is for its own request. */
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests r JOIN names n ON n.request_id=r.id"
					  " WHERE n.value = replace(r.requester, 'acme:', 'n') || '.example'"),
			 THREADS_MAX);
}

/* Trace test 24. */
static void a_module_that_is_not_thread_safe_is_asked_in_turns(void **state)
{
	submit_in_parallel("{module: p}");
	assert_int_equal(script_most_at_once(), 1);
	stop();
}

static void a_thread_safe_module_is_asked_at_once(void **state)
{
	submit_in_parallel("{module: p-safe}");
	assert_true(script_most_at_once() > 1);
	stop();
}

static void submit_same(struct one *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	keep(o, rig_submit(rig.door, "acme:1", "same.example", o->key, &out), &out);
}

static void sixteen_times_the_same_transaction_is_one_request(void **state)
{
	start("{module: p-safe}");
	script_slow(50);
	for (unsigned i = 0; i < 16; i++)
		crowd.all[i] = (struct one){ .fn = submit_same, .key = "the same" };
	run_all(16);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(crowd.all[i].outcome, 0);
		assert_int_equal(crowd.all[i].disposition, CA_ISSUED);
		assert_int_equal(crowd.all[i].id, crowd.all[0].id);
		assert_int_equal(crowd.all[i].certificate, crowd.all[0].certificate);
	}
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM timeline WHERE text LIKE 'verify %'"), 1);
	assert_int_equal(script_most_at_once(), 1);
	stop();
}

static void submit_another(struct one *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	char key[32];

	snprintf(key, sizeof(key), "another %u", o->number);
	keep(o, rig_submit(rig.door, "acme:1", "held.example", key, &out), &out);
}

static void a_held_name_has_one_row_however_many_come(void **state)
{
	unsigned held = 0;

	start("{module: p-safe}");
	script_always("pend", "hold", "", 0);
	script_slow(20);
	for (unsigned i = 0; i < 16; i++)
		crowd.all[i] = (struct one){ .fn = submit_another, .number = i };
	run_all(16);
	for (unsigned i = 0; i < 16; i++) {
		assert_true(crowd.all[i].outcome == 0 || crowd.all[i].outcome == CA_CALL_BUSY);
		held += crowd.all[i].outcome == 0 && crowd.all[i].disposition == CA_UNDER_SUBMISSION;
	}
	assert_int_equal(held, 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 1);
	stop();
}

/* One grant, many new submissions: one of them gets it. */
static void submit_for_grant(struct one *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	char key[32];

	snprintf(key, sizeof(key), "grant %u", o->number);
	keep(o, rig_submit(rig.door, "acme:1", "granted.example", key, &out), &out);
}

static void a_grant_is_spent_once_however_many_come(void **state)
{
	static const struct ca_admin_caller alice = { .name = "unix:alice", .roles = CA_ROLE_OFFICER };
	unsigned issued = 0;

	start("{module: p-safe}");
	script_always("approved", "hold", "", 1);
	{
		OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

		assert_int_equal(rig_submit(rig.door, "acme:1", "granted.example", "first", &out), 0);
		assert_int_equal(out.disposition, CA_UNDER_SUBMISSION);
		assert_int_equal(ca_admin_approve(rig.core, &alice, out.id, NULL, 0, &out), 0);
		assert_int_equal(out.disposition, CA_ISSUED);
	}
	script_slow(20);
	for (unsigned i = 0; i < 16; i++)
		crowd.all[i] = (struct one){ .fn = submit_for_grant, .number = i };
	run_all(16);
	for (unsigned i = 0; i < 16; i++)
		issued += crowd.all[i].outcome == 0 && crowd.all[i].disposition == CA_ISSUED;
	assert_int_equal(issued, 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates WHERE revoked_ms IS NULL"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), 2);
	assert_true(rig_number(&rig, "SELECT count(*) FROM requests WHERE state=9") <= 1);
	stop();
}

static const struct ca_admin_caller officers[] = {
	{ .name = "unix:alice", .roles = CA_ROLE_OFFICER },
	{ .name = "unix:bob", .roles = CA_ROLE_OFFICER },
};

static void resubmit(struct one *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int64_t id = o->id;

	keep(o, ca_admin_resubmit(rig.core, &officers[0], id, &out), &out);
	o->id = id;
}

static void deny(struct one *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int64_t id = o->id;

	keep(o, ca_admin_deny(rig.core, &officers[1], id, "no", &out), &out);
	o->id = id;
}

static unsigned race_rounds(void)
{
	return getenv("GATEHOUSE_LONG") ? LONG_ROUNDS : ROUNDS;
}

static int64_t hold_one(unsigned round)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	char name[32];

	snprintf(name, sizeof(name), "r%u.example", round);
	script_say("pend", "", "", 0);
	assert_int_equal(rig_submit(rig.door, "acme:1", name, name, &out), 0);
	assert_int_equal(out.disposition, CA_UNDER_SUBMISSION);
	return out.id;
}

static int64_t row_state(int64_t id)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT state FROM requests WHERE id=%lld", (long long)id);
	return rig_number(&rig, sql);
}

/* Trace test 32. */
static void two_officers_never_both_win(void **state)
{
	unsigned issued = 0, rounds = race_rounds();

	start("{module: p-safe}");
	for (unsigned round = 0; round < rounds; round++) {
		int64_t id = hold_one(round);
		int wins;

		crowd.all[round % 2] = (struct one){ .fn = resubmit, .id = id };
		crowd.all[1 - round % 2] = (struct one){ .fn = round % 4 < 2 ? deny : resubmit, .id = id };
		run_all(2);
		wins = (crowd.all[0].outcome == 0) + (crowd.all[1].outcome == 0);
		assert_int_equal(wins, 1);
		for (int i = 0; i < 2; i++) {
			const struct one *o = &crowd.all[i];

			assert_true(o->outcome == 0 || o->outcome == CA_ADMIN_BAD_STATE);
			if (o->outcome == 0)
				assert_int_equal(row_state(id), o->fn == deny ? CA_STATE_DENIED : CA_STATE_ISSUED);
			issued += o->outcome == 0 && o->fn == resubmit;
		}
	}
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), issued);
	assert_int_equal(rig_number(&rig, "SELECT max(n) FROM (SELECT count(*) AS n FROM timeline WHERE text LIKE"
					  " 'verify cause=resubmit%' GROUP BY request_id)"),
			 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE state=9"), 0);
	stop();
}

/* What an officer was shown is what is issued: an edit between showing and approving is noticed every time. */
static void show(int64_t id, uint8_t digest[static SHA256_SIZE])
{
	OWNED(ca_request) r = NULL;

	assert_int_equal(store_load(rig.core, id, &r), 0);
	memcpy(digest, r->digest, SHA256_SIZE);
}

static int edit(int64_t id, const char *value, struct ca_outcome *out)
{
	const struct ca_edit one = { CA_EDIT_SET_ATTRIBUTE, .name = "a", .value = value };

	return ca_admin_edit(rig.core, &officers[1], id, &one, 1, out);
}

static void an_edit_between_showing_and_approving_is_refused(void **state)
{
	unsigned refused = 0, rounds = race_rounds();
	int64_t id;

	start("{module: p-safe}");
	id = hold_one(0);
	for (unsigned round = 0; round < rounds; round++) {
		OWNED_CA_OUTCOME edited = CA_OUTCOME_INIT;
		OWNED_CA_OUTCOME approved = CA_OUTCOME_INIT;
		uint8_t digest[SHA256_SIZE];
		char value[16];

		snprintf(value, sizeof(value), "%u", round);
		show(id, digest);
		assert_int_equal(edit(id, value, &edited), 0);
		refused += ca_admin_approve(rig.core, &officers[0], id, digest, 0, &approved) == CA_ADMIN_CHANGED;
	}
	assert_int_equal(refused, rounds);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM approvals"), 0);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), 0);
	stop();
}

static struct {
	uint8_t digest[SHA256_SIZE];
	char value[16];
} seen;

static void approve_seen(struct one *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int64_t id = o->id;

	keep(o, ca_admin_approve(rig.core, &officers[0], id, seen.digest, 0, &out), &out);
	o->id = id;
}

static void edit_seen(struct one *o)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int64_t id = o->id;

	keep(o, edit(id, seen.value, &out), &out);
	o->id = id;
}

/* At the same moment: whichever comes first, no certificate is made of what was not shown. */
static void an_edit_and_an_approval_at_once_never_issue_what_was_not_seen(void **state)
{
	unsigned rounds = race_rounds(), issued = 0;

	start("{module: p-safe}");
	for (unsigned round = 0; round < rounds; round++) {
		int64_t id = hold_one(round);
		OWNED(ca_request) after = NULL;

		script_say("issue", "", "", 0);
		show(id, seen.digest);
		snprintf(seen.value, sizeof(seen.value), "%u", round);
		crowd.all[round % 2] = (struct one){ .fn = approve_seen, .id = id };
		crowd.all[1 - round % 2] = (struct one){ .fn = edit_seen, .id = id };
		run_all(2);
		assert_int_equal(store_load(rig.core, id, &after), 0);
		if (after->state == CA_STATE_ISSUED) {
			issued++;
			assert_memory_equal(after->digest, seen.digest, SHA256_SIZE);
		} else {
			OWNED_CA_OUTCOME denied = CA_OUTCOME_INIT;

			assert_int_equal(crowd.all[1 - round % 2].outcome, 0);
			assert_int_equal(ca_admin_deny(rig.core, &officers[1], id, "", &denied), 0);
			script_reset();
		}
	}
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), issued);
	stop();
}

static void swallow(void *arg, const char *line)
{
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_module_that_is_not_thread_safe_is_asked_in_turns),
		cmocka_unit_test(a_thread_safe_module_is_asked_at_once),
		cmocka_unit_test(sixteen_times_the_same_transaction_is_one_request),
		cmocka_unit_test(a_held_name_has_one_row_however_many_come),
		cmocka_unit_test(a_grant_is_spent_once_however_many_come),
		cmocka_unit_test(two_officers_never_both_win),
		cmocka_unit_test(an_edit_between_showing_and_approving_is_refused),
		cmocka_unit_test(an_edit_and_an_approval_at_once_never_issue_what_was_not_seen),
	};

	log_capture(swallow, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
