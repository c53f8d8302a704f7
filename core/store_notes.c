/* Notes on requests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store.h"

#include "core/base/own.h"

struct note {
	int64_t id, at_ms;
	const char *actor, *text;
};

/* In whatever state the request is: it stays there. */
static int read_state(struct db_conn *conn, int64_t id, const char **word)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT state FROM requests WHERE id=?", DB_INT(id));

	if (!e)
		e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : STORE_CHANGED;
	*word = ca_state_word((enum ca_state)db_col_int(rows, 0));
	return 0;
}

static int add_note(struct db_conn *conn, void *arg)
{
	const struct note *n = arg;
	const char *state = "";
	int e = read_state(conn, n->id, &state);

	if (!e)
		e = db_run(conn, "INSERT INTO notes(request_id, at_ms, actor, text) VALUES(?,?,?,?)", DB_INT(n->id),
		       DB_INT(n->at_ms), DB_TEXT(n->actor), DB_TEXT(n->text));
	if (!e)
		e = db_run(conn, "INSERT INTO timeline(request_id, at_ms, actor, text) VALUES(?,?,?,'note')",
			   DB_INT(n->id), DB_INT(n->at_ms), DB_TEXT(n->actor));
	return e ? e : audit_append(conn, &(struct audit_record){ .at_ms = n->at_ms, .actor = n->actor,
								  .action = "note", .request_id = n->id,
								  .before = state, .after = state });
}

int store_add_note(struct ca_core *core, int64_t id, const char *actor, const char *text, int64_t at_ms)
{
	struct note n = { id, at_ms, actor, text };

	return db_write(core->db, add_note, &n);
}

int store_carry_notes(struct db_conn *conn, int64_t from, int64_t to)
{
	return db_run(conn,
		      "INSERT INTO notes(request_id, at_ms, actor, text) SELECT ?, at_ms, actor, text FROM notes"
		      " WHERE request_id=? ORDER BY id",
		      DB_INT(to), DB_INT(from));
}
