/* Rows as the administrator's tool sees them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_view.h"

#include <errno.h>

#include "core/base/digest.h"
#include "core/base/own.h"
#include "core/store_view_int.h"

#define TIMELINE_MAX 1000

typedef Gatehouse__Admin__Request Request;
typedef Gatehouse__Admin__Detail Detail;

struct view {
	struct arena *arena;
	int64_t id;
	bool timeline;
	Request *request;
	Detail *detail;
};

static char *text(struct arena *arena, struct db_rows *rows, int column)
{
	const char *s = db_col_text(rows, column);
	char *copy = arena_strdup(arena, s ? s : "");

	return copy ? copy : (char *)"";
}

static ProtobufCBinaryData blob(struct arena *arena, struct db_rows *rows, int column)
{
	struct bytes copy = arena_copy(arena, db_col_blob(rows, column));

	return (ProtobufCBinaryData){ .len = copy.ptr ? copy.len : 0, .data = (uint8_t *)copy.ptr };
}

/* Octets that are all 0 stand for a digest of nothing: of a key or template that a refused request has not. */
static ProtobufCBinaryData digest(struct arena *arena, struct db_rows *rows, int column)
{
	static const uint8_t none[SHA256_SIZE];

	if (bytes_equal(db_col_blob(rows, column), bytes_of(none, sizeof(none))))
		return (ProtobufCBinaryData){ 0 };
	return blob(arena, rows, column);
}

Request *view_read_request(struct arena *arena, struct db_rows *rows, int first)
{
	Request *q = arena_alloc(arena, sizeof(*q));

	if (!q)
		return NULL;
	gatehouse__admin__request__init(q);
	q->id = db_col_int(rows, first);
	q->state = (uint32_t)db_col_int(rows, first + 1);
	q->protocol = text(arena, rows, first + 2);
	q->endpoint = text(arena, rows, first + 3);
	q->profile = text(arena, rows, first + 4);
	q->ca = text(arena, rows, first + 5);
	q->requester = text(arena, rows, first + 6);
	q->source = text(arena, rows, first + 7);
	q->subject = text(arena, rows, first + 8);
	q->digest = digest(arena, rows, first + 9);
	q->submitted_ms = db_col_int(rows, first + 10);
	q->first_seen_ms = db_col_int(rows, first + 11);
	q->resolved_ms = db_col_int(rows, first + 12);
	q->rule = text(arena, rows, first + 13);
	q->reason = text(arena, rows, first + 14);
	q->status = (char *)ca_status_word((enum ca_status)db_col_int(rows, first + 15));
	q->serial = blob(arena, rows, first + 16);
	q->version = db_col_int(rows, first + 17);
	q->key_hash = digest(arena, rows, first + 18);
	q->is_edited = db_col_int(rows, first + 19) != 0;
	q->approvals_needed = (uint32_t)db_col_int(rows, first + 20);
	q->approvals = (uint32_t)db_col_int(rows, first + 21);
	return q;
}

Gatehouse__Admin__Certificate *view_read_certificate(struct arena *arena, struct db_rows *rows, int first)
{
	Gatehouse__Admin__Certificate *c = arena_alloc(arena, sizeof(*c));

	if (!c)
		return NULL;
	gatehouse__admin__certificate__init(c);
	c->serial = blob(arena, rows, first);
	c->request_id = db_col_int(rows, first + 1);
	c->ca = text(arena, rows, first + 2);
	c->profile = text(arena, rows, first + 3);
	c->requester = text(arena, rows, first + 4);
	c->subject = text(arena, rows, first + 5);
	c->not_before_s = db_col_int(rows, first + 6);
	c->not_after_s = db_col_int(rows, first + 7);
	c->revoked_ms = db_col_int(rows, first + 8);
	c->revoked_reason = (uint32_t)db_col_int(rows, first + 9);
	c->state = (uint32_t)db_col_int(rows, first + 10);
	c->endpoint = text(arena, rows, first + 11);
	c->protocol = text(arena, rows, first + 12);
	c->key_hash = blob(arena, rows, first + 13);
	c->issued_ms = db_col_int(rows, first + 14);
	c->collected_ms = db_col_int(rows, first + 15);
	return c;
}

int view_read_names(struct db_conn *conn, struct arena *arena, int64_t id, char ***out, size_t *n)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT kind, value, count(*) OVER () FROM names WHERE request_id=? ORDER BY position",
			  DB_INT(id));

	*n = 0;
	while (!e && (e = db_next(rows)) == DB_ROW) {
		if (!*n)
			*out = arena_alloc(arena, (size_t)db_col_int(rows, 2) * sizeof(**out));
		if (!*out)
			return -ENOMEM;
		(*out)[*n] = arena_printf(arena, "%s:%s", ca_name_kind_word((enum ca_name_kind)db_col_int(rows, 0)),
					  db_col_text(rows, 1));
		if (!(*out)[(*n)++])
			return -ENOMEM;
		e = 0;
	}
	return e;
}

