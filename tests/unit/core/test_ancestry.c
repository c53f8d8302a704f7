/* Who has no business at the admin socket: the processes of the daemon, whose supervisor the test plays.
 *
 *     the test          an ordinary process of the same user
 *       supervisor
 *         core          listens at the admin socket
 *         gateway       asks, itself and by its child, and by a child that it leaves behind
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin.pb-c.h"
#include "core/ancestry.h"
#include "core/wire/frame.h"
#include "tests/scenarios/rig.h"

#define STEPS_MAX 64
#define NOBODY_ANSWERED 99

struct door {
	int fd; /* listens */
	struct sockaddr_un address;
	socklen_t size;
};

/* An abstract name of the kernel's choice: nothing is left in a folder. */
static void open_door(struct door *d)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };

	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(bind(d->fd, (struct sockaddr *)&any, sizeof(any.sun_family)), errno);
	assert_return_code(listen(d->fd, 16), errno);
	d->size = sizeof(d->address);
	assert_return_code(getsockname(d->fd, (struct sockaddr *)&d->address, &d->size), errno);
}

static int connect_to(const struct door *d)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { 30, 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return connect(fd, (const struct sockaddr *)&d->address, d->size) ? -1 : fd;
}

/* How many roles the core gives to whoever connected `fd`, which is closed. */
static int count_roles(int fd)
{
	Gatehouse__Admin__Call call = GATEHOUSE__ADMIN__CALL__INIT;
	Gatehouse__Admin__GetStatus what = GATEHOUSE__ADMIN__GET_STATUS__INIT;
	Gatehouse__Admin__Reply *reply = NULL;
	OWNED_BUF in = BUF_INIT(FRAME_MAX);
	uint8_t packed[64];
	int n = NOBODY_ANSWERED;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_GET_STATUS;
	call.get_status = &what;
	if (frame_write(fd, bytes_of(packed, gatehouse__admin__call__pack(&call, packed))) == 0 &&
	    frame_read(fd, &in) == 0)
		reply = gatehouse__admin__reply__unpack(NULL, in.len, in.ptr);
	if (reply)
		n = reply->status ? (int)reply->status->n_roles : 0;
	gatehouse__admin__reply__free_unpacked(reply, NULL);
	close(fd);
	return n;
}

/* ---- the processes ---- */

static _Noreturn void be_core(const struct door *d, int ready, int over)
{
	const int sockets[CA_SOCKETS_] = { [CA_SOCKET_ADMIN] = d->fd, [CA_SOCKET_INTERMEDIARIES] = -1,
					   [CA_SOCKET_REMOTE] = -1 };
	const struct ca_core_env env = { .sockets = sockets };
	struct conf_error error;
	struct rig rig;
	char octet = 1;

	rig_init(&rig, NULL);
	rig.env = &env;
	if (rig_start(&rig, &error) || write(ready, &octet, 1) != 1)
		fprintf(stderr, "no core: %s\n", error.text);
	(void)!read(over, &octet, 1);
	rig_fini(&rig);
	_exit(0);
}

static void report(int to, const struct door *d)
{
	int n = count_roles(connect_to(d));

	if (write(to, &n, sizeof(n)) != sizeof(n))
		_exit(1);
}

/* One answer each of the gateway, of its child, and of a child of that one whose parent is gone. */
static _Noreturn void be_gateway(const struct door *d, int to)
{
	pid_t child, supervisor = getppid();

	report(to, d);
	child = fork();
	if (child == 0) {
		report(to, d);
		if (fork() == 0) {
			while (getppid() != supervisor)
				usleep(1000);
			report(to, d);
		}
		_exit(0);
	}
	waitpid(child, NULL, 0);
	_exit(0);
}

static _Noreturn void be_supervisor(const struct door *d, int ready[2], int over[2], int answers)
{
	char octet;
	pid_t core;

	/* Whom somebody below leaves behind comes to it, and not to process 1. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	core = fork();
	if (core == 0) {
		close(over[1]);
		be_core(d, ready[1], over[0]);
	}
	/* For the supervisor and for the test. */
	if (read(ready[0], &octet, 1) == 1 && fork() == 0)
		be_gateway(d, answers);
	close(over[1]);
	close(answers);
	close(ready[1]);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	_exit(0);
}

/* ---- tests ---- */

static void gives_no_role_to_the_daemons_own_processes(void **state)
{
	int ready[2], over[2], answers[2], n, fd;
	struct door d;
	pid_t supervisor, gone;

	open_door(&d);
	assert_return_code(pipe(ready), errno);
	assert_return_code(pipe(over), errno);
	assert_return_code(pipe(answers), errno);
	supervisor = fork();
	if (supervisor == 0)
		be_supervisor(&d, ready, over, answers[1]);
	close(ready[1]);
	close(answers[1]);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read(answers[0], &n, sizeof(n)), sizeof(n));
		assert_int_equal(n, 0);
	}

	/* Nobody's child: its user counts, be it root as the list says, or the one that the core runs as. */
	assert_int_equal(count_roles(connect_to(&d)), 1);

	/* Somebody who connected and is gone: nobody knows any more whose child that was. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	gone = fork();
	if (gone == 0)
		_exit(connect(fd, (const struct sockaddr *)&d.address, d.size) ? 1 : 0);
	assert_int_equal(waitpid(gone, &n, 0), gone);
	assert_int_equal(n, 0);
	assert_int_equal(count_roles(fd), 0);

	close(over[1]);
	assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
	close(ready[0]);
	close(over[0]);
	close(answers[0]);
	close(d.fd);
}

static void knows_where_a_process_comes_from(void **state)
{
	pid_t gone = fork();

	if (gone == 0)
		_exit(0);
	assert_int_equal(waitpid(gone, NULL, 0), gone);
	assert_int_equal(ancestry_of(getpid(), getpid()), ANCESTRY_BELOW);
	assert_int_equal(ancestry_of(getpid(), getppid()), ANCESTRY_BELOW);
	assert_int_equal(ancestry_of(getppid(), getpid()), ANCESTRY_ELSEWHERE);
	assert_int_equal(ancestry_of(1, getpid()), ANCESTRY_ELSEWHERE);
	assert_int_equal(ancestry_of(gone, getpid()), ANCESTRY_UNKNOWN);
	assert_int_equal(ancestry_of(0, getpid()), ANCESTRY_UNKNOWN);
}

/* A chain of processes, each the parent of the next; the last one answers. */
static void gives_up_after_many_steps(void **state)
{
	pid_t top = getpid(), child = 0;
	int depth = 0, status;

	while (depth <= STEPS_MAX && (child = fork()) == 0)
		depth++;
	if (getpid() == top) {
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), ANCESTRY_UNKNOWN);
		return;
	}
	if (depth > STEPS_MAX)
		_exit(ancestry_of(getpid(), top));
	waitpid(child, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_no_role_to_the_daemons_own_processes),
		cmocka_unit_test(knows_where_a_process_comes_from),
		cmocka_unit_test(gives_up_after_many_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
