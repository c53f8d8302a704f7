/* Where what was asked for and what will be issued are not the same, and who is behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

#include "admin.pb-c.h"

/* Everything lives in the arena. 0 or negative. */
int differences_list(struct ca_core *core, struct ca_request *r, struct arena *arena,
		     Gatehouse__Admin__Difference ***out, size_t *n);
