/* Rows of revocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_revoke.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/store_int.h"

#define SERIAL_TEXT_SIZE (2 * SERIAL_OCTETS_MAX + 1)

/* ---- reading ---- */

struct serial_read {
	struct bytes serial;
	int64_t id;
};

static int find_serial(struct db_conn *conn, void *arg)
{
	struct serial_read *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT request_id FROM certificates WHERE serial=?", DB_BLOB(q->serial));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	q->id = db_col_int(rows, 0);
	return 0;
}

int store_find_serial(struct ca_core *core, struct bytes serial, int64_t *id)
{
	struct serial_read q = { .serial = serial };
	int e = db_read_one(core->db, find_serial, &q);

	*id = q.id;
	return e;
}

struct blocked_read {
	struct bytes spki_hash;
	bool answer;
};

static int is_blocked(struct db_conn *conn, void *arg)
{
	struct blocked_read *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT 1 FROM blocked_keys WHERE spki_hash=?", DB_BLOB(q->spki_hash));

	q->answer = false;
	if (!e && (e = db_next(rows)) == DB_ROW) {
		q->answer = true;
		e = 0;
	}
	return e;
}

int store_is_key_blocked(struct ca_core *core, const uint8_t spki_hash[static SHA256_SIZE], bool *answer)
{
	struct blocked_read q = { .spki_hash = bytes_of(spki_hash, SHA256_SIZE) };
	int e = db_read_one(core->db, is_blocked, &q);

	*answer = q.answer;
	return e;
}

static int count_blocked(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT count(*) FROM blocked_keys");

	if (!e && (e = db_next(rows)) == DB_ROW) {
		*(int64_t *)arg = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

int store_count_blocked_keys(struct ca_core *core, int64_t *n)
{
	return db_read_one(core->db, count_blocked, n);
}

/* ---- writing ---- */

static int move_request(struct db_conn *conn, const struct revoke_rows *w, enum ca_state *next)
{
	int e = ca_state_next(w->from, w->action, next);

	if (!e)
		e = db_run(conn,
			   "UPDATE requests SET state=?1, version=version+1 WHERE id=?2 AND state=?3"
			   " AND (version=?4 OR ?4=0)",
			   DB_INT(*next), DB_INT(w->request_id), DB_INT(w->from), DB_INT(w->version));
	return !e && db_changes(conn) != 1 ? STORE_CHANGED : e;
}

static int mark_certificate(struct db_conn *conn, const struct revoke_rows *w, char serial[static SERIAL_TEXT_SIZE])
{
	bool is_revoked = w->action != CA_ACTION_RELEASE;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "UPDATE certificates SET revoked_ms=?, revoked_reason=? WHERE request_id=? RETURNING serial",
			  is_revoked ? DB_INT(w->effective_ms) : DB_NULL, is_revoked ? DB_INT(w->reason) : DB_NULL,
			  DB_INT(w->request_id));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : STORE_CHANGED;
	if (db_col_blob(rows, 0).len > SERIAL_OCTETS_MAX)
		return -EBADMSG;
	hex_print(db_col_blob(rows, 0), serial);
	e = db_next(rows);
	return e == DB_ROW ? -EBADMSG : e;
}

/* It stays blocked when the reason is changed later, and when the row is purged. */
static int block_key(struct db_conn *conn, const struct revoke_rows *w)
{
	return db_run(conn,
		      "INSERT OR IGNORE INTO blocked_keys(spki_hash, since_ms, serial)"
		      " SELECT q.spki_hash, ?, c.serial FROM requests q JOIN certificates c ON c.request_id=q.id"
		      " WHERE q.id=?",
		      DB_INT(w->now_ms), DB_INT(w->request_id));
}

/* The date first: whoever reads it finds it before any text of a client. */
static int record_revocation(struct db_conn *conn, const struct revoke_rows *w, const char *serial, enum ca_state next)
{
	char date[CLOCK_TEXT_SIZE], detail[AUDIT_TEXT_MAX + 1];
	const char *text = w->detail ? w->detail : "";

	if (w->action == CA_ACTION_RELEASE)
		snprintf(detail, sizeof(detail), "%s", text);
	else
		snprintf(detail, sizeof(detail), "date=%s %s", clock_print_ms(w->effective_ms, date), text);
	return audit_append(conn, &(struct audit_record){ .at_ms = w->now_ms, .actor = w->actor,
							  .action = ca_action_word(w->action),
							  .request_id = w->request_id, .subject = serial,
							  .before = ca_state_word(w->from),
							  .after = ca_state_word(next), .detail = detail });
}

int revoke_write(struct db_conn *conn, struct ca *ca, const struct revoke_rows *w)
{
	char serial[SERIAL_TEXT_SIZE];
	enum ca_state next;
	int e = move_request(conn, w, &next);

	if (!e)
		e = mark_certificate(conn, w, serial);
	if (!e && w->reason == CA_REASON_KEY_COMPROMISE)
		e = block_key(conn, w);
	if (!e)
		e = db_run(conn,
			   "INSERT INTO crl_changes(ca, n) VALUES(?, 1) ON CONFLICT DO UPDATE SET n=n+1",
			   DB_TEXT(ca->name));
	/* Whoever revokes does not want the next submission to be issued unseen. */
	if (!e && w->action != CA_ACTION_RELEASE)
		e = db_run(conn, "DELETE FROM grants WHERE request_id=? AND spent_by IS NULL", DB_INT(w->request_id));
	if (!e)
		e = record_revocation(conn, w, serial, next);
	return e ? e : store_write_events(conn, ca, w->request_id, CA_EVENT_REVOKED, w->reason, w->now_ms);
}

struct revoke_write {
	struct ca *ca;
	const struct store_revocation *revocation;
	int64_t now_ms;
};

static int write_revocation(struct db_conn *conn, void *arg)
{
	const struct revoke_write *w = arg;
	const struct ca_request *r = w->revocation->r;
	const struct revoke_rows rows = {
		.request_id = r->id,
		.version = r->version,
		.action = w->revocation->action,
		.from = r->state,
		.reason = w->revocation->reason,
		.effective_ms = w->revocation->effective_ms,
		.now_ms = w->now_ms,
		.actor = w->revocation->actor,
		.detail = r->lines ? r->lines->text : NULL,
	};
	int e = revoke_write(conn, w->ca, &rows);

	return e ? e : store_write_lines(conn, r->id, r->lines);
}

static void became(struct ca *ca, const struct store_revocation *v)
{
	struct ca_request *r = v->r;
	bool is_revoked = v->action != CA_ACTION_RELEASE;

	r->version++;
	store_written(r);
	(void)request_move(r, v->action); /* legal: it was written */
	r->revoked_ms = is_revoked ? v->effective_ms : 0;
	r->revoked_reason = is_revoked ? v->reason : 0;
	if (v->reason == CA_REASON_KEY_COMPROMISE)
		ca->core->has_blocked_keys = true;
	trace_event(ca->core->trace, "commit", r->id, "\"state\":\"%s\",\"status\":\"\",\"reason\":\"%s\"",
		    ca_state_word(r->state), ca_reason_word(v->reason));
	core_count(ca->core, v->action);
}

int store_revoke(struct ca *ca, const struct store_revocation *revocation)
{
	struct revoke_write w = { ca, revocation, clock_wall_ms() };
	int e;

	trace_hold(ca->core->trace);
	e = db_write(ca->core->db, write_revocation, &w);
	if (!e)
		became(ca, revocation);
	trace_release(ca->core->trace);
	return store_outcome(ca->core, e);
}