static int view_request(struct db_conn *conn, void *arg)
{
	struct view *v = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT " VIEW_REQUEST_COLUMNS " FROM requests q WHERE q.id=?", DB_INT(v->id));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	v->request = view_read_request(v->arena, rows, 0);
	if (!v->request)
		return -ENOMEM;
	return view_read_names(conn, v->arena, v->id, &v->request->names, &v->request->n_names);
}

int store_view_request(struct ca_core *core, int64_t id, struct arena *arena, Gatehouse__Admin__Request **out)
{
	struct view v = { .arena = arena, .id = id };
	int e = db_read(core->db, view_request, &v);

	if (!e)
		*out = v.request;
	return e;
}

static int read_facts(struct db_conn *conn, struct view *v)
{
	OWNED(db_rows) rows = NULL;
	Detail *d = v->detail;
	int e = db_select(
		conn, &rows,
		"SELECT asked_subject, key_type, key_bits, not_before_s, not_after_s, trace, certificate, csr"
		" FROM requests r LEFT JOIN (SELECT request_id, certificate FROM certificates) c ON c.request_id=r.id"
		" WHERE r.id=?",
		DB_INT(v->id));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		d->asked_subject = text(v->arena, rows, 0);
		d->key_type = text(v->arena, rows, 1);
		d->key_bits = (uint32_t)db_col_int(rows, 2);
		d->not_before_s = db_col_int(rows, 3);
		d->not_after_s = db_col_int(rows, 4);
		d->trace = text(v->arena, rows, 5);
		d->certificate = blob(v->arena, rows, 6);
		d->csr = blob(v->arena, rows, 7);
		e = 0;
	}
	return e;
}

/* The lists of a Detail differ in their query and in what one row becomes. */
typedef void *row_fn(struct view *v, struct db_rows *rows);

static int read_list(struct db_conn *conn, struct view *v, const char *sql, row_fn *make, void ***out, size_t *n)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, sql, DB_INT(v->id), DB_INT(TIMELINE_MAX));

	*n = 0;
	*out = arena_alloc(v->arena, TIMELINE_MAX * sizeof(**out));
	if (!*out)
		return -ENOMEM;
	while (!e && *n < TIMELINE_MAX && (e = db_next(rows)) == DB_ROW) {
		(*out)[*n] = make(v, rows);
		if (!(*out)[(*n)++])
			return -ENOMEM;
		e = 0;
	}
	return e;
}

static void *make_attribute(struct view *v, struct db_rows *rows)
{
	Gatehouse__Admin__Attribute *a = arena_alloc(v->arena, sizeof(*a));

	if (a) {
		gatehouse__admin__attribute__init(a);
		a->name = text(v->arena, rows, 0);
		a->value = text(v->arena, rows, 1);
	}
	return a;
}

static void *make_extension(struct view *v, struct db_rows *rows)
{
	Gatehouse__Admin__Extension *x = arena_alloc(v->arena, sizeof(*x));

	if (x) {
		gatehouse__admin__extension__init(x);
		x->oid = text(v->arena, rows, 0);
		x->flags = (uint32_t)db_col_int(rows, 1);
		x->value = blob(v->arena, rows, 2);
	}
	return x;
}

static void *make_name(struct view *v, struct db_rows *rows)
{
	Gatehouse__Admin__Name *n = arena_alloc(v->arena, sizeof(*n));

	if (n) {
		gatehouse__admin__name__init(n);
		n->text = arena_printf(v->arena, "%s:%s", ca_name_kind_word((enum ca_name_kind)db_col_int(rows, 0)),
				       db_col_text(rows, 1));
		n->evidence = text(v->arena, rows, 2);
	}
	return n && n->text ? n : NULL;
}

static void *make_line(struct view *v, struct db_rows *rows)
{
	Gatehouse__Admin__Line *l = arena_alloc(v->arena, sizeof(*l));

	if (l) {
		gatehouse__admin__line__init(l);
		l->at_ms = db_col_int(rows, 0);
		l->actor = text(v->arena, rows, 1);
		l->text = text(v->arena, rows, 2);
	}
	return l;
}

static void *make_officer(struct view *v, struct db_rows *rows)
{
	return text(v->arena, rows, 0);
}

