/* Words between the supervisor and a child: the test is both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/wire/control.h"

static void make_channel(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void words_arrive_as_they_were_sent(void **state)
{
	char large[CONTROL_TEXT_SIZE + 100];
	struct control_message m;
	int ends[2];

	memset(large, 'x', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	make_channel(ends);
	assert_int_equal(control_receive(ends[1], &m, false), -EAGAIN);
	assert_int_equal(control_send(ends[0], "go", NULL, -1), 0);
	assert_int_equal(control_send(ends[0], "failed", "two words, and\nlines", -1), 0);
	assert_int_equal(control_send(ends[0], "failed", large, -1), 0);
	assert_int_equal(control_receive(ends[1], &m, true), 0);
	assert_string_equal(m.word, "go");
	assert_string_equal(m.text, "");
	assert_int_equal(m.fd, -1);
	assert_int_equal(control_receive(ends[1], &m, false), 0);
	assert_string_equal(m.word, "failed");
	assert_string_equal(m.text, "two words, and\nlines");
	assert_int_equal(control_receive(ends[1], &m, true), 0);
	assert_int_equal(strlen(m.text), CONTROL_TEXT_SIZE - 1);
	close(ends[0]);
	assert_int_equal(control_receive(ends[1], &m, true), -EPIPE);
	assert_int_equal(control_receive(ends[1], &m, false), -EPIPE);
	assert_int_equal(control_send(ends[1], "ready", NULL, -1), -EPIPE);
	close(ends[1]);
}

static void a_descriptor_comes_with_its_word_and_is_closed_on_exec(void **state)
{
	struct control_message m;
	int ends[2], pipe_ends[2];
	char octet = 0;

	make_channel(ends);
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(control_send(ends[0], "link", "core", pipe_ends[1]), 0);
	assert_int_equal(control_send(ends[0], "go", NULL, -1), 0);
	close(pipe_ends[1]);
	assert_int_equal(control_receive(ends[1], &m, true), 0);
	assert_string_equal(m.word, "link");
	assert_string_equal(m.text, "core");
	assert_true(m.fd >= 0);
	assert_true(fcntl(m.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(m.fd, "x", 1), 1);
	assert_int_equal(read(pipe_ends[0], &octet, 1), 1);
	close(m.fd);
	/* The sender kept none: the pipe ends. */
	assert_int_equal(read(pipe_ends[0], &octet, 1), 0);
	assert_int_equal(control_receive(ends[1], &m, true), 0);
	assert_int_equal(m.fd, -1);
	close(pipe_ends[0]);
	close(ends[0]);
	close(ends[1]);
}

/* Whatever comes with a message that is none must not stay open. */
static void refuses_what_is_no_word_and_closes_what_came_with_it(void **state)
{
	static const char *const bad[] = { " ", " text", "averyverylongwordthatdoesnotfitintotheroomforwords text" };
	struct control_message m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct iovec part = { (void *)bad[i], strlen(bad[i]) };
		union {
			char octets[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} space = { 0 };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space.octets,
					  .msg_controllen = sizeof(space.octets) };
		int ends[2], pipe_ends[2];
		char octet;

		make_channel(ends);
		assert_int_equal(pipe(pipe_ends), 0);
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS
		};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &pipe_ends[1], sizeof(int));
		assert_true(sendmsg(ends[0], &message, 0) > 0);
		close(pipe_ends[1]);
		assert_int_equal(control_receive(ends[1], &m, true), -EBADMSG);
		assert_int_equal(read(pipe_ends[0], &octet, 1), 0);
		close(pipe_ends[0]);
		close(ends[0]);
		close(ends[1]);
	}
}

/* ---- a child ---- */

static int take_listener(void *arg, const char *text, int fd)
{
	unsigned *seen = arg;

	if (fd >= 0)
		close(fd);
	if (strcmp(text, "bad") == 0)
		return -EINVAL;
	++*seen;
	return 0;
}

