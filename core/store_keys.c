/* The rows of keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_keys.h"

#include "core/base/own.h"
#include "core/submit.h"

#define CERTIFICATE_MAX 65536

void ca_key_row_fini(struct ca_key_row *row)
{
	buf_wipe(&row->sealed);
	buf_fini(&row->spki);
	buf_fini(&row->certificate);
}

struct key_read {
	int64_t id; /* 0: by the others */
	const char *ca;
	enum signer_purpose purpose;
	size_t n;
	struct ca_key_row *out;
};

#define KEY_COLUMNS "SELECT id, position, state, sealed, spki, certificate FROM ca_keys WHERE "

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
	return e ? e : buf_append(&k->out->certificate, db_col_blob(rows, 5));
}

static int load_key(struct db *db, struct key_read *k)
{
	*k->out = (struct ca_key_row){
		.sealed = BUF_INIT(SIGNER_SEALED_MAX),
		.spki = BUF_INIT(SIGNER_SPKI_MAX),
		.certificate = BUF_INIT(CERTIFICATE_MAX),
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

struct key_add {
	const char *ca;
	enum signer_purpose purpose;
	enum ca_key_state state;
	struct bytes sealed, spki, certificate;
	int64_t now_ms;
};

static int add_ca_key(struct db_conn *conn, void *arg)
{
	const struct key_add *k = arg;

	return db_run(conn,
		      "INSERT INTO ca_keys(ca, purpose, position, state, sealed, spki, certificate, created_ms)"
		      " SELECT ?1, ?2, coalesce(max(position) + 1, 0), ?3, ?4, ?5, ?6, ?7 FROM ca_keys"
		      " WHERE ca=?1 AND purpose=?2",
		      DB_TEXT(k->ca), DB_INT(k->purpose), DB_INT(k->state), DB_BLOB(k->sealed), DB_BLOB(k->spki),
		      DB_BLOB(k->certificate), DB_INT(k->now_ms));
}

int store_add_ca_key(struct db *db, const char *ca, enum signer_purpose purpose, enum ca_key_state state,
		     struct bytes sealed, struct bytes spki, struct bytes certificate, int64_t now_ms)
{
	struct key_add k = { ca, purpose, state, sealed, spki, certificate, now_ms };

	return db_write(db, add_ca_key, &k);
}
