/* Rows of CRLs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_crl.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/store_int.h"

/* ---- what a CRL is made of ---- */

struct walk_read {
	struct revoked_walk *walk;
	struct revoked_row *rows;
	size_t max, n;
};

static int take_row(struct db_rows *rows, unsigned partition, struct revoked_row *out)
{
	struct bytes serial = db_col_blob(rows, 0);

	if (serial.len == 0 || serial.len > SERIAL_OCTETS_MAX)
		return -EBADMSG;
	out->partition = partition;
	memcpy(out->serial, serial.ptr, serial.len);
	out->n_serial = (uint8_t)serial.len;
	out->revoked_s = db_col_int(rows, 1) / 1000;
	out->reason = (int8_t)db_col_int(rows, 2);
	return 0;
}

/* What is left of one part, as far as there is room. A condition over part and serial together, for all parts at once,
 * would be looked at again with each row, which takes a quarter of the time. */
static int read_part(struct db_conn *conn, struct walk_read *q, unsigned partition, struct bytes at)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT serial, revoked_ms, revoked_reason FROM certificates INDEXED BY certificates_revoked"
			  " WHERE key_id=? AND crl_partition=? AND serial>? AND revoked_ms IS NOT NULL"
			  " AND not_after_s>=? ORDER BY serial LIMIT ?",
			  DB_INT(q->walk->key_id), DB_INT(partition), DB_BLOB(at), DB_INT(q->walk->expired_s),
			  DB_INT(q->max - q->n));

	while (!e && (e = db_next(rows)) == DB_ROW)
		e = take_row(rows, partition, &q->rows[q->n++]);
	return e;
}

/* DB_ROW: there is a part behind this one. */
static int find_next_part(struct db_conn *conn, int64_t key_id, unsigned *partition)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT crl_partition FROM certificates INDEXED BY certificates_revoked"
			  " WHERE key_id=? AND crl_partition>? AND revoked_ms IS NOT NULL"
			  " ORDER BY crl_partition LIMIT 1",
			  DB_INT(key_id), DB_INT(*partition));

	if (!e && (e = db_next(rows)) == DB_ROW)
		*partition = (unsigned)db_col_int(rows, 0);
	return e;
}

static int next_revoked(struct db_conn *conn, void *arg)
{
	struct walk_read *q = arg;
	const struct revoked_walk *w = q->walk;
	unsigned partition = w->partition ? w->partition : w->at_partition;
	int e = read_part(conn, q, partition, bytes_of(w->at, w->n_at));

	while (!e && !w->partition && q->n < q->max &&
	       (e = find_next_part(conn, w->key_id, &partition)) == DB_ROW)
		e = read_part(conn, q, partition, bytes_of(w->at, 0));
	return e;
}

int store_next_revoked(struct ca_core *core, struct revoked_walk *walk, struct revoked_row *rows, size_t max,
		       size_t *n)
{
	struct walk_read q = { .walk = walk, .rows = rows, .max = max };
	int e = db_read(core->db, next_revoked, &q);

	*n = q.n;
	if (!e && q.n) {
		const struct revoked_row *last = &rows[q.n - 1];

		walk->at_partition = last->partition;
		memcpy(walk->at, last->serial, last->n_serial);
		walk->n_at = last->n_serial;
	}
	return e;
}

/* ---- those in force ---- */

static int get_crl(struct db_conn *conn, void *arg)
{
	struct crl_row *row = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT number, this_update_s, next_update_s, changes, entries, urls FROM crls"
			  " WHERE key_id=? AND crl_partition=?",
			  DB_INT(row->key_id), DB_INT(row->partition));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		row->number = (uint64_t)db_col_int(rows, 0);
		row->this_update_s = db_col_int(rows, 1);
		row->next_update_s = db_col_int(rows, 2);
		row->changes = db_col_int(rows, 3);
		row->entries = db_col_int(rows, 4);
		snprintf(row->urls, sizeof(row->urls), "%s", db_col_text(rows, 5));
		e = 0;
	}
	return e;
}

