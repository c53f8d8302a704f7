/* A clock that went back: nothing is issued while it is more than five minutes behind the latest time that was seen.
 *
 * The latest time is kept in memory, and with each head of the anchor (core/anchor.h), so that a restart does not
 * forget it. Reading goes on; so do denials, revocations and their CRLs. When the clock was wrong before and is right
 * now, an administrator says so (`gatehouse server accept-clock`).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

#define CLOCK_GUARD_PATIENCE_MS (5 * 60 * 1000)

/* Look at the clock. How far it is behind the latest time seen, when that is more than the patience; 0: it is not. */
int64_t clock_guard_behind_ms(struct ca_core *core);

/* The latest time seen, in ms. */
int64_t clock_guard_seen(struct ca_core *core);

/* At the start: this time was seen before. */
void clock_guard_remember(struct ca_core *core, int64_t wall_ms);

/* From now on the clock is right, says `actor`. 0; CLOCK_GUARD_RIGHT: it is not behind; negative: as it was before. */
enum { CLOCK_GUARD_RIGHT = 1 };
int clock_guard_accept(struct ca_core *core, const char *actor);
