/* Reading: one snapshot a call, copied into the caller's arena.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/store_int.h"

#include <errno.h>

#include "core/base/own.h"

/* What a read function gets: what to look for, and where the answer goes. Only one of the outputs is used. */
struct query {
	struct arena *arena;
	const char *text;
	int64_t number, number2;
	int64_t now_s;
	void *out;
	const char **names;
	size_t n;
};

static const char *copy_text(struct query *q, struct db_rows *rows, int column, int *e)
{
	const char *text = db_col_text(rows, column);
	const char *copy = text ? arena_strdup(q->arena, text) : NULL;

	if (text && !copy)
		*e = -ENOMEM;
	return copy;
}

/* The one row of a SELECT: 0, ACME_STORE_NONE, negative. */
static int one_row(struct db_rows *rows)
{
	int e = db_next(rows);

	return e == DB_ROW ? 0 : e == 0 ? ACME_STORE_NONE : e;
}

/* Accounts. */

static int read_account(struct query *q, struct db_rows *rows)
{
	struct acme_account *a = q->out;
	int e = one_row(rows);

	if (e)
		return e;
	*a = (struct acme_account){
		.id = db_col_int(rows, 0),
		.status = (enum acme_status)db_col_int(rows, 1),
		.jwk = copy_text(q, rows, 2, &e),
		.thumbprint = copy_text(q, rows, 3, &e),
		.contact = copy_text(q, rows, 4, &e),
		.terms_s = db_col_int(rows, 5),
		.first_thumbprint = copy_text(q, rows, 6, &e),
		.external = copy_text(q, rows, 7, &e),
		.binding = copy_text(q, rows, 8, &e),
	};
	return e;
}

#define ACCOUNT_COLUMNS \
	"SELECT id, status, jwk, thumbprint, contact, terms_s, first_thumbprint, external, binding FROM account "

static int account_by_id(struct db_conn *conn, void *arg)
{
	struct query *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, ACCOUNT_COLUMNS "WHERE id=?", DB_INT(q->number));

	return e ? e : read_account(q, rows);
}

int acme_store_get_account(struct acme_store *s, struct arena *a, int64_t id, struct acme_account *out)
{
	return db_read(s->db, account_by_id, &(struct query){ .arena = a, .number = id, .out = out });
}

static int account_by_thumbprint(struct db_conn *conn, void *arg)
{
	struct query *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, ACCOUNT_COLUMNS "WHERE thumbprint=?", DB_TEXT(q->text));

	return e ? e : read_account(q, rows);
}

int acme_store_find_account(struct acme_store *s, struct arena *a, const char *thumbprint, struct acme_account *out)
{
	return db_read(s->db, account_by_thumbprint, &(struct query){ .arena = a, .text = thumbprint, .out = out });
}

/* Authorizations. */

#define AUTHZ_COLUMNS \
	"SELECT a.id, a.account, a.name, a.kind, a.value, a.status, a.expires_s," \
	" c.id, c.name, c.type, c.token, c.status, c.validated_s, c.address, c.error" \
	" FROM authz a JOIN challenge c ON c.authz=a.id "

/* What the stored status of an authorization means now. */
static void let_expire(struct acme_authz *a, int64_t now_s)
{
	if (a->expires_s <= now_s && (a->status == ACME_VALID || a->status == ACME_PENDING))
		a->status = a->status == ACME_VALID ? ACME_EXPIRED : ACME_INVALID;
}

/* The row that stands in `rows`. */
static int read_authz(struct query *q, struct db_rows *rows, struct acme_authz *out)
{
	int e = 0;

	*out = (struct acme_authz){
		.id = db_col_int(rows, 0),
		.account = db_col_int(rows, 1),
		.name = copy_text(q, rows, 2, &e),
		.kind = (enum ca_name_kind)db_col_int(rows, 3),
		.value = copy_text(q, rows, 4, &e),
		.status = (enum acme_status)db_col_int(rows, 5),
		.expires_s = db_col_int(rows, 6),
		.challenge = {
			.id = db_col_int(rows, 7),
			.name = copy_text(q, rows, 8, &e),
			.type = copy_text(q, rows, 9, &e),
			.token = copy_text(q, rows, 10, &e),
			.status = (enum acme_status)db_col_int(rows, 11),
			.validated_s = db_col_int(rows, 12),
			.address = copy_text(q, rows, 13, &e),
			.error = copy_text(q, rows, 14, &e),
		},
	};
	let_expire(out, q->now_s);
	return e;
}

