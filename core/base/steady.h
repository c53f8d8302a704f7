/* Does the clock go steadily?
 *
 * A machine whose clock was set wrong, as after a start without a battery, mostly has it set right within hours. What
 * cannot be taken back waits until wall and monotonic time have gone together for that long.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* So far may one go from the other between two looks. */
#define STEADY_PATIENCE_MS (5 * 60 * 1000)

/* So long, to be called steady. */
#define STEADY_MS (6 * 3600 * 1000)

struct steady {
	int64_t since_ms;  /* monotonic; 0: nobody has looked yet */
	int64_t offset_ms; /* wall time without monotonic time */
};

/* Look at the clock; by one thread. True: it was set since the last look, or this is the first one. */
bool steady_has_moved(struct steady *s);

/* Is it so, as far as those looks could see? */
bool steady_is(const struct steady *s);
