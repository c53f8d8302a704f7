/* An officer's turn at one request: what every act on it begins and ends with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/admin.h"
#include "core/core_int.h"

/* Take the request for this caller alone, load it, and see whether he may do this to it now. 0, then admin_turn_end()
 * must follow; an outcome of core/admin.h or negative, and nothing is held. */
int admin_turn_begin(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, enum ca_action action,
		     struct ca_request **r, struct ca **ca, struct ca_outcome *out);

/* Let it go; returns what the caller is told for `e`. */
int admin_turn_end(struct ca_core *core, int64_t id, int e, struct ca_outcome *out);

/* Ask policy again and make its answer durable. `r`: PENDING, and the caller's alone. 0: `r` stands as it was stored;
 * outcomes of core/admin.h; STORE_CHANGED; negative. */
int admin_turn_resubmit(struct ca *ca, struct ca_request *r, struct ca_outcome *out);

/* Make these changes and write them; `r`: PENDING, and the caller's alone. `action`: that of the changes. 0, and `r`
 * stands as it was stored; outcomes of core/admin.h; STORE_CHANGED; negative. */
int admin_turn_edit(struct ca *ca, struct ca_request *r, enum ca_action action, const struct ca_edit *edits, size_t n,
		    struct ca_outcome *out);

/* Put a sentence into `out` and return `outcome`. */
int admin_turn_say(struct ca_outcome *out, int outcome, const char *reason);
