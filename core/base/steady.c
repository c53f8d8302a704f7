/* Does the clock go steadily?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/steady.h"

#include "core/base/clock.h"

bool steady_has_moved(struct steady *s)
{
	int64_t mono_ms = clock_mono_ms(), offset_ms = clock_wall_ms() - mono_ms, moved_ms = offset_ms - s->offset_ms;
	bool has_moved = !s->since_ms || moved_ms > STEADY_PATIENCE_MS || moved_ms < -STEADY_PATIENCE_MS;

	if (has_moved)
		s->since_ms = mono_ms;
	s->offset_ms = offset_ms;
	return has_moved;
}

bool steady_is(const struct steady *s)
{
	return s->since_ms && clock_mono_ms() - s->since_ms >= STEADY_MS;
}
