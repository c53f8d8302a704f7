/* A table in the order of making; each order lives in an arena of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/live.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#define KEY_SIZE (ACME_ORDER_NAME_SIZE - 1)
#define AUTHZ_MAX 10          /* an order with more is read from the database */
#define ENTRY_MAX (64 * 1024) /* octets of an order and everything in it */

struct entry {
	struct arena *arena; /* of this too */
	struct acme_order order;
	const char *pem;     /* NULL: no certificate */
	bool is_added;       /* false: only its name is here yet */
	unsigned writing;    /* writes under way */
	bool is_doubtful;    /* two met: which was last only the database knows */
	UT_hash_handle hh;
};

struct live {
	unsigned max;
	pthread_mutex_t lock;
	struct entry *table;
};

int live_new(struct live **out, unsigned max)
{
	struct live *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->max = max;
	*out = l;
	return 0;
}

static void entry_drop(struct entry *e)
{
	struct arena *arena = e->arena;

	arena_drop(&arena);
}

/* With the lock. */
static void forget(struct live *l, struct entry *e)
{
	HASH_DELETE(hh, l->table, e);
	entry_drop(e);
}

void live_drop(struct live **lp)
{
	struct live *l = *lp;

	if (!l)
		return;
	while (l->table)
		forget(l, l->table);
	pthread_mutex_destroy(&l->lock);
	free(l);
	*lp = NULL;
}

/* ---- copies: what came by value gets strings of its own ---- */

static bool own(struct arena *a, const char **text)
{
	if (*text)
		*text = arena_strdup(a, *text);
	return *text != NULL;
}

static bool own_if_any(struct arena *a, const char **text)
{
	return !*text || own(a, text);
}

static bool own_authz(struct arena *a, struct acme_authz *z)
{
	struct acme_challenge *c = &z->challenge;

	return own(a, &z->name) && own(a, &z->value) && own(a, &c->name) && own(a, &c->type) && own(a, &c->token) &&
	       own_if_any(a, &c->address) && own_if_any(a, &c->error);
}

/* What finalize writes. */
static bool own_result(struct arena *a, struct acme_order *o)
{
	if (o->csr.len > 0) {
		o->csr = arena_copy(a, o->csr);
		if (!o->csr.ptr)
			return false;
	}
	return own_if_any(a, &o->error) && own_if_any(a, &o->certificate);
}

static bool own_order(struct arena *a, struct acme_order *o)
{
	const struct acme_authz *from = o->authz;
	bool ok = own(a, &o->name) && own_result(a, o);

	o->authz = ok ? arena_alloc(a, o->n_authz * sizeof(*o->authz)) : NULL;
	ok = o->authz != NULL;
	for (size_t i = 0; i < o->n_authz && ok; i++) {
		o->authz[i] = from[i];
		ok = own_authz(a, &o->authz[i]);
	}
	return ok;
}

/* ---- finding; with the lock ---- */

/* Added or not. */
static struct entry *find_any(struct live *l, const char *name)
{
	struct entry *e = NULL;

	if (strnlen(name, KEY_SIZE) == KEY_SIZE)
		HASH_FIND(hh, l->table, name, KEY_SIZE, e);
	return e;
}

static struct entry *find(struct live *l, const char *name)
{
	struct entry *e = find_any(l, name);

	return e && e->is_added ? e : NULL;
}

static struct acme_authz *find_authz(struct live *l, const char *name)
{
	struct entry *e = find(l, name);

	for (size_t i = 0; e && i < e->order.n_authz; i++) {
		struct acme_authz *z = &e->order.authz[i];

		if (strcmp(z->name, name) == 0 || strcmp(z->challenge.name, name) == 0)
			return z;
	}
	return NULL;
}

/* ---- in ---- */

static bool is_kept(const struct acme_order *o)
{
	for (size_t i = 0; i < o->n_authz; i++)
		if (strncmp(o->authz[i].name, o->name, KEY_SIZE) != 0)
			return false;
	return o->n_authz <= AUTHZ_MAX;
}

static struct entry *entry_new(const char *name)
{
	struct arena *arena = NULL;
	struct entry *e;

	if (strlen(name) != KEY_SIZE || arena_new(&arena, ENTRY_MAX))
		return NULL;
	e = arena_alloc(arena, sizeof(*e));
	if (e)
		*e = (struct entry){ .arena = arena, .order.name = name, .writing = 1 };
	if (e && own(arena, &e->order.name))
		return e;
	arena_drop(&arena);
	return NULL;
}

