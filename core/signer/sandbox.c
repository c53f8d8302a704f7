/* What the signer's process gives up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <openssl/crypto.h>

#include "core/base/sanitized.h"

#define LOCK_ALL_MIN ((rlim_t)32 << 20) /* 7 MB of libraries, the stacks, and what a busy signer allocates */
#define KEY_HEAP ((size_t)2 << 20)
#define KEY_HEAP_SMALL ((size_t)256 << 10) /* where little may be locked */
#define KEY_HEAP_MIN ((rlim_t)4 << 20)  /* that may be locked, for the larger one */
#define KEY_OCTETS 2048                 /* the numbers of an RSA key of 4096 bits take 1792 */
#define KEY_ROOM_KEPT 8                 /* keys: for what is being unsealed and signed */
#define DESCRIPTORS_MAX 16              /* poll() wants to be allowed as many as it looks at */

enum signer_memory sandbox_lock_memory(unsigned *keys_max)
{
	struct rlimit limit;
	bool has_limit = getrlimit(RLIMIT_MEMLOCK, &limit) == 0;
	size_t size = KEY_HEAP_SMALL;
	int heap;

	if (has_limit) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &limit);
		if (limit.rlim_cur >= KEY_HEAP_MIN)
			size = KEY_HEAP;
	}
	*keys_max = (unsigned)(size / KEY_OCTETS) - KEY_ROOM_KEPT;
	/* Unsealed keys and private numbers live here; libcrypto locks it, and keeps it out of core files. */
	heap = CRYPTO_secure_malloc_init(size, 32);
	if (has_limit && limit.rlim_cur >= LOCK_ALL_MIN && mlockall(MCL_CURRENT | MCL_FUTURE) == 0)
		return SIGNER_MEMORY_ALL;
	/* 2: a heap that could not be locked, or not be kept out of core files. */
	return heap == 1 ? SIGNER_MEMORY_KEYS : SIGNER_MEMORY_NONE;
}

static void set_limit(__rlimit_resource_t what, rlim_t n)
{
	setrlimit(what, &(struct rlimit){ n, n });
}

/* Nothing here opens, connects, executes, starts or maps something that can be executed. */
static const int calls[] = {
	/* messages */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	SCMP_SYS(recv), SCMP_SYS(send), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(ppoll_time64), SCMP_SYS(shutdown),
	SCMP_SYS(close),
	/* a timed wait goes on after SIGSTOP and SIGCONT by this one */
	SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn),
	/* memory and threads */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(futex_time64),
	/* libcrypto's random generator, and whether it was forked; the log's time */
	SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(exit_group),
};

static const int mapping_calls[] = { SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect) };

static int add_rules(scmp_filter_ctx filter)
{
	int e = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	for (size_t i = 0; !e && i < sizeof(calls) / sizeof(*calls); i++)
		e = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; !e && i < sizeof(mapping_calls) / sizeof(*mapping_calls); i++)
		e = seccomp_rule_add(filter, SCMP_ACT_ALLOW, mapping_calls[i], 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return e ? e : seccomp_load(filter);
}

int sandbox_close(void)
{
	scmp_filter_ctx filter = seccomp_init(IS_SANITIZED ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
	int e = filter ? 0 : -ENOMEM;

	set_limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);
	set_limit(RLIMIT_NPROC, 0);
	if (!e)
		e = add_rules(filter);
	seccomp_release(filter);
	return e;
}
