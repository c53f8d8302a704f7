/* Which process comes from which.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <sys/types.h>

enum ancestry {
	ANCESTRY_BELOW,     /* the process, a parent or a parent's parent, and so on, is the one that was asked for */
	ANCESTRY_ELSEWHERE, /* it is not: the way up ended at process 1, or at another that has no parent here */
	ANCESTRY_UNKNOWN,   /* the process is gone or of another PID namespace, or a step of the way cannot be seen */
};

enum ancestry ancestry_of(pid_t pid, pid_t ancestor);
