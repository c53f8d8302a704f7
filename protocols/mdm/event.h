/* The webhook SCEPChallenge of Jamf Pro, as far as it is read here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/bytes.h"
#include "protocols/mdm/mdm_int.h"

#define EVENT_REFUSED 1 /* with a sentence in `why`, which lives for ever */

/* Which device is it about? In the arena; both NULL when it names none. 0; EVENT_REFUSED; -ENOMEM. */
int event_read(struct bytes body, struct arena *arena, struct mdm_device *device, const char **why);
