/* Preloaded into the daemon: counts the calls by which it makes things durable or tells them, and at the N-th of one
 * process kills it or makes the call fail.
 *
 *   FAULT_STATE    a file of 512 octets that all processes map, `struct state` below; without it nothing happens
 *   FAULT_PROCESS  whom: the program's name, a blank, and what follows --role; or the name alone for who has no role
 *   FAULT_FOLDER   only files below it are counted (what is sent always is)
 *   FAULT_FILE     only files with this text in their path
 *   FAULT_CALLS    only these, of write,sync,truncate,rename,unlink,link,send
 *   FAULT_AT       N; 0 counts and does nothing
 *   FAULT_ACTION   kill-before, kill-after, EIO, ENOSPC, EINTR, short
 *   FAULT_LASTS    when set, a failure lasts from the N-th call on, until `is_armed` is cleared
 *   FAULT_DURABLE  a copy of FAULT_FOLDER that gets what a power loss would leave: a file's octets when it is synced,
 *                  its name at once; a kill is then one of the whole process group
 *
 * It counts while `is_armed` is set, and fires once for each state file: a process that its supervisor starts again is
 * left alone. The standard streams are not counted, nor what is neither a file nor a socket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* harness.py reads and writes the same. */
struct state {
	_Atomic uint64_t is_armed;
	_Atomic uint64_t counted;
	_Atomic uint64_t fired; /* the process that it happened to */
	uint64_t fired_ns;      /* when, CLOCK_MONOTONIC */
	_Atomic uint64_t failed; /* calls that were made to fail */
	char what[472];         /* which call it was */
};

enum call { CALL_WRITE, CALL_SYNC, CALL_TRUNCATE, CALL_RENAME, CALL_UNLINK, CALL_LINK, CALL_SEND, CALL_N };
static const char *const call_words[] = { "write", "sync", "truncate", "rename", "unlink", "link", "send" };

enum action { ACTION_NONE, ACTION_KILL_BEFORE, ACTION_KILL_AFTER, ACTION_FAIL, ACTION_SHORT };
static const struct {
	const char *word;
	enum action action;
	int error;
} actions[] = {
	{ "kill-before", ACTION_KILL_BEFORE, 0 }, { "kill-after", ACTION_KILL_AFTER, 0 }, { "EIO", ACTION_FAIL, EIO },
	{ "ENOSPC", ACTION_FAIL, ENOSPC },        { "EINTR", ACTION_FAIL, EINTR },        { "short", ACTION_SHORT, 0 },
};

static struct {
	struct state *state; /* NULL: nothing is counted in this process */
	bool calls[CALL_N];
	uint64_t at;
	enum action action;
	int error;
	bool lasts;
	const char *folder, *file, *durable;
} fault;

#define REAL(name) ((__typeof__(&name))find_real(#name, &real_##name))
#define REAL_OF(name) static void *real_##name

REAL_OF(write);
REAL_OF(pwrite);
REAL_OF(pwrite64);
REAL_OF(writev);
REAL_OF(fsync);
REAL_OF(fdatasync);
REAL_OF(ftruncate);
REAL_OF(ftruncate64);
REAL_OF(rename);
REAL_OF(renameat);
REAL_OF(unlink);
REAL_OF(unlinkat);
REAL_OF(link);
REAL_OF(linkat);
REAL_OF(send);
REAL_OF(sendmsg);

/* Others' constructors may call before ours ran. */
static void *find_real(const char *name, void **real)
{
	if (!*real)
		*real = dlsym(RTLD_NEXT, name);
	return *real;
}

/* ---- whom, and what ---- */

/* The program's name and its role, as FAULT_PROCESS has them. */
static void read_own_name(char *out, size_t size)
{
	char line[4096] = "", *role = NULL;
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
	const char *slash = strrchr(line, '/');

	close(fd);
	for (char *word = line; word < line + n && !role; word += strlen(word) + 1)
		if (strcmp(word, "--role") == 0)
			role = word + strlen(word) + 1;
	snprintf(out, size, "%s%s%s", slash ? slash + 1 : line, role ? " " : "", role ? role : "");
}

