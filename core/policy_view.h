/* The core's side of the view that a policy module works with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* A view of `r`; NULL without memory. It stays valid memory for ever, so that a module that kept it gets -EINVAL. */
struct ca_policy_view *policy_view_open(struct ca *ca, struct ca_request *r, bool is_new);

/* From now on the view answers nothing. */
void policy_view_close(struct ca_policy_view *v);
