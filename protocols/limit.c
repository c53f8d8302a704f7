/* The table of buckets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/limit.h"

#include <errno.h>
#include <pthread.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/ip.h"
#include "core/base/own.h"

#define TABLE_SIZE 16384 /* a power of two */
#define NEIGHBOURS 8     /* places an address may stand in, next to each other */
#define HOUR_MS 3600000.0

struct bucket {
	uint64_t who;      /* 0: free */
	double tokens;
	int64_t at_ms;     /* when `tokens` was right */
};

struct limit {
	double per_ms, burst;
	uint8_t seed[16];  /* so that nobody can aim at a neighbourhood */
	pthread_mutex_t lock; /* for the table */
	struct bucket table[TABLE_SIZE];
};

int limit_new(struct limit **out, unsigned per_hour, unsigned burst)
{
	OWNED(limit) l = calloc(1, sizeof(*l));
	int e;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->per_ms = per_hour / HOUR_MS;
	l->burst = burst;
	e = random_octets(l->seed, sizeof(l->seed));
	if (e)
		return e;
	*out = MOVE(l);
	return 0;
}

void limit_drop(struct limit **l)
{
	if (!*l)
		return;
	pthread_mutex_destroy(&(*l)->lock);
	free(*l);
	*l = NULL;
}

/* A number for the text, or for the /64 it is in; never 0. */
static uint64_t number_of(const struct limit *l, const char *who)
{
	struct bytes pieces[2] = { bytes_of(l->seed, sizeof(l->seed)), bytes_of_str(who) };
	uint8_t digest[SHA256_SIZE];
	struct ip_address address;
	uint64_t n = 0;

	if (ip_address_parse(&address, who) == 0) {
		address = ip_address_unmap(&address);
		pieces[1] = bytes_of(address.octets, address.len == 16 ? 8 : 4);
	}
	if (digest_sha256_pieces(pieces, 2, digest))
		return 1;
	memcpy(&n, digest, sizeof(n));
	return n ? n : 1;
}

static void refill(const struct limit *l, struct bucket *b, int64_t now_ms)
{
	b->tokens += (double)(now_ms - b->at_ms) * l->per_ms;
	if (b->tokens > l->burst)
		b->tokens = l->burst;
	b->at_ms = now_ms;
}

static struct bucket *find(struct limit *l, uint64_t who, int64_t now_ms)
{
	struct bucket *place = NULL;

	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		struct bucket *b = &l->table[(who + i) & (TABLE_SIZE - 1)];

		if (b->who == who) {
			refill(l, b, now_ms);
			return b;
		}
		if (b->who)
			refill(l, b, now_ms);
		if (!place || (place->who && (!b->who || b->tokens > place->tokens)))
			place = b;
	}
	*place = (struct bucket){ .who = who, .tokens = l->burst, .at_ms = now_ms };
	return place;
}

void limit_give_back(struct limit *l, const char *who, unsigned n)
{
	uint64_t number = number_of(l, who ? who : "");
	struct bucket *b;

	pthread_mutex_lock(&l->lock);
	b = find(l, number, clock_mono_ms());
	b->tokens = b->tokens + n < l->burst ? b->tokens + n : l->burst;
	pthread_mutex_unlock(&l->lock);
}

bool limit_take(struct limit *l, const char *who, unsigned n, unsigned *retry_after_s)
{
	uint64_t number = number_of(l, who ? who : "");
	struct bucket *b;
	bool taken;

	pthread_mutex_lock(&l->lock);
	b = find(l, number, clock_mono_ms());
	taken = b->tokens >= n;
	if (taken)
		b->tokens -= n;
	else
		*retry_after_s = 1 + (unsigned)((n - b->tokens) / l->per_ms / 1000);
	pthread_mutex_unlock(&l->lock);
	return taken;
}
