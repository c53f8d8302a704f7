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

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/ip.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define HASHES_AT_ONCE 2
#define HASH_WAIT_MS 1000
#define COUNTERS_MAX 20000
#define COUNTERS_KEPT (COUNTERS_MAX / 8 * 7) /* when room is made */
#define CROWD_MS 600000                      /* since a counter was given up that still counted */
#define RECORD_PAUSE_MS 60000
#define KNOWN_MAX 4096
#define TEXT_SIZE 320

/* Wrong answers that may come at once, and how soon one more may. */
struct limit {
	unsigned burst;
	int64_t each_ms;
};

enum counted {
	BY_SOURCE,
	BY_SOURCE_AND_NAME,
	BY_NAME,
	SECRETS_,
	CERTIFICATES_BY_SOURCE = SECRETS_,
	BY_CERTIFICATE,
	COUNTED_,
};

/* By name alone it takes many addresses: the limit is wide, so that nobody is easily shut out by others. */
static const struct limit limits[COUNTED_] = {
	[BY_SOURCE] = { 30, 5000 },
	[BY_SOURCE_AND_NAME] = { 8, 30000 },
	[BY_NAME] = { 100, 10000 },
	[CERTIFICATES_BY_SOURCE] = { 1, RECORD_PAUSE_MS }, /* for the record alone */
	[BY_CERTIFICATE] = { 8, 30000 },
};

/* Of everybody together, while there are more guessers than counters. */
static const struct limit crowd_limit = { 100, 500 };

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
	int64_t crowded_ms;        /* until then there are more guessers than counters */
	int64_t crowd_full_ms;     /* as of a counter */
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
	bool has_name = by != BY_SOURCE && by != CERTIFICATES_BY_SOURCE, is_made;

	if (has_name && !name)
		return false;
	print_source(by == BY_NAME || by == BY_CERTIFICATE ? NULL : source, address);
	snprintf(text, sizeof(text), "%d %s %.256s", (int)by, address, has_name ? name : "");
	is_made = secret_mac(bytes_of(g->key, sizeof(g->key)), bytes_of_str(text), key) == 0;
	explicit_bzero(text, sizeof(text));
	return is_made;
}

/* How long until one more fits under the burst. */
static int64_t pause_ms(const struct limit *l, int64_t full_ms, int64_t now_ms)
{
	int64_t pause = full_ms + l->each_ms - now_ms - (int64_t)l->burst * l->each_ms;

	return pause > 0 ? pause : 0;
}

/* Never above the burst: however long somebody guessed, nobody behind his address waits longer than for one. */
static int64_t charge(const struct limit *l, int64_t full_ms, int64_t now_ms)
{
	int64_t most = now_ms + (int64_t)l->burst * l->each_ms;
	int64_t more = (full_ms > now_ms ? full_ms : now_ms) + l->each_ms;

	return more < most ? more : most;
}

static void forget_until(struct credential_guard *g, int64_t full_ms)
{
	struct counter *c, *next;

	HASH_ITER (hh, g->counters, c, next)
		if (c->full_ms <= full_ms) {
			HASH_DEL(g->counters, c);
			free(c);
		}
}

static void say_crowded(struct credential_guard *g, int64_t now_ms)
{
	if (g->crowded_ms <= now_ms)
		log_warn("credential.crowd", "counters", LOG_NUMBER(HASH_COUNT(g->counters)), "consequence",
			 "wrong credentials come from more addresses than can be told apart: all of them share one "
			 "limit");
	g->crowded_ms = now_ms + CROWD_MS;
}

/* The weakest go, those that are forgotten soonest: a flood of addresses that guess once each pushes out itself, not
 * the counter of the one who guesses much. What goes before its time is made up for by the limit of all together. */
static void make_room(struct credential_guard *g, int64_t now_ms)
{
	forget_until(g, now_ms);
	if (HASH_COUNT(g->counters) <= COUNTERS_KEPT)
		return;
	say_crowded(g, now_ms);
	for (int64_t ahead = 1000; HASH_COUNT(g->counters) > COUNTERS_KEPT; ahead *= 2)
		forget_until(g, now_ms + ahead);
}

static struct counter *find_counter(struct credential_guard *g, const uint8_t *key)
{
	struct counter *c;

	HASH_FIND(hh, g->counters, key, SHA256_SIZE, c);
	return c;
}

/* NULL: no memory. */
static struct counter *make_counter(struct credential_guard *g, const uint8_t *key, int64_t now_ms)
{
	struct counter *c = find_counter(g, key);

	if (c)
		return c;
	if (HASH_COUNT(g->counters) >= COUNTERS_MAX)
		make_room(g, now_ms);
	c = calloc(1, sizeof(*c));
	if (!c) {
		say_crowded(g, now_ms);
		return NULL;
	}
	memcpy(c->key, key, SHA256_SIZE);
	HASH_ADD(hh, g->counters, key, SHA256_SIZE, c);
	return c;
}