static void *map_state(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *mapped = MAP_FAILED;

	if (fd >= 0)
		mapped = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return mapped == MAP_FAILED ? NULL : mapped;
}

/* The list of words with commas between them has this one. */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (strncmp(list, word, n) == 0 && (list[n] == ',' || !list[n]))
			return true;
	return false;
}

static void read_action(void)
{
	const char *at = getenv("FAULT_AT"), *word = getenv("FAULT_ACTION"), *calls = getenv("FAULT_CALLS");

	fault.at = at ? strtoull(at, NULL, 10) : 0;
	fault.lasts = getenv("FAULT_LASTS") != NULL;
	for (size_t i = 0; word && i < sizeof(actions) / sizeof(*actions); i++)
		if (strcmp(word, actions[i].word) == 0) {
			fault.action = actions[i].action;
			fault.error = actions[i].error;
		}
	for (size_t i = 0; i < CALL_N; i++)
		fault.calls[i] = !calls || has_word(calls, call_words[i]);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_STATE"), *process = getenv("FAULT_PROCESS");
	char name[256];

	fault.folder = getenv("FAULT_FOLDER");
	fault.file = getenv("FAULT_FILE");
	fault.durable = getenv("FAULT_DURABLE");
	if (!path || !process)
		return;
	read_own_name(name, sizeof(name));
	read_action();
	if (strcmp(name, process) == 0)
		fault.state = map_state(path);
}

/* Where the file is; empty for what is none. */
static void path_of(int fd, const char *name, char out[static PATH_MAX])
{
	char link[64], folder[PATH_MAX];
	ssize_t n;

	out[0] = '\0';
	if (name && *name == '/') {
		snprintf(out, PATH_MAX, "%s", name);
		return;
	}
	if (fd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/self/cwd");
	else
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, folder, sizeof(folder) - 1);
	if (n <= 0)
		return;
	folder[n] = '\0';
	if ((size_t)n + (name ? strlen(name) : 0) + 2 <= PATH_MAX) {
		memcpy(out, folder, (size_t)n + 1);
		if (name) {
			out[n] = '/';
			memcpy(out + n + 1, name, strlen(name) + 1);
		}
	}
}

/* What stands behind the folder in the path; NULL when it is not below it. */
static const char *below(const char *path)
{
	size_t n = fault.folder ? strlen(fault.folder) : 0;

	return n && strncmp(path, fault.folder, n) == 0 && path[n] == '/' ? path + n : NULL;
}

/* ---- the N-th call ---- */

/* The power fails for the whole daemon, which is a process group. */
static void die(void)
{
	kill(fault.durable ? 0 : getpid(), SIGKILL);
	for (;;)
		pause();
}

static void note(enum call call, const char *path, uint64_t n)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	fault.state->fired_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	snprintf(fault.state->what, sizeof(fault.state->what), "%llu %s %s", (unsigned long long)n, call_words[call],
		 path);
}

/* What happens to this call. A death before it happens here. */
static enum action happen(enum call call, const char *path)
{
	struct state *s = fault.state;
	uint64_t n = atomic_fetch_add(&s->counted, 1) + 1, nobody = 0, me = (uint64_t)getpid();

	if (fault.at == 0 || n < fault.at || (n > fault.at && !fault.lasts))
		return ACTION_NONE;
	if (!atomic_compare_exchange_strong(&s->fired, &nobody, me)) {
		if (!fault.lasts || nobody != me)
			return ACTION_NONE;
	} else {
		note(call, path, n);
	}
	if (fault.action == ACTION_KILL_BEFORE)
		die();
	if (fault.action == ACTION_FAIL) {
		atomic_fetch_add(&s->failed, 1);
		errno = fault.error;
	}
	return fault.action;
}

static bool is_watching(enum call call)
{
	return fault.state && fault.calls[call] && fault.state->is_armed;
}

