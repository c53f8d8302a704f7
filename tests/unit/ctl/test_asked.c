/* Commands that ask about a request: show and its differences, explain, policy test, watch. The test plays the core,
 * whose answers lie in the connection before they are asked for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/ctl.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/module.h"
#include "core/wire/frame.h"
#include "gateway/ctl/parse.h"
#include "gateway/ctl/print.h"
#include "tests/test.h"
#include "tests/unit/ctl/printed.h"

typedef Gatehouse__Admin__Difference Difference;

static struct ctl ctl;
static int core_end;
static int code; /* what the command returned */

/* The words of a command line, and the connection to the core that the test plays. */
static void set_up(char **argv)
{
	int fds[2], n = 0;

	while (argv[n])
		n++;
	ctl = (struct ctl){ .fd = -1 };
	assert_int_equal(parse_command_line(&ctl, n, argv), CTL_DONE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ctl.fd = fds[0];
	core_end = fds[1];
}

#define SET_UP(...) set_up((char *[]){ (char *)"gatehouse", __VA_ARGS__, NULL })
#define W(word) (char *)word

static void answer(const Gatehouse__Admin__Reply *reply)
{
	uint8_t room[8192];
	size_t n = gatehouse__admin__reply__get_packed_size(reply);

	assert_true(n <= sizeof(room));
	gatehouse__admin__reply__pack(reply, room);
	assert_int_equal(frame_write(core_end, bytes_of(room, n)), 0);
}

/* Run the command against the answers that were given. */
static const char *run(void)
{
	const char *text;

	printed_begin(1);
	code = ctl.command->run(&ctl);
	text = printed_end();
	print_forget();
	close(ctl.fd);
	close(core_end);
	return text;
}

static bool has_line(const char *text, const char *const *words)
{
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		const char *at = line, *end = line + strcspn(line, "\n");
		size_t i = 0;

		for (; words[i] && (at = strstr(at, words[i])) && at < end; i++)
			at += strlen(words[i]);
		if (!words[i])
			return true;
		if (!*end)
			break;
	}
	return false;
}

/* One line has these, in this order. */
#define HAS_LINE(text, ...) \
	do { \
		if (!has_line(text, (const char *const[]){ __VA_ARGS__, NULL })) \
			fail_msg("no such line: %s in\n%s", (const char *[]){ __VA_ARGS__ }[0], text); \
	} while (0)

/* ---- what was asked for beside what will be issued ---- */

static Difference make_difference(const char *what, const char *requested, const char *issued, const char *why)
{
	Difference d = GATEHOUSE__ADMIN__DIFFERENCE__INIT;

	d.what = W(what);
	d.requested = W(requested);
	d.issued = W(issued);
	d.why = W(why);
	return d;
}

/* A request with a difference of each kind, and a name that is the same. */
static void answer_detail(Gatehouse__Admin__Explanation *explanation)
{
	Gatehouse__Admin__Reply reply = GATEHOUSE__ADMIN__REPLY__INIT;
	Gatehouse__Admin__Detail detail = GATEHOUSE__ADMIN__DETAIL__INIT;
	Gatehouse__Admin__Request request = GATEHOUSE__ADMIN__REQUEST__INIT;
	Gatehouse__Admin__Name name = GATEHOUSE__ADMIN__NAME__INIT, *names[] = { &name };
	Difference all[] = {
		make_difference("subject", "CN=old", "CN=a.example,O=Example", "rule hold"),
		make_difference("name", "dns:b.example", "", "an officer removed it"),
		make_difference("name", "", "dns:c\033[2J.example", "unix:bob"),
		make_difference("validity", "90d", "until 2026-12-31T00:00:00Z", "an officer"),
	};
	Difference *differences[] = { &all[0], &all[1], &all[2], &all[3] };

	request.id = 41;
	request.state = CA_STATE_PENDING;
	request.protocol = W("acme");
	request.subject = W("CN=a.example,O=Example");
	name.text = W("dns:a.example");
	name.evidence = W("authz 7 http-01");
	detail.request = &request;
	detail.names = names;
	detail.n_names = 1;
	detail.differences = differences;
	detail.n_differences = 4;
	reply.detail = &detail;
	reply.explanation = explanation;
	answer(&reply);
}

static void expect_differences(const char *text)
{
	HAS_LINE(text, "REQUESTED", "TO BE ISSUED", "BECAUSE OF");
	HAS_LINE(text, "~", "subject", "CN=old", "CN=a.example,O=Example", "rule hold");
	HAS_LINE(text, "-", "name", "dns:b.example", "an officer removed it");
	HAS_LINE(text, "+", "name", "\\x1b[2J", "unix:bob");
	HAS_LINE(text, "~", "validity", "90d", "until 2026-12-31T00:00:00Z", "an officer");
	assert_null(strchr(text, '\033'));
}

static void show_names_who_is_behind_each_difference(void **state)
{
	const char *text;

	SET_UP(W("show"), W("41"));
	answer_detail(NULL);
	text = run();
	assert_int_equal(code, CTL_DONE);
	HAS_LINE(text, "request", "41 (pending)");
	/* What is the same stands there with what proves it. */
	HAS_LINE(text, "name", "dns:a.example", "dns:a.example", "authz 7 http-01");
	expect_differences(text);
}

