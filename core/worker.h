/* A background thread with one job, run when it is kicked and at least every so often.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

struct worker;

/* `job` returns true when it wants to run again at once. `interval_ms` of real time. 0 or -errno. */
int worker_start(struct worker **out, const char *name, unsigned interval_ms, bool (*job)(void *arg), void *arg);
void worker_kick(struct worker *w);

/* Wait until the job ran, start to end, after this call began; false after `wait_ms`. */
bool worker_settle(struct worker *w, unsigned wait_ms);

/* Ask the thread to end after the run under way, and wait for it. Accepts NULL inside. */
void worker_stop(struct worker **w);
