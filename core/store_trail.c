/* Reading the audit trail.
 *
 * Nothing here reads a payload as JSON: what was tampered with may be none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_trail.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/store.h"

struct walking {
	struct trail_walk now;
	size_t max;
};

/* The canonical form begins with the time; and a quote inside a text has a backslash before it. */
static void look_at_time(struct trail_walk *w, const char *payload)
{
	static const char begin[] = "{\"time\":\"";
	char text[CLOCK_TEXT_SIZE] = "";
	int64_t at_s;
	size_t n;

	if (!payload || strncmp(payload, begin, strlen(begin)) != 0)
		return;
	n = strcspn(payload + strlen(begin), "\"");
	if (n >= sizeof(text))
		return;
	memcpy(text, payload + strlen(begin), n);
	if (clock_parse_s(text, &at_s))
		return;
	if (at_s * 1000 > w->seen_ms || strstr(payload, "\"action\":\"" AUDIT_ACCEPT_CLOCK "\""))
		w->seen_ms = at_s * 1000;
}

/* NULL: the record follows, and `w` stands at it. */
static const char *look_at(struct trail_walk *w, struct db_rows *rows, int *e)
{
	uint8_t hash[SHA256_SIZE];

	if (db_col_int(rows, 0) != w->seq + 1)
		return "is missing";
	if (!bytes_equal(db_col_blob(rows, 1), bytes_of(w->hash, SHA256_SIZE)))
		return "does not follow the one before it";
	*e = audit_hash(w->hash, w->seq + 1, db_col_blob(rows, 2), hash);
	if (*e == -EMSGSIZE)
		*e = 0;
	else if (!*e && bytes_equal(db_col_blob(rows, 3), bytes_of(hash, SHA256_SIZE))) {
		w->seq++;
		memcpy(w->hash, hash, SHA256_SIZE);
		look_at_time(w, db_col_text(rows, 2));
		return NULL;
	}
	return "was changed";
}

static int walk(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	struct walking *walking = arg;
	struct trail_walk *w = &walking->now;
	int e = db_select(conn, &rows, "SELECT seq, prev, payload, hash FROM audit WHERE seq>? ORDER BY seq LIMIT ?",
			  DB_INT(w->seq), DB_INT(walking->max));
	size_t n = 0;

	for (; !e && (e = db_next(rows)) == DB_ROW; n++) {
		e = 0;
		w->broken = look_at(w, rows, &e);
		if (w->broken)
			return e;
	}
	w->is_over = n < walking->max;
	return e;
}

int store_walk_trail(struct ca_core *core, struct trail_walk *w, size_t max)
{
	struct walking walking = { *w, max };
	int e = db_read_one(core->db, walk, &walking);

	if (!e)
		*w = walking.now;
	return e;
}

struct trail_find {
	int64_t seq;
	uint8_t hash[SHA256_SIZE];
	const char *action;
	bool found;
};

static int find_hash(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	struct trail_find *f = arg;
	int e = db_select(conn, &rows, "SELECT hash FROM audit WHERE seq=?", DB_INT(f->seq));

	if (!e)
		e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	if (db_col_blob(rows, 0).len != SHA256_SIZE)
		return -EBADMSG;
	memcpy(f->hash, db_col_blob(rows, 0).ptr, SHA256_SIZE);
	return 0;
}

int store_trail_hash(struct ca_core *core, int64_t seq, uint8_t hash[static SHA256_SIZE])
{
	struct trail_find f = { .seq = seq };
	int e = db_read_one(core->db, find_hash, &f);

	if (!e)
		memcpy(hash, f.hash, SHA256_SIZE);
	return e;
}

static int find_last(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	struct trail_find *f = arg;
	int e = db_select(conn, &rows, "SELECT coalesce(max(seq), 0) FROM audit");

	if (!e)
		e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : -EBADMSG;
	f->seq = db_col_int(rows, 0);
	return 0;
}

