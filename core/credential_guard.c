/* Slow hashes, wrong answers, right answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/credential_guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <uthash.h>

#include "core/base/clock.h"
#include "core/base/ip.h"
#include "core/base/own.h"

#define HASHES_AT_ONCE 2
#define HASH_WAIT_MS 1000
#define COUNTERS_MAX 20000
#define RECORD_PAUSE_MS 60000
#define KNOWN_MAX 1024
#define TEXT_SIZE 320

/* Wrong answers that may come at once, and how soon one more may. */
struct limit {
	unsigned burst;
	int64_t each_ms;
};

enum counted { BY_SOURCE, BY_SOURCE_AND_NAME, BY_NAME, COUNTED_ };

/* By name alone it takes many addresses: the limit is wide, so that nobody is easily shut out by others. */
static const struct limit limits[COUNTED_] = {
	[BY_SOURCE] = { 30, 5000 },
	[BY_SOURCE_AND_NAME] = { 8, 30000 },
	[BY_NAME] = { 100, 10000 },
};

/* By a MAC of address and name: what somebody took for a name may be his password. */
struct counter {
	uint8_t key[SHA256_SIZE];
	int64_t full_ms;     /* when all of its wrong answers are forgotten */
	int64_t recorded_ms; /* when one was worth a record; 0: never */
	UT_hash_handle hh;
};

struct known {
	uint8_t mac[SHA256_SIZE];
	UT_hash_handle hh;
};

struct credential_guard {
	pthread_mutex_t lock;      /* guards all below */
	pthread_cond_t turn;
	unsigned n_hashing;
	struct counter *counters;
	struct known *known;
	uint8_t key[SHA256_SIZE];  /* of the MACs; never changes */
};

int credential_guard_new(struct credential_guard **out)
{
	struct credential_guard *g = calloc(1, sizeof(*g));
	pthread_condattr_t attr;
	int e;

	if (!g)
		return -ENOMEM;
	e = random_octets(g->key, sizeof(g->key));
	if (e) {
		free(g);
		return e;
	}
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->turn, &attr);
	pthread_condattr_destroy(&attr);
	*out = g;
	return 0;
}

static void forget_known(struct credential_guard *g)
{
	struct known *k, *next;

	HASH_ITER (hh, g->known, k, next) {
		HASH_DEL(g->known, k);
		free(k);
	}
}

void credential_guard_drop(struct credential_guard **gp)
{
	struct credential_guard *g = *gp;
	struct counter *c, *next;

	if (!g)
		return;
	HASH_ITER (hh, g->counters, c, next) {
		HASH_DEL(g->counters, c);
		free(c);
	}
	forget_known(g);
	pthread_cond_destroy(&g->turn);
	pthread_mutex_destroy(&g->lock);
	explicit_bzero(g->key, sizeof(g->key));
	free(g);
	*gp = NULL;
}

/* ---- wrong answers ---- */

/* Whoever has an IPv6 address has 2^64 of them. */
static void print_source(const char *source, char out[static IP_TEXT_SIZE])
{
	struct ip_address a;

	snprintf(out, IP_TEXT_SIZE, "%s", source ? source : "-");
	if (!source || ip_address_parse(&a, source))
		return;
	a = ip_address_unmap(&a);
	if (a.len == 16)
		memset(a.octets + 8, 0, 8);
	ip_address_print(&a, out);
}

/* The key of a counter; false: there is nothing to count by. */
static bool make_key(const struct credential_guard *g, enum counted by, const char *source, const char *name,
		     uint8_t key[static SHA256_SIZE])
{
	char address[IP_TEXT_SIZE], text[TEXT_SIZE];
	bool ok;

	if (by != BY_SOURCE && !name)
		return false;
	print_source(by == BY_NAME ? NULL : source, address);
	snprintf(text, sizeof(text), "%d %s %.256s", (int)by, address, by == BY_SOURCE ? "" : name);
	ok = secret_mac(bytes_of(g->key, sizeof(g->key)), bytes_of_str(text), key) == 0;
	explicit_bzero(text, sizeof(text));
	return ok;
}

static void forget_old(struct credential_guard *g, int64_t now_ms)
{
	struct counter *c, *next;

	HASH_ITER (hh, g->counters, c, next)
		if (c->full_ms <= now_ms) {
			HASH_DEL(g->counters, c);
			free(c);
		}
}

static struct counter *find_counter(struct credential_guard *g, const uint8_t *key)
{
	struct counter *c;

	HASH_FIND(hh, g->counters, key, SHA256_SIZE, c);
	return c;
}

/* NULL: there are too many, or no memory. */
static struct counter *make_counter(struct credential_guard *g, const uint8_t *key, int64_t now_ms)
{
	struct counter *c = find_counter(g, key);

	if (c)
		return c;
	if (HASH_COUNT(g->counters) >= COUNTERS_MAX)
		forget_old(g, now_ms);
	c = HASH_COUNT(g->counters) < COUNTERS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c)
		return NULL;
	memcpy(c->key, key, SHA256_SIZE);
	HASH_ADD(hh, g->counters, key, SHA256_SIZE, c);
	return c;
}

