/* The keys of a registration authority that are in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ra_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool gw_ra_is_in_force(const struct gw_ra_key *key, int64_t now_s)
{
	return key->certificate.len && key->not_before_s <= now_s && now_s < key->not_after_s;
}

/* What came before the end is answered after it. */
#define LAST_ANSWERS_S 60

static void drop_key(struct ra_key **key)
{
	gw_ra_key_fini(&(*key)->octets);
	free(*key);
	*key = NULL;
}

int gw_ra_add_key(struct authority *a, struct ra_key *take_key)
{
	struct ra_key *copy = a->n_keys < RA_KEYS_MAX ? malloc(sizeof(*copy)) : NULL;
	unsigned at = a->n_keys;

	if (!copy) {
		gw_ra_key_fini(&take_key->octets);
		return a->n_keys < RA_KEYS_MAX ? -ENOMEM : -ENOSPC;
	}
	*copy = *take_key;
	copy->number = a->last_number++;
	while (at && a->keys[at - 1]->octets.not_before_s > copy->octets.not_before_s)
		at--;
	pthread_mutex_lock(&a->ras->lock);
	memmove(a->keys + at + 1, a->keys + at, (a->n_keys - at) * sizeof(*a->keys));
	a->keys[at] = copy;
	a->n_keys++;
	pthread_mutex_unlock(&a->ras->lock);
	return 0;
}

struct ra_key *gw_ra_newest_key(struct authority *a, int64_t now_s)
{
	for (unsigned i = a->n_keys; i-- > 0;)
		if (gw_ra_is_in_force(&a->keys[i]->octets, now_s))
			return a->keys[i];
	return NULL;
}

int64_t gw_ra_last_end(const struct authority *a, int64_t now_s)
{
	int64_t end_s = a->ended_s <= now_s ? a->ended_s : 0;

	for (unsigned i = 0; i < a->n_keys; i++)
		if (a->keys[i]->octets.not_after_s <= now_s && a->keys[i]->octets.not_after_s > end_s)
			end_s = a->keys[i]->octets.not_after_s;
	return end_s;
}

bool gw_ra_has_key(const struct authority *a, struct bytes spki)
{
	for (unsigned i = 0; i < a->n_keys; i++)
		if (bytes_equal(buf_bytes(&a->keys[i]->octets.spki), spki))
			return true;
	return false;
}

/* One that is of no use any more and that nobody uses; NULL: none. */
static struct ra_key *take_out(struct authority *a, int64_t now_s, bool with_future)
{
	struct ra_key *key = NULL;
	unsigned at;

	pthread_mutex_lock(&a->ras->lock);
	for (at = 0; at < a->n_keys && !key; at++) {
		const struct ra_key *k = a->keys[at];

		if (!k->users && (now_s >= k->octets.not_after_s + LAST_ANSWERS_S ||
				  (with_future && now_s < k->octets.not_before_s)))
			key = a->keys[at];
	}
	if (key) {
		a->n_keys--;
		memmove(a->keys + at - 1, a->keys + at, (a->n_keys + 1 - at) * sizeof(*a->keys));
		if (key->octets.not_after_s <= now_s)
			a->ended_s = key->octets.not_after_s;
	}
	pthread_mutex_unlock(&a->ras->lock);
	return key;
}

void gw_ra_retire_keys(struct authority *a, int64_t now_s, bool with_future)
{
	struct ra_key *key;

	while ((key = take_out(a, now_s, with_future)) != NULL) {
		/* One that is away has forgotten it, or will after a day. */
		if (key->signer)
			(void)signer_unload(a->ras->signer, key->signer);
		drop_key(&key);
	}
}

void gw_ra_drop_keys(struct authority *a)
{
	while (a->n_keys)
		drop_key(&a->keys[--a->n_keys]);
}

struct ra_key *gw_ra_hold_key(struct authority *a, unsigned number)
{
	struct ra_key *key = NULL;

	pthread_mutex_lock(&a->ras->lock);
	for (unsigned i = 0; i < a->n_keys && !key; i++)
		if (a->keys[i]->number == number)
			key = a->keys[i];
	if (key)
		key->users++;
	pthread_mutex_unlock(&a->ras->lock);
	return key;
}

void gw_ra_let_key_go(struct authority *a, struct ra_key *key)
{
	pthread_mutex_lock(&a->ras->lock);
	key->users--;
	pthread_mutex_unlock(&a->ras->lock);
}
