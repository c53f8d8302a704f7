/* The schema, accounts, and writing of orders.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/store_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/own.h"

#define APPLICATION_ID 0x47484143 /* "GHAC" */
#define SWEEP_ROWS 500
#define LIVE_MAX 2048 /* some 8 KB each */

static const char *const migrations[] = {
	"CREATE TABLE account ("
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"	status INTEGER NOT NULL,"
	"	jwk TEXT NOT NULL,"
	"	thumbprint TEXT NOT NULL UNIQUE,"
	"	contact TEXT NOT NULL,"
	"	terms_s INTEGER NOT NULL,"
	"	created_s INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE authz ("
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"	name TEXT NOT NULL UNIQUE,"
	"	account INTEGER NOT NULL REFERENCES account(id),"
	"	kind INTEGER NOT NULL,"
	"	value TEXT NOT NULL,"
	"	status INTEGER NOT NULL,"
	"	expires_s INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX authz_by_identifier ON authz(account, value, kind, status);"
	"CREATE INDEX authz_by_expiry ON authz(expires_s);"
	"CREATE TABLE challenge ("
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"	name TEXT NOT NULL UNIQUE,"
	"	authz INTEGER NOT NULL REFERENCES authz(id) ON DELETE CASCADE,"
	"	type TEXT NOT NULL,"
	"	token TEXT NOT NULL,"
	"	status INTEGER NOT NULL,"
	"	validated_s INTEGER NOT NULL DEFAULT 0,"
	"	address TEXT,"
	"	error TEXT"
	") STRICT;"
	"CREATE INDEX challenge_by_authz ON challenge(authz);"
	"CREATE TABLE orders ("
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"	name TEXT NOT NULL UNIQUE,"
	"	account INTEGER NOT NULL REFERENCES account(id),"
	"	status INTEGER NOT NULL,"
	"	created_s INTEGER NOT NULL,"
	"	expires_s INTEGER NOT NULL,"
	"	finalized_s INTEGER NOT NULL DEFAULT 0,"
	"	csr BLOB,"
	"	core_id INTEGER NOT NULL DEFAULT 0,"
	"	error TEXT,"
	"	certificate TEXT UNIQUE,"
	"	pem TEXT"
	") STRICT;"
	"CREATE INDEX orders_by_account ON orders(account, id);"
	"CREATE INDEX orders_open ON orders(account, expires_s) WHERE status IN (1, 3);"
	"CREATE INDEX orders_by_expiry ON orders(expires_s);"
	"CREATE TABLE order_authz ("
	"	order_id INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,"
	"	place INTEGER NOT NULL,"
	"	authz INTEGER NOT NULL REFERENCES authz(id),"
	"	PRIMARY KEY (order_id, place)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX order_authz_by_authz ON order_authz(authz);",
	"ALTER TABLE orders ADD COLUMN to_collect INTEGER NOT NULL DEFAULT 0;",
	/* What finalize brings is twenty times as large as the order: in its row it would tear the row's page apart. */
	"CREATE TABLE result ("
	"	order_id INTEGER PRIMARY KEY REFERENCES orders(id) ON DELETE CASCADE,"
	"	csr BLOB,"
	"	pem TEXT"
	") STRICT;"
	"INSERT INTO result(order_id, csr, pem) SELECT id, csr, pem FROM orders WHERE csr IS NOT NULL;"
	"ALTER TABLE orders DROP COLUMN csr;"
	"ALTER TABLE orders DROP COLUMN pem;",
	"ALTER TABLE account ADD COLUMN first_thumbprint TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE account ADD COLUMN external TEXT;"
	"ALTER TABLE account ADD COLUMN binding TEXT;"
	"UPDATE account SET first_thumbprint=thumbprint;"
	/* Names and bindings of an account go by its first key: once replaced, it makes no other account. */
	"CREATE UNIQUE INDEX account_first ON account(first_thumbprint);",
	/* The core was told that it is no more. */
	"ALTER TABLE account ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX account_to_withdraw ON account(id) WHERE status=6 AND withdrawn=0;",
	NULL,
};

const char *acme_status_word(enum acme_status status)
{
	static const char *const words[] = {
		[ACME_PENDING] = "pending", [ACME_READY] = "ready",     [ACME_PROCESSING] = "processing",
		[ACME_VALID] = "valid",     [ACME_INVALID] = "invalid", [ACME_DEACTIVATED] = "deactivated",
		[ACME_EXPIRED] = "expired",
	};

	return words[status];
}

