/* What a daemon costs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#define ATTACH_TRIES 500
#define ATTACH_PAUSE_NS 10000000
#define VERIFY_ROUNDS 20
#define VERIFY_PAUSE_NS 100000000 /* some 1 % of one core */

/* ---- /proc ---- */

struct process {
	pid_t pid, parent;
	uint64_t ticks;
};

/* proc(5): behind the name in parentheses, which may hold anything, come state, ppid, … */
static bool read_stat(pid_t pid, struct process *out)
{
	unsigned long long user, system, child_user, child_system;
	char path[64], text[1024], *end;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	end = strrchr(text, ')');
	out->pid = pid;
	if (!end || sscanf(end + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu", &out->parent,
			   &user, &system, &child_user, &child_system) != 5)
		return false;
	out->ticks = user + system + child_user + child_system;
	return true;
}

static bool is_among(const struct process *list, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].pid == pid)
			return true;
	return false;
}

/* One pass over /proc: whatever has a parent in the list joins it. */
static size_t add_children(struct process *list, size_t n)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct process p;

	while (proc && n < SERVER_PROCESSES_MAX && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && !is_among(list, n, pid) && read_stat(pid, &p) && is_among(list, n, p.parent))
			list[n++] = p;
	}
	if (proc)
		closedir(proc);
	return n;
}

static size_t find_processes(pid_t pid, struct process list[static SERVER_PROCESSES_MAX])
{
	size_t n = 0, before;

	if (read_stat(pid, &list[0]))
		n = 1;
	do {
		before = n;
		n = add_children(list, n);
	} while (n > before);
	return n;
}

static uint64_t read_pss_kb(pid_t pid)
{
	unsigned long long kb = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %llu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

int server_measure(pid_t pid, struct server_cost *out)
{
	struct process list[SERVER_PROCESSES_MAX];
	uint64_t tick_us = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);

	*out = (struct server_cost){ .n_processes = find_processes(pid, list) };
	for (size_t i = 0; i < out->n_processes; i++) {
		out->cpu_us += list[i].ticks * tick_us;
		out->pss_kb += read_pss_kb(list[i].pid);
	}
	return out->n_processes ? 0 : -ESRCH;
}

/* ---- strace ---- */

static bool task_is_traced(const char *pid, const char *task)
{
	char path[300], line[256];
	int tracer = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/status", pid, task);
	f = fopen(path, "re");
	if (!f)
		return true; /* it ended */
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	fclose(f);
	return tracer != 0;
}

