/* Where the keys stand that are loaded.
 *
 * A key stays where it is while somebody works with it. One that rests for a day is let go, and so is the one that
 * rests for longest when there is no room for another: who comes back for it finds that its number is not known, and
 * loads it again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define PLACES_MAX 1024
#define PLACES_REST_MS ((int64_t)24 * 3600 * 1000)

struct key;

struct place {
	struct key *key;     /* NULL: free */
	unsigned users;      /* who works with it */
	bool is_leaving;     /* found by nobody any more; it goes with the last of them */
	uint16_t generation; /* how many keys stood here before */
	int64_t used_ms;
};

struct places {
	pthread_mutex_t lock;
	uint64_t instance;   /* the upper 40 bits of every number: nobody else's numbers fit */
	unsigned max;        /* so many keys at once */
	void (*drop)(struct key *key);
	struct place all[PLACES_MAX];
};

/* 0 or -EIO. */
int places_init(struct places *p, void (*drop)(struct key *key));
void places_fini(struct places *p);

/* Says something about a key; called with the lock held. */
typedef bool place_test(const struct key *key, const void *arg);

/* Takes `key`, unless one that `is_same` (about `key`) is there. 0; PLACES_SAME: the number is that one's;
 * PLACES_FULL: all of them are at work. */
enum { PLACES_SAME = 1, PLACES_FULL = 2 };
int places_add(struct places *p, struct key *take, place_test *is_same, uint64_t *number);

/* The key of this number, until it is given back; NULL: there is none. */
struct key *places_take(struct places *p, uint64_t number);
void places_give(struct places *p, uint64_t number);

/* Let go of it, whoever knows its number. */
void places_remove(struct places *p, uint64_t number);

bool places_has(struct places *p, place_test *test, const void *arg);

/* Let go of those that the test is true for. */
void places_leave(struct places *p, place_test *test, const void *arg);
