/* Reading the core's rows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/own.h"

struct load {
	int64_t id;
	struct ca_request *r;
};

static char *copy_text(struct ca_request *r, struct db_rows *rows, int column)
{
	const char *s = db_col_text(rows, column);

	return s ? arena_strdup(r->arena, s) : NULL;
}

static void copy_digest(struct db_rows *rows, int column, uint8_t *out, size_t size)
{
	struct bytes b = db_col_blob(rows, column);

	if (b.len == size)
		memcpy(out, b.ptr, size);
}

static void read_request(struct ca_request *r, struct db_rows *rows)
{
	r->id = db_col_int(rows, 0);
	r->state = (enum ca_state)db_col_int(rows, 1);
	r->version = db_col_int(rows, 2);
	r->ca = copy_text(r, rows, 3);
	r->protocol = copy_text(r, rows, 4);
	r->endpoint = copy_text(r, rows, 5);
	r->profile = copy_text(r, rows, 6);
	r->requester = copy_text(r, rows, 7);
	r->intermediary = copy_text(r, rows, 8);
	r->source_address = copy_text(r, rows, 9);
	r->evidence = (enum ca_evidence_kind)db_col_int(rows, 10);
	r->received_ms = db_col_int(rows, 11);
	r->submitted_ms = db_col_int(rows, 12);
	r->first_seen_ms = db_col_int(rows, 13);
	r->resolved_ms = db_col_int(rows, 14);
	r->retry_after_s = (unsigned)db_col_int(rows, 15);
	r->collect_ms = db_col_int(rows, 16);
	r->csr.der = arena_copy(r->arena, db_col_blob(rows, 17));
	copy_digest(rows, 18, r->spki_hash, SHA256_SIZE);
	copy_digest(rows, 19, r->names_key, SHA256_SIZE);
	r->raw_attributes = copy_text(r, rows, 20);
	copy_digest(rows, 21, r->transaction_key, sizeof(r->transaction_key));
	r->status = (enum ca_status)db_col_int(rows, 22);
	snprintf(r->reason, sizeof(r->reason), "%s", db_col_text(rows, 23));
	snprintf(r->verdict.rule, sizeof(r->verdict.rule), "%s", db_col_text(rows, 24));
	snprintf(r->verdict.trace, sizeof(r->verdict.trace), "%s", db_col_text(rows, 25));
	copy_digest(rows, 26, r->digest, SHA256_SIZE);
	copy_digest(rows, 27, r->serial, SERIAL_SIZE);
	buf_append(&r->tbs, db_col_blob(rows, 28));
	r->not_before_s = db_col_int(rows, 29);
	r->not_after_s = db_col_int(rows, 30);
	buf_append(&r->certificate, db_col_blob(rows, 31));
	r->subject_text = copy_text(r, rows, 32);
	r->template_s = db_col_int(rows, 33);
	r->is_edited = db_col_int(rows, 34) != 0;
	r->csr.key_type = copy_text(r, rows, 35);
	r->csr.key_bits = (unsigned)db_col_int(rows, 36);
	r->key_id = db_col_int(rows, 37);
	r->revoked_ms = db_col_int(rows, 38);
	r->revoked_reason = (int)db_col_int(rows, 39);
	r->credential_id = db_col_int(rows, 40);
	r->credential_text = copy_text(r, rows, 41);
	r->is_any_scope = db_col_int(rows, 42) != 0;
	r->crl_partition = (unsigned)db_col_int(rows, 43);
	r->officer_lifetime_s = db_col_int(rows, 44);
	r->verdict.approvals = (unsigned)db_col_int(rows, 45);
	r->collected_ms = db_col_int(rows, 46);
	r->server_key = (enum request_server_key)db_col_int(rows, 47);
	r->also_id = db_col_int(rows, 48);
	r->also_text = copy_text(r, rows, 49);
	r->certificate_id = db_col_int(rows, 50);
	r->name_change = (enum name_change)db_col_int(rows, 51);
	r->officer_not_after_s = db_col_int(rows, 52);
	r->limit_id = db_col_int(rows, 53);
	r->limit_text = copy_text(r, rows, 54);
	copy_digest(rows, 55, r->keyless_digest, SHA256_SIZE);
}

static int load_names(struct db_conn *conn, struct ca_request *r)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT kind, value, evidence, evidence_text, count(*) OVER () FROM names WHERE request_id=?"
			  " ORDER BY position",
			  DB_INT(r->id));

	while (!e && (e = db_next(rows)) == DB_ROW) {
		if (!r->names)
			r->names = arena_alloc(r->arena, (size_t)db_col_int(rows, 4) * sizeof(*r->names));
		if (!r->names)
			return -ENOMEM;
		r->names[r->n_names++] = (struct ca_name){
			.kind = (enum ca_name_kind)db_col_int(rows, 0),
			.value = copy_text(r, rows, 1),
			.evidence = (enum ca_evidence_kind)db_col_int(rows, 2),
			.evidence_text = copy_text(r, rows, 3),
		};
		e = 0;
	}
	return e;
}

static int load_attributes(struct db_conn *conn, struct ca_request *r)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT name, value FROM attributes WHERE request_id=? ORDER BY name",
			  DB_INT(r->id));

	while (!e && (e = db_next(rows)) == DB_ROW && r->n_attributes < CA_ATTRIBUTES_MAX) {
		r->attributes[r->n_attributes++] =
			(struct ca_attribute){copy_text(r, rows, 0), copy_text(r, rows, 1)};
		e = 0;
	}
	return e;
}

static int load_extensions(struct db_conn *conn, struct ca_request *r)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT oid, flags, value FROM extensions WHERE request_id=? ORDER BY oid",
			  DB_INT(r->id));

	while (!e && (e = db_next(rows)) == DB_ROW && r->n_extensions < REQUEST_EXTENSIONS_MAX) {
		r->extensions[r->n_extensions++] = (struct ca_extension){
			.oid = copy_text(r, rows, 0),
			.flags = (unsigned)db_col_int(rows, 1),
			.value = arena_copy(r->arena, db_col_blob(rows, 2)),
		};
		e = 0;
	}
	return e;
}

static int load_request(struct db_conn *conn, void *arg)
{
	struct load *l = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(
		conn, &rows,
		"SELECT r.id, r.state, r.version, r.ca, r.protocol, r.endpoint, r.profile, r.requester,"
		" r.intermediary, r.source_address, r.evidence, r.received_ms, r.submitted_ms, r.first_seen_ms,"
		" r.resolved_ms, r.retry_after_s, r.collect_ms, r.csr, r.spki_hash, r.names_key, r.raw_attributes,"
		" r.transaction_key, r.status, r.reason, r.rule, r.trace, r.digest, r.serial, r.tbs,"
		" r.not_before_s, r.not_after_s, c.certificate, r.subject, r.template_s, r.edited, r.key_type,"
		" r.key_bits, r.key_id, c.revoked_ms, c.revoked_reason, r.credential_id, r.credential, r.any_scope,"
		" r.crl_partition, r.officer_lifetime_s, r.approvals_needed, c.collected_ms, r.server_key,"
		" r.also_id, r.also, r.certificate_id, r.name_change, r.officer_not_after_s, r.limit_id,"
		" r.limit_text, r.keyless_digest"
		" FROM requests r LEFT JOIN certificates c ON c.request_id=r.id WHERE r.id=?",
		DB_INT(l->id));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	read_request(l->r, rows);
	e = load_names(conn, l->r);
	if (!e)
		e = load_attributes(conn, l->r);
	return e ? e : load_extensions(conn, l->r);
}

int store_load(struct ca_core *core, int64_t id, struct ca_request **out)
{
	OWNED(ca_request) r = NULL;
	struct load l = { .id = id };
	char why[CA_REASON_SIZE];
	int e = ca_request_new(&r);

	if (e)
		return e;
	l.r = r;
	e = db_read(core->db, load_request, &l);
	if (e)
		return e;
	if (!r->ca || !r->profile || !r->requester || buf_status(&r->tbs) || buf_status(&r->certificate))
		return -ENOMEM;
	/* A row in state ERROR may hold octets that are no request, or none; one that was imported, or brought back
	 * after a restore, has none; the others passed this gate before. */
	if (r->state != CA_STATE_ERROR && r->csr.der.len) {
		const char *key_type = r->csr.key_type;
		unsigned key_bits = r->csr.key_bits;

		if (csr_reread(&r->csr, r->arena, r->csr.der, why))
			return -EBADMSG;
		r->csr.key_type = key_type;
		r->csr.key_bits = key_bits;
		if (r->name_change && request_take_wanted(r))
			return -EBADMSG;
	}
	*out = MOVE(r);
	return 0;
}

