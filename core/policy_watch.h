/* Policy modules that do not answer. Nobody can end a thread that hangs in one, and a module that takes turns then
 * keeps everybody of its CA waiting. So who runs the core is told to end the process: it is started again, nothing was
 * written, and its clients ask again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

#define POLICY_PATIENCE_MS 30000

/* One verify, on the stack of the thread that calls it. */
struct policy_run {
	struct policy_run *next;
	const struct ca *ca;
	int64_t id;       /* of the request; 0: it has none */
	int64_t began_ms; /* monotonic */
	bool is_told;
};

struct policy_watch;

int policy_watch_new(struct policy_watch **out);
void policy_watch_drop(struct policy_watch **w);

void policy_watch_begin(struct policy_watch *w, struct policy_run *run, const struct ca *ca, int64_t id);
void policy_watch_end(struct policy_watch *w, struct policy_run *run);

/* Has one been longer than POLICY_PATIENCE_MS? Told in the log, once each. */
bool policy_watch_is_stuck(struct policy_watch *w);
