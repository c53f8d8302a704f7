/* Rows of certificates that were made elsewhere, and of those that are removed for ever.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_import.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/store_int.h"
#include "core/x509/certificate.h"

#define PURGE_MAX 500

/* ---- import ---- */

struct pending_key_read {
	const char *ca;
	struct bytes spki_hash;
	unsigned n;
	int64_t id;
};

static int find_pending_key(struct db_conn *conn, void *arg)
{
	struct pending_key_read *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT count(*), coalesce(max(id), 0) FROM requests INDEXED BY requests_state WHERE state=9"
			  " AND spki_hash=? AND ca=? COLLATE NOCASE AND server_key=0",
			  DB_BLOB(q->spki_hash), DB_TEXT(q->ca));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		q->n = (unsigned)db_col_int(rows, 0);
		q->id = db_col_int(rows, 1);
		e = 0;
	}
	return e;
}

int store_find_pending_key(struct ca_core *core, const char *ca, const uint8_t spki_hash[static SHA256_SIZE],
			   unsigned *n, int64_t *id)
{
	struct pending_key_read q = { .ca = ca, .spki_hash = bytes_of(spki_hash, SHA256_SIZE) };
	int e = db_read_one(core->db, find_pending_key, &q);

	*n = q.n;
	*id = q.id;
	return e;
}

struct import_write {
	struct ca *ca;
	const struct store_import *import;
	enum ca_action action;
	enum ca_state state;
	uint8_t spki_hash[SHA256_SIZE], key[SHA256_SIZE], nothing[SHA256_SIZE];
	int64_t now_ms;
};

static int insert_row(struct db_conn *conn, const struct import_write *w)
{
	const struct store_import *i = w->import;
	const struct ca_request *r = i->r;

	return db_run(conn,
		      "INSERT INTO requests(id, state, version, ca, protocol, endpoint, profile, requester,"
		      " intermediary, evidence, received_ms, submitted_ms, first_seen_ms, resolved_ms, retry_after_s,"
		      " collect_ms, csr, csr_hash, spki_hash, names_key, asked_subject, subject, raw_attributes,"
		      " transaction_key, key_until_ms, status, reason, rule, trace, serial, key_id, crl_partition,"
		      " not_before_s, not_after_s, template_s, edited, key_type, key_bits, any_scope)"
		      " VALUES(?,?,1,?,'import','import','import',?,'import',0,?,?,?,?,0,0,x'',?,?,?,?,?,'',?,0,0,"
		      "'','','',?,?,0,?,?,0,0,'',0,0)",
		      DB_INT(r->id), DB_INT(w->state), DB_TEXT(w->ca->name), DB_TEXT(r->requester), DB_INT(w->now_ms),
		      DB_INT(w->now_ms), DB_INT(w->now_ms), DB_INT(w->now_ms),
		      DB_BLOB(bytes_of(w->nothing, SHA256_SIZE)), DB_BLOB(bytes_of(w->spki_hash, SHA256_SIZE)),
		      DB_BLOB(bytes_of(r->names_key, SHA256_SIZE)), DB_TEXT(i->facts->subject_text),
		      DB_TEXT(i->facts->subject_text), DB_BLOB(bytes_of(w->key, SHA256_SIZE)),
		      DB_BLOB(i->facts->serial), i->key_id ? DB_INT(i->key_id) : DB_NULL,
		      DB_INT(i->facts->not_before_s), DB_INT(i->facts->not_after_s));
}

static int fill_row(struct db_conn *conn, const struct import_write *w)
{
	const struct store_import *i = w->import;
	int e = db_run(conn,
		       "UPDATE requests SET state=?, version=version+1, resolved_ms=?, key_until_ms=?, reason='',"
		       " serial=?, key_id=?, subject=?, not_before_s=?, not_after_s=?"
		       " WHERE id=? AND version=? AND state=9",
		       DB_INT(w->state), DB_INT(w->now_ms), DB_INT(w->now_ms + i->r->collect_ms),
		       DB_BLOB(i->facts->serial), DB_INT(i->key_id), DB_TEXT(i->facts->subject_text),
		       DB_INT(i->facts->not_before_s), DB_INT(i->facts->not_after_s), DB_INT(i->r->id),
		       DB_INT(i->r->version));

	return !e && db_changes(conn) != 1 ? STORE_CHANGED : e;
}

static int insert_certificate(struct db_conn *conn, const struct import_write *w)
{
	const struct imported *f = w->import->facts;

	return db_run(conn,
		      "INSERT INTO certificates(serial, request_id, ca, key_id, certificate, not_before_s, not_after_s,"
		      " issued_ms, crl_partition) VALUES(?,?,?,?,?,?,?,?,0)",
		      DB_BLOB(f->serial), DB_INT(w->import->r->id), DB_TEXT(w->ca->name), DB_INT(w->import->key_id),
		      DB_BLOB(w->import->der), DB_INT(f->not_before_s), DB_INT(f->not_after_s), DB_INT(w->now_ms));
}

