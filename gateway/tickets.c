/* A ring of ticket keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/tickets.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/digest.h"

#define KEYS 3
#define ROTATE_MS (12 * 3600 * (int64_t)1000)

struct gw_tickets {
	pthread_mutex_t lock;
	struct gw_ticket_key keys[KEYS]; /* the newest first */
	unsigned n;
	int64_t since_ms;                /* the newest one's turn */
};

static int add_key(struct gw_tickets *t)
{
	struct gw_ticket_key key;
	int r = random_octets(&key, sizeof(key));

	if (r)
		return r;
	memmove(t->keys + 1, t->keys, (KEYS - 1) * sizeof(key));
	t->keys[0] = key;
	explicit_bzero(&key, sizeof(key));
	if (t->n < KEYS)
		t->n++;
	return 0;
}

int gw_tickets_new(struct gw_tickets **out, int64_t now_ms)
{
	struct gw_tickets *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	t->since_ms = now_ms;
	r = add_key(t);
	if (r)
		gw_tickets_drop(&t);
	else
		*out = t;
	return r;
}

void gw_tickets_drop(struct gw_tickets **tickets)
{
	struct gw_tickets *t = *tickets;

	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	explicit_bzero(t, sizeof(*t));
	free(t);
	*tickets = NULL;
}

/* As many turns as passed, so that no key is accepted for longer because nobody came meanwhile. */
static int rotate(struct gw_tickets *t, int64_t now_ms)
{
	int64_t turns = (now_ms - t->since_ms) / ROTATE_MS, i;
	int r = 0;

	for (i = 0; i < turns && i < KEYS && !r; i++)
		r = add_key(t);
	if (turns > 0 && !r)
		t->since_ms += turns * ROTATE_MS;
	return r;
}

int gw_tickets_get(struct gw_tickets *t, int64_t now_ms, struct gw_ticket_key *out)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = rotate(t, now_ms);
	if (!r)
		*out = t->keys[0];
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int find(const struct gw_tickets *t, const uint8_t name[static 16], struct gw_ticket_key *out)
{
	unsigned i;

	for (i = 0; i < t->n; i++) {
		if (memcmp(t->keys[i].name, name, sizeof(t->keys[i].name)) != 0)
			continue;
		*out = t->keys[i];
		return i ? GW_TICKETS_OLD : 0;
	}
	return GW_TICKETS_UNKNOWN;
}

int gw_tickets_find(struct gw_tickets *t, const uint8_t name[static 16], int64_t now_ms, struct gw_ticket_key *out)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = rotate(t, now_ms);
	if (!r)
		r = find(t, name, out);
	pthread_mutex_unlock(&t->lock);
	return r;
}