static bool is_traced(pid_t pid)
{
	char text[16], path[64];
	struct dirent *entry;
	bool all = true;
	DIR *tasks;

	snprintf(text, sizeof(text), "%d", (int)pid);
	snprintf(path, sizeof(path), "/proc/%s/task", text);
	tasks = opendir(path);
	while (tasks && all && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			all = task_is_traced(text, entry->d_name);
	if (tasks)
		closedir(tasks);
	return all;
}

static void run_strace(const struct server_trace *t, const struct process *list, size_t n)
{
	char *words[8 + 2 * SERVER_PROCESSES_MAX] = { "strace", "-f",	 "-q", "-c", "-e", "trace=fsync,fdatasync",
						      "-o",	(char *)t->path };
	char pids[SERVER_PROCESSES_MAX][16];
	size_t at = 8;

	for (size_t i = 0; i < n && at + 2 < sizeof(words) / sizeof(words[0]); i++) {
		snprintf(pids[i], sizeof(pids[i]), "%d", (int)list[i].pid);
		words[at++] = "-p";
		words[at++] = pids[i];
	}
	words[at] = NULL;
	execvp("strace", words);
	_exit(127);
}

int server_trace_start(struct server_trace *t, pid_t pid)
{
	struct process list[SERVER_PROCESSES_MAX];
	const struct timespec pause = { .tv_nsec = ATTACH_PAUSE_NS };
	size_t n = find_processes(pid, list), ready = 0;
	int fd;

	snprintf(t->path, sizeof(t->path), "/tmp/gatehouse-bench-XXXXXX");
	fd = mkostemp(t->path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	t->strace = fork();
	if (t->strace == 0)
		run_strace(t, list, n);
	for (int tries = 0; t->strace > 0 && ready < n && tries < ATTACH_TRIES; tries++) {
		nanosleep(&pause, NULL);
		if (waitpid(t->strace, NULL, WNOHANG) != 0)
			break;
		for (ready = 0; ready < n && is_traced(list[ready].pid); ready++)
			;
	}
	if (n > 0 && ready == n)
		return 0;
	unlink(t->path);
	return -ECHILD;
}

/* The rows are "% time, seconds, usecs/call, calls, [errors,] syscall". */
long server_trace_stop(struct server_trace *t)
{
	char line[256], name[32];
	long calls, sum = -1;
	FILE *f;

	kill(t->strace, SIGINT);
	waitpid(t->strace, NULL, 0);
	f = fopen(t->path, "re");
	if (f)
		sum = 0;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %*f %*f %*f %ld %31s", &calls, name) == 2 && strstr(name, "sync"))
			sum += calls;
	if (f)
		fclose(f);
	unlink(t->path);
	return sum;
}

long server_read_syncs(const char *path)
{
	FILE *f = fopen(path, "re");
	int64_t sum = -1;

	if (f && fread(&sum, sizeof(sum), 1, f) != 1)
		sum = -1;
	if (f)
		fclose(f);
	return (long)sum;
}

/* ---- the unit ---- */

static int64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct server_unit {
	pthread_t thread;
	EVP_PKEY *key;
	EVP_PKEY_CTX *signer, *verifier;
	uint8_t digest[32], signature[256];
	bool is_rsa;
	size_t n; /* octets of the signature */
	atomic_bool is_ending;
	int64_t used_ns;
	unsigned rounds;
};

static void unit_drop(struct server_unit *u)
{
	EVP_PKEY_CTX_free(u->signer);
	EVP_PKEY_CTX_free(u->verifier);
	EVP_PKEY_free(u->key);
	free(u);
}

static bool do_one(struct server_unit *u)
{
	size_t n = sizeof(u->signature);

	return u->is_rsa ? EVP_PKEY_sign(u->signer, u->signature, &n, u->digest, sizeof(u->digest)) == 1 :
			   EVP_PKEY_verify(u->verifier, u->signature, u->n, u->digest, sizeof(u->digest)) == 1;
}

static bool do_some(struct server_unit *u)
{
	int64_t begin = thread_cpu_ns();

	for (int i = 0; i < VERIFY_ROUNDS; i++, u->rounds++)
		if (!do_one(u))
			return false;
	u->used_ns += thread_cpu_ns() - begin;
	return true;
}

static void *measure_unit(void *arg)
{
	const struct timespec pause = { .tv_nsec = VERIFY_PAUSE_NS };
	struct server_unit *u = arg;

	while (do_some(u) && !atomic_load(&u->is_ending))
		nanosleep(&pause, NULL);
	return NULL;
}

struct server_unit *server_unit_start(bool is_rsa)
{
	struct server_unit *u = calloc(1, sizeof(*u));
	bool ok;

	if (!u)
		return NULL;
	u->n = sizeof(u->signature);
	u->is_rsa = is_rsa;
	u->key = is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	u->verifier = u->key ? EVP_PKEY_CTX_new(u->key, NULL) : NULL;
	u->signer = u->key ? EVP_PKEY_CTX_new(u->key, NULL) : NULL;
	ok = u->signer && u->verifier && EVP_PKEY_sign_init(u->signer) == 1 && EVP_PKEY_verify_init(u->verifier) == 1 &&
	     EVP_PKEY_sign(u->signer, u->signature, &u->n, u->digest, sizeof(u->digest)) == 1 && do_some(u);
	u->used_ns = u->rounds = 0; /* the first ones fill caches */
	if (ok && pthread_create(&u->thread, NULL, measure_unit, u) == 0)
		return u;
	unit_drop(u);
	return NULL;
}

double server_unit_stop(struct server_unit *u)
{
	double us;

	atomic_store(&u->is_ending, true);
	pthread_join(u->thread, NULL);
	us = (double)u->used_ns / 1000.0 / (u->rounds ? u->rounds : 1);
	unit_drop(u);
	return us;
}
