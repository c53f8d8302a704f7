/* The core is killed at every step of an issue and of an approval, and started again on the same folder (trace test
 * 34).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/log.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

static const struct ca_admin_caller alice = { .name = "unix:alice", .roles = CA_ROLE_OFFICER };

/* Where to die: the line of the trace that has both texts. */
struct place {
	const char *event, *more;
};

static const struct place places_of_issue[] = {
	{ "row", "" },
	{ "verify", "" },
	{ "verdict", "" },
	{ "commit", "\"state\":\"active\"" },
	{ "sign", "" },
	{ "commit", "\"state\":\"issued\"" },
	{ "reply", "" },
	{ "notify", "\"event_name\":\"issued\"" },
	{ "notified", "\"event_name\":\"issued\"" },
};

static const struct place places_of_approval[] = {
	{ "commit", "\"state\":\"pending\"" }, /* the approval itself */
	{ "resubmit", "" },
	{ "verify", "" },
	{ "verdict", "" },
	{ "commit", "\"state\":\"active\"" },
	{ "sign", "" },
	{ "commit", "\"state\":\"issued\"" },
	{ "notify", "\"event_name\":\"issued\"" },
	{ "notified", "\"event_name\":\"issued\"" },
};

static void die_there(void *arg, const char *line)
{
	const struct place *p = arg;
	char event[64];

	snprintf(event, sizeof(event), "\"event\":\"%s\"", p->event);
	if (strstr(line, event) && strstr(line, p->more))
		kill(getpid(), SIGKILL);
}

/* What the child was told before it died. */
struct acknowledged {
	enum ca_disposition disposition;
	int64_t id;
};

static void acknowledge(int fd, const struct ca_outcome *out)
{
	struct acknowledged a = { out->disposition, out->id };

	if (write(fd, &a, sizeof(a)) != sizeof(a))
		_exit(3);
}

static void issue(struct rig *rig, const struct place *p, int fd)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	trace_capture(rig->core->trace, die_there, (void *)p);
	if (rig_submit(rig->door, "acme:1", "a.example", "one", &out) == 0)
		acknowledge(fd, &out);
}

static void approve(struct rig *rig, const struct place *p, int fd)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	if (rig_submit(rig->door, "acme:1", "a.example", "one", &out))
		_exit(4);
	acknowledge(fd, &out);
	rig_settle(rig);
	trace_capture(rig->core->trace, die_there, (void *)p);
	if (ca_admin_approve(rig->core, &alice, out.id, NULL, 0, &out) == 0)
		acknowledge(fd, &out);
}

typedef void act_fn(struct rig *rig, const struct place *p, int fd);

static void live_and_die(struct rig *rig, const struct place *p, act_fn *act, int fd)
{
	struct conf_error error = { 0 };

	if (rig_start(rig, &error))
		_exit(2);
	act(rig, p, fd);
	rig_settle(rig);
	_exit(0);
}

/* Run a child up to its death; the last thing it was told. */
static struct acknowledged run_child(struct rig *rig, const struct place *p, act_fn *act)
{
	struct acknowledged last = { CA_INCOMPLETE, 0 }, one;
	int ends[2], status = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		live_and_die(rig, p, act, ends[1]);
	}
	close(ends[1]);
	while (read(ends[0], &one, sizeof(one)) == sizeof(one))
		last = one;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("the core did not die at %s %s: status %d", p->event, p->more, status);
	return last;
}

static int64_t state_of(const struct rig *rig, int64_t id)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT state FROM requests WHERE id=%lld", (long long)id);
	return rig_number(rig, sql);
}

static void check_acknowledged(const struct rig *rig, const struct acknowledged *a)
{
	int64_t state = a->id ? state_of(rig, a->id) : 0;

	if (a->disposition == CA_ISSUED)
		assert_int_equal(state, CA_STATE_ISSUED);
	if (a->disposition == CA_UNDER_SUBMISSION)
		assert_true(state == CA_STATE_PENDING || state == CA_STATE_ISSUED);
}

