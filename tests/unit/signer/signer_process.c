/* gatehouse-signer, started as the supervisor starts it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/signer/signer_process.h"

#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/wire/control.h"

static void run_program(int channel)
{
	const char *program = getenv("GATEHOUSE_SIGNER");

	/* Also when the test is killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(channel, CONTROL_FD) < 0 || !program)
		_exit(97);
	close_range(CONTROL_FD + 1, ~0u, 0);
	execl(program, "gatehouse-signer", (char *)NULL);
	_exit(98);
}

static void give_kek(int channel, struct bytes kek)
{
	int fd = memfd_create("kek", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, kek.ptr, kek.len), kek.len);
	assert_int_equal(control_send(channel, "kek", NULL, fd), 0);
	close(fd);
}

void signer_process_spawn(struct signer_process *p, const struct signer_process_options *options)
{
	int control[2], link[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link), 0);
	fflush(NULL);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		run_program(control[1]);
	close(control[1]);
	p->channel = control[0];
	p->link = link[0];
	if (options->user)
		control_send(p->channel, "user", options->user, -1);
	if (options->kek.len)
		give_kek(p->channel, options->kek);
	if (options->threads)
		control_send(p->channel, "threads", options->threads, -1);
	if (!options->has_no_link)
		control_send(p->channel, "link", "core", link[1]);
	close(link[1]);
	control_send(p->channel, "go", NULL, -1);
}

void signer_process_start(struct signer_process *p, const struct signer_process_options *options)
{
	struct control_message m;

	signer_process_spawn(p, options);
	assert_int_equal(control_receive(p->channel, &m, true), 0);
	if (strcmp(m.word, "ready") != 0)
		fail_msg("%s %s", m.word, m.text);
}

static void let_go(struct signer_process *p)
{
	close(p->channel);
	if (p->link >= 0)
		close(p->link);
	p->link = -1;
	p->pid = 0;
}

int signer_process_wait(struct signer_process *p)
{
	int status;

	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	let_go(p);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

void signer_process_kill(struct signer_process *p)
{
	if (!p->pid)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	let_go(p);
}

static unsigned count_in(const uint8_t *text, size_t n, struct bytes octets)
{
	const uint8_t *at = text, *end = text + n;
	unsigned found = 0;

	while ((at = memmem(at, (size_t)(end - at), octets.ptr, octets.len)) != NULL) {
		found++;
		at++;
	}
	return found;
}

static unsigned count_in_range(int mem, unsigned long from, unsigned long to, struct bytes octets)
{
	size_t n = to - from;
	uint8_t *copy = n <= (256u << 20) ? malloc(n) : NULL;
	ssize_t got = copy ? pread(mem, copy, n, (off_t)from) : -1;
	unsigned found = got > 0 ? count_in(copy, (size_t)got, octets) : 0;

	free(copy);
	return found;
}

unsigned signer_process_count(pid_t pid, struct bytes octets)
{
	char path[64], line[512];
	unsigned found = 0;
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(maps && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		char rights[8];

		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && rights[0] == 'r' && rights[1] == 'w')
			found += count_in_range(mem, from, to, octets);
	}
	fclose(maps);
	close(mem);
	return found;
}

long signer_process_status(pid_t pid, const char *name)
{
	char path[64], line[512];
	size_t n = strlen(name);
	long value = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	status = fopen(path, "re");
	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			value = strtol(line + n + 1, NULL, 10);
	fclose(status);
	return value;
}
