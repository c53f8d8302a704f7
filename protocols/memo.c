/* A hash table in the order in which things became known.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/memo.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <uthash.h>

#include "core/base/clock.h"

struct entry {
	uint8_t key[MEMO_KEY_SIZE];
	bool is_running;      /* somebody finds it out */
	int number;
	struct buf octets;
	int64_t until_ms;     /* monotonic */
	UT_hash_handle hh;
};

struct memo {
	size_t keys_max, octets_max;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t ended; /* something was found out, or given up */
	struct entry *all;
	size_t n_known, n_octets; /* of those that are not running */
	unsigned n_waiting;
};

int memo_new(struct memo **out, size_t keys_max, size_t octets_max)
{
	struct memo *m = calloc(1, sizeof(*m));
	pthread_condattr_t attributes;

	if (!m)
		return -ENOMEM;
	m->keys_max = keys_max;
	m->octets_max = octets_max;
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&m->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	*out = m;
	return 0;
}

/* ---- the table; all with the lock ---- */

static void remove_entry(struct memo *m, struct entry *e)
{
	HASH_DEL(m->all, e);
	if (!e->is_running) {
		m->n_known--;
		m->n_octets -= e->octets.len;
	}
	buf_fini(&e->octets);
	free(e);
}

void memo_drop(struct memo **mp)
{
	struct memo *m = *mp;
	struct entry *e, *next;

	if (!m)
		return;
	HASH_ITER (hh, m->all, e, next)
		remove_entry(m, e);
	pthread_cond_destroy(&m->ended);
	pthread_mutex_destroy(&m->lock);
	free(m);
	*mp = NULL;
}

static struct entry *find(struct memo *m, const uint8_t *key)
{
	struct entry *e;

	HASH_FIND(hh, m->all, key, MEMO_KEY_SIZE, e);
	if (e && !e->is_running && clock_mono_ms() >= e->until_ms) {
		remove_entry(m, e);
		return NULL;
	}
	return e;
}

static struct entry *add(struct memo *m, const uint8_t *key, bool is_running)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	memcpy(e->key, key, MEMO_KEY_SIZE);
	e->is_running = is_running;
	e->octets = BUF_INIT(m->octets_max);
	HASH_ADD(hh, m->all, key, MEMO_KEY_SIZE, e);
	return e;
}

/* What became known first goes first. */
static void make_room(struct memo *m, size_t octets)
{
	struct entry *e, *next;

	HASH_ITER (hh, m->all, e, next) {
		if (m->n_known < m->keys_max && m->n_octets + octets <= m->octets_max)
			return;
		if (!e->is_running)
			remove_entry(m, e);
	}
}

static bool read_entry(const struct entry *e, int *number, struct buf *octets)
{
	if (number)
		*number = e->number;
	return !octets || buf_append(octets, buf_bytes(&e->octets)) == 0;
}

/* ---- the calls ---- */

bool memo_find(struct memo *m, const uint8_t key[static MEMO_KEY_SIZE], int *number, struct buf *octets)
{
	const struct entry *e;
	bool is_known;

	pthread_mutex_lock(&m->lock);
	e = find(m, key);
	is_known = e && !e->is_running && read_entry(e, number, octets);
	pthread_mutex_unlock(&m->lock);
	return is_known;
}

/* With the lock. What stands there when nobody finds it out any more, or when the time is over. */
static const struct entry *wait_for(struct memo *m, const uint8_t *key, unsigned wait_ms)
{
	struct timespec until = clock_deadline_after(wait_ms);
	const struct entry *e = find(m, key);
	int timed_out = wait_ms == 0 || m->n_waiting >= MEMO_WAITERS_MAX;

	m->n_waiting++;
	while (e && e->is_running && !timed_out) {
		timed_out = pthread_cond_timedwait(&m->ended, &m->lock, &until);
		e = find(m, key);
	}
	m->n_waiting--;
	return e;
}

int memo_begin(struct memo *m, const uint8_t key[static MEMO_KEY_SIZE], unsigned wait_ms, int *number,
	       struct buf *octets)
{
	const struct entry *e;
	int result;

	pthread_mutex_lock(&m->lock);
	e = wait_for(m, key, wait_ms);
	if (e && e->is_running)
		result = MEMO_BUSY;
	else if (e)
		result = read_entry(e, number, octets) ? MEMO_KNOWN : -ENOMEM;
	else
		result = add(m, key, true) ? 0 : -ENOMEM;
	pthread_mutex_unlock(&m->lock);
	return result;
}

/* Without memory nothing is known, as after a restart. */
static void keep(struct memo *m, const uint8_t *key, int number, struct bytes octets, int64_t keep_ms)
{
	struct entry *e;

	make_room(m, octets.len);
	e = octets.len <= m->octets_max ? add(m, key, false) : NULL;
	if (!e)
		return;
	m->n_known++;
	e->number = number;
	e->until_ms = clock_mono_ms() + keep_ms;
	if (buf_append(&e->octets, octets))
		buf_reset(&e->octets);
	m->n_octets += e->octets.len;
	if (e->octets.len != octets.len)
		remove_entry(m, e);
}

void memo_keep(struct memo *m, const uint8_t key[static MEMO_KEY_SIZE], int number, struct bytes octets,
	       int64_t keep_ms)
{
	struct entry *e;

	pthread_mutex_lock(&m->lock);
	HASH_FIND(hh, m->all, key, MEMO_KEY_SIZE, e);
	if (e)
		remove_entry(m, e);
	if (keep_ms > 0)
		keep(m, key, number, octets, keep_ms);
	pthread_cond_broadcast(&m->ended);
	pthread_mutex_unlock(&m->lock);
}

void memo_forget(struct memo *m, const uint8_t key[static MEMO_KEY_SIZE])
{
	struct entry *e;

	pthread_mutex_lock(&m->lock);
	e = find(m, key);
	if (e && !e->is_running)
		remove_entry(m, e);
	pthread_mutex_unlock(&m->lock);
}
