/* Rows of OCSP.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_ocsp.h"

#include <stdio.h>

#include "core/audit.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* ---- what is known of a serial ---- */

struct status_read {
	struct bytes serial;
	struct store_status *out;
};

/* A row that has a serial and no certificate is one that is being issued, unless it ended. */
static int read_status(struct db_conn *conn, void *arg)
{
	struct status_read *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT 1, key_id, revoked_ms, revoked_reason FROM certificates WHERE serial=?1"
			  " UNION ALL SELECT 0, state, NULL, NULL FROM requests WHERE serial=?1 LIMIT 1",
			  DB_BLOB(q->serial));

	*q->out = (struct store_status){ .kind = STORE_STATUS_NONE };
	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e;
	if (!db_col_int(rows, 0)) {
		if (db_col_int(rows, 1) != CA_STATE_ERROR && db_col_int(rows, 1) != CA_STATE_DENIED)
			q->out->kind = STORE_STATUS_PLANNED;
		return 0;
	}
	*q->out = (struct store_status){ .kind = STORE_STATUS_ISSUED, .key_id = db_col_int(rows, 1) };
	if (!db_col_is_null(rows, 2)) {
		q->out->kind = STORE_STATUS_REVOKED;
		q->out->revoked_ms = db_col_int(rows, 2);
		q->out->reason = (int)db_col_int(rows, 3);
	}
	return 0;
}

int store_get_status(struct ca_core *core, struct bytes serial, struct store_status *out)
{
	struct status_read q = { serial, out };

	return db_read_one(core->db, read_status, &q);
}

/* ---- responders ---- */

void ocsp_responder_row_fini(struct ocsp_responder_row *row)
{
	buf_wipe(&row->sealed);
	buf_fini(&row->spki);
	buf_fini(&row->tbs);
	buf_fini(&row->certificate);
}

static int read_responder(struct db_conn *conn, void *arg)
{
	struct ocsp_responder_row *row = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT id, serial, not_before_s, not_after_s, sealed, spki, tbs, certificate"
			  " FROM ocsp_responders WHERE key_id=? ORDER BY id DESC LIMIT 1",
			  DB_INT(row->key_id));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	row->id = db_col_int(rows, 0);
	if (db_col_blob(rows, 1).len == SERIAL_SIZE)
		memcpy(row->serial, db_col_blob(rows, 1).ptr, SERIAL_SIZE);
	row->not_before_s = db_col_int(rows, 2);
	row->not_after_s = db_col_int(rows, 3);
	e = buf_append(&row->sealed, db_col_blob(rows, 4));
	if (!e)
		e = buf_append(&row->spki, db_col_blob(rows, 5));
	if (!e)
		e = buf_append(&row->tbs, db_col_blob(rows, 6));
	return e ? e : buf_append(&row->certificate, db_col_blob(rows, 7));
}

int store_load_responder(struct ca_core *core, int64_t key_id, struct ocsp_responder_row *out)
{
	*out = OCSP_RESPONDER_ROW_INIT;
	out->key_id = key_id;
	return db_read_one(core->db, read_responder, out);
}

struct responder_write {
	const struct ocsp_responder_row *row;
	const struct ca_key *key;
	int64_t now_ms, id;
};

static int plan_responder(struct db_conn *conn, void *arg)
{
	struct responder_write *w = arg;
	const struct ocsp_responder_row *row = w->row;
	int e = db_run(conn,
		       "INSERT INTO ocsp_responders(key_id, serial, not_before_s, not_after_s, sealed, spki, tbs,"
		       " made_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		       DB_INT(row->key_id), DB_BLOB(bytes_of(row->serial, SERIAL_SIZE)), DB_INT(row->not_before_s),
		       DB_INT(row->not_after_s), DB_BLOB(buf_bytes(&row->sealed)), DB_BLOB(buf_bytes(&row->spki)),
		       DB_BLOB(buf_bytes(&row->tbs)), DB_INT(w->now_ms));

	w->id = db_last_id(conn);
	return e ? e : db_run(conn, "UPDATE ocsp_responders SET sealed=x'' WHERE key_id=? AND not_after_s<?",
			      DB_INT(row->key_id), DB_INT(w->now_ms / 1000));
}

int store_plan_responder(struct ca_core *core, struct ocsp_responder_row *row, int64_t now_ms)
{
	struct responder_write w = { .row = row, .now_ms = now_ms };
	int e = db_write(core->db, plan_responder, &w);

	row->id = w.id;
	return e == DB_CONFLICT ? STORE_DUPLICATE : e;
}

static int add_responder(struct db_conn *conn, void *arg)
{
	const struct responder_write *w = arg;
	char serial[2 * SERIAL_SIZE + 1], until[CLOCK_TEXT_SIZE], detail[256];
	int e = db_run(conn, "UPDATE ocsp_responders SET certificate=? WHERE id=?",
		       DB_BLOB(buf_bytes(&w->row->certificate)), DB_INT(w->row->id));

	snprintf(detail, sizeof(detail), "ca=\"%.120s\" key=%u not-after=%s", w->key->ca->name, w->key->index,
		 clock_print_s(w->row->not_after_s, until));
	return e ? e : audit_append(conn, &(struct audit_record){
		.at_ms = w->now_ms,
		.actor = "core",
		.action = "issue-responder",
		.subject = hex_print(bytes_of(w->row->serial, SERIAL_SIZE), serial),
		.after = "issued",
		.detail = detail,
	});
}

int store_add_responder(struct ca_core *core, const struct ca_key *key, const struct ocsp_responder_row *row,
			int64_t now_ms)
{
	struct responder_write w = { .row = row, .key = key, .now_ms = now_ms };

	return db_write(core->db, add_responder, &w);
}
