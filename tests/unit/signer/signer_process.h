/* gatehouse-signer, started as the supervisor starts it. The program is $GATEHOUSE_SIGNER.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/bytes.h"

struct signer_process {
	pid_t pid;   /* 0: ended */
	int channel; /* the supervisor's end */
	int link;    /* the core's end, -1 once it was taken */
};

/* Where the key-encryption key comes from, who the process becomes and how many threads sign. */
struct signer_process_options {
	struct bytes kek;
	const char *user;    /* NULL: the same */
	const char *threads; /* NULL: it is not told */
	bool has_no_link;
};

/* Start it and say everything up to `go`. What it answers is not awaited. Stops the test when something fails. */
void signer_process_spawn(struct signer_process *p, const struct signer_process_options *options);

/* The same, and it must answer `ready`. */
void signer_process_start(struct signer_process *p, const struct signer_process_options *options);

/* Wait for its end. The exit code, or 1000 and the number of the signal. */
int signer_process_wait(struct signer_process *p);

/* Kill and forget it. */
void signer_process_kill(struct signer_process *p);

/* How often octets stand in the writable memory of a process; the test must be root. */
unsigned signer_process_count(pid_t pid, struct bytes octets);

/* A line of /proc/PID/status as a number; -1: there is none. */
long signer_process_status(pid_t pid, const char *name);