static int find_same(struct db_conn *conn, struct ca_request *r, struct store_precedent *p, int64_t now_ms)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT id FROM requests WHERE transaction_key=? AND key_until_ms>0 AND key_until_ms>=?"
			  " AND NOT " STORE_IS_OTHER_REQUEST,
			  DB_BLOB(bytes_of(r->transaction_key, sizeof(r->transaction_key))), DB_INT(now_ms),
			  STORE_OTHER_REQUEST_VALUES(r));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		p->kind = PRECEDENT_SAME;
		p->id = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

#define TUPLE_VALUES(r) \
	DB_TEXT((r)->endpoint), DB_TEXT((r)->requester), DB_BLOB(bytes_of((r)->names_key, SHA256_SIZE)), \
		DB_TEXT((r)->profile)

static int find_pending(struct db_conn *conn, struct ca_request *r, struct store_precedent *p)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(
		conn, &rows,
		"SELECT id, retry_after_s FROM requests WHERE endpoint=? AND requester=? AND names_key=? AND profile=?"
		" AND state=9",
		TUPLE_VALUES(r));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		p->kind = PRECEDENT_PENDING;
		p->id = db_col_int(rows, 0);
		p->retry_after_s = (unsigned)db_col_int(rows, 1);
		e = 0;
	}
	return e;
}