/* How long until one more fits under the burst. */
static int64_t pause_ms(const struct limit *l, int64_t full_ms, int64_t now_ms)
{
	int64_t pause = full_ms + l->each_ms - now_ms - (int64_t)l->burst * l->each_ms;

	return pause > 0 ? pause : 0;
}

unsigned credential_guard_pause_s(struct credential_guard *g, const char *source, const char *name)
{
	int64_t now_ms = clock_mono_ms(), longest = 0;
	uint8_t key[SHA256_SIZE];

	pthread_mutex_lock(&g->lock);
	for (int by = 0; by < COUNTED_; by++) {
		const struct counter *c =
			make_key(g, (enum counted)by, source, name, key) ? find_counter(g, key) : NULL;
		int64_t pause = c ? pause_ms(&limits[by], c->full_ms, now_ms) : 0;

		longest = pause > longest ? pause : longest;
	}
	pthread_mutex_unlock(&g->lock);
	return (unsigned)((longest + 999) / 1000);
}

bool credential_guard_failed(struct credential_guard *g, const char *source, const char *name)
{
	int64_t now_ms = clock_mono_ms();
	bool is_first = false;
	uint8_t key[SHA256_SIZE];

	pthread_mutex_lock(&g->lock);
	for (int by = 0; by < COUNTED_; by++) {
		struct counter *c =
			make_key(g, (enum counted)by, source, name, key) ? make_counter(g, key, now_ms) : NULL;

		if (!c)
			continue;
		c->full_ms = (c->full_ms > now_ms ? c->full_ms : now_ms) + limits[by].each_ms;
		/* One record a minute and address: who guesses fills neither disk nor trail. */
		if (by == BY_SOURCE && (!c->recorded_ms || now_ms - c->recorded_ms >= RECORD_PAUSE_MS)) {
			c->recorded_ms = now_ms;
			is_first = true;
		}
	}
	pthread_mutex_unlock(&g->lock);
	return is_first;
}

/* ---- the slow hash ---- */

static bool take_turn(struct credential_guard *g)
{
	struct timespec end = clock_deadline_after(HASH_WAIT_MS);
	bool got;
	int e = 0;

	pthread_mutex_lock(&g->lock);
	while (g->n_hashing >= HASHES_AT_ONCE && e == 0)
		e = pthread_cond_timedwait(&g->turn, &g->lock, &end);
	got = g->n_hashing < HASHES_AT_ONCE;
	g->n_hashing += got;
	pthread_mutex_unlock(&g->lock);
	return got;
}

int credential_guard_hash(struct credential_guard *g, struct bytes password,
			  const uint8_t salt[static PASSWORD_SALT_SIZE], uint8_t hash[static PASSWORD_HASH_SIZE])
{
	int e;

	if (!take_turn(g))
		return -EAGAIN;
	e = secret_hash_password(password, salt, hash);
	pthread_mutex_lock(&g->lock);
	g->n_hashing--;
	pthread_cond_signal(&g->turn);
	pthread_mutex_unlock(&g->lock);
	return e;
}

/* ---- right answers ---- */

/* Under the hash of the store too: another password for the user makes the old one unknown. */
static bool make_mac(const struct credential_guard *g, struct bytes password, const uint8_t *hash, uint8_t *mac)
{
	uint8_t key[SHA256_SIZE];
	bool ok = secret_mac(bytes_of(g->key, sizeof(g->key)), bytes_of(hash, PASSWORD_HASH_SIZE), key) == 0 &&
		  secret_mac(bytes_of(key, sizeof(key)), password, mac) == 0;

	explicit_bzero(key, sizeof(key));
	return ok;
}

bool credential_guard_knows(struct credential_guard *g, struct bytes password,
			    const uint8_t hash[static PASSWORD_HASH_SIZE])
{
	uint8_t mac[SHA256_SIZE];
	struct known *k = NULL;

	if (!make_mac(g, password, hash, mac))
		return false;
	pthread_mutex_lock(&g->lock);
	HASH_FIND(hh, g->known, mac, SHA256_SIZE, k);
	pthread_mutex_unlock(&g->lock);
	return k != NULL;
}

void credential_guard_remember(struct credential_guard *g, struct bytes password,
			       const uint8_t hash[static PASSWORD_HASH_SIZE])
{
	struct known *k = calloc(1, sizeof(*k)), *found = NULL;

	if (!k || !make_mac(g, password, hash, k->mac)) {
		free(k);
		return;
	}
	pthread_mutex_lock(&g->lock);
	HASH_FIND(hh, g->known, k->mac, SHA256_SIZE, found);
	if (found) {
		free(k);
	} else {
		if (HASH_COUNT(g->known) >= KNOWN_MAX)
			forget_known(g);
		HASH_ADD(hh, g->known, mac, SHA256_SIZE, k);
	}
	pthread_mutex_unlock(&g->lock);
}
