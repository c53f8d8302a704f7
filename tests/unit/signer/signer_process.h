/* gatehouse-signer, started as the supervisor starts it. The program is $GATEHOUSE_SIGNER.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "tests/unit/child.h"

/* Where the key-encryption key comes from, who the process becomes and how many threads sign. */
struct signer_process_options {
	struct bytes kek;
	const char *user;    /* NULL: the same */
	const char *threads; /* NULL: it is not told */
	bool has_no_link;
};

/* Start it and say everything but `go`. Stops the test when something fails. */
void signer_process_spawn(struct child *c, const struct signer_process_options *options);

/* The same, and `go`: it must answer `ready`. */
void signer_process_start(struct child *c, const struct signer_process_options *options);

/* How often octets stand in the writable memory of a process; the test must be root. */
unsigned signer_process_count(pid_t pid, struct bytes octets);

/* A line of /proc/PID/status as a number; -1: there is none. */
long signer_process_status(pid_t pid, const char *name);