static int record_import(struct db_conn *conn, const struct import_write *w, const char *before)
{
	const struct store_import *i = w->import;
	const struct store_issued issued = {
		.certificate = i->der,
		.spki_hash = w->spki_hash,
		.key_id = i->key_id,
		.not_before_s = i->facts->not_before_s,
		.not_after_s = i->facts->not_after_s,
		.ca = w->ca->name,
		.profile = i->r->profile,
		.endpoint = i->r->endpoint ? i->r->endpoint : "import",
	};
	OWNED_BUF detail = BUF_INIT(1u << 20);
	char serial[2 * SERIAL_OCTETS_MAX + 1];
	int e = i->r->lines ? buf_printf(&detail, "%s ", i->r->lines->text) : 0;

	if (!e)
		e = store_print_issued(i->r, &issued, &detail);
	return e ? e : audit_append(conn, &(struct audit_record){ .at_ms = w->now_ms, .actor = i->actor,
								  .action = ca_action_word(w->action),
								  .request_id = i->r->id,
								  .subject = hex_print(i->facts->serial, serial),
								  .before = before, .after = ca_state_word(w->state),
								  .detail = buf_str(&detail), .is_long = true });
}

static int write_import(struct db_conn *conn, void *arg)
{
	const struct import_write *w = arg;
	const struct store_import *i = w->import;
	unsigned events = CA_EVENT_IMPORTED | (i->is_existing ? CA_EVENT_ISSUED : 0);
	int e = i->is_existing ? fill_row(conn, w) : insert_row(conn, w);

	if (!e && !i->is_existing)
		e = store_write_names(conn, i->r);
	if (!e)
		e = insert_certificate(conn, w);
	if (!e)
		e = store_write_lines(conn, i->r->id, i->r->lines);
	if (!e)
		e = record_import(conn, w, i->is_existing ? "pending" : NULL);
	return e ? e : store_write_events(conn, w->ca, i->r->id, events, 0, w->now_ms);
}

int store_import(struct ca *ca, const struct store_import *import)
{
	struct import_write w = { .ca = ca, .import = import, .now_ms = clock_wall_ms(),
				  .action = import->is_foreign ? CA_ACTION_IMPORT_FOREIGN : CA_ACTION_IMPORT };
	int e = ca_state_next(import->is_existing ? CA_STATE_PENDING : 0, w.action, &w.state);

	if (!e)
		e = digest_sha256(import->facts->spki, w.spki_hash);
	if (!e)
		e = digest_sha256(import->der, w.key);
	if (!e)
		e = digest_sha256(bytes_of("", 0), w.nothing);
	if (e)
		return e;
	trace_hold(ca->core->trace);
	e = db_write(ca->core->db, write_import, &w);
	if (!e) {
		trace_event(ca->core->trace, "commit", import->r->id, "\"state\":\"%s\",\"status\":\"imported\"",
			    ca_state_word(w.state));
		core_count(ca->core, w.action);
		store_written(import->r);
	}
	trace_release(ca->core->trace);
	return store_outcome(ca->core, e);
}

static int write_octets(struct db_conn *conn, void *arg)
{
	const struct import_write *w = arg;
	const struct store_import *i = w->import;
	int e = db_run(conn, "UPDATE certificates SET certificate=? WHERE request_id=? AND length(certificate)=0",
		       DB_BLOB(i->der), DB_INT(i->r->id));

	if (!e && db_changes(conn) != 1)
		return STORE_CHANGED;
	if (!e)
		e = db_run(conn, "UPDATE requests SET version=version+1, subject=? WHERE id=? AND version=?",
			   DB_TEXT(i->facts->subject_text), DB_INT(i->r->id), DB_INT(i->r->version));
	if (!e && db_changes(conn) != 1)
		return STORE_CHANGED;
	if (!e)
		e = store_write_lines(conn, i->r->id, i->r->lines);
	return e ? e : record_import(conn, w, ca_state_word(w->state));
}

int store_complete(struct ca *ca, const struct store_import *import)
{
	struct import_write w = { .ca = ca, .import = import, .now_ms = clock_wall_ms(), .state = import->r->state,
				  .action = CA_ACTION_IMPORT };
	int e = digest_sha256(import->facts->spki, w.spki_hash);

	if (!e)
		e = db_write(ca->core->db, write_octets, &w);
	if (!e)
		store_written(import->r);
	return store_outcome(ca->core, e);
}

/* ---- purge ---- */

struct purge {
	const char *select;
	int64_t before;
	struct purge_place after, last;
	const char *actor;
	size_t max;
	int64_t ids[PURGE_MAX];
	size_t n;
	int64_t now_ms;
};

