/* The rows of keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_keys.h"

#include <stdio.h>

#include "core/audit.h"
#include "core/base/own.h"
#include "core/submit.h"

#define CERTIFICATE_MAX 65536
#define CA_NAME_MAX 1024

void ca_key_row_fini(struct ca_key_row *row)
{
	buf_fini(&row->ca);
	buf_wipe(&row->sealed);
	buf_fini(&row->spki);
	buf_fini(&row->certificate);
	buf_fini(&row->issuers);
	buf_fini(&row->request);
}

struct key_read {
	int64_t id; /* 0: by the others */
	const char *ca;
	enum signer_purpose purpose;
	size_t n;
	struct ca_key_row *out;
};

#define KEY_COLUMNS "SELECT id, position, state, sealed, spki, certificate, issuers, request, ca FROM ca_keys WHERE "

static int select_key(struct db_conn *conn, struct db_rows **rows, const struct key_read *k)
{
	if (k->id)
		return db_select(conn, rows, KEY_COLUMNS "id=?", DB_INT(k->id));
	return db_select(conn, rows, KEY_COLUMNS "ca=? AND purpose=? ORDER BY position LIMIT 1 OFFSET ?",
			 DB_TEXT(k->ca), DB_INT(k->purpose), DB_INT(k->n));
}

static int read_key(struct db_conn *conn, void *arg)
{
	struct key_read *k = arg;
	OWNED(db_rows) rows = NULL;
	int e = select_key(conn, &rows, k);

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	k->out->id = db_col_int(rows, 0);
	k->out->position = (unsigned)db_col_int(rows, 1);
	k->out->state = (enum ca_key_state)db_col_int(rows, 2);
	e = buf_append(&k->out->sealed, db_col_blob(rows, 3));
	if (!e)
		e = buf_append(&k->out->spki, db_col_blob(rows, 4));
	if (!e)
		e = buf_append(&k->out->certificate, db_col_blob(rows, 5));
	if (!e)
		e = buf_append(&k->out->issuers, db_col_blob(rows, 6));
	if (!e)
		e = buf_append(&k->out->request, db_col_blob(rows, 7));
	return e ? e : buf_append_str(&k->out->ca, db_col_text(rows, 8));
}

static int load_key(struct db *db, struct key_read *k)
{
	*k->out = (struct ca_key_row){
		.ca = BUF_INIT(CA_NAME_MAX),
		.sealed = BUF_INIT(SIGNER_SEALED_MAX),
		.spki = BUF_INIT(SIGNER_SPKI_MAX),
		.certificate = BUF_INIT(CERTIFICATE_MAX),
		.issuers = BUF_INIT(CERTIFICATE_MAX),
		.request = BUF_INIT(CERTIFICATE_MAX),
	};
	return db_read(db, read_key, k);
}

int store_load_ca_key(struct db *db, const char *ca, enum signer_purpose purpose, size_t n, struct ca_key_row *out)
{
	return load_key(db, &(struct key_read){ .ca = ca, .purpose = purpose, .n = n, .out = out });
}

int store_get_ca_key(struct db *db, int64_t id, struct ca_key_row *out)
{
	return load_key(db, &(struct key_read){ .id = id, .out = out });
}

static int has_ca_keys(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT 1 FROM ca_keys LIMIT 1");

	if (!e && (e = db_next(rows)) == DB_ROW) {
		*(bool *)arg = true;
		e = 0;
	}
	return e;
}

int store_has_ca_keys(struct db *db, bool *answer)
{
	*answer = false;
	return db_read(db, has_ca_keys, answer);
}

/* What is absent is empty: a column that is never NULL. */
static struct db_value blob(struct bytes octets)
{
	return DB_BLOB(octets.ptr ? octets : bytes_of("", 0));
}

static int insert_key(struct db_conn *conn, const struct ca_key_change *c)
{
	return db_run(
		conn,
		"INSERT INTO ca_keys(ca, purpose, position, state, sealed, spki, certificate, issuers, request,"
		" created_ms) SELECT ?1, ?2, coalesce(max(position) + 1, 0), ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM ca_keys"
		" WHERE ca=?1 AND purpose=?2",
		DB_TEXT(c->ca), DB_INT(c->purpose), DB_INT(c->state), blob(c->sealed), blob(c->spki),
		blob(c->certificate), blob(c->issuers), blob(c->request), DB_INT(c->now_ms));
}

