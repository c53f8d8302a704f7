/* Rows as the administrator's tool sees them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_view.h"

#include <errno.h>

#include "core/base/own.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 500
#define TIMELINE_MAX 1000

typedef Gatehouse__Admin__Request Request;
typedef Gatehouse__Admin__Detail Detail;

struct view {
	struct arena *arena;
	int64_t id, after;
	unsigned state, limit;
	struct bytes after_serial;
	bool timeline;
	Gatehouse__Admin__Reply *reply;
	Request *request;
	Detail *detail;
};

static char *text(struct view *v, struct db_rows *rows, int column)
{
	const char *s = db_col_text(rows, column);
	char *copy = arena_strdup(v->arena, s ? s : "");

	return copy ? copy : (char *)"";
}

static ProtobufCBinaryData blob(struct view *v, struct db_rows *rows, int column)
{
	struct bytes copy = arena_copy(v->arena, db_col_blob(rows, column));

	return (ProtobufCBinaryData){ .len = copy.ptr ? copy.len : 0, .data = (uint8_t *)copy.ptr };
}

#define REQUEST_COLUMNS \
	"id, state, protocol, endpoint, profile, ca, requester, source_address, subject, digest, submitted_ms," \
	" first_seen_ms, coalesce(resolved_ms, 0), rule, reason, status, serial, version"

static Request *read_request(struct view *v, struct db_rows *rows)
{
	Request *q = arena_alloc(v->arena, sizeof(*q));

	if (!q)
		return NULL;
	gatehouse__admin__request__init(q);
	q->id = db_col_int(rows, 0);
	q->state = (uint32_t)db_col_int(rows, 1);
	q->protocol = text(v, rows, 2);
	q->endpoint = text(v, rows, 3);
	q->profile = text(v, rows, 4);
	q->ca = text(v, rows, 5);
	q->requester = text(v, rows, 6);
	q->source = text(v, rows, 7);
	q->subject = text(v, rows, 8);
	q->digest = blob(v, rows, 9);
	q->submitted_ms = db_col_int(rows, 10);
	q->first_seen_ms = db_col_int(rows, 11);
	q->resolved_ms = db_col_int(rows, 12);
	q->rule = text(v, rows, 13);
	q->reason = text(v, rows, 14);
	q->status = (char *)ca_status_word((enum ca_status)db_col_int(rows, 15));
	q->serial = blob(v, rows, 16);
	q->version = db_col_int(rows, 17);
	return q;
}

/* "dns:a.example" for each proven name. */
static int read_names(struct db_conn *conn, struct view *v, int64_t id, char ***out, size_t *n)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT kind, value, count(*) OVER () FROM names WHERE request_id=? ORDER BY position",
			  DB_INT(id));

	*n = 0;
	while (!e && (e = db_next(rows)) == DB_ROW) {
		if (!*n)
			*out = arena_alloc(v->arena, (size_t)db_col_int(rows, 2) * sizeof(**out));
		if (!*out)
			return -ENOMEM;
		(*out)[*n] = arena_printf(v->arena, "%s:%s", ca_name_kind_word((enum ca_name_kind)db_col_int(rows, 0)),
					  db_col_text(rows, 1));
		if (!(*out)[(*n)++])
			return -ENOMEM;
		e = 0;
	}
	return e;
}

static unsigned page_size(unsigned limit)
{
	return limit == 0 ? PAGE_DEFAULT : limit > PAGE_MAX ? PAGE_MAX : limit;
}

static int view_requests(struct db_conn *conn, void *arg)
{
	struct view *v = arg;
	Gatehouse__Admin__Reply *reply = v->reply;
	OWNED(db_rows) rows = NULL;
	/* Two statements, so that each has its index. */
	int e = v->state ? db_select(conn, &rows,
				     "SELECT " REQUEST_COLUMNS
				     " FROM requests WHERE state=? AND id>? ORDER BY id LIMIT ?",
				     DB_INT(v->state), DB_INT(v->after), DB_INT(v->limit + 1)) :
			   db_select(conn, &rows,
				     "SELECT " REQUEST_COLUMNS " FROM requests WHERE id>? ORDER BY id LIMIT ?",
				     DB_INT(v->after), DB_INT(v->limit + 1));

	while (!e && (e = db_next(rows)) == DB_ROW) {
		e = 0;
		if (reply->n_requests == v->limit) {
			reply->more = true;
			break;
		}
		reply->requests[reply->n_requests] = read_request(v, rows);
		if (!reply->requests[reply->n_requests])
			return -ENOMEM;
		reply->n_requests++;
	}
	for (size_t i = 0; !e && i < reply->n_requests; i++)
		e = read_names(conn, v, reply->requests[i]->id, &reply->requests[i]->names,
			       &reply->requests[i]->n_names);
	return e;
}