/* A denial that a newer issue has overtaken holds no longer; nor do the queue's own (superseded, expired, withdrawn).
 * What policy denied before this start, its key released since, is asked anew: the rules may be others now. */
static int find_denied(struct db_conn *conn, struct ca_request *r, struct store_precedent *p, int64_t since_ms)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(
		conn, &rows,
		"SELECT id, state, status FROM requests WHERE endpoint=? AND requester=? AND names_key=? AND profile=?"
		" AND resolved_ms>=? AND resolved_ms<>0 AND state IN (20, 21, 31) AND status NOT IN (?,?,?)"
		" AND (status<>? OR key_until_ms<>0) ORDER BY resolved_ms DESC, id DESC LIMIT 1",
		TUPLE_VALUES(r), DB_INT(since_ms), DB_INT(CA_STATUS_SUPERSEDED), DB_INT(CA_STATUS_EXPIRED),
		DB_INT(CA_STATUS_WITHDRAWN),
		DB_INT(CA_STATUS_POLICY_DENIED));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		if (db_col_int(rows, 1) == CA_STATE_DENIED) {
			p->kind = PRECEDENT_DENIED;
			p->id = db_col_int(rows, 0);
		}
		e = 0;
	}
	return e;
}

/* Those for the request as it stands: what was approved before an edit counts no more. */
static int read_approvals(struct db_conn *conn, struct ca_request *r, int64_t request_id)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT officer, rule FROM approvals a WHERE request_id=?"
			  " AND digest=(SELECT digest FROM requests q WHERE q.id=a.request_id)",
			  DB_INT(request_id));

	while (!e && (e = db_next(rows)) == DB_ROW) {
		struct approval *a = arena_alloc(r->arena, sizeof(*a));

		if (!a)
			return -ENOMEM;
		*a = (struct approval){ copy_text(r, rows, 0), copy_text(r, rows, 1), r->approvals };
		r->approvals = a;
		e = 0;
	}
	return e;
}

static int find_grant(struct db_conn *conn, struct ca_request *r, int64_t now_ms)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(
		conn, &rows,
		"SELECT id, request_id, template FROM grants WHERE endpoint=? AND requester=? AND names_key=?"
		" AND profile=? AND spent_by IS NULL AND until_ms>=? AND ca=? ORDER BY id LIMIT 1",
		TUPLE_VALUES(r), DB_INT(now_ms), DB_TEXT(r->ca));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		r->grant_id = db_col_int(rows, 0);
		r->grant_request_id = db_col_int(rows, 1);
		copy_digest(rows, 2, r->grant_template, SHA256_SIZE);
		e = read_approvals(conn, r, r->grant_request_id);
	}
	return e;
}

static int find_live(struct db_conn *conn, const struct ca_request *r, int64_t now_s, bool *answer)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT 1 FROM requests q JOIN certificates c ON c.request_id=q.id"
			  " WHERE q.endpoint=? AND q.requester=? AND q.names_key=? AND q.profile=? AND q.state=20"
			  " AND q.resolved_ms<>0 AND q.edited=0 AND c.not_after_s>=? LIMIT 1",
			  TUPLE_VALUES(r), DB_INT(now_s));

	*answer = false;
	if (!e && (e = db_next(rows)) == DB_ROW) {
		*answer = true;
		e = 0;
	}
	return e;
}