static enum action meet_path(enum call call, int dirfd, const char *name)
{
	char path[PATH_MAX];

	if (!is_watching(call))
		return ACTION_NONE;
	path_of(dirfd, name, path);
	if (!below(path) || (fault.file && !strstr(path, fault.file)))
		return ACTION_NONE;
	return happen(call, path);
}

/* A write to a socket is a send. */
static enum action meet_fd(enum call call, int fd)
{
	struct stat st;

	if (!fault.state || fd <= STDERR_FILENO || fstat(fd, &st))
		return ACTION_NONE;
	if (S_ISSOCK(st.st_mode))
		return is_watching(CALL_SEND) ? happen(CALL_SEND, "socket") : ACTION_NONE;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? meet_path(call, fd, NULL) : ACTION_NONE;
}

static ssize_t after(enum action action, ssize_t result)
{
	if (action == ACTION_KILL_AFTER)
		die();
	return result;
}

/* ---- what a power loss would leave ---- */

static bool durable_path(const char *path, char out[static PATH_MAX])
{
	const char *rest = fault.durable ? below(path) : NULL;

	return rest && snprintf(out, PATH_MAX, "%s%s", fault.durable, rest) < PATH_MAX;
}

static int copy_octets(int from, int to)
{
	char piece[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, piece, sizeof(piece), at)) > 0) {
		if (REAL(write)(to, piece, (size_t)n) != n)
			return -1;
		at += n;
	}
	return (int)n;
}

/* The file is synced: its octets are safe. It is opened anew, because the descriptor may be for writing only. */
static void keep_octets(int fd)
{
	static _Atomic unsigned n;
	char path[PATH_MAX], kept[PATH_MAX], fresh[PATH_MAX + 64];
	struct stat st;
	int from, to;

	if (!fault.durable || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	path_of(fd, NULL, path);
	if (!durable_path(path, kept))
		return;
	from = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(fresh, sizeof(fresh), "%s.%d.%u", kept, (int)getpid(), atomic_fetch_add(&n, 1));
	to = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st.st_mode & 0777);
	if (from >= 0 && to >= 0 && copy_octets(from, to) == 0)
		REAL(rename)(fresh, kept);
	close(from);
	close(to);
}