void live_add_begins(struct live *l, const char *name)
{
	struct entry *e = entry_new(name);

	if (!e)
		return;
	pthread_mutex_lock(&l->lock);
	if (HASH_COUNT(l->table) >= l->max)
		forget(l, l->table);
	HASH_ADD_KEYPTR(hh, l->table, e->order.name, KEY_SIZE, e);
	pthread_mutex_unlock(&l->lock);
}

/* ---- out ---- */

bool live_get_order(struct live *l, struct arena *a, const char *name, struct acme_order *out)
{
	struct entry *e;
	bool found;

	pthread_mutex_lock(&l->lock);
	e = find(l, name);
	found = e && strcmp(e->order.name, name) == 0;
	if (found) {
		*out = e->order;
		found = own_order(a, out);
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

bool live_get_authz(struct live *l, struct arena *a, const char *name, struct acme_authz *out)
{
	struct acme_authz *z;
	bool found;

	pthread_mutex_lock(&l->lock);
	z = find_authz(l, name);
	found = z != NULL;
	if (found) {
		*out = *z;
		found = own_authz(a, out);
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

bool live_take_certificate(struct live *l, struct arena *a, const char *name, struct acme_certificate *out)
{
	struct entry *e;
	bool found;

	pthread_mutex_lock(&l->lock);
	e = find(l, name);
	found = e && e->pem && strcmp(e->order.certificate, name) == 0;
	if (found) {
		*out = (struct acme_certificate){
			.order = e->order.name,
			.account = e->order.account,
			.core_id = e->order.core_id,
			.to_collect = e->order.to_collect,
			.pem = arena_copy(a, bytes_of_str(e->pem)),
		};
		found = own(a, &out->order) && out->pem.ptr;
		forget(l, e);
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

/* ---- writes ---- */

void live_write_begins(struct live *l, const char *name)
{
	struct entry *e;

	pthread_mutex_lock(&l->lock);
	e = find_any(l, name);
	if (e && e->writing++ > 0)
		e->is_doubtful = true;
	pthread_mutex_unlock(&l->lock);
}

/* With the lock: the entry that the write is to be applied to, if what is kept can follow it. A write that began before
 * the entry was made may have been committed before what the entry says or behind it. */
static struct entry *end_write(struct live *l, bool is_written, const char *name)
{
	struct entry *e = find_any(l, name);
	bool has_begun = e && e->writing > 0;

	if (has_begun)
		e->writing--;
	if (e && (!has_begun || !is_written || e->is_doubtful)) {
		forget(l, e);
		return NULL;
	}
	return e;
}

void live_order_added(struct live *l, bool is_written, const struct acme_order *order)
{
	struct entry *e;

	pthread_mutex_lock(&l->lock);
	e = end_write(l, is_written && is_kept(order), order->name);
	if (e) {
		e->order = *order; /* the key stays where it is, in the arena */
		e->is_added = true;
		if (!own_order(e->arena, &e->order))
			forget(l, e);
	}
	pthread_mutex_unlock(&l->lock);
}

static bool apply_result(struct entry *e, const struct acme_order *from, const char *pem)
{
	struct acme_order *o = &e->order;

	o->status = from->status;
	o->finalized_s = from->finalized_s;
	o->csr = from->csr;
	o->core_id = from->core_id;
	o->error = from->error;
	o->certificate = from->certificate;
	o->to_collect = from->to_collect;
	e->pem = pem;
	return own_result(e->arena, o) && own_if_any(e->arena, &e->pem);
}

void live_order_written(struct live *l, bool is_written, const struct acme_order *order, const char *pem)
{
	struct entry *e;

	pthread_mutex_lock(&l->lock);
	e = end_write(l, is_written, order->name);
	if (e && !apply_result(e, order, pem))
		forget(l, e);
	pthread_mutex_unlock(&l->lock);
}

void live_authz_written(struct live *l, bool is_written, const struct acme_authz *authz)
{
	struct acme_authz *z;
	struct entry *e;

	pthread_mutex_lock(&l->lock);
	e = end_write(l, is_written, authz->name);
	z = e ? find_authz(l, authz->name) : NULL;
	if (z) {
		*z = *authz;
		if (!own_authz(e->arena, z))
			forget(l, e);
	}
	pthread_mutex_unlock(&l->lock);
}

void live_order_collected(struct live *l, bool is_written, const char *name)
{
	struct entry *e;

	pthread_mutex_lock(&l->lock);
	e = end_write(l, is_written, name);
	if (e)
		e->order.to_collect = false;
	pthread_mutex_unlock(&l->lock);
}

void live_forget_expired(struct live *l, int64_t before_s)
{
	struct entry *e, *next;

	pthread_mutex_lock(&l->lock);
	HASH_ITER(hh, l->table, e, next)
		if (e->order.expires_s < before_s)
			forget(l, e);
	pthread_mutex_unlock(&l->lock);
}