static int count_pending(struct db_conn *conn, const struct ca_request *r, unsigned *n)
{
	OWNED(db_rows) rows = NULL;
	/* Left to itself SQLite looks through the whole queue, because `state` stands in another index. */
	int e = db_select(conn, &rows,
			  "SELECT count(*) FROM requests INDEXED BY requests_pending WHERE endpoint=? AND requester=?"
			  " AND state=9",
			  DB_TEXT(r->endpoint), DB_TEXT(r->requester));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		*n = (unsigned)db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

struct precedent_read {
	struct ca_core *core;
	struct ca_request *r;
	struct store_precedent *p;
	int64_t now_ms;
};

struct known_read {
	const struct ca_request *r;
	bool answer;
};

/* Nearly every submission is the first of its names: one statement tells that there is nothing to look for. */
static int is_known(struct db_conn *conn, void *arg)
{
	struct known_read *q = arg;
	const struct ca_request *r = q->r;
	OWNED(db_rows) rows = NULL;
	int e = db_select(
		conn, &rows,
		"SELECT EXISTS(SELECT 1 FROM requests WHERE transaction_key=?1 AND key_until_ms>0)"
		" OR EXISTS(SELECT 1 FROM requests INDEXED BY requests_pending WHERE endpoint=?2 AND requester=?3"
		" AND state=9)"
		" OR EXISTS(SELECT 1 FROM requests WHERE endpoint=?2 AND requester=?3 AND names_key=?4 AND profile=?5"
		" AND resolved_ms<>0)"
		" OR EXISTS(SELECT 1 FROM grants WHERE endpoint=?2 AND requester=?3 AND names_key=?4 AND profile=?5"
		" AND spent_by IS NULL)",
		DB_BLOB(bytes_of(r->transaction_key, sizeof(r->transaction_key))), TUPLE_VALUES(r));

	q->answer = true;
	if (!e && (e = db_next(rows)) == DB_ROW) {
		q->answer = db_col_int(rows, 0) != 0;
		e = 0;
	}
	return e;
}

static int find_precedent(struct db_conn *conn, void *arg)
{
	struct precedent_read *q = arg;
	int e = find_same(conn, q->r, q->p, q->now_ms);

	if (!e && q->p->kind == PRECEDENT_NONE)
		e = find_pending(conn, q->r, q->p);
	if (!e && q->p->kind == PRECEDENT_NONE)
		e = find_grant(conn, q->r, q->now_ms);
	if (!e && q->p->kind == PRECEDENT_NONE && !q->r->grant_id)
		e = find_denied(conn, q->r, q->p, q->now_ms - q->core->settings.deny_window_ms);
	if (!e)
		e = find_live(conn, q->r, q->now_ms / 1000, &q->r->is_renewal);
	return e ? e : count_pending(conn, q->r, &q->p->n_pending);
}

int store_find_precedent(struct ca_core *core, struct ca_request *r, struct store_precedent *p)
{
	struct precedent_read q = { core, r, p, clock_wall_ms() };
	struct known_read known = { .r = r };
	int e;

	*p = (struct store_precedent){ 0 };
	e = db_read_one(core->db, is_known, &known);
	if (e || !known.answer)
		return e;
	return db_read(core->db, find_precedent, &q);
}

static int approvals_of(struct db_conn *conn, void *arg)
{
	struct ca_request *r = arg;

	return read_approvals(conn, r, r->id);
}

int store_load_approvals(struct ca_core *core, struct ca_request *r)
{
	r->approvals = NULL;
	return db_read(core->db, approvals_of, r);
}

struct renewal_read {
	const struct ca_request *r;
	int64_t now_s;
	bool *answer;
};

static int renewal(struct db_conn *conn, void *arg)
{
	struct renewal_read *q = arg;

	return find_live(conn, q->r, q->now_s, q->answer);
}

int store_is_renewal(struct ca_core *core, const struct ca_request *r, int64_t now_s, bool *answer)
{
	struct renewal_read q = { r, now_s, answer };

	return db_read(core->db, renewal, &q);
}

struct id_list {
	const char *sql; /* takes after, max, and before_ms when it is not 0 */
	int64_t after, before_ms, *ids;
	size_t max, *n;
};

static int list_ids(struct db_conn *conn, void *arg)
{
	struct id_list *l = arg;
	OWNED(db_rows) rows = NULL;
	int e = l->before_ms ? db_select(conn, &rows, l->sql, DB_INT(l->after), DB_INT(l->max), DB_INT(l->before_ms)) :
			       db_select(conn, &rows, l->sql, DB_INT(l->after), DB_INT(l->max));

	*l->n = 0;
	while (!e && (e = db_next(rows)) == DB_ROW && *l->n < l->max) {
		l->ids[(*l->n)++] = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

int store_list_unfinished(struct ca_core *core, int64_t after, int64_t *ids, size_t max, size_t *n)
{
	struct id_list l = {
		.sql = "SELECT id FROM requests WHERE state=8 AND tbs IS NOT NULL AND id>? ORDER BY id LIMIT ?",
		.after = after, .ids = ids, .max = max, .n = n,
	};

	return db_read(core->db, list_ids, &l);
}

int store_list_expired(struct ca_core *core, int64_t before_ms, int64_t after, int64_t *ids, size_t max, size_t *n)
{
	struct id_list l = {
		.sql = "SELECT id FROM requests WHERE state=9 AND id>?1 AND submitted_ms<?3 ORDER BY id LIMIT ?2",
		.before_ms = before_ms, .after = after, .ids = ids, .max = max, .n = n,
	};

	return db_read(core->db, list_ids, &l);
}

struct held_read {
	const char *endpoint, *requester;
	int64_t after, *ids;
	size_t max, *n;
};

static int list_held(struct db_conn *conn, void *arg)
{
	struct held_read *h = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT id FROM requests INDEXED BY requests_pending WHERE endpoint=? AND requester=?"
			  " AND state=9 AND id>? ORDER BY id LIMIT ?",
			  DB_TEXT(h->endpoint), DB_TEXT(h->requester), DB_INT(h->after), DB_INT(h->max));

	*h->n = 0;
	while (!e && (e = db_next(rows)) == DB_ROW && *h->n < h->max) {
		h->ids[(*h->n)++] = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

int store_list_held(struct ca_core *core, const char *endpoint, const char *requester, int64_t after, int64_t *ids,
		    size_t max, size_t *n)
{
	struct held_read h = { endpoint, requester, after, ids, max, n };

	return db_read(core->db, list_held, &h);
}

struct due_read {
	int64_t now_ms;
	struct outbox_row *rows;
	size_t max, *n;
};

static int due_events(struct db_conn *conn, void *arg)
{
	struct due_read *d = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT o.id, o.module, o.ca, o.event, o.request_id, o.attempts, o.about FROM outbox o"
			  " WHERE o.next_ms<=? AND NOT EXISTS(SELECT 1 FROM outbox p WHERE p.module=o.module"
			  " AND p.request_id IS o.request_id AND p.id<o.id AND p.next_ms IS NOT NULL)"
			  " ORDER BY o.id LIMIT ?",
			  DB_INT(d->now_ms), DB_INT(d->max));

	*d->n = 0;
	while (!e && (e = db_next(rows)) == DB_ROW && *d->n < d->max) {
		struct outbox_row *row = &d->rows[(*d->n)++];

		row->id = db_col_int(rows, 0);
		snprintf(row->module, sizeof(row->module), "%s", db_col_text(rows, 1));
		snprintf(row->ca, sizeof(row->ca), "%s", db_col_text(rows, 2));
		row->event = (enum ca_event)db_col_int(rows, 3);
		row->request_id = db_col_int(rows, 4);
		row->attempts = (unsigned)db_col_int(rows, 5);
		row->about = db_col_int(rows, 6);
		e = 0;
	}
	return e;
}

int store_due_events(struct ca_core *core, int64_t now_ms, struct outbox_row *rows, size_t max, size_t *n)
{
	struct due_read d = { now_ms, rows, max, n };

	return db_read(core->db, due_events, &d);
}

static int count(struct db_conn *conn, void *arg)
{
	struct store_counts *c = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT (SELECT count(*) FROM requests WHERE state=9),"
			  " (SELECT min(first_seen_ms) FROM requests WHERE state=9),"
			  " (SELECT count(*) FROM requests WHERE state=8),"
			  " (SELECT count(*) FROM outbox WHERE next_ms IS NOT NULL),"
			  " (SELECT count(*) FROM outbox WHERE next_ms IS NULL),"
			  " (SELECT count(*) FROM certificates)");

	if (!e && (e = db_next(rows)) == DB_ROW) {
		*c = (struct store_counts){ db_col_int(rows, 0), db_col_int(rows, 1), db_col_int(rows, 2),
					    db_col_int(rows, 3), db_col_int(rows, 4), db_col_int(rows, 5) };
		e = 0;
	}
	return e;
}

int store_count(struct ca_core *core, struct store_counts *out)
{
	return db_read(core->db, count, out);
}

static int last_id(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name='requests'");

	if (!e && (e = db_next(rows)) == DB_ROW) {
		*(int64_t *)arg = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

int store_last_id(struct ca_core *core, int64_t *id)
{
	return db_read(core->db, last_id, id);
}
