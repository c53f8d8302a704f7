/* Who may ask the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/asks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/clock.h"

#define TURN_MS 250

struct asks {
	const struct proto_waits *waits;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool is_stuck; /* somebody waited in vain, and no place became free since */
};

int asks_new(struct asks **out, const struct proto_waits *waits)
{
	struct asks *a = calloc(1, sizeof(*a));
	pthread_condattr_t attr;

	if (!a)
		return -ENOMEM;
	a->waits = waits;
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->moved, &attr);
	pthread_condattr_destroy(&attr);
	*out = a;
	return 0;
}

void asks_drop(struct asks **ap)
{
	struct asks *a = *ap;

	if (!a)
		return;
	pthread_cond_destroy(&a->moved);
	pthread_mutex_destroy(&a->lock);
	free(a);
	*ap = NULL;
}

bool asks_enter(struct asks *a)
{
	struct timespec deadline = clock_deadline_after(TURN_MS);
	bool may;

	pthread_mutex_lock(&a->lock);
	while (!(may = a->waits->enter(a->waits->state)) && !a->is_stuck)
		a->is_stuck = pthread_cond_timedwait(&a->moved, &a->lock, &deadline) == ETIMEDOUT;
	if (may)
		a->is_stuck = false;
	pthread_mutex_unlock(&a->lock);
	return may;
}

void asks_leave(struct asks *a)
{
	pthread_mutex_lock(&a->lock);
	a->waits->leave(a->waits->state);
	a->is_stuck = false;
	pthread_cond_signal(&a->moved);
	pthread_mutex_unlock(&a->lock);
}
