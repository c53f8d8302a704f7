/* The call of the administrator's tool that waits for what happens: watch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/store_view.h"

#define WAIT_MAX_MS 30000
#define PAUSE_MS 200 /* under load many rows are written: look no more often than this */
#define LINES_MAX 200

static int64_t passed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)(now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

void admin_watch(const struct admin_ask *a)
{
	const Gatehouse__Admin__Watch *q = a->call->watch;
	int64_t wait_ms = q->wait_ms < WAIT_MAX_MS ? q->wait_ms : WAIT_MAX_MS, left;
	struct timespec began;
	struct db_stats stats;
	uint64_t seen, now;
	int e;

	clock_gettime(CLOCK_MONOTONIC, &began);
	for (;;) {
		db_get_stats(a->core->db, &stats);
		seen = stats.writes;
		e = store_view_happened(a->core, q->after, q->id, LINES_MAX, a->arena, &a->reply->watched);
		left = wait_ms - passed_ms(&began);
		if (e || a->reply->watched->n_lines || q->after == 0 || left <= 0 || a->core->is_closed)
			break;
		now = db_wait(a->core->db, seen, (unsigned)left);
		left = wait_ms - passed_ms(&began);
		if (now != seen && left > 0)
			usleep((useconds_t)(left < PAUSE_MS ? left : PAUSE_MS) * 1000);
	}
	if (e)
		admin_failed(a, e);
}
