/* The filter itself, on a process of the test: what it lets through, and what it kills for. Built without sanitizers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "core/signer/sandbox.h"

/* Run `deed` behind the filter. 0, the exit code, or 1000 and the number of the signal. */
static int behind_the_filter(int (*deed)(void), int (*before)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		if (before && before())
			_exit(90);
		if (sandbox_close())
			_exit(91);
		_exit(deed());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int open_file(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC) < 0;
}

static int open_old(void)
{
	return (int)syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) < 0;
}

static int make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0;
}

static int execute(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static int fork_once(void)
{
	return fork() < 0;
}

static void *do_nothing(void *arg)
{
	return arg;
}

static int start_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, do_nothing, NULL);
}

static int map_executable(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int make_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? 2 : mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0;
}

static int trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0;
}

static int signal_another(void)
{
	return kill(getppid(), 0);
}

static int become_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int raise_limits(void)
{
	return setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, 64 });
}

static int unlock_memory(void)
{
	return munlockall();
}

static int read_foreign_memory(void)
{
	char octet;
	struct iovec mine = { &octet, 1 }, theirs = { &octet, 1 };

	return (int)syscall(SYS_process_vm_readv, getpid(), &mine, 1ul, &theirs, 1ul, 0ul) < 0;
}

static void kills_for_every_call_that_is_not_on_the_list(void **state)
{
	static const struct {
		const char *name;
		int (*deed)(void);
	} deeds[] = {
		{ "open", open_file }, { "openat", open_old }, { "socket", make_socket }, { "execve", execute },
		{ "fork", fork_once }, { "a thread", start_thread }, { "mmap executable", map_executable },
		{ "mprotect executable", make_executable }, { "ptrace", trace }, { "kill", signal_another },
		{ "prctl", become_dumpable }, { "setrlimit", raise_limits }, { "munlockall", unlock_memory },
		{ "process_vm_readv", read_foreign_memory },
	};

	for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++) {
		int ended = behind_the_filter(deeds[i].deed, NULL);

		if (ended != 1000 + SIGSYS)
			fail_msg("%s: %d", deeds[i].name, ended);
	}
}

/* ---- the filter is for all threads ---- */

static int wakes[2];

static void *open_when_told(void *arg)
{
	char octet;

	if (read(wakes[0], &octet, 1) == 1)
		open_file();
	_exit(7);
}

static int start_thread_before(void)
{
	pthread_t t;

	return pipe(wakes) || pthread_create(&t, NULL, open_when_told, NULL);
}

static int wake_thread(void)
{
	struct pollfd nothing = { -1, 0, 0 };

	(void)!write(wakes[1], "x", 1);
	poll(&nothing, 1, 10000); /* the whole process is killed meanwhile */
	return 8;
}

static void kills_for_a_thread_that_was_there_before(void **state)
{
	assert_int_equal(behind_the_filter(wake_thread, start_thread_before), 1000 + SIGSYS);
}

/* ---- what is left works ---- */

static int warm_up(void)
{
	uint8_t octet;

	return RAND_bytes(&octet, 1) != 1;
}

/* From the system's own source, for all three generators. */
static int reseed(void)
{
	uint8_t octets[64];

	for (unsigned i = 0; i < 3; i++)
		if (EVP_RAND_reseed(RAND_get0_primary(NULL), 1, NULL, 0, NULL, 0) != 1 ||
		    EVP_RAND_reseed(RAND_get0_private(NULL), 1, NULL, 0, NULL, 0) != 1 ||
		    EVP_RAND_reseed(RAND_get0_public(NULL), 1, NULL, 0, NULL, 0) != 1 ||
		    RAND_bytes(octets, sizeof(octets)) != 1 || RAND_priv_bytes(octets, sizeof(octets)) != 1)
			return 1;
	return 0;
}

static void the_random_generators_reseed(void **state)
{
	assert_int_equal(behind_the_filter(reseed, warm_up), 0);
}

/* From small pieces to what is mapped alone, and back. */
static int use_memory(void)
{
	for (size_t n = 16; n < (64u << 20); n *= 3) {
		uint8_t *p = malloc(n);

		if (!p)
			return 1;
		memset(p, 1, n);
		p = realloc(p, n * 2);
		if (!p)
			return 2;
		memset(p, 1, n * 2);
		free(p);
	}
	return 0;
}

static void memory_can_be_had_and_given_back(void **state)
{
	assert_int_equal(behind_the_filter(use_memory, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kills_for_every_call_that_is_not_on_the_list),
		cmocka_unit_test(kills_for_a_thread_that_was_there_before),
		cmocka_unit_test(the_random_generators_reseed),
		cmocka_unit_test(memory_can_be_had_and_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
