/* A child of the supervisor, whose part the test plays.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <sys/types.h>

#include "core/base/bytes.h"

struct child {
	pid_t pid;   /* 0: ended */
	int channel; /* the supervisor's end */
	int link;    /* the other process's end of the child's link; -1: none, or taken */
};

/* Start a program with a control channel and nothing else. It dies with the test. */
void child_spawn(struct child *c, const char *program);

/* Give it octets as a file in memory, with a word and its text. */
void child_give(struct child *c, const char *word, const char *text, struct bytes octets);

/* Give it one end of a new connection; the other one is c->link. */
void child_give_link(struct child *c, const char *name);

/* `go`, and it must answer `ready`. */
void child_go(struct child *c);

/* Wait for its end. The exit code, or 1000 and the number of the signal. */
int child_wait(struct child *c);

/* Kill and forget it. */
void child_kill(struct child *c);

/* Start a program without a channel. Its exit code; what it says to stderr goes to `out`, always terminated. */
int child_run_by_hand(const char *program, char *out, size_t size);