/* A file under a new name, with what of its octets was safe. */
static void keep_name(int from_fd, const char *from, int to_fd, const char *to, bool is_link)
{
	char path[PATH_MAX], old[PATH_MAX], new[PATH_MAX];
	int e;

	if (!fault.durable)
		return;
	path_of(to_fd, to, path);
	if (!durable_path(path, new))
		return;
	path_of(from_fd, from, path);
	e = durable_path(path, old) ? is_link ? REAL(link)(old, new) : REAL(rename)(old, new) : -1;
	if (e)
		close(open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

static void forget_name(int fd, const char *name)
{
	char path[PATH_MAX], old[PATH_MAX];

	if (!fault.durable)
		return;
	path_of(fd, name, path);
	if (durable_path(path, old))
		REAL(unlink)(old);
}

/* ---- the calls ---- */

static size_t shorten(size_t n)
{
	return n > 1 ? n / 2 : n;
}

ssize_t write(int fd, const void *data, size_t n)
{
	enum action a = meet_fd(CALL_WRITE, fd);

	return a == ACTION_FAIL ? -1 : after(a, REAL(write)(fd, data, a == ACTION_SHORT ? shorten(n) : n));
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	enum action a = meet_fd(CALL_WRITE, fd);

	return a == ACTION_FAIL ? -1 : after(a, REAL(pwrite)(fd, data, a == ACTION_SHORT ? shorten(n) : n, at));
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
	enum action a = meet_fd(CALL_WRITE, fd);

	return a == ACTION_FAIL ? -1 : after(a, REAL(pwrite64)(fd, data, a == ACTION_SHORT ? shorten(n) : n, at));
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	enum action a = meet_fd(CALL_WRITE, fd);

	if (a == ACTION_SHORT && n > 0)
		return REAL(write)(fd, parts->iov_base, shorten(parts->iov_len));
	return a == ACTION_FAIL ? -1 : after(a, REAL(writev)(fd, parts, n));
}

ssize_t send(int fd, const void *data, size_t n, int flags)
{
	enum action a = is_watching(CALL_SEND) ? happen(CALL_SEND, "socket") : ACTION_NONE;

	return a == ACTION_FAIL ? -1 : after(a, REAL(send)(fd, data, a == ACTION_SHORT ? shorten(n) : n, flags));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	enum action a = is_watching(CALL_SEND) ? happen(CALL_SEND, "socket") : ACTION_NONE;

	if (a == ACTION_SHORT && message->msg_iovlen > 0) {
		struct iovec first = { message->msg_iov->iov_base, shorten(message->msg_iov->iov_len) };
		struct msghdr less = *message;

		less.msg_iov = &first;
		less.msg_iovlen = 1;
		return REAL(sendmsg)(fd, &less, flags);
	}
	return a == ACTION_FAIL ? -1 : after(a, REAL(sendmsg)(fd, message, flags));
}

int fsync(int fd)
{
	enum action a = meet_fd(CALL_SYNC, fd);
	int r = a == ACTION_FAIL ? -1 : REAL(fsync)(fd);

	if (r == 0)
		keep_octets(fd);
	return (int)after(a, r);
}

int fdatasync(int fd)
{
	enum action a = meet_fd(CALL_SYNC, fd);
	int r = a == ACTION_FAIL ? -1 : REAL(fdatasync)(fd);

	if (r == 0)
		keep_octets(fd);
	return (int)after(a, r);
}

int ftruncate(int fd, off_t size)
{
	enum action a = meet_fd(CALL_TRUNCATE, fd);

	return a == ACTION_FAIL ? -1 : (int)after(a, REAL(ftruncate)(fd, size));
}

int ftruncate64(int fd, off64_t size)
{
	enum action a = meet_fd(CALL_TRUNCATE, fd);

	return a == ACTION_FAIL ? -1 : (int)after(a, REAL(ftruncate64)(fd, size));
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	enum action a = meet_path(CALL_RENAME, to_fd, to);
	int r = a == ACTION_FAIL ? -1 : REAL(renameat)(from_fd, from, to_fd, to);

	if (r == 0)
		keep_name(from_fd, from, to_fd, to, false);
	return (int)after(a, r);
}

int rename(const char *from, const char *to)
{
	enum action a = meet_path(CALL_RENAME, AT_FDCWD, to);
	int r = a == ACTION_FAIL ? -1 : REAL(rename)(from, to);

	if (r == 0)
		keep_name(AT_FDCWD, from, AT_FDCWD, to, false);
	return (int)after(a, r);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	enum action a = meet_path(CALL_LINK, to_fd, to);
	int r = a == ACTION_FAIL ? -1 : REAL(linkat)(from_fd, from, to_fd, to, flags);

	if (r == 0)
		keep_name(from_fd, from, to_fd, to, true);
	return (int)after(a, r);
}

int link(const char *from, const char *to)
{
	enum action a = meet_path(CALL_LINK, AT_FDCWD, to);
	int r = a == ACTION_FAIL ? -1 : REAL(link)(from, to);

	if (r == 0)
		keep_name(AT_FDCWD, from, AT_FDCWD, to, true);
	return (int)after(a, r);
}

int unlinkat(int fd, const char *name, int flags)
{
	enum action a = meet_path(CALL_UNLINK, fd, name);
	int r = a == ACTION_FAIL ? -1 : REAL(unlinkat)(fd, name, flags);

	if (r == 0)
		forget_name(fd, name);
	return (int)after(a, r);
}

int unlink(const char *name)
{
	enum action a = meet_path(CALL_UNLINK, AT_FDCWD, name);
	int r = a == ACTION_FAIL ? -1 : REAL(unlink)(name);

	if (r == 0)
		forget_name(AT_FDCWD, name);
	return (int)after(a, r);
}
