/* A child of the supervisor, whose part the test plays.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/child.h"

#include "tests/test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/wire/control.h"

static void run_program(const char *program, int channel)
{
	/* Also when the test is killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(channel, CONTROL_FD) < 0 || !program)
		_exit(97);
	close_range(CONTROL_FD + 1, ~0u, 0);
	execl(program, program, (char *)NULL);
	_exit(98);
}

void child_spawn(struct child *c, const char *program)
{
	int control[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	fflush(NULL);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0)
		run_program(program, control[1]);
	close(control[1]);
	c->channel = control[0];
	c->link = -1;
}

void child_give(struct child *c, const char *word, const char *text, struct bytes octets)
{
	int fd = memfd_create(word, MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets.ptr, octets.len), octets.len);
	assert_int_equal(control_send(c->channel, word, text, fd), 0);
	close(fd);
}

void child_give_link(struct child *c, const char *name)
{
	int link[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link), 0);
	assert_int_equal(control_send(c->channel, "link", name, link[1]), 0);
	close(link[1]);
	c->link = link[0];
}

void child_go(struct child *c)
{
	struct control_message m;

	assert_int_equal(control_send(c->channel, "go", NULL, -1), 0);
	assert_int_equal(control_receive(c->channel, &m, true), 0);
	if (strcmp(m.word, "ready") != 0)
		fail_msg("%s %s", m.word, m.text);
}

static void let_go(struct child *c)
{
	close(c->channel);
	if (c->link >= 0)
		close(c->link);
	c->link = -1;
	c->pid = 0;
}

static int exit_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

int child_wait(struct child *c)
{
	int code = exit_of(c->pid);

	let_go(c);
	return code;
}

void child_kill(struct child *c)
{
	if (!c->pid)
		return;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	let_go(c);
}

int child_run_by_hand(const char *program, char *out, size_t size)
{
	int ends[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		close_range(CONTROL_FD, ~0u, 0);
		execl(program, program, (char *)NULL);
		_exit(98);
	}
	close(ends[1]);
	n = read(ends[0], out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	return exit_of(pid);
}