static void diff_has_the_differences_alone(void **state)
{
	const char *text;

	SET_UP(W("request"), W("diff"), W("41"));
	answer_detail(NULL);
	text = run();
	assert_int_equal(code, CTL_DONE);
	expect_differences(text);
	assert_null(strstr(text, "authz 7"));
	SET_UP(W("request"), W("diff"), W("41"), W("-o"), W("json"));
	answer_detail(NULL);
	text = run();
	HAS_LINE(text, "\"why\":", "\"an officer removed it\"");
}

/* ---- explain, policy test ---- */

static void each_verdict_has_its_exit_code(void **state)
{
	static const struct {
		const char *verdict;
		int code;
	} verdicts[] = { { "issue", CTL_DONE }, { "deny", CTL_DENIED }, { "pend", CTL_PENDING },
			 { "failure", CTL_FAILED }, { "error", CTL_FAILED } };

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++) {
		Gatehouse__Admin__Reply reply = GATEHOUSE__ADMIN__REPLY__INIT;
		Gatehouse__Admin__Explanation x = GATEHOUSE__ADMIN__EXPLANATION__INIT;
		const char *text;

		x.verdict = W(verdicts[i].verdict);
		x.rule = W("hold");
		x.reason = W("a person looks");
		x.trace = W("first: no (name b); \nhold: yes -> pend");
		x.lifetime_s = 86400;
		reply.explanation = &x;
		SET_UP(W("explain"), W("41"));
		answer(&reply);
		text = run();
		assert_int_equal(code, verdicts[i].code);
		HAS_LINE(text, "verdict", verdicts[i].verdict);
		HAS_LINE(text, "rule", "hold");
		HAS_LINE(text, "reason", "a person looks");
		HAS_LINE(text, "trace", "first: no");
		HAS_LINE(text, "hold: yes -> pend");
		HAS_LINE(text, "lifetime", "86400 s");
	}
}

static void a_tested_policy_shows_what_would_be_issued(void **state)
{
	char path[] = "/tmp/gh-asked-XXXXXX";
	Gatehouse__Admin__Explanation x = GATEHOUSE__ADMIN__EXPLANATION__INIT;
	const char *text;
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, "octets", 6) == 6);
	close(fd);
	x.verdict = W("pend");
	x.rule = W("hold");
	SET_UP(W("policy"), W("test"), W("--csr"), path, W("--via"), W("acme"));
	answer_detail(&x);
	text = run();
	unlink(path);
	assert_int_equal(code, CTL_PENDING);
	HAS_LINE(text, "verdict", "pend");
	expect_differences(text);
	assert_null(strstr(text, "41 (pending)"));
}

/* ---- watch ---- */

static void answer_line(int64_t last, const char *actor, const char *words)
{
	Gatehouse__Admin__Reply reply = GATEHOUSE__ADMIN__REPLY__INIT;
	Gatehouse__Admin__Watched watched = GATEHOUSE__ADMIN__WATCHED__INIT;
	Gatehouse__Admin__Happened line = GATEHOUSE__ADMIN__HAPPENED__INIT, *lines[] = { &line };

	line.id = last;
	line.request_id = 41;
	line.state = CA_STATE_PENDING;
	line.actor = W(actor);
	line.text = W(words);
	watched.lines = lines;
	watched.n_lines = words ? 1 : 0;
	watched.last = last;
	reply.watched = &watched;
	answer(&reply);
}

static void answer_requests(size_t n)
{
	Gatehouse__Admin__Reply reply = GATEHOUSE__ADMIN__REPLY__INIT;
	Gatehouse__Admin__Request request = GATEHOUSE__ADMIN__REQUEST__INIT, *requests[] = { &request };

	reply.requests = requests;
	reply.n_requests = n;
	reply.reason = W("done"); /* as the core does: a frame has at least an octet */
	answer(&reply);
}

/* Where it is, two lines with nothing between them, and the second request matches --until. */
static void watch_prints_a_line_for_each_step_until_it_is_over(void **state)
{
	const char *text;

	SET_UP(W("watch"), W("--until"), W("state=issued"));
	answer_line(7, "", NULL);
	answer_line(8, "unix:bob", "approve by=unix:bob \"\033\"");
	answer_requests(0);
	answer_line(8, "", NULL);
	answer_line(9, "core", "issued serial=01");
	answer_requests(1);
	answer_line(10, "core", "too late");
	text = run();
	assert_int_equal(code, CTL_DONE);
	HAS_LINE(text, "\"event\":8", "\"id\":41", "\"state\":\"pending\"", "\"actor\":\"unix:bob\"", "\\u001b");
	HAS_LINE(text, "\"event\":9", "issued serial=01");
	assert_null(strstr(text, "too late"));
}

static void watch_says_that_the_core_is_gone(void **state)
{
	SET_UP(W("watch"), W("41"));
	answer_line(7, "", NULL);
	assert_int_equal(shutdown(core_end, SHUT_WR), 0);
	printed_begin(2);
	code = ctl.command->run(&ctl);
	assert_non_null(strstr(printed_end(), "the core did not answer"));
	assert_int_equal(code, CTL_UNREACHABLE);
	close(ctl.fd);
	close(core_end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(show_names_who_is_behind_each_difference),
		cmocka_unit_test(diff_has_the_differences_alone),
		cmocka_unit_test(each_verdict_has_its_exit_code),
		cmocka_unit_test(a_tested_policy_shows_what_would_be_issued),
		cmocka_unit_test(watch_prints_a_line_for_each_step_until_it_is_over),
		cmocka_unit_test(watch_says_that_the_core_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
