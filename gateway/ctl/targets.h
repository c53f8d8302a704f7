/* What a command is done to: requests by number, serial, key or filter, and the question before it is done to many.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/digest.h"
#include "gateway/ctl/ctl.h"

struct target {
	int64_t id;
	/* As it was when the filter found it; none for those that were named one by one. */
	uint8_t digest[SHA256_SIZE];
	bool has_digest;
};

struct targets {
	struct target *all;
	size_t n;
	bool is_batch; /* a filter was among the arguments: the number was confirmed */
};

/* Find all requests that the arguments mean, each once. The number of what filters match is shown with three samples,
 * and has to be typed at the terminal, unless --yes. `verb` says what will be done: "approve"; `own` is what a filter
 * must match besides: "state=pending" or "". CTL_DONE or an exit code, told. */
int targets_find(struct targets *out, struct ctl *ctl, const char *verb, const char *own);
void targets_fini(struct targets *t);