static int add_key(struct db_conn *conn, void *arg)
{
	return insert_key(conn, arg);
}

int store_add_ca_key(struct db *db, const char *ca, enum signer_purpose purpose, enum ca_key_state state,
		     struct bytes sealed, struct bytes spki, struct bytes certificate, int64_t now_ms)
{
	struct ca_key_change c = { .ca = ca, .purpose = purpose, .state = state, .sealed = sealed, .spki = spki,
				   .certificate = certificate, .now_ms = now_ms };

	return db_write(db, add_key, &c);
}

/* ---- a step in the life of a CA ---- */

static int set_certificate(struct db_conn *conn, const struct ca_key_change *c)
{
	int e = db_run(conn, "UPDATE ca_keys SET state=?, certificate=?, issuers=? WHERE id=? AND state=?",
		       DB_INT(c->state), blob(c->certificate), blob(c->issuers), DB_INT(c->row),
		       DB_INT(CA_KEY_WAITING));

	return !e && db_changes(conn) != 1 ? DB_CONFLICT : e;
}

static int retire(struct db_conn *conn, int64_t id)
{
	int e = db_run(conn, "UPDATE ca_keys SET state=? WHERE id=? AND state=?", DB_INT(CA_KEY_OLD), DB_INT(id),
		       DB_INT(CA_KEY_CURRENT));

	return !e && db_changes(conn) != 1 ? DB_CONFLICT : e;
}

static int insert_cross(struct db_conn *conn, int64_t key, int64_t by, struct bytes certificate)
{
	if (!certificate.len)
		return 0;
	return db_run(conn, "INSERT INTO ca_crosses(key_id, by_key_id, certificate) VALUES(?,?,?)", DB_INT(key),
		      DB_INT(by), DB_BLOB(certificate));
}

static const char *state_word(enum ca_key_state state)
{
	return state == CA_KEY_WAITING ? "waiting" : state == CA_KEY_CURRENT ? "current" : "old";
}

static int append_record(struct db_conn *conn, const struct ca_key_change *c, int64_t key)
{
	char detail[96];

	if (c->retires)
		snprintf(detail, sizeof(detail), "key=%lld retires=%lld", (long long)key, (long long)c->retires);
	else
		snprintf(detail, sizeof(detail), "key=%lld", (long long)key);
	return audit_append(conn, &(struct audit_record){.at_ms = c->now_ms,
							 .actor = c->actor,
							 .action = c->action,
							 .subject = c->ca,
							 .before = c->row ? state_word(CA_KEY_WAITING) : NULL,
							 .after = state_word(c->state),
							 .detail = detail});
}

static int change_key(struct db_conn *conn, void *arg)
{
	const struct ca_key_change *c = arg;
	int e = c->retires ? retire(conn, c->retires) : 0;
	int64_t key = c->row;

	if (!e)
		e = c->row ? set_certificate(conn, c) : insert_key(conn, c);
	if (e)
		return e;
	if (!c->row)
		key = db_last_id(conn);
	e = insert_cross(conn, key, c->retires, c->new_with_old);
	if (!e)
		e = insert_cross(conn, c->retires, key, c->old_with_new);
	return e ? e : append_record(conn, c, key);
}

int store_change_ca_key(struct db *db, const struct ca_key_change *change)
{
	return db_write(db, change_key, (void *)(uintptr_t)change);
}

struct cross_read {
	const char *ca;
	size_t n;
	struct ca_cross_row *out;
};

static int read_cross(struct db_conn *conn, void *arg)
{
	struct cross_read *c = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(
		conn, &rows,
		"SELECT x.key_id, x.by_key_id, x.certificate FROM ca_crosses x JOIN ca_keys k ON k.id=x.key_id"
		" WHERE k.ca=? ORDER BY x.key_id, x.by_key_id LIMIT 1 OFFSET ?",
		DB_TEXT(c->ca), DB_INT(c->n));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	c->out->key_id = db_col_int(rows, 0);
	c->out->by_key_id = db_col_int(rows, 1);
	return buf_append(&c->out->certificate, db_col_blob(rows, 2));
}

int store_load_ca_cross(struct db *db, const char *ca, size_t n, struct ca_cross_row *out)
{
	struct cross_read c = { ca, n, out };

	*out = (struct ca_cross_row){ .certificate = BUF_INIT(CERTIFICATE_MAX) };
	return db_read(db, read_cross, &c);
}