int store_get_crl(struct ca_core *core, int64_t key_id, unsigned partition, struct crl_row *out)
{
	*out = (struct crl_row){ .key_id = key_id, .partition = partition };
	return db_read_one(core->db, get_crl, out);
}

struct number_read {
	const char *sql;
	struct db_value value;
	int64_t n;
};

static int read_number(struct db_conn *conn, void *arg)
{
	struct number_read *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = q->value.kind == DB_VALUE_NONE ? db_select(conn, &rows, q->sql) :
						 db_select(conn, &rows, q->sql, q->value);

	q->n = 0;
	if (!e && (e = db_next(rows)) == DB_ROW) {
		q->n = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

int store_last_crl(struct ca_core *core, uint64_t *number)
{
	struct number_read q = { .sql = "SELECT coalesce(max(number), 0) FROM crls" };
	int e = db_read_one(core->db, read_number, &q);

	*number = (uint64_t)q.n;
	return e;
}

int store_count_changes(struct ca_core *core, const char *ca, int64_t *n)
{
	struct number_read q = { .sql = "SELECT n FROM crl_changes WHERE ca=?", .value = DB_TEXT(ca) };
	int e = db_read_one(core->db, read_number, &q);

	*n = q.n;
	return e;
}

int store_last_partition(struct ca_core *core, int64_t key_id, unsigned *partition)
{
	struct number_read q = {
		.sql = "SELECT coalesce(max(crl_partition), 0) FROM crls WHERE key_id=?",
		.value = DB_INT(key_id),
	};
	int e = db_read_one(core->db, read_number, &q);

	*partition = (unsigned)q.n;
	return e;
}

struct publish {
	struct ca *ca;
	const struct crl_row *rows;
	size_t n;
	const char *actor;
	int64_t now_ms;
};

static int put_crl(struct db_conn *conn, const struct crl_row *row)
{
	return db_run(conn,
		      "INSERT INTO crls(key_id, crl_partition, number, this_update_s, next_update_s, changes, entries,"
		      " urls) VALUES(?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET number=excluded.number,"
		      " this_update_s=excluded.this_update_s, next_update_s=excluded.next_update_s,"
		      " changes=excluded.changes, entries=excluded.entries, urls=excluded.urls",
		      DB_INT(row->key_id), DB_INT(row->partition), DB_INT(row->number), DB_INT(row->this_update_s),
		      DB_INT(row->next_update_s), DB_INT(row->changes), DB_INT(row->entries), DB_TEXT(row->urls));
}

static int publish(struct db_conn *conn, void *arg)
{
	const struct publish *p = arg;
	char number[24], detail[96];
	int64_t entries = 0;
	int e = 0;

	for (size_t i = 0; !e && i < p->n; i++) {
		e = put_crl(conn, &p->rows[i]);
		entries += p->rows[i].partition ? 0 : p->rows[i].entries;
	}
	snprintf(number, sizeof(number), "%llu", (unsigned long long)p->rows[0].number);
	snprintf(detail, sizeof(detail), "lists=%zu entries=%lld", p->n, (long long)entries);
	if (!e)
		e = audit_append(conn, &(struct audit_record){ .at_ms = p->now_ms, .actor = p->actor,
							       .action = ca_action_word(CA_ACTION_PUBLISH),
							       .subject = p->ca->name, .after = number,
							       .detail = detail });
	return e ? e : store_write_events(conn, p->ca, 0, CA_EVENT_CRL_ISSUED, (int64_t)p->rows[0].number, p->now_ms);
}

int store_publish(struct ca *ca, const struct crl_row *rows, size_t n, const char *actor)
{
	struct publish p = { ca, rows, n, actor, clock_wall_ms() };
	int e;

	trace_hold(ca->core->trace);
	e = db_write(ca->core->db, publish, &p);
	if (!e) {
		trace_event(ca->core->trace, "publish", 0, "\"ca\":\"%s\",\"number\":%llu,\"lists\":%zu", ca->name,
			    (unsigned long long)rows[0].number, n);
		core_count(ca->core, CA_ACTION_PUBLISH);
	}
	trace_release(ca->core->trace);
	return store_outcome(ca->core, e);
}