int acme_store_open(struct acme_store **out, const char *path, char *why, size_t why_size)
{
	OWNED(acme_store) s = calloc(1, sizeof(*s));
	struct db_options options = {
		.path = path,
		.application_id = APPLICATION_ID,
		.migrations = migrations,
	};
	int e;

	if (!s)
		return -ENOMEM;
	snprintf(why, why_size, "no memory");
	e = live_new(&s->live, LIVE_MAX);
	if (!e)
		e = db_open(&s->db, &options, why, why_size);
	if (e)
		return e;
	*out = MOVE(s);
	return 0;
}

void acme_store_drop(struct acme_store **s)
{
	if (!*s)
		return;
	db_drop(&(*s)->db);
	live_drop(&(*s)->live);
	free(*s);
	*s = NULL;
}

/* Names are random and numbers come from the database: a constraint that says no is a bug here, not an outcome. */
static int no_conflict(int e)
{
	return e == DB_CONFLICT ? -EIO : e;
}

/* Accounts. */

struct account_add {
	const struct acme_account *account;
	int64_t now_s;
	int64_t id;
};

static int account_add(struct db_conn *conn, void *arg)
{
	struct account_add *w = arg;
	const struct acme_account *a = w->account;
	int e = db_run(conn,
		       "INSERT INTO account(status, jwk, thumbprint, first_thumbprint, contact, terms_s, created_s,"
		       " external, binding) VALUES(?,?,?,?,?,?,?,?,?)",
		       DB_INT(a->status), DB_TEXT(a->jwk), DB_TEXT(a->thumbprint), DB_TEXT(a->thumbprint),
		       DB_TEXT(a->contact), DB_INT(a->terms_s), DB_INT(w->now_s), DB_TEXT(a->external),
		       DB_TEXT(a->binding));

	w->id = e ? 0 : db_last_id(conn);
	return e;
}

int acme_store_add_account(struct acme_store *s, const struct acme_account *account, int64_t now_s, int64_t *id)
{
	struct account_add w = { .account = account, .now_s = now_s };
	int e = db_write(s->db, account_add, &w);

	if (e == DB_CONFLICT)
		return ACME_STORE_EXISTS;
	*id = w.id;
	return e;
}

struct contact_set {
	int64_t account;
	const char *contact;
};

static int contact_set(struct db_conn *conn, void *arg)
{
	struct contact_set *w = arg;

	return db_run(conn, "UPDATE account SET contact=? WHERE id=?", DB_TEXT(w->contact), DB_INT(w->account));
}

int acme_store_set_contact(struct acme_store *s, int64_t account, const char *contact)
{
	return no_conflict(db_write(s->db, contact_set, &(struct contact_set){ account, contact }));
}

struct key_set {
	int64_t account;
	const char *from, *jwk, *thumbprint;
};

/* Of two changes at once one is late. */
static int key_set(struct db_conn *conn, void *arg)
{
	struct key_set *w = arg;
	int e = db_run(conn, "UPDATE account SET jwk=?, thumbprint=? WHERE id=? AND thumbprint=? AND status=4",
		       DB_TEXT(w->jwk), DB_TEXT(w->thumbprint), DB_INT(w->account), DB_TEXT(w->from));

	return e || db_changes(conn) == 1 ? e : ACME_STORE_LATE;
}

int acme_store_set_key(struct acme_store *s, int64_t account, const char *from, const char *jwk,
		       const char *thumbprint)
{
	int e = db_write(s->db, key_set, &(struct key_set){ account, from, jwk, thumbprint });

	return e == DB_CONFLICT ? ACME_STORE_EXISTS : e;
}

static int account_deactivate(struct db_conn *conn, void *arg)
{
	return db_run(conn, "UPDATE account SET status=6 WHERE id=?", DB_INT(*(const int64_t *)arg));
}

int acme_store_deactivate_account(struct acme_store *s, int64_t account)
{
	return no_conflict(db_write(s->db, account_deactivate, &account));
}

struct ended {
	struct arena *arena;
	struct acme_account *account;
};

static int find_ended(struct db_conn *conn, void *arg)
{
	struct ended *f = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT id, first_thumbprint FROM account WHERE status=6 AND withdrawn=0 ORDER BY id"
			  " LIMIT 1");

	if (!e && (e = db_next(rows)) == DB_ROW) {
		f->account->id = db_col_int(rows, 0);
		f->account->first_thumbprint = arena_strdup(f->arena, db_col_text(rows, 1));
		e = f->account->first_thumbprint ? 0 : -ENOMEM;
	}
	return e;
}

int acme_store_find_ended(struct acme_store *s, struct arena *arena, struct acme_account *account)
{
	account->id = 0;
	return db_read_one(s->db, find_ended, &(struct ended){ arena, account });
}

