/* What is being worked on right now.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/flight.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "core/base/clock.h"

struct held {
	uint8_t key[FLIGHT_KEY_SIZE];
	UT_hash_handle hh;
};

struct flight {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct held *all;
};

int flight_new(struct flight **out)
{
	struct flight *f = calloc(1, sizeof(*f));
	pthread_condattr_t attr;

	if (!f)
		return -ENOMEM;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, &attr);
	pthread_condattr_destroy(&attr);
	*out = f;
	return 0;
}

void flight_drop(struct flight **fp)
{
	struct flight *f = *fp;

	if (!f)
		return;
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
	*fp = NULL;
}

static struct held *find(struct flight *f, const uint8_t *key)
{
	struct held *h;

	HASH_FIND(hh, f->all, key, FLIGHT_KEY_SIZE, h);
	return h;
}

int flight_enter(struct flight *f, const uint8_t key[static FLIGHT_KEY_SIZE], unsigned wait_ms)
{
	struct timespec deadline = clock_deadline_after(wait_ms);
	struct held *mine = calloc(1, sizeof(*mine));
	bool is_mine = false;
	int timed_out = 0;

	if (!mine)
		return -ENOMEM;
	memcpy(mine->key, key, FLIGHT_KEY_SIZE);
	pthread_mutex_lock(&f->lock);
	while (find(f, key) && !timed_out)
		timed_out = wait_ms == 0 || pthread_cond_timedwait(&f->changed, &f->lock, &deadline);
	if (!find(f, key)) {
		HASH_ADD(hh, f->all, key, FLIGHT_KEY_SIZE, mine);
		is_mine = true;
	}
	pthread_mutex_unlock(&f->lock);
	if (!is_mine)
		free(mine);
	return is_mine ? 0 : 1;
}

void flight_leave(struct flight *f, const uint8_t key[static FLIGHT_KEY_SIZE])
{
	struct held *h;

	pthread_mutex_lock(&f->lock);
	h = find(f, key);
	if (h)
		HASH_DEL(f->all, h);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	free(h);
}

static void id_key(int64_t id, uint8_t key[static FLIGHT_KEY_SIZE])
{
	memset(key, 0, FLIGHT_KEY_SIZE);
	memcpy(key, &id, sizeof(id));
}

int flight_enter_id(struct flight *f, int64_t id, unsigned wait_ms)
{
	uint8_t key[FLIGHT_KEY_SIZE];

	id_key(id, key);
	return flight_enter(f, key, wait_ms);
}

void flight_leave_id(struct flight *f, int64_t id)
{
	uint8_t key[FLIGHT_KEY_SIZE];

	id_key(id, key);
	flight_leave(f, key);
}

void flight_wait_idle(struct flight *f)
{
	pthread_mutex_lock(&f->lock);
	while (f->all)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}