/* Each walks along an index that has in it what ended, in the order in which it did: what lives is not looked at. */
static const char *const selects[] = {
	/* A CRL has to say what is revoked and has not ended, and what ended since it was made (RFC 5280 3.3). */
	[PURGE_CERTIFICATES] =
	"SELECT c.not_after_s, c.request_id FROM certificates c INDEXED BY certificates_not_after"
	" WHERE (c.not_after_s, c.request_id)>(?1, ?2) AND c.not_after_s<?3"
	" AND (c.revoked_ms IS NULL OR c.key_id=0 OR EXISTS(SELECT 1 FROM crls l WHERE l.key_id=c.key_id"
	" AND l.crl_partition=0 AND l.this_update_s>c.not_after_s))"
	" AND NOT EXISTS(SELECT 1 FROM outbox o WHERE o.request_id=c.request_id)"
	" ORDER BY c.not_after_s, c.request_id LIMIT ?4",
	/* What has a serial keeps it from being given again. */
	[PURGE_REQUESTS] =
	"SELECT r.resolved_ms, r.id FROM requests r INDEXED BY requests_failed"
	" WHERE (r.resolved_ms, r.id)>(?1, ?2) AND r.resolved_ms<?3 AND r.state IN (30, 31) AND r.serial IS NULL"
	" AND NOT EXISTS(SELECT 1 FROM certificates c WHERE c.request_id=r.id)"
	" AND NOT EXISTS(SELECT 1 FROM outbox o WHERE o.request_id=r.id)"
	" ORDER BY r.resolved_ms, r.id LIMIT ?4",
	[PURGE_UNREVOKED] =
	"SELECT c.not_after_s, c.request_id FROM certificates c INDEXED BY certificates_not_after"
	" WHERE (c.not_after_s, c.request_id)>(?1, ?2) AND c.not_after_s<?3 AND c.revoked_ms IS NULL"
	" AND NOT EXISTS(SELECT 1 FROM outbox o WHERE o.request_id=c.request_id)"
	" ORDER BY c.not_after_s, c.request_id LIMIT ?4",
};

const char *store_purge_select(enum store_purge what)
{
	return selects[what];
}

static int choose(struct db_conn *conn, void *arg)
{
	struct purge *p = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, p->select, DB_INT(p->after.key), DB_INT(p->after.id), DB_INT(p->before),
			  DB_INT(p->max));

	p->n = 0;
	while (!e && (e = db_next(rows)) == DB_ROW && p->n < p->max) {
		p->last = (struct purge_place){ db_col_int(rows, 0), db_col_int(rows, 1) };
		p->ids[p->n++] = p->last.id;
		e = 0;
	}
	return e;
}

static int remove_one(struct db_conn *conn, int64_t id)
{
	static const char *const statements[] = {
		"DELETE FROM names WHERE request_id=?",      "DELETE FROM attributes WHERE request_id=?",
		"DELETE FROM extensions WHERE request_id=?", "DELETE FROM approvals WHERE request_id=?",
		"DELETE FROM grants WHERE request_id=?",     "DELETE FROM grants WHERE spent_by=?",
		"DELETE FROM timeline WHERE request_id=?",   "DELETE FROM notes WHERE request_id=?",
		"DELETE FROM certificates WHERE request_id=?", "DELETE FROM requests WHERE id=?",
	};
	int e = 0;

	for (size_t i = 0; !e && i < sizeof(statements) / sizeof(*statements); i++)
		e = db_run_values(conn, statements[i], (const struct db_value[]){ DB_NULL, DB_INT(id) }, 1);
	return e;
}

static int purge(struct db_conn *conn, void *arg)
{
	const struct purge *p = arg;
	char detail[160];
	int e = 0;

	for (size_t i = 0; !e && i < p->n; i++)
		e = remove_one(conn, p->ids[i]);
	if (e)
		return e;
	snprintf(detail, sizeof(detail), "rows=%zu first=%lld last=%lld", p->n, (long long)p->ids[0],
		 (long long)p->ids[p->n - 1]);
	return audit_append(conn, &(struct audit_record){ .at_ms = p->now_ms, .actor = p->actor,
							  .action = ca_action_word(CA_ACTION_PURGE),
							  .detail = detail });
}

int store_purge(struct ca_core *core, enum store_purge what, int64_t before_ms, const char *actor, size_t max,
		struct purge_place *after, size_t *n, bool *more)
{
	struct purge p = {
		.select = selects[what],
		.before = what == PURGE_REQUESTS ? before_ms : before_ms / 1000,
		.after = *after,
		.actor = actor,
		.max = max < PURGE_MAX ? max : PURGE_MAX,
		.now_ms = clock_wall_ms(),
	};
	/* Looked for by a reader, since it may take long: what has ended does not come back. */
	int e = db_read_one(core->db, choose, &p);

	trace_hold(core->trace);
	if (!e && p.n)
		e = db_write(core->db, purge, &p);
	for (size_t i = 0; !e && i < p.n; i++) {
		trace_step(core->trace, "purge", p.ids[i]);
		core_count(core, CA_ACTION_PURGE);
	}
	trace_release(core->trace);
	*n = p.n;
	*more = p.n == p.max;
	if (p.n)
		*after = p.last;
	return store_outcome(core, e);
}
