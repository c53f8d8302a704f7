/* How many connections each client address has.
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
	struct gw_peer_key key;
	unsigned n;
	UT_hash_handle hh;
};

struct gw_peers {
	pthread_mutex_t lock;
	unsigned limit;
	struct peer *all;
};

int gw_peers_new(struct gw_peers **out, unsigned limit)
{
	struct gw_peers *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->limit = limit;
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

	HASH_FIND(hh, p->all, key, sizeof(*key), found);
	if (!found && (found = calloc(1, sizeof(*found)))) {
		found->key = *key;
		HASH_ADD(hh, p->all, key, sizeof(*key), found);
	}
	return found;
}

bool gw_peers_enter(struct gw_peers *p, const struct sockaddr *address, struct gw_peer_key *key)
{
	struct peer *found;
	bool may = true;

	memset(key, 0, sizeof(*key));
	if (!p->limit)
		return true;
	make_key(address, key);
	pthread_mutex_lock(&p->lock);
	found = find_or_add(p, key);
	if (found)
		may = ++found->n <= p->limit;
	else
		memset(key, 0, sizeof(*key));
	pthread_mutex_unlock(&p->lock);
	return may;
}

void gw_peers_leave(struct gw_peers *p, struct gw_peer_key *key)
{
	static const struct gw_peer_key none;
	struct peer *found;

	if (memcmp(key, &none, sizeof(none)) == 0)
		return;
	pthread_mutex_lock(&p->lock);
	HASH_FIND(hh, p->all, key, sizeof(*key), found);
	if (found && --found->n == 0) {
		HASH_DEL(p->all, found);
		free(found);
	}
	pthread_mutex_unlock(&p->lock);
	*key = none;
}
