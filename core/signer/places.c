/* Numbers, users and rest of the keys that are loaded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/places.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/digest.h"

/* A number is instance (40 bits), generation (14), place (10): a place that had 16,384 keys takes no more, so that a
 * number never names two. */
#define PLACE_BITS 10
#define GENERATION_BITS 14
#define GENERATIONS_MAX (1u << GENERATION_BITS)

_Static_assert(PLACES_MAX == 1 << PLACE_BITS, "a place is a part of the number");

int places_init(struct places *p, void (*drop)(struct key *key))
{
	if (random_octets(&p->instance, sizeof(p->instance)))
		return -EIO;
	p->instance &= ~(UINT64_MAX >> (64 - GENERATION_BITS - PLACE_BITS));
	p->max = PLACES_MAX;
	p->drop = drop;
	pthread_mutex_init(&p->lock, NULL);
	return 0;
}

void places_fini(struct places *p)
{
	for (struct place *at = p->all; at < p->all + PLACES_MAX; at++)
		if (at->key)
			p->drop(at->key);
	pthread_mutex_destroy(&p->lock);
}

static uint64_t number_of(const struct places *p, const struct place *at)
{
	return p->instance | (uint64_t)at->generation << PLACE_BITS | (uint64_t)(at - p->all);
}

static struct place *find(struct places *p, uint64_t number)
{
	struct place *at = &p->all[number & (PLACES_MAX - 1)];

	return at->key && number_of(p, at) == number ? at : NULL;
}

/* With the lock held, as all that follows. */
static void clear(struct places *p, struct place *at)
{
	p->drop(at->key);
	at->key = NULL;
	at->is_leaving = false;
	at->generation++;
}

static void leave(struct places *p, struct place *at)
{
	at->is_leaving = true;
	if (at->users == 0)
		clear(p, at);
}

static void let_resting_go(struct places *p, int64_t now_ms)
{
	for (struct place *at = p->all; at < p->all + PLACES_MAX; at++)
		if (at->key && at->users == 0 && now_ms - at->used_ms > PLACES_REST_MS)
			clear(p, at);
}

/* A free place, when there may be one more key. */
static struct place *find_free(struct places *p)
{
	struct place *found = NULL;
	unsigned n = 0;

	for (struct place *at = p->all; at < p->all + PLACES_MAX; at++) {
		n += at->key != NULL;
		if (!found && !at->key && at->generation < GENERATIONS_MAX)
			found = at;
	}
	return n < p->max ? found : NULL;
}

static struct place *find_longest_resting(struct places *p)
{
	struct place *found = NULL;

	for (struct place *at = p->all; at < p->all + PLACES_MAX; at++)
		if (at->key && at->users == 0 && (!found || at->used_ms < found->used_ms))
			found = at;
	return found;
}

static struct place *make_room(struct places *p)
{
	struct place *at = find_free(p), *resting;

	while (!at && (resting = find_longest_resting(p)) != NULL) {
		clear(p, resting);
		at = find_free(p);
	}
	return at;
}

static int add(struct places *p, struct key *take, place_test *is_same, uint64_t *number)
{
	int64_t now_ms = clock_mono_ms();
	struct place *at;

	for (at = p->all; at < p->all + PLACES_MAX; at++) {
		if (!at->key || at->is_leaving || !is_same(at->key, take))
			continue;
		at->used_ms = now_ms;
		*number = number_of(p, at);
		return PLACES_SAME;
	}
	let_resting_go(p, now_ms);
	at = make_room(p);
	if (!at)
		return PLACES_FULL;
	at->key = take;
	at->used_ms = now_ms;
	*number = number_of(p, at);
	return 0;
}

int places_add(struct places *p, struct key *take, place_test *is_same, uint64_t *number)
{
	int e;

	pthread_mutex_lock(&p->lock);
	e = add(p, take, is_same, number);
	pthread_mutex_unlock(&p->lock);
	return e;
}

struct key *places_take(struct places *p, uint64_t number)
{
	struct place *at;
	struct key *key = NULL;

	pthread_mutex_lock(&p->lock);
	at = find(p, number);
	if (at && !at->is_leaving) {
		at->users++;
		at->used_ms = clock_mono_ms();
		key = at->key;
	}
	pthread_mutex_unlock(&p->lock);
	return key;
}

void places_give(struct places *p, uint64_t number)
{
	struct place *at;

	pthread_mutex_lock(&p->lock);
	at = find(p, number);
	if (--at->users == 0 && at->is_leaving)
		clear(p, at);
	pthread_mutex_unlock(&p->lock);
}

void places_remove(struct places *p, uint64_t number)
{
	struct place *at;

	pthread_mutex_lock(&p->lock);
	at = find(p, number);
	if (at && !at->is_leaving)
		leave(p, at);
	pthread_mutex_unlock(&p->lock);
}

bool places_has(struct places *p, place_test *test, const void *arg)
{
	bool has = false;

	pthread_mutex_lock(&p->lock);
	for (const struct place *at = p->all; at < p->all + PLACES_MAX && !has; at++)
		has = at->key && !at->is_leaving && test(at->key, arg);
	pthread_mutex_unlock(&p->lock);
	return has;
}

void places_leave(struct places *p, place_test *test, const void *arg)
{
	pthread_mutex_lock(&p->lock);
	for (struct place *at = p->all; at < p->all + PLACES_MAX; at++)
		if (at->key && !at->is_leaving && test(at->key, arg))
			leave(p, at);
	pthread_mutex_unlock(&p->lock);
}