static int read_one_authz(struct query *q, struct db_rows *rows)
{
	int e = one_row(rows);

	return e ? e : read_authz(q, rows, q->out);
}

static int authz_by_name(struct db_conn *conn, void *arg)
{
	struct query *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, AUTHZ_COLUMNS "WHERE a.name=?", DB_TEXT(q->text));

	return e ? e : read_one_authz(q, rows);
}

/* By its own name or its challenge's. */
static bool find_live_authz(struct acme_store *s, struct arena *a, const char *name, int64_t now_s,
			    struct acme_authz *out)
{
	bool found = live_get_authz(s->live, a, name, out);

	if (found)
		let_expire(out, now_s);
	return found;
}

int acme_store_get_authz(struct acme_store *s, struct arena *a, const char *name, int64_t now_s,
			 struct acme_authz *out)
{
	if (find_live_authz(s, a, name, now_s, out))
		return strcmp(out->name, name) == 0 ? 0 : ACME_STORE_NONE;
	return db_read(s->db, authz_by_name,
		       &(struct query){ .arena = a, .text = name, .now_s = now_s, .out = out });
}

static int authz_by_challenge(struct db_conn *conn, void *arg)
{
	struct query *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, AUTHZ_COLUMNS "WHERE c.name=?", DB_TEXT(q->text));

	return e ? e : read_one_authz(q, rows);
}

int acme_store_get_challenge(struct acme_store *s, struct arena *a, const char *name, int64_t now_s,
			     struct acme_authz *out)
{
	if (find_live_authz(s, a, name, now_s, out))
		return strcmp(out->challenge.name, name) == 0 ? 0 : ACME_STORE_NONE;
	return db_read(s->db, authz_by_challenge,
		       &(struct query){ .arena = a, .text = name, .now_s = now_s, .out = out });
}

int acme_store_find_valid(struct db_conn *conn, struct arena *a, const struct acme_authz *like, int64_t until_s,
			  struct acme_authz *out)
{
	/* What lives until then is not expired now. */
	struct query q = { .arena = a, .now_s = until_s - 1, .out = out };
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  AUTHZ_COLUMNS "WHERE a.account=? AND a.value=? AND a.kind=? AND a.status=4"
					" AND a.expires_s>=? ORDER BY a.expires_s DESC LIMIT 1",
			  DB_INT(like->account), DB_TEXT(like->value), DB_INT(like->kind), DB_INT(until_s));

	return e ? e : read_one_authz(&q, rows);
}

static int all_valid(struct db_conn *conn, void *arg)
{
	struct query *q = arg;
	struct acme_authz *authz = q->out;
	int e = 0;

	for (size_t i = 0; i < q->n && !e; i++) {
		struct acme_authz like = authz[i];

		e = acme_store_find_valid(conn, q->arena, &like, q->now_s + 1, &authz[i]);
	}
	return e;
}

int acme_store_find_valid_authz(struct acme_store *s, struct arena *a, struct acme_authz *authz, size_t n,
				int64_t now_s)
{
	return db_read(s->db, all_valid, &(struct query){ .arena = a, .now_s = now_s, .out = authz, .n = n });
}

/* Orders. */

/* What the stored status of an order means now (RFC 8555 7.1.6). */
static enum acme_status order_status(const struct acme_order *o, int64_t now_s)
{
	bool all_valid = true;

	if (o->status != ACME_PENDING && o->status != ACME_PROCESSING)
		return o->status;
	if (o->expires_s <= now_s)
		return ACME_INVALID;
	if (o->status == ACME_PROCESSING)
		return ACME_PROCESSING;
	for (size_t i = 0; i < o->n_authz; i++) {
		if (o->authz[i].status != ACME_VALID && o->authz[i].status != ACME_PENDING)
			return ACME_INVALID;
		all_valid = all_valid && o->authz[i].status == ACME_VALID;
	}
	return all_valid ? ACME_READY : ACME_PENDING;
}

static int read_order(struct query *q, struct db_rows *rows, struct acme_order *o)
{
	struct bytes csr;
	int e = one_row(rows);

	if (e)
		return e;
	csr = db_col_blob(rows, 7);
	*o = (struct acme_order){
		.id = db_col_int(rows, 0),
		.account = db_col_int(rows, 1),
		.name = copy_text(q, rows, 2, &e),
		.status = (enum acme_status)db_col_int(rows, 3),
		.expires_s = db_col_int(rows, 4),
		.finalized_s = db_col_int(rows, 5),
		.core_id = db_col_int(rows, 6),
		.error = copy_text(q, rows, 8, &e),
		.certificate = copy_text(q, rows, 9, &e),
		.n_authz = (size_t)db_col_int(rows, 10),
		.to_collect = db_col_int(rows, 11) != 0,
		.created_s = db_col_int(rows, 12),
	};
	if (csr.len > 0) {
		o->csr = arena_copy(q->arena, csr);
		if (!o->csr.ptr)
			e = -ENOMEM;
	}
	o->authz = arena_alloc(q->arena, (o->n_authz + 1) * sizeof(*o->authz));
	return o->authz ? e : -ENOMEM;
}