/* What must hold after any crash, once the finisher and the exit thread had their turn. */
static void check_folder(const struct rig *rig)
{
	assert_int_equal(rig_number(rig, "SELECT count(*) FROM requests WHERE state=8"), 0);
	assert_int_equal(rig_number(rig, "SELECT count(*) FROM outbox"), 0);
	assert_int_equal(rig_number(rig, "SELECT count(*) FROM certificates"),
			 rig_number(rig, "SELECT count(*) FROM requests WHERE state=20"));
	/* The certificate has the serial that was durable before it was signed. */
	assert_int_equal(rig_number(rig, "SELECT count(*) FROM certificates c JOIN requests r ON r.id=c.request_id"
					 " WHERE c.serial<>r.serial"), 0);
	/* Everything that is issued was told, at least once, to both. */
	assert_int_equal(
		rig_number(rig, "SELECT count(*) FROM requests r WHERE state=20 AND (SELECT count(DISTINCT text)"
				" FROM timeline t WHERE t.request_id=r.id AND (text='notify module=e1 event=issued'"
				" OR text='notify module=e2 event=issued')) < 2"),
		0);
	assert_int_equal(rig_number(rig, "SELECT count(*) FROM grants"),
			 rig_number(rig, "SELECT count(DISTINCT request_id) FROM approvals a JOIN requests r ON"
					 " r.id=a.request_id WHERE r.state=20"));
}

static void begin_again(struct rig *rig, const struct acknowledged *a)
{
	struct conf_error error = { 0 };

	if (rig_start(rig, &error))
		fail_msg("the core does not start again: %s", error.text);
	rig_finish_interrupted(rig);
	check_acknowledged(rig, a);
	check_folder(rig);
}

static void killed_anywhere_in_an_issue_loses_nothing(void **state)
{
	for (size_t i = 0; i < sizeof(places_of_issue) / sizeof(*places_of_issue); i++) {
		OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
		struct acknowledged a;
		struct rig rig;

		script_reset();
		rig_init(&rig, NULL);
		a = run_child(&rig, &places_of_issue[i], issue);
		begin_again(&rig, &a);
		/* The client comes back with the same transaction: one request, one certificate. */
		assert_int_equal(rig_submit(rig.door, "acme:1", "a.example", "one", &out), 0);
		assert_int_equal(out.disposition, CA_ISSUED);
		assert_true(!a.id || a.id == out.id);
		rig_settle(&rig);
		check_folder(&rig);
		assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), 1);
		rig_stop(&rig);
		/* The trace of both runs, the killed one and the next. */
		assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
		rig_fini(&rig);
		assert_string_equal(script_complaint(), "");
	}
}

static void killed_anywhere_in_an_approval_loses_nothing(void **state)
{
	for (size_t i = 0; i < sizeof(places_of_approval) / sizeof(*places_of_approval); i++) {
		OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
		struct acknowledged a;
		struct rig rig;

		script_reset();
		script_always("approved", "hold", "", 1);
		rig_init(&rig, NULL);
		a = run_child(&rig, &places_of_approval[i], approve);
		assert_int_equal(a.id, 1);
		begin_again(&rig, &a);
		/* Either it is done, or the officer finds it in the queue and does it again. */
		if (state_of(&rig, 1) == CA_STATE_PENDING) {
			assert_int_equal(ca_admin_approve(rig.core, &alice, 1, NULL, 0, &out), 0);
			assert_int_equal(out.disposition, CA_ISSUED);
		}
		rig_settle(&rig);
		check_folder(&rig);
		assert_int_equal(state_of(&rig, 1), CA_STATE_ISSUED);
		assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), 1);
		assert_int_equal(rig_number(&rig, "SELECT count(*) FROM grants"), 1);
		rig_stop(&rig);
		/* The trace of both runs, the killed one and the next. */
		assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
		rig_fini(&rig);
		assert_string_equal(script_complaint(), "");
	}
}

static void swallow(void *arg, const char *line)
{
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_anywhere_in_an_issue_loses_nothing),
		cmocka_unit_test(killed_anywhere_in_an_approval_loses_nothing),
	};

	log_capture(swallow, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
