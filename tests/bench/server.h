/* What a daemon costs: CPU, memory and fsyncs of a process and all its descendants.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVER_PROCESSES_MAX 64

struct server_cost {
	size_t n_processes; /* 0: there is no such process */
	uint64_t cpu_us;    /* user and system, that of children that ended included */
	uint64_t pss_kb;    /* 0: this user may not read it */
};

/* 0; negative. */
int server_measure(pid_t pid, struct server_cost *out);

/* strace counts fsync and fdatasync from here on. It stops the processes at every system call: times measured
 * meanwhile are those of a slower server, which has more to write at each commit. 0 once it is attached everywhere;
 * negative. */
struct server_trace {
	pid_t strace;
	char path[64];
};
int server_trace_start(struct server_trace *t, pid_t pid);

/* How many there were; negative: strace did not say. */
long server_trace_stop(struct server_trace *t);

/* The sum in the file of count_syncs.c; negative: it cannot be read. */
long server_read_syncs(const char *path);

/* The unit: CPU time of one ECDSA P-256 verification, or of one RSA-2048 signature, measured a few at a time from the
 * start to the stop. A processor that is shared makes the daemon slower, and the unit as well. NULL: it cannot be
 * measured. */
struct server_unit;
struct server_unit *server_unit_start(bool is_rsa);

/* In microseconds; frees `unit`. */
double server_unit_stop(struct server_unit *unit);