static int account_withdrawn(struct db_conn *conn, void *arg)
{
	return db_run(conn, "UPDATE account SET withdrawn=1 WHERE id=?", DB_INT(*(const int64_t *)arg));
}

int acme_store_account_withdrawn(struct acme_store *s, int64_t account)
{
	return no_conflict(db_write(s->db, account_withdrawn, &account));
}

/* Orders. */

struct order_add {
	const struct acme_order *order;
	struct arena *arena;
	int64_t now_s, reuse_s;
	int64_t open_max;
	int64_t id;               /* of the order that was made */
	struct acme_authz *authz; /* its authorizations, as they are in the database then */
};

static int authz_add(struct db_conn *conn, struct acme_authz *authz)
{
	struct acme_challenge *c = &authz->challenge;
	int e = db_run(conn, "INSERT INTO authz(name, account, kind, value, status, expires_s) VALUES(?,?,?,?,?,?)",
		       DB_TEXT(authz->name), DB_INT(authz->account), DB_INT(authz->kind), DB_TEXT(authz->value),
		       DB_INT(authz->status), DB_INT(authz->expires_s));

	if (e)
		return e;
	authz->id = db_last_id(conn);
	e = db_run(conn, "INSERT INTO challenge(name, authz, type, token, status) VALUES(?,?,?,?,?)",
		   DB_TEXT(c->name), DB_INT(authz->id), DB_TEXT(c->type), DB_TEXT(c->token), DB_INT(c->status));
	c->id = e ? 0 : db_last_id(conn);
	return e;
}

/* One that is there already, or the one that was made for this order. */
static int authz_take(struct db_conn *conn, struct order_add *w, size_t place)
{
	const struct acme_authz *fresh = &w->order->authz[place];
	int e = ACME_STORE_NONE;

	if (w->reuse_s < INT64_MAX)
		e = acme_store_find_valid(conn, w->arena, fresh, w->reuse_s, &w->authz[place]);
	if (e == ACME_STORE_NONE) {
		w->authz[place] = *fresh;
		e = authz_add(conn, &w->authz[place]);
	}
	return e;
}

#define COUNT_OPEN "SELECT count(*) FROM orders WHERE account=? AND expires_s>? AND status IN (1, 3)"
#define CAN_END_WELL \
	" AND (status=3 OR NOT EXISTS (SELECT 1 FROM order_authz o JOIN authz a ON a.id=o.authz" \
	" WHERE o.order_id=orders.id AND (a.status NOT IN (1, 4) OR a.expires_s<=?)))"

/* An order with an authorization that is lost is invalid and takes no room. Looking at authorizations is dear, so that
 * is done only for an account that seems to have no room left. */
static int has_room(struct db_conn *conn, const struct order_add *w, bool *room)
{
	struct db_value values[] = { DB_NULL, DB_INT(w->order->account), DB_INT(w->now_s), DB_INT(w->now_s) };
	int e = 0;

	*room = false;
	for (size_t n = 2; n <= 3 && !e && !*room; n++) {
		OWNED(db_rows) rows = NULL;

		e = db_select_values(conn, &rows, n == 2 ? COUNT_OPEN : COUNT_OPEN CAN_END_WELL, values, n);
		if (!e)
			e = db_next(rows);
		*room = e == DB_ROW && db_col_int(rows, 0) < w->open_max;
		e = e < 0 ? e : 0;
	}
	return e;
}

static int order_add(struct db_conn *conn, void *arg)
{
	struct order_add *w = arg;
	const struct acme_order *o = w->order;
	bool room;
	int e = has_room(conn, w, &room);

	if (e || !room)
		return e ? e : ACME_STORE_FULL;
	e = db_run(conn, "INSERT INTO orders(name, account, status, created_s, expires_s) VALUES(?,?,?,?,?)",
		   DB_TEXT(o->name), DB_INT(o->account), DB_INT(ACME_PENDING), DB_INT(w->now_s),
		   DB_INT(o->expires_s));
	w->id = e ? 0 : db_last_id(conn);
	for (size_t i = 0; i < o->n_authz && !e; i++) {
		e = authz_take(conn, w, i);
		if (!e)
			e = db_run(conn, "INSERT INTO order_authz(order_id, place, authz) VALUES(?,?,?)",
				   DB_INT(w->id), DB_INT(i), DB_INT(w->authz[i].id));
	}
	return e;
}