int store_trail_last(struct ca_core *core, int64_t *seq)
{
	struct trail_find f = { 0 };
	int e = db_read_one(core->db, find_last, &f);

	*seq = f.seq;
	return e;
}

static int find_action(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	struct trail_find *f = arg;
	int e = db_select(conn, &rows, "SELECT EXISTS (SELECT 1 FROM audit WHERE instr(payload,"
				       " '\"action\":\"' || ? || '\"'))", DB_TEXT(f->action));

	if (!e)
		e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : -EBADMSG;
	f->found = db_col_int(rows, 0) != 0;
	return 0;
}

int store_trail_has(struct ca_core *core, const char *action, bool *answer)
{
	struct trail_find f = { .action = action };
	int e = db_read_one(core->db, find_action, &f);

	*answer = f.found;
	return e;
}

/* ---- for people ---- */

#define LOOKED_AT 5000 /* records of one read, so that it holds its snapshot for a moment only */

struct listing {
	const struct trail_filter *f;
	char since[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE]; /* RFC 3339 in UTC sorts as text */
	trail_row_fn *fn;
	void *arg;
	int64_t last;
	bool more;
};

static int64_t first_of_newest(struct db_conn *conn, size_t n, int *e)
{
	struct trail_find f = { 0 };

	*e = find_last(conn, &f);
	return f.seq > (int64_t)n ? f.seq - (int64_t)n : 0;
}

static int select_rows(struct db_conn *conn, const struct listing *l, int64_t after, struct db_rows **rows)
{
	const struct trail_filter *f = l->f;

	return db_select(conn, rows,
			 "SELECT seq, prev, payload, hash, json_valid(payload)"
			 " AND (?2 IS NULL OR payload->>'actor'=?2) AND (?3 IS NULL OR payload->>'action'=?3)"
			 " AND (?4 IS NULL OR payload->>'subject'=?4) AND (?5=0 OR payload->>'request'=?5)"
			 " AND (?6='' OR payload->>'time'>=?6) AND (?7='' OR payload->>'time'<=?7)"
			 " FROM audit WHERE seq>?1 ORDER BY seq LIMIT ?8",
			 DB_INT(after), DB_TEXT(f->actor), DB_TEXT(f->action), DB_TEXT(f->subject), DB_INT(f->request),
			 DB_TEXT(l->since), DB_TEXT(l->until), DB_INT(LOOKED_AT));
}

static bool is_unfiltered(const struct trail_filter *f)
{
	return !f->actor && !f->action && !f->subject && !f->request && !f->since_ms && !f->until_ms;
}

static int list(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	struct listing *l = arg;
	size_t told = 0, looked = 0;
	int e = 0;
	int64_t after = l->f->newest ? first_of_newest(conn, l->f->newest, &e) : l->f->after;

	l->last = after;
	if (!e)
		e = select_rows(conn, l, after, &rows);
	while (!e && told < l->f->max && (e = db_next(rows)) == DB_ROW) {
		struct trail_row row = { db_col_int(rows, 0), db_col_blob(rows, 1), db_col_blob(rows, 2),
					 db_col_blob(rows, 3) };

		e = 0;
		looked++;
		l->last = row.seq;
		/* What was tampered with is no JSON perhaps, and is shown all the same. */
		if (!is_unfiltered(l->f) && !db_col_int(rows, 4))
			continue;
		told++;
		e = l->fn(l->arg, &row);
	}
	l->more = !e && (told == l->f->max || looked == LOOKED_AT);
	return e;
}

int store_list_trail(struct ca_core *core, const struct trail_filter *f, trail_row_fn *fn, void *arg, int64_t *last,
		     bool *more)
{
	struct listing l = { .f = f, .fn = fn, .arg = arg };
	int e;

	if (f->since_ms)
		clock_print_ms(f->since_ms, l.since);
	if (f->until_ms)
		clock_print_ms(f->until_ms, l.until);
	e = db_read(core->db, list, &l);
	*last = l.last;
	*more = l.more;
	return e;
}