static const struct control_word words[] = { { "listener", take_listener }, { 0 } };

/* Forks a child with the channel as CONTROL_FD; `body` is its whole life. */
static pid_t start_child(int *channel, int (*body)(void))
{
	int ends[2];
	pid_t pid;

	make_channel(ends);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		if (ends[1] != CONTROL_FD && dup2(ends[1], CONTROL_FD) < 0)
			_exit(99);
		_exit(body());
	}
	close(ends[1]);
	*channel = ends[0];
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Said by the child: how many words it took before and after `go`, and whether it was told to stop. */
static int child_body(void)
{
	unsigned seen = 0;
	int e = control_begin(words, &seen);
	bool stops;

	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	if (e) {
		control_failed("a word was not understood");
		return CONTROL_EXIT_FAILED;
	}
	control_ready();
	stops = control_serve(words, &seen);
	return (int)(seen * 10 + stops);
}

static void expect_word(int channel, const char *word)
{
	struct control_message m;

	assert_int_equal(control_receive(channel, &m, true), 0);
	assert_string_equal(m.word, word);
}

static void a_child_begins_serves_and_stops(void **state)
{
	int channel;
	pid_t pid = start_child(&channel, child_body);

	control_send(channel, "listener", "one", 0);
	control_send(channel, "listener", "two", -1);
	control_send(channel, "go", NULL, -1);
	expect_word(channel, "ready");
	control_send(channel, "listener", "three", -1);
	control_send(channel, "listener", "bad", -1);
	control_send(channel, "unheard", "of", 0);
	control_send(channel, "stop", NULL, -1);
	assert_int_equal(wait_for(pid), 31);
	close(channel);
}

static void a_child_ends_with_its_channel(void **state)
{
	int channel;
	pid_t pid = start_child(&channel, child_body);

	control_send(channel, "go", NULL, -1);
	expect_word(channel, "ready");
	close(channel);
	assert_int_equal(wait_for(pid), 0);
	/* And it does not begin without `go`. */
	pid = start_child(&channel, child_body);
	control_send(channel, "listener", "one", -1);
	close(channel);
	assert_int_equal(wait_for(pid), CONTROL_EXIT_FAILED);
}

static void a_child_does_not_start_with_a_word_it_cannot_obey(void **state)
{
	static const char *const bad[][2] = {
		{ "unheard", "of" }, { "listener", "bad" }, { "user", "0 0" }, { "user", "" }, { "user", "65534 0" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int channel;
		pid_t pid = start_child(&channel, child_body);

		control_send(channel, bad[i][0], bad[i][1], -1);
		control_send(channel, "go", NULL, -1);
		expect_word(channel, "failed");
		assert_int_equal(wait_for(pid), CONTROL_EXIT_FAILED);
		close(channel);
	}
}

static int confined_body(void)
{
	struct rlimit core;
	uid_t r, e, s;
	unsigned seen = 0;

	if (control_begin(words, &seen))
		return 1;
	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max)
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	if (getresuid(&r, &e, &s) || r != 65534 || e != 65534 || s != 65534 || getgroups(0, NULL) != 0)
		return 4;
	return setuid(0) == 0 ? 5 : 0;
}

static void a_child_becomes_its_user_for_good(void **state)
{
	int channel;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = start_child(&channel, confined_body);
	control_send(channel, "user", "65534 65534", -1);
	control_send(channel, "go", NULL, -1);
	assert_int_equal(wait_for(pid), 0);
	close(channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_arrive_as_they_were_sent),
		cmocka_unit_test(a_descriptor_comes_with_its_word_and_is_closed_on_exec),
		cmocka_unit_test(refuses_what_is_no_word_and_closes_what_came_with_it),
		cmocka_unit_test(a_child_begins_serves_and_stops),
		cmocka_unit_test(a_child_ends_with_its_channel),
		cmocka_unit_test(a_child_does_not_start_with_a_word_it_cannot_obey),
		cmocka_unit_test(a_child_becomes_its_user_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