static int view_detail(struct db_conn *conn, void *arg)
{
	struct view *v = arg;
	Detail *d = v->detail;
	int e = view_request(conn, v);

	d->request = v->request;
	if (!e)
		e = read_facts(conn, v);
	if (!e)
		e = read_list(conn, v, "SELECT name, value FROM attributes WHERE request_id=? ORDER BY name LIMIT ?",
			      make_attribute, (void ***)&d->attributes, &d->n_attributes);
	if (!e)
		e = read_list(conn, v,
			      "SELECT oid, flags, value FROM extensions WHERE request_id=? ORDER BY oid LIMIT ?",
			      make_extension, (void ***)&d->extensions, &d->n_extensions);
	if (!e)
		e = read_list(
			conn, v,
			"SELECT kind, value, evidence_text FROM names WHERE request_id=? ORDER BY position LIMIT ?",
			make_name, (void ***)&d->names, &d->n_names);
	if (!e)
		e = read_list(
			conn, v,
			"SELECT officer FROM approvals a WHERE request_id=? AND digest=(SELECT digest FROM requests q"
			" WHERE q.id=a.request_id) ORDER BY at_ms LIMIT ?",
			make_officer, (void ***)&d->approvals, &d->n_approvals);
	if (!e)
		e = read_list(conn, v, "SELECT at_ms, actor, text FROM notes WHERE request_id=? ORDER BY id LIMIT ?",
			      make_line, (void ***)&d->notes, &d->n_notes);
	if (!e && v->timeline)
		e = read_list(conn, v, "SELECT at_ms, actor, text FROM timeline WHERE request_id=? ORDER BY id LIMIT ?",
			      make_line, (void ***)&d->timeline, &d->n_timeline);
	return e;
}

int store_view_detail(struct ca_core *core, int64_t id, bool timeline, struct arena *arena,
		      Gatehouse__Admin__Detail **out)
{
	struct view v = { .arena = arena, .id = id, .timeline = timeline };
	int e;

	v.detail = arena_alloc(arena, sizeof(*v.detail));
	if (!v.detail)
		return -ENOMEM;
	gatehouse__admin__detail__init(v.detail);
	e = db_read(core->db, view_detail, &v);
	if (!e)
		*out = v.detail;
	return e;
}

/* ---- what happened ---- */

struct happened {
	struct arena *arena;
	int64_t after, id;
	unsigned max;
	Gatehouse__Admin__Watched *out;
};

static int read_happened(struct db_conn *conn, struct happened *h)
{
	OWNED(db_rows) rows = NULL;
	/* Two statements, so that each has its index. */
	int e = h->id ? db_select(conn, &rows,
				  "SELECT t.id, t.request_id, t.at_ms, t.actor, t.text, q.state FROM timeline t"
				  " JOIN requests q ON q.id=t.request_id WHERE t.request_id=? AND t.id>?"
				  " ORDER BY t.id LIMIT ?",
				  DB_INT(h->id), DB_INT(h->after), DB_INT(h->max)) :
			db_select(conn, &rows,
				  "SELECT t.id, t.request_id, t.at_ms, t.actor, t.text, q.state FROM timeline t"
				  " JOIN requests q ON q.id=t.request_id WHERE t.id>? ORDER BY t.id LIMIT ?",
				  DB_INT(h->after), DB_INT(h->max));

	while (!e && h->out->n_lines < h->max && (e = db_next(rows)) == DB_ROW) {
		Gatehouse__Admin__Happened *line = arena_alloc(h->arena, sizeof(*line));

		if (!line)
			return -ENOMEM;
		gatehouse__admin__happened__init(line);
		h->out->last = line->id = db_col_int(rows, 0);
		line->request_id = db_col_int(rows, 1);
		line->at_ms = db_col_int(rows, 2);
		line->actor = text(h->arena, rows, 3);
		line->text = text(h->arena, rows, 4);
		line->state = (uint32_t)db_col_int(rows, 5);
		h->out->lines[h->out->n_lines++] = line;
		e = 0;
	}
	return e;
}

static int view_happened(struct db_conn *conn, void *arg)
{
	struct happened *h = arg;
	OWNED(db_rows) rows = NULL;
	int e;

	h->out->n_lines = 0;
	h->out->last = h->after;
	if (h->after)
		return read_happened(conn, h);
	e = db_select(conn, &rows, "SELECT coalesce(max(id), 0) FROM timeline");
	if (!e && (e = db_next(rows)) == DB_ROW) {
		h->out->last = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

int store_view_happened(struct ca_core *core, int64_t after, int64_t id, unsigned max, struct arena *arena,
			Gatehouse__Admin__Watched **out)
{
	struct happened h = { .arena = arena, .after = after, .id = id, .max = max };

	h.out = arena_alloc(arena, sizeof(*h.out));
	if (!h.out)
		return -ENOMEM;
	gatehouse__admin__watched__init(h.out);
	h.out->lines = arena_alloc(arena, (max + 1) * sizeof(*h.out->lines));
	*out = h.out;
	return h.out->lines ? db_read(core->db, view_happened, &h) : -ENOMEM;
}
