/* What each client address may do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/peers.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

struct peer {
	uint8_t octets[16];
	unsigned n;
	UT_hash_handle hh;
};

#define BLAMED_MAX 1024
#define FORGIVEN 3 /* cuts before the first pause */

struct blamed {
	uint8_t octets[16];
	int64_t until_ms; /* one pause for each cut that is not forgiven yet; in the past: none */
};

struct gw_peers {
	pthread_mutex_t lock;
	unsigned limit;
	int64_t pause_ms;
	struct peer *all;
	int64_t blamed_until_ms; /* of all: who asks later need not look */
	struct blamed blamed[BLAMED_MAX];
};

int gw_peers_new(struct gw_peers **out, unsigned limit, unsigned pause_ms)
{
	struct gw_peers *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->limit = limit;
	p->pause_ms = pause_ms;
	*out = p;
	return 0;
}

void gw_peers_drop(struct gw_peers **pp)
{
	struct peer *each, *next;

	if (!*pp)
		return;
	HASH_ITER (hh, (*pp)->all, each, next) {
		HASH_DEL((*pp)->all, each);
		free(each);
	}
	pthread_mutex_destroy(&(*pp)->lock);
	free(*pp);
	*pp = NULL;
}

/* IPv4 as ::ffff:a.b.c.d, also when it came in over an IPv6 socket; IPv6 cut to 64 bits. */
static void make_key(const struct sockaddr *address, struct gw_peer_key *key)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memset(key, 0, sizeof(*key));
	if (address->sa_family == AF_INET) {
		memcpy(key->octets, mapped, sizeof(mapped));
		memcpy(key->octets + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		const uint8_t *octets = ((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr;

		memcpy(key->octets, octets, memcmp(octets, mapped, sizeof(mapped)) == 0 ? 16 : 8);
	}
}

static struct peer *find_or_add(struct gw_peers *p, const struct gw_peer_key *key)
{
	struct peer *found;

	HASH_FIND(hh, p->all, key->octets, sizeof(key->octets), found);
	if (!found && (found = calloc(1, sizeof(*found)))) {
		memcpy(found->octets, key->octets, sizeof(found->octets));
		HASH_ADD(hh, p->all, octets, sizeof(found->octets), found);
	}
	return found;
}

/* Connections of the address, this one too; 0 when there is no memory to count it. */
static unsigned count(struct gw_peers *p, struct gw_peer_key *key)
{
	struct peer *found = find_or_add(p, key);

	key->is_counted = found != NULL;
	return found ? ++found->n : 0;
}

/* The place of the address, or the one that it may take. */
static struct blamed *find_blamed(struct gw_peers *p, const struct gw_peer_key *key)
{
	struct blamed *place = &p->blamed[0];
	size_t i;

	for (i = 0; i < BLAMED_MAX; i++) {
		if (memcmp(p->blamed[i].octets, key->octets, sizeof(key->octets)) == 0)
			return &p->blamed[i];
		if (p->blamed[i].until_ms < place->until_ms)
			place = &p->blamed[i];
	}
	return place;
}

static bool is_paused(struct gw_peers *p, const struct gw_peer_key *key, int64_t now_ms)
{
	const struct blamed *b;

	if (now_ms >= p->blamed_until_ms)
		return false;
	b = find_blamed(p, key);
	return memcmp(b->octets, key->octets, sizeof(key->octets)) == 0 &&
	       b->until_ms - now_ms > (FORGIVEN - 1) * p->pause_ms;
}

int gw_peers_enter(struct gw_peers *p, const struct sockaddr *address, int64_t now_ms, struct gw_peer_key *key)
{
	int r = 0;

	make_key(address, key);
	pthread_mutex_lock(&p->lock);
	if (is_paused(p, key, now_ms))
		r = GW_PEERS_PAUSED;
	else if (p->limit && count(p, key) > p->limit)
		r = GW_PEERS_FULL;
	pthread_mutex_unlock(&p->lock);
	return r;
}

void gw_peers_leave(struct gw_peers *p, struct gw_peer_key *key)
{
	struct peer *found;

	if (!key->is_counted)
		return;
	key->is_counted = false;
	pthread_mutex_lock(&p->lock);
	HASH_FIND(hh, p->all, key->octets, sizeof(key->octets), found);
	if (found && --found->n == 0) {
		HASH_DEL(p->all, found);
		free(found);
	}
	pthread_mutex_unlock(&p->lock);
}

/* What was cut while the address is paused, because it was open before, does not make the pause longer. */
static bool blame(struct gw_peers *p, const struct gw_peer_key *key, int64_t now_ms)
{
	bool was_paused = is_paused(p, key, now_ms);
	struct blamed *b = find_blamed(p, key);

	if (memcmp(b->octets, key->octets, sizeof(key->octets)) != 0) {
		memcpy(b->octets, key->octets, sizeof(b->octets));
		b->until_ms = now_ms;
	}
	if (b->until_ms < now_ms)
		b->until_ms = now_ms;
	b->until_ms += p->pause_ms;
	if (b->until_ms > now_ms + FORGIVEN * p->pause_ms)
		b->until_ms = now_ms + FORGIVEN * p->pause_ms;
	if (p->blamed_until_ms < b->until_ms)
		p->blamed_until_ms = b->until_ms;
	return !was_paused && is_paused(p, key, now_ms);
}

bool gw_peers_blame(struct gw_peers *p, const struct gw_peer_key *key, int64_t now_ms)
{
	bool begins;

	if (!p->pause_ms)
		return false;
	pthread_mutex_lock(&p->lock);
	begins = blame(p, key, now_ms);
	pthread_mutex_unlock(&p->lock);
	return begins;
}
