/* Asking at a terminal: a child with a terminal of its own asks, the test types.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/terminal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/test.h"

#define QUESTION "Secret: "
#define WAIT_MS 30000

struct session {
	int fd;
	pid_t child;
	char shown[4096];
	size_t n;
};

/* What the child does: asks, and prints the answer's result and length. */
static void answer(bool blocks)
{
	struct buf typed = BUF_INIT(16);
	sigset_t set;
	int e;

	if (blocks) {
		sigemptyset(&set);
		sigaddset(&set, SIGINT);
		sigprocmask(SIG_BLOCK, &set, NULL);
	}
	e = terminal_ask(QUESTION, &typed);
	printf("[%d %zu %d]\n", e, typed.len, typed.len == 6 && memcmp(typed.ptr, "s3cret", 6) == 0);
	sigpending(&set);
	printf("pending %d\n", sigismember(&set, SIGINT));
	fflush(stdout);
	buf_wipe(&typed);
}

static void *idle(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static void begin(struct session *s, bool blocks)
{
	*s = (struct session){ .fd = -1 };
	s->child = forkpty(&s->fd, NULL, NULL, NULL);
	assert_true(s->child >= 0);
	if (s->child == 0) {
		pthread_t thread;

		/* A thread that the question is nothing to: it may be the one that gets a signal. */
		if (!blocks && pthread_create(&thread, NULL, idle, NULL))
			_exit(1);
		answer(blocks);
		_exit(0);
	}
}

/* Read what it shows until `text` was shown `times` times. */
static void wait_for(struct session *s, const char *text, int times)
{
	struct pollfd poll_fd = { .fd = s->fd, .events = POLLIN };

	for (;;) {
		const char *at = s->shown;
		int found = 0;
		ssize_t n;

		for (; (at = strstr(at, text)); at++)
			found++;
		if (found >= times)
			return;
		assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
		n = read(s->fd, s->shown + s->n, sizeof(s->shown) - 1 - s->n);
		if (n <= 0)
			fail_msg("it ended without '%s': %s", text, s->shown);
		s->n += (size_t)n;
	}
}

static void type(struct session *s, const char *text)
{
	assert_int_equal(write(s->fd, text, strlen(text)), strlen(text));
}

static bool has_echo(const struct session *s)
{
	struct termios t;

	assert_int_equal(tcgetattr(s->fd, &t), 0);
	return t.c_lflag & ECHO;
}

static int end(struct session *s)
{
	int status;

	assert_int_equal(waitpid(s->child, &status, 0), s->child);
	close(s->fd);
	return status;
}

static void what_is_typed_is_not_shown(void **state)
{
	struct session s;

	begin(&s, false);
	wait_for(&s, QUESTION, 1);
	assert_false(has_echo(&s));
	type(&s, "s3cret\n");
	wait_for(&s, "[0 6 1]", 1);
	assert_true(has_echo(&s));
	assert_null(strstr(s.shown, "s3cret"));
	assert_int_equal(end(&s), 0);
}

static const int ending_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static void a_signal_ends_the_process_and_the_terminal_is_as_it_was(void **state)
{
	for (size_t i = 0; i < sizeof(ending_signals) / sizeof(*ending_signals); i++) {
		struct session s;
		int held, status;

		begin(&s, false);
		/* The terminal outlives its process only while somebody has it open. */
		wait_for(&s, QUESTION, 1);
		held = open(ptsname(s.fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_true(held >= 0);
		type(&s, "s3c");
		if (ending_signals[i] == SIGINT)
			type(&s, "\003");
		else
			kill(s.child, ending_signals[i]);
		assert_int_equal(waitpid(s.child, &status, 0), s.child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == ending_signals[i]);
		assert_true(has_echo(&s));
		close(held);
		close(s.fd);
	}
}

/* The thread that is not the one that asks: the second of the process. */
static pid_t other_thread(pid_t process)
{
	char path[64];
	pid_t found = 0;
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((entry = readdir(tasks)))
		if (strtol(entry->d_name, NULL, 10) > 0 && strtol(entry->d_name, NULL, 10) != process)
			found = (pid_t)strtol(entry->d_name, NULL, 10);
	closedir(tasks);
	assert_true(found > 0);
	return found;
}

static void a_signal_that_another_thread_gets_counts_too(void **state)
{
	struct session s;

	begin(&s, false);
	wait_for(&s, QUESTION, 1);
	assert_int_equal(tgkill(s.child, other_thread(s.child), SIGTERM), 0);
	assert_true(WIFSIGNALED(end(&s)));
}

/* As in a daemon that reads its signals from a descriptor. */
static void a_signal_that_is_blocked_ends_the_question(void **state)
{
	struct session s;
	char text[32];

	snprintf(text, sizeof(text), "[%d 0 0]", -EINTR);
	begin(&s, true);
	wait_for(&s, QUESTION, 1);
	type(&s, "\003");
	wait_for(&s, text, 1);
	wait_for(&s, "pending 1", 1);
	assert_true(has_echo(&s));
	assert_int_equal(end(&s), 0);
}

static void after_a_stop_it_asks_again(void **state)
{
	struct session s;

	begin(&s, false);
	wait_for(&s, QUESTION, 1);
	type(&s, "half\032");
	wait_for(&s, QUESTION, 2);
	assert_false(has_echo(&s));
	type(&s, "s3cret\n");
	wait_for(&s, "[0 6 1]", 1);
	assert_int_equal(end(&s), 0);
}

static void the_end_of_input_and_too_much_are_told(void **state)
{
	char text[32];
	struct session s;

	begin(&s, false);
	wait_for(&s, QUESTION, 1);
	type(&s, "\004");
	snprintf(text, sizeof(text), "[%d 0 0]", -ECANCELED);
	wait_for(&s, text, 1);
	assert_int_equal(end(&s), 0);

	begin(&s, false);
	wait_for(&s, QUESTION, 1);
	type(&s, "01234567890123456789\n");
	snprintf(text, sizeof(text), "[%d ", -EMSGSIZE);
	wait_for(&s, text, 1);
	assert_true(has_echo(&s));
	assert_int_equal(end(&s), 0);
}

static void without_a_terminal_nothing_is_asked(void **state)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct buf typed = BUF_INIT(16);

		_exit(setsid() > 0 && terminal_ask(QUESTION, &typed) == -ENOTTY ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_typed_is_not_shown),
		cmocka_unit_test(a_signal_ends_the_process_and_the_terminal_is_as_it_was),
		cmocka_unit_test(a_signal_that_another_thread_gets_counts_too),
		cmocka_unit_test(a_signal_that_is_blocked_ends_the_question),
		cmocka_unit_test(after_a_stop_it_asks_again),
		cmocka_unit_test(the_end_of_input_and_too_much_are_told),
		cmocka_unit_test(without_a_terminal_nothing_is_asked),
	};

	/* Who was started in the background, or without a terminal, ignores some of them. */
	for (size_t i = 0; i < sizeof(ending_signals) / sizeof(*ending_signals); i++)
		signal(ending_signals[i], SIG_DFL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