int store_view_requests(struct ca_core *core, unsigned state, int64_t after, unsigned limit, struct arena *arena,
			Gatehouse__Admin__Reply *reply)
{
	struct view v = { .arena = arena, .state = state, .after = after, .limit = page_size(limit), .reply = reply };

	reply->requests = arena_alloc(arena, v.limit * sizeof(*reply->requests));
	return reply->requests ? db_read(core->db, view_requests, &v) : -ENOMEM;
}

static int view_request(struct db_conn *conn, void *arg)
{
	struct view *v = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT " REQUEST_COLUMNS " FROM requests WHERE id=?", DB_INT(v->id));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	v->request = read_request(v, rows);
	if (!v->request)
		return -ENOMEM;
	return read_names(conn, v, v->id, &v->request->names, &v->request->n_names);
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
		"SELECT asked_subject, key_type, key_bits, not_before_s, not_after_s, trace, certificate"
		" FROM requests r LEFT JOIN (SELECT request_id, certificate FROM certificates) c ON c.request_id=r.id"
		" WHERE r.id=?",
		DB_INT(v->id));

	if (!e && (e = db_next(rows)) == DB_ROW) {
		d->asked_subject = text(v, rows, 0);
		d->key_type = text(v, rows, 1);
		d->key_bits = (uint32_t)db_col_int(rows, 2);
		d->not_before_s = db_col_int(rows, 3);
		d->not_after_s = db_col_int(rows, 4);
		d->trace = text(v, rows, 5);
		d->certificate = blob(v, rows, 6);
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
		a->name = text(v, rows, 0);
		a->value = text(v, rows, 1);
	}
	return a;
}

static void *make_extension(struct view *v, struct db_rows *rows)
{
	Gatehouse__Admin__Extension *x = arena_alloc(v->arena, sizeof(*x));

	if (x) {
		gatehouse__admin__extension__init(x);
		x->oid = text(v, rows, 0);
		x->flags = (uint32_t)db_col_int(rows, 1);
		x->value = blob(v, rows, 2);
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
		n->evidence = text(v, rows, 2);
	}
	return n && n->text ? n : NULL;
}

static void *make_line(struct view *v, struct db_rows *rows)
{
	Gatehouse__Admin__Line *l = arena_alloc(v->arena, sizeof(*l));

	if (l) {
		gatehouse__admin__line__init(l);
		l->at_ms = db_col_int(rows, 0);
		l->actor = text(v, rows, 1);
		l->text = text(v, rows, 2);
	}
	return l;
}

static void *make_officer(struct view *v, struct db_rows *rows)
{
	return text(v, rows, 0);
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

static Gatehouse__Admin__Certificate *read_certificate(struct view *v, struct db_rows *rows)
{
	Gatehouse__Admin__Certificate *c = arena_alloc(v->arena, sizeof(*c));

	if (!c)
		return NULL;
	gatehouse__admin__certificate__init(c);
	c->serial = blob(v, rows, 0);
	c->request_id = db_col_int(rows, 1);
	c->ca = text(v, rows, 2);
	c->profile = text(v, rows, 3);
	c->requester = text(v, rows, 4);
	c->subject = text(v, rows, 5);
	c->not_before_s = db_col_int(rows, 6);
	c->not_after_s = db_col_int(rows, 7);
	c->revoked_ms = db_col_int(rows, 8);
	return c;
}

static int view_certificates(struct db_conn *conn, void *arg)
{
	struct view *v = arg;
	Gatehouse__Admin__Reply *reply = v->reply;
	OWNED(db_rows) rows = NULL;
	int e = db_select(
		conn, &rows,
		"SELECT c.serial, c.request_id, c.ca, q.profile, q.requester, q.subject, c.not_before_s,"
		" c.not_after_s, coalesce(c.revoked_ms, 0) FROM certificates c JOIN requests q ON q.id=c.request_id"
		" WHERE c.serial>? ORDER BY c.serial LIMIT ?",
		DB_BLOB(v->after_serial), DB_INT(v->limit + 1));

	while (!e && (e = db_next(rows)) == DB_ROW) {
		e = 0;
		if (reply->n_certificates == v->limit) {
			reply->more = true;
			break;
		}
		reply->certificates[reply->n_certificates] = read_certificate(v, rows);
		if (!reply->certificates[reply->n_certificates])
			return -ENOMEM;
		reply->n_certificates++;
	}
	for (size_t i = 0; !e && i < reply->n_certificates; i++) {
		Gatehouse__Admin__Certificate *c = reply->certificates[i];

		e = read_names(conn, v, c->request_id, &c->names, &c->n_names);
	}
	return e;
}

int store_view_certificates(struct ca_core *core, struct bytes after, unsigned limit, struct arena *arena,
			    Gatehouse__Admin__Reply *reply)
{
	struct view v = { .arena = arena, .limit = page_size(limit), .reply = reply };

	/* An empty blob sorts before every serial; SQL NULL would compare with nothing. */
	v.after_serial = after.len ? after : bytes_of("", 0);
	reply->certificates = arena_alloc(arena, v.limit * sizeof(*reply->certificates));
	return reply->certificates ? db_read(core->db, view_certificates, &v) : -ENOMEM;
}