static int read_order_authz(struct query *q, struct db_conn *conn, struct acme_order *o)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  AUTHZ_COLUMNS "JOIN order_authz o ON o.authz=a.id WHERE o.order_id=? ORDER BY o.place",
			  DB_INT(o->id));

	for (size_t i = 0; i < o->n_authz && !e; i++) {
		e = one_row(rows);
		if (!e)
			e = read_authz(q, rows, &o->authz[i]);
	}
	return e == ACME_STORE_NONE ? -EBADMSG : e;
}

static int order_by_name(struct db_conn *conn, void *arg)
{
	struct query *q = arg;
	struct acme_order *o = q->out;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT id, account, name, status, expires_s, finalized_s, core_id, csr, error,"
			  " certificate, (SELECT count(*) FROM order_authz WHERE order_id=orders.id), to_collect,"
			  " created_s"
			  " FROM orders LEFT JOIN result ON order_id=id WHERE name=?",
			  DB_TEXT(q->text));

	if (!e)
		e = read_order(q, rows, o);
	if (!e)
		e = read_order_authz(q, conn, o);
	if (!e)
		o->status = order_status(o, q->now_s);
	return e;
}

int acme_store_get_order(struct acme_store *s, struct arena *a, const char *name, int64_t now_s,
			 struct acme_order *out)
{
	if (live_get_order(s->live, a, name, out)) {
		for (size_t i = 0; i < out->n_authz; i++)
			let_expire(&out->authz[i], now_s);
		out->status = order_status(out, now_s);
		return 0;
	}
	return db_read(s->db, order_by_name,
		       &(struct query){ .arena = a, .text = name, .now_s = now_s, .out = out });
}

static int orders_of_account(struct db_conn *conn, void *arg)
{
	struct query *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT id, name FROM orders WHERE account=? AND id>? AND"
			  " (status=4 OR (status IN (1, 3) AND expires_s>?)) ORDER BY id LIMIT ?",
			  DB_INT(q->number), DB_INT(q->number2), DB_INT(q->now_s), DB_INT(ACME_ORDERS_PAGE));
	int64_t last = 0;

	q->n = 0;
	while (!e && (e = db_next(rows)) == DB_ROW) {
		e = 0;
		last = db_col_int(rows, 0);
		q->names[q->n++] = copy_text(q, rows, 1, &e);
	}
	*(int64_t *)q->out = q->n == ACME_ORDERS_PAGE ? last : 0;
	return e;
}

int acme_store_list_orders(struct acme_store *s, struct arena *a, int64_t account, int64_t after, int64_t now_s,
			   const char *names[static ACME_ORDERS_PAGE], size_t *n, int64_t *last)
{
	struct query q = {
		.arena = a,
		.number = account,
		.number2 = after,
		.now_s = now_s,
		.names = names,
		.out = last,
	};
	int e = db_read(s->db, orders_of_account, &q);

	*n = q.n;
	return e;
}

/* Certificates. */

static int certificate_by_name(struct db_conn *conn, void *arg)
{
	struct query *q = arg;
	struct acme_certificate *cert = q->out;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT name, account, core_id, to_collect, pem FROM orders JOIN result ON order_id=id"
			  " WHERE certificate=?",
			  DB_TEXT(q->text));

	if (!e)
		e = one_row(rows);
	if (e)
		return e;
	*cert = (struct acme_certificate){
		.order = copy_text(q, rows, 0, &e),
		.account = db_col_int(rows, 1),
		.core_id = db_col_int(rows, 2),
		.to_collect = db_col_int(rows, 3) != 0,
		.pem = arena_copy(q->arena, bytes_of_str(db_col_text(rows, 4))),
	};
	return e || !cert->pem.ptr ? -ENOMEM : 0;
}

int acme_store_get_certificate(struct acme_store *s, struct arena *a, const char *name, struct acme_certificate *out)
{
	if (live_take_certificate(s->live, a, name, out))
		return 0;
	return db_read(s->db, certificate_by_name, &(struct query){ .arena = a, .text = name, .out = out });
}