/* With the lock held. */
static int64_t pause_by(struct credential_guard *g, enum counted by, const char *source, const char *name,
			int64_t now_ms)
{
	uint8_t key[SHA256_SIZE];
	const struct counter *c = make_key(g, by, source, name, key) ? find_counter(g, key) : NULL;

	return c ? pause_ms(&limits[by], c->full_ms, now_ms) : 0;
}

static unsigned to_seconds(int64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

unsigned credential_guard_pause_s(struct credential_guard *g, const char *source, const char *name)
{
	int64_t now_ms = clock_mono_ms(), longest = 0;

	pthread_mutex_lock(&g->lock);
	if (g->crowded_ms > now_ms)
		longest = pause_ms(&crowd_limit, g->crowd_full_ms, now_ms);
	for (int by = 0; by < SECRETS_; by++) {
		int64_t pause = pause_by(g, (enum counted)by, source, name, now_ms);

		longest = pause > longest ? pause : longest;
	}
	pthread_mutex_unlock(&g->lock);
	return to_seconds(longest);
}

/* With the lock held. One record a minute and counter: who guesses fills neither disk nor trail. */
static bool count(struct credential_guard *g, enum counted by, const char *source, const char *name, int64_t now_ms)
{
	uint8_t key[SHA256_SIZE];
	struct counter *c = make_key(g, by, source, name, key) ? make_counter(g, key, now_ms) : NULL;

	if (!c)
		return false;
	c->full_ms = charge(&limits[by], c->full_ms, now_ms);
	if (c->recorded_ms && now_ms - c->recorded_ms < RECORD_PAUSE_MS)
		return false;
	c->recorded_ms = now_ms;
	return true;
}

bool credential_guard_failed(struct credential_guard *g, const char *source, const char *name)
{
	int64_t now_ms = clock_mono_ms();
	bool is_first;

	pthread_mutex_lock(&g->lock);
	is_first = count(g, BY_SOURCE, source, name, now_ms);
	(void)count(g, BY_SOURCE_AND_NAME, source, name, now_ms);
	(void)count(g, BY_NAME, source, name, now_ms);
	if (g->crowded_ms > now_ms)
		g->crowd_full_ms = charge(&crowd_limit, g->crowd_full_ms, now_ms);
	pthread_mutex_unlock(&g->lock);
	return is_first;
}

unsigned credential_guard_certificate_pause_s(struct credential_guard *g, const uint8_t digest[static SHA256_SIZE])
{
	char name[2 * SHA256_SIZE + 1];
	int64_t pause;

	hex_print(bytes_of(digest, SHA256_SIZE), name);
	pthread_mutex_lock(&g->lock);
	pause = pause_by(g, BY_CERTIFICATE, NULL, name, clock_mono_ms());
	pthread_mutex_unlock(&g->lock);
	return to_seconds(pause);
}

bool credential_guard_certificate_failed(struct credential_guard *g, const char *source,
					 const uint8_t digest[static SHA256_SIZE])
{
	char name[2 * SHA256_SIZE + 1];
	int64_t now_ms = clock_mono_ms();
	bool is_first;

	hex_print(bytes_of(digest, SHA256_SIZE), name);
	pthread_mutex_lock(&g->lock);
	is_first = count(g, CERTIFICATES_BY_SOURCE, source, NULL, now_ms);
	(void)count(g, BY_CERTIFICATE, NULL, name, now_ms);
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

/* Under the hash of the store too: another password for the user makes the old one unknown. And of one network: from
 * elsewhere a guess that is right costs what a wrong one costs. */
static bool make_mac(const struct credential_guard *g, const struct guarded_password *p, uint8_t *mac)
{
	char address[IP_TEXT_SIZE];
	uint8_t key[SHA256_SIZE], place[SHA256_SIZE];
	bool ok;

	print_source(p->source, address);
	ok = secret_mac(bytes_of(g->key, sizeof(g->key)), bytes_of_str(address), place) == 0 &&
	     secret_mac(bytes_of(place, sizeof(place)), bytes_of(p->hash, PASSWORD_HASH_SIZE), key) == 0 &&
	     secret_mac(bytes_of(key, sizeof(key)), p->password, mac) == 0;
	explicit_bzero(key, sizeof(key));
	return ok;
}

bool credential_guard_knows(struct credential_guard *g, const struct guarded_password *p)
{
	uint8_t mac[SHA256_SIZE];
	struct known *k = NULL;

	if (!make_mac(g, p, mac))
		return false;
	pthread_mutex_lock(&g->lock);
	/* Else the memory would answer guesses as fast as they come. */
	if (pause_by(g, BY_SOURCE_AND_NAME, p->source, p->name, clock_mono_ms()) == 0)
		HASH_FIND(hh, g->known, mac, SHA256_SIZE, k);
	pthread_mutex_unlock(&g->lock);
	return k != NULL;
}

void credential_guard_remember(struct credential_guard *g, const struct guarded_password *p)
{
	struct known *k = calloc(1, sizeof(*k)), *found = NULL;

	if (!k || !make_mac(g, p, k->mac)) {
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