int acme_store_add_order(struct acme_store *s, struct arena *a, struct acme_order *order, int64_t now_s,
			 unsigned open_max, int64_t reuse_s)
{
	struct order_add w = {
		.order = order,
		.arena = a,
		.now_s = now_s,
		.reuse_s = reuse_s,
		.open_max = open_max,
		.authz = arena_alloc(a, order->n_authz * sizeof(*w.authz)),
	};
	int e;

	if (!w.authz)
		return -ENOMEM;
	live_add_begins(s->live, order->name);
	e = no_conflict(db_write(s->db, order_add, &w));
	if (!e) {
		order->id = w.id;
		order->created_s = now_s;
		order->authz = w.authz;
	}
	live_order_added(s->live, !e, order);
	return e;
}

/* What finalize made of an order, as one of the statements below writes it. */
struct order_result {
	const struct acme_order *order;
	const char *pem;
	bool is_written; /* the order was still open */
};

static int write_result(struct acme_store *s, db_fn *fn, const struct acme_order *order, const char *pem)
{
	struct order_result w = { .order = order, .pem = pem };
	int e;

	live_write_begins(s->live, order->name);
	e = no_conflict(db_write(s->db, fn, &w));
	live_order_written(s->live, !e && w.is_written, order, pem);
	return e;
}

/* Behind the UPDATE of the order, which said `e`. */
static int keep_octets(struct db_conn *conn, struct order_result *w, int e)
{
	w->is_written = !e && db_changes(conn) == 1;
	if (!w->is_written)
		return e;
	return db_run(conn,
		      "INSERT INTO result(order_id, csr, pem) VALUES(?,?,?)"
		      " ON CONFLICT DO UPDATE SET csr=excluded.csr, pem=excluded.pem",
		      DB_INT(w->order->id), DB_BLOB(w->order->csr), DB_TEXT(w->pem));
}

static int order_processing(struct db_conn *conn, void *arg)
{
	struct order_result *w = arg;
	const struct acme_order *o = w->order;
	int e = db_run(conn, "UPDATE orders SET status=3, finalized_s=?, core_id=? WHERE id=? AND status IN (1, 3)",
		       DB_INT(o->finalized_s), DB_INT(o->core_id), DB_INT(o->id));

	return keep_octets(conn, w, e);
}

int acme_store_set_processing(struct acme_store *s, const struct acme_order *order)
{
	return write_result(s, order_processing, order, NULL);
}

static int order_invalid(struct db_conn *conn, void *arg)
{
	struct order_result *w = arg;
	const struct acme_order *o = w->order;
	int e = db_run(conn,
		       "UPDATE orders SET status=5, error=?, finalized_s=?, core_id=?"
		       " WHERE id=? AND status IN (1, 3)",
		       DB_TEXT(o->error), DB_INT(o->finalized_s), DB_INT(o->core_id), DB_INT(o->id));

	return keep_octets(conn, w, e);
}

int acme_store_set_invalid(struct acme_store *s, const struct acme_order *order)
{
	return write_result(s, order_invalid, order, NULL);
}

static int order_valid(struct db_conn *conn, void *arg)
{
	struct order_result *w = arg;
	const struct acme_order *o = w->order;
	int e = db_run(conn,
		       "UPDATE orders SET status=4, certificate=?, finalized_s=?, core_id=?, to_collect=?"
		       " WHERE id=? AND status IN (1, 3)",
		       DB_TEXT(o->certificate), DB_INT(o->finalized_s), DB_INT(o->core_id), DB_INT(o->to_collect),
		       DB_INT(o->id));

	return keep_octets(conn, w, e);
}

int acme_store_set_valid(struct acme_store *s, const struct acme_order *order, const char *pem)
{
	return write_result(s, order_valid, order, pem);
}

static int order_collected(struct db_conn *conn, void *arg)
{
	return db_run(conn, "UPDATE orders SET to_collect=0 WHERE name=?", DB_TEXT((const char *)arg));
}

int acme_store_set_collected(struct acme_store *s, const char *name)
{
	int e;

	live_write_begins(s->live, name);
	e = no_conflict(db_write(s->db, order_collected, (void *)(uintptr_t)name));
	live_order_collected(s->live, !e, name);
	return e;
}

/* Challenges and authorizations. */

struct authz_write {
	const struct acme_authz *authz;
	bool is_written; /* it was as it had to be */
};

static int write_authz(struct acme_store *s, db_fn *fn, const struct acme_authz *authz)
{
	struct authz_write w = { .authz = authz };
	int e;

	live_write_begins(s->live, authz->name);
	e = no_conflict(db_write(s->db, fn, &w));
	live_authz_written(s->live, !e && w.is_written, authz);
	return e;
}

