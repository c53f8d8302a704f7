/* A table in the order of use; a write takes its account out of it.
 *
 * Whoever misses an account reads it from the store without the lock, while somebody else may write it. A row that was
 * read before such a write must not be put into the table after it: every write counts `writes` up when it is done,
 * and what was read is kept only when nothing was written meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/account_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <uthash.h>

#include "core/base/own.h"

#define ROW_MAX 262144

struct entry {
	struct known_account known;
	atomic_uint refs; /* the table's and those of requests */
	char *contact, *first_thumbprint, *external, *binding;
	UT_hash_handle hh; /* only while the table holds it */
};

struct account_cache {
	struct acme_store *store;
	unsigned max;
	pthread_mutex_t lock;    /* for the two below */
	struct entry *table;     /* the account not used for the longest comes first */
	unsigned long long writes;
};

static struct entry *entry_of(struct known_account *known)
{
	return (struct entry *)known; /* its first member */
}

static void entry_drop(struct entry **ep)
{
	struct entry *e = *ep;

	*ep = NULL;
	if (!e || atomic_fetch_sub(&e->refs, 1) > 1)
		return;
	jwk_drop(&e->known.key);
	free(e->contact);
	free(e->first_thumbprint);
	free(e->external);
	free(e->binding);
	free(e);
}

void known_account_unref(struct known_account **known)
{
	struct entry *e = *known ? entry_of(*known) : NULL;

	*known = NULL;
	entry_drop(&e);
}

int account_cache_new(struct account_cache **out, struct acme_store *store, unsigned max)
{
	struct account_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	c->store = store;
	c->max = max;
	*out = c;
	return 0;
}

/* Out of the table; with the lock. The caller has the table's reference then. */
static struct entry *take_out(struct account_cache *c, struct entry *e)
{
	HASH_DELETE(hh, c->table, e);
	return e;
}

void account_cache_drop(struct account_cache **cp)
{
	struct account_cache *c = *cp;

	if (!c)
		return;
	while (c->table) {
		struct entry *e = take_out(c, c->table);

		entry_drop(&e);
	}
	pthread_mutex_destroy(&c->lock);
	free(c);
	*cp = NULL;
}

/* Make it the last to be forgotten; with the lock. */
static void touch(struct account_cache *c, struct entry *e)
{
	if (!e->hh.next)
		return;
	HASH_DELETE(hh, c->table, e);
	HASH_ADD(hh, c->table, known.row.id, sizeof(e->known.row.id), e);
}

/* A new reference, or NULL. `*writes`: how many there were by now. */
static struct entry *find(struct account_cache *c, int64_t id, unsigned long long *writes)
{
	struct entry *e;

	pthread_mutex_lock(&c->lock);
	HASH_FIND(hh, c->table, &id, sizeof(id), e);
	if (e) {
		touch(c, e);
		atomic_fetch_add(&e->refs, 1);
	}
	*writes = c->writes;
	pthread_mutex_unlock(&c->lock);
	return e;
}

/* A copy of an absent text is absent. */
static bool copy(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return *out || !text;
}

/* Text and thumbprint of the key are what is stored. */
static int entry_new(struct entry **out, const struct acme_account *row)
{
	OWNED(entry) e = calloc(1, sizeof(*e));
	const char *why = "";
	int outcome;

	if (!e)
		return -ENOMEM;
	atomic_init(&e->refs, 1);
	outcome = jwk_read(&e->known.key, bytes_of_str(row->jwk), &why);
	if (outcome)
		return outcome < 0 ? outcome : -EBADMSG;
	if (!copy(&e->contact, row->contact) || !copy(&e->first_thumbprint, row->first_thumbprint) ||
	    !copy(&e->external, row->external) || !copy(&e->binding, row->binding))
		return -ENOMEM;
	e->known.row = *row;
	e->known.row.jwk = e->known.key->text;
	e->known.row.thumbprint = e->known.key->thumbprint;
	e->known.row.contact = e->contact;
	e->known.row.first_thumbprint = e->first_thumbprint;
	e->known.row.external = e->external;
	e->known.row.binding = e->binding;
	*out = MOVE(e);
	return 0;
}

static int load(struct account_cache *c, int64_t id, struct entry **out)
{
	OWNED(arena) arena = NULL;
	struct acme_account row;
	int e = arena_new(&arena, ROW_MAX);

	if (!e)
		e = acme_store_get_account(c->store, arena, id, &row);
	return e ? e : entry_new(out, &row);
}

/* Keep it, unless it may be out of date or another request kept it first. */
static void keep(struct account_cache *c, struct entry *e, unsigned long long writes)
{
	struct entry *other, *oldest = NULL;

	pthread_mutex_lock(&c->lock);
	HASH_FIND(hh, c->table, &e->known.row.id, sizeof(e->known.row.id), other);
	if (!other && c->writes == writes) {
		atomic_fetch_add(&e->refs, 1);
		HASH_ADD(hh, c->table, known.row.id, sizeof(e->known.row.id), e);
		if (HASH_COUNT(c->table) > c->max)
			oldest = take_out(c, c->table);
	}
	pthread_mutex_unlock(&c->lock);
	entry_drop(&oldest);
}

int account_cache_get(struct account_cache *c, int64_t id, struct known_account **out)
{
	unsigned long long writes;
	struct entry *found = find(c, id, &writes);
	int e = 0;

	if (!found) {
		e = load(c, id, &found);
		if (!e)
			keep(c, found, writes);
	}
	if (!e)
		*out = &found->known;
	return e;
}

/* Also after a write that failed: it may have come through all the same. */
static void forget(struct account_cache *c, int64_t id)
{
	struct entry *e;

	pthread_mutex_lock(&c->lock);
	c->writes++;
	HASH_FIND(hh, c->table, &id, sizeof(id), e);
	if (e)
		(void)take_out(c, e);
	pthread_mutex_unlock(&c->lock);
	entry_drop(&e);
}

int account_cache_set_contact(struct account_cache *c, int64_t id, const char *contact)
{
	int e = acme_store_set_contact(c->store, id, contact);

	forget(c, id);
	return e;
}

int account_cache_set_key(struct account_cache *c, int64_t id, const char *from, const char *jwk,
			  const char *thumbprint)
{
	int e = acme_store_set_key(c->store, id, from, jwk, thumbprint);

	forget(c, id);
	return e;
}

int account_cache_deactivate(struct account_cache *c, int64_t id)
{
	int e = acme_store_deactivate_account(c->store, id);

	forget(c, id);
	return e;
}
