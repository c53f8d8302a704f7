/* A clock that went back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/clock_guard.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store.h"

int64_t clock_guard_seen(struct ca_core *core)
{
	return core->seen_ms;
}

void clock_guard_remember(struct ca_core *core, int64_t wall_ms)
{
	int64_t seen = core->seen_ms;

	while (seen < wall_ms && !atomic_compare_exchange_weak(&core->seen_ms, &seen, wall_ms))
		;
}

int64_t clock_guard_behind_ms(struct ca_core *core)
{
	int64_t now = clock_wall_ms(), behind;
	bool was_behind = core->is_clock_behind;

	clock_guard_remember(core, now);
	behind = core->seen_ms - now;
	if (behind <= CLOCK_GUARD_PATIENCE_MS)
		behind = 0;
	/* One of those who find out tells it. */
	if ((behind > 0) == was_behind ||
	    !atomic_compare_exchange_strong(&core->is_clock_behind, &was_behind, behind > 0))
		return behind;
	if (behind)
		log_error("clock.behind", "seconds", LOG_NUMBER(behind / 1000), "consequence",
			  "nothing is issued; set the clock, or accept it with: gatehouse server accept-clock");
	else
		log_info("clock.right");
	return behind;
}

int clock_guard_accept(struct ca_core *core, const char *actor)
{
	int64_t behind_ms = clock_guard_behind_ms(core);
	char detail[64];
	int e;

	if (!behind_ms)
		return CLOCK_GUARD_RIGHT;
	snprintf(detail, sizeof(detail), "behind-seconds=%lld", (long long)behind_ms / 1000);
	e = store_audit(core, &(struct audit_record){ .at_ms = clock_wall_ms(), .actor = actor,
						      .action = AUDIT_ACCEPT_CLOCK, .detail = detail });
	if (e)
		return e;
	core->seen_ms = clock_wall_ms();
	clock_guard_behind_ms(core);
	return 0;
}