static int challenge_set(struct db_conn *conn, void *arg)
{
	struct authz_write *w = arg;
	const struct acme_authz *a = w->authz;
	const struct acme_challenge *c = &a->challenge;
	bool is_final = c->status == ACME_VALID || c->status == ACME_INVALID;
	int e = db_run(conn,
		       "UPDATE challenge SET status=?, validated_s=?, address=?, error=?"
		       " WHERE id=? AND status IN (1, 3)"
		       " AND (SELECT status FROM authz WHERE authz.id=challenge.authz)=1",
		       DB_INT(c->status), DB_INT(c->validated_s), DB_TEXT(c->address), DB_TEXT(c->error),
		       DB_INT(c->id));

	w->is_written = db_changes(conn) == 1;
	if (e || !is_final)
		return e;
	return db_run(conn, "UPDATE authz SET status=?, expires_s=? WHERE id=? AND status=1", DB_INT(c->status),
		      DB_INT(a->expires_s), DB_INT(a->id));
}

int acme_store_set_challenge(struct acme_store *s, const struct acme_authz *authz)
{
	return write_authz(s, challenge_set, authz);
}

static int authz_deactivate(struct db_conn *conn, void *arg)
{
	struct authz_write *w = arg;
	int e = db_run(conn, "UPDATE authz SET status=6 WHERE id=? AND status IN (1, 4)", DB_INT(w->authz->id));

	w->is_written = db_changes(conn) == 1;
	return e;
}

int acme_store_deactivate_authz(struct acme_store *s, const struct acme_authz *authz)
{
	return write_authz(s, authz_deactivate, authz);
}

/* Housekeeping. */

/* Behind (expires_s, id) of the last authorization that was looked at. */
struct page {
	int64_t expires_s, id;
	size_t n;
};

struct sweep {
	int64_t now_s, before_s;
	struct page from;
	struct page last; /* of this page; n: how many it has */
	bool more;
};

#define AUTHZ_PAGE \
	"SELECT id, expires_s FROM authz WHERE expires_s<? AND expires_s>=? AND (expires_s>? OR id>?)" \
	" ORDER BY expires_s, id LIMIT ?"
#define AUTHZ_PAGE_VALUES(w) \
	DB_INT((w)->now_s), DB_INT((w)->from.expires_s), DB_INT((w)->from.expires_s), DB_INT((w)->from.id), \
		DB_INT(SWEEP_ROWS)

static int find_page_end(struct db_conn *conn, struct sweep *w)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, AUTHZ_PAGE, AUTHZ_PAGE_VALUES(w));

	w->last = (struct page){ 0 };
	while (!e && (e = db_next(rows)) == DB_ROW) {
		w->last = (struct page){ db_col_int(rows, 1), db_col_int(rows, 0), w->last.n + 1 };
		e = 0;
	}
	return e;
}

/* Expired authorizations stay as long as an order names them. There may be very many of those, and this is the thread
 * that all writing waits for, so each sweep looks at one page of them and the next sweep goes on behind it. */
static int sweep_authz(struct db_conn *conn, struct sweep *w)
{
	int e = find_page_end(conn, w);

	if (!e)
		e = db_run(conn,
			   "DELETE FROM authz WHERE id IN (SELECT id FROM (" AUTHZ_PAGE "))"
			   " AND NOT EXISTS (SELECT 1 FROM order_authz WHERE authz=authz.id)",
			   AUTHZ_PAGE_VALUES(w));
	if (!e && w->last.n == SWEEP_ROWS && db_changes(conn) > 0)
		w->more = true;
	return e;
}

static int sweep(struct db_conn *conn, void *arg)
{
	struct sweep *w = arg;
	int e = db_run(conn,
		       "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE expires_s<? ORDER BY expires_s"
		       " LIMIT ?)",
		       DB_INT(w->before_s), DB_INT(SWEEP_ROWS));

	w->more = !e && db_changes(conn) == SWEEP_ROWS;
	return e ? e : sweep_authz(conn, w);
}

int acme_store_sweep(struct acme_store *s, int64_t now_s, int64_t before_s, bool *more)
{
	struct sweep w = { .now_s = now_s, .before_s = before_s, .from = { s->swept_s, s->swept_id, 0 } };
	int e = no_conflict(db_write(s->db, sweep, &w));

	*more = w.more;
	if (e)
		return e;
	live_forget_expired(s->live, before_s);
	s->swept_s = w.last.n == SWEEP_ROWS ? w.last.expires_s : 0;
	s->swept_id = w.last.n == SWEEP_ROWS ? w.last.id : 0;
	return 0;
}
