/* Lists: choosing what leads, reading a page.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_list_sql.h"

#include <errno.h>

#include "core/base/own.h"
#include "core/store_view_int.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 500
#define PAGE_OCTETS_MAX 200000 /* packed; a message holds more, and one row does not fill the difference */
#define CURSOR_SIZE 16

/* ---- planning ---- */

static bool is_date(const struct filter_field *f)
{
	return f->kind == FILTER_TIME || f->kind == FILTER_AGE || f->kind == FILTER_AHEAD;
}

/* Can its index find this term? */
static bool can_lead(const struct filter *t)
{
	if (t->what != FILTER_TERM || !t->field->index)
		return false;
	if (is_date(t->field))
		return true;
	if (t->field->kind == FILTER_NAME)
		return list_is_ending(t);
	return t->op == FILTER_EQ;
}

static void add_leader(struct list_plan *p, const struct filter *term)
{
	struct list_leader *l = p->leaders;

	if (!p->order && is_date(term->field))
		p->order = term->field;
	/* Two dates are a span of one index; what else stands twice is looked into once. */
	while (l < p->leaders + p->n_leaders && strcmp(l->field->column, term->field->column) != 0)
		l++;
	if (l == p->leaders + LIST_LEADERS_MAX)
		return;
	if (l < p->leaders + p->n_leaders) {
		if (is_date(term->field) && !l->is_either)
			l->terms[l->n++] = term;
		return;
	}
	*l = (struct list_leader){ .field = term->field, .terms = { term }, .n = 1,
				   .is_walkable = term->op == FILTER_EQ && !is_date(term->field) &&
						  term->field->kind != FILTER_NAME && !term->value.is_prefix };
	p->n_leaders++;
}

/* Are all terms below this OR equal ones of the same field? */
static bool collect_either(const struct filter *f, struct list_leader *l)
{
	if (f->what == FILTER_OR)
		return collect_either(f->left, l) && collect_either(f->right, l);
	if (!can_lead(f) || f->op != FILTER_EQ || f->value.is_prefix || is_date(f->field) ||
	    f->field->kind == FILTER_NAME || (l->field && l->field != f->field) || l->n == FILTER_TERMS_MAX)
		return false;
	l->field = f->field;
	l->terms[l->n++] = f;
	return true;
}

static void add_either(struct list_plan *p, const struct filter *f)
{
	struct list_leader l = { .is_either = true };

	if (!collect_either(f, &l) || p->n_leaders == LIST_LEADERS_MAX)
		return;
	for (size_t i = 0; i < p->n_leaders; i++)
		if (p->leaders[i].field == l.field)
			return;
	p->leaders[p->n_leaders++] = l;
}

static void find_leaders(struct list_plan *p, const struct filter *f)
{
	if (f->what == FILTER_AND) {
		find_leaders(p, f->left);
		find_leaders(p, f->right);
	} else if (f->what == FILTER_OR) {
		add_either(p, f);
	} else if (can_lead(f)) {
		add_leader(p, f);
	}
}

static int64_t read_int64(const uint8_t *octets)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | octets[i];
	return (int64_t)n;
}

static void write_int64(uint8_t *octets, int64_t number)
{
	for (int i = 0; i < 8; i++)
		octets[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
}

int list_plan_init(struct list_plan *p, const struct list_query *q, struct arena *arena,
		   char why[static FILTER_WHY_SIZE])
{
	struct filter *filter;
	int e = filter_parse(&filter, arena, q->table, q->filter, q->now_s, why);

	*p = (struct list_plan){ .q = q, .filter = filter };
	if (!e && filter)
		find_leaders(p, filter);
	if (e || q->from.len == 0)
		return e;
	if (q->from.len != CURSOR_SIZE) {
		snprintf(why, FILTER_WHY_SIZE, "that is no place where a list goes on");
		return FILTER_WRONG;
	}
	p->from = (struct list_cursor){ read_int64(q->from.ptr), read_int64(q->from.ptr + 8), true };
	return 0;
}

void list_plan_choose(struct list_plan *p)
{
	p->leader = NULL;
	for (size_t i = 0; i < p->n_leaders; i++)
		if (!p->leader || p->leaders[i].found < p->leader->found)
			p->leader = &p->leaders[i];
	p->is_few = p->leader && p->leader->found <= LIST_FEW;
	if (p->is_few)
		return;
	/* Many everywhere: in the order of the list, along an index where one keeps that order. */
	p->leader = NULL;
	for (size_t i = 0; !p->order && i < p->n_leaders; i++)
		if (p->leaders[i].is_walkable && (!p->leader || p->leaders[i].field < p->leader->field))
			p->leader = &p->leaders[i];
}

/* ---- reading ---- */

struct list_read {
	struct list_plan plan;
	struct arena *arena;
	Gatehouse__Admin__Reply *reply;
	unsigned limit;
	size_t octets;           /* of the page, packed */
	struct list_cursor last; /* the last row that is on the page */
	bool is_chosen, is_full;
};

static int select_sql(struct db_conn *conn, struct db_rows **rows, const struct list_sql *s)
{
	return db_select_once(conn, rows, buf_str(&s->text), s->values, s->n);
}

static int count_leader(struct db_conn *conn, struct list_read *r, struct list_leader *l)
{
	struct list_sql s = LIST_SQL_INIT(r->arena);
	OWNED(db_rows) rows = NULL;
	int e;

	/* Nothing is behind it: no need to look. */
	if (l->field->is_unique && l->is_walkable)
		l->found = 1;
	if (l->found)
		return 0;
	e = list_sql_count(&r->plan, l, &s);
	if (!e)
		e = select_sql(conn, &rows, &s);
	if (!e && (e = db_next(rows)) == DB_ROW) {
		l->found = db_col_int(rows, 0);
		e = 0;
	}
	buf_fini(&s.text);
	return e;
}

static int last_number(struct db_conn *conn, int64_t *id)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT coalesce(max(id), 0) FROM requests");

	if (!e && (e = db_next(rows)) == DB_ROW) {
		*id = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

/* Where this call stops looking, when the list does not end before. */
static int find_end(struct db_conn *conn, struct list_read *r)
{
	struct list_plan *p = &r->plan;
	struct list_sql s = LIST_SQL_INIT(r->arena);
	OWNED(db_rows) rows = NULL;
	int64_t last = 0;
	int e = 0;

	if (p->is_few || !p->filter)
		return 0;
	if (list_walks_all(p)) {
		e = last_number(conn, &last);
		if (p->q->backwards)
			p->until.id = (p->from.is_set ? p->from.id : last + 1) - LIST_SCAN_MAX;
		else
			p->until.id = p->from.id + LIST_SCAN_MAX;
		p->until.is_set = p->q->backwards ? p->until.id > 1 : p->until.id < last;
		return e;
	}
	e = list_sql_until(p, &s);
	if (!e)
		e = select_sql(conn, &rows, &s);
	if (!e && (e = db_next(rows)) == DB_ROW) {
		p->until = (struct list_cursor){ db_col_int(rows, 0), db_col_int(rows, 1), true };
		e = 0;
	}
	buf_fini(&s.text);
	return e;
}

/* The first two columns are key and number, those of the row follow. */
static int read_row(struct db_conn *conn, struct list_read *r, struct db_rows *rows)
{
	Gatehouse__Admin__Reply *reply = r->reply;
	Gatehouse__Admin__Certificate *c;
	Gatehouse__Admin__Request *q;
	int e;

	if (r->plan.q->table == FILTER_REQUESTS) {
		q = view_read_request(r->arena, rows, 2);
		e = q ? view_read_names(conn, r->arena, q->id, &q->names, &q->n_names) : -ENOMEM;
		if (!e)
			r->octets += gatehouse__admin__request__get_packed_size(q) + 8;
		if (!e && (r->octets < PAGE_OCTETS_MAX || reply->n_requests == 0))
			reply->requests[reply->n_requests++] = q;
	} else {
		c = view_read_certificate(r->arena, rows, 2);
		e = c ? view_read_names(conn, r->arena, c->request_id, &c->names, &c->n_names) : -ENOMEM;
		if (!e)
			r->octets += gatehouse__admin__certificate__get_packed_size(c) + 8;
		if (!e && (r->octets < PAGE_OCTETS_MAX || reply->n_certificates == 0))
			reply->certificates[reply->n_certificates++] = c;
	}
	return e;
}

static int read_page(struct db_conn *conn, struct list_read *r)
{
	const char *columns = arena_printf(r->arena, "%s, %s, %s", list_key_column(&r->plan), list_id_column(&r->plan),
					   r->plan.q->table == FILTER_REQUESTS ? VIEW_REQUEST_COLUMNS :
										 VIEW_CERTIFICATE_COLUMNS);
	Gatehouse__Admin__Reply *reply = r->reply;
	struct list_sql s = LIST_SQL_INIT(r->arena);
	OWNED(db_rows) rows = NULL;
	unsigned wanted = r->limit + 1 - (unsigned)(reply->n_requests + reply->n_certificates);
	int e = columns ? list_sql_page(&r->plan, columns, wanted, &s) : -ENOMEM;

	if (!e)
		e = select_sql(conn, &rows, &s);
	while (!e && (e = db_next(rows)) == DB_ROW) {
		size_t n = reply->n_requests + reply->n_certificates;

		e = 0;
		r->is_full = n == r->limit;
		if (r->is_full)
			break;
		e = read_row(conn, r, rows);
		r->is_full = !e && reply->n_requests + reply->n_certificates == n;
		if (r->is_full)
			break;
		r->last = (struct list_cursor){ db_col_int(rows, 0), db_col_int(rows, 1), true };
	}
	db_rows_drop(&rows);
	buf_fini(&s.text);
	return e;
}

static int write_next(struct list_read *r)
{
	const struct list_cursor *next = r->is_full ? &r->last : &r->plan.until;
	uint8_t octets[CURSOR_SIZE];
	struct bytes copy;

	if (!r->is_full && !r->plan.until.is_set)
		return 0;
	write_int64(octets, r->plan.order ? next->key : 0);
	write_int64(octets + 8, next->id);
	copy = arena_copy(r->arena, bytes_of(octets, sizeof(octets)));
	r->reply->more = true;
	r->reply->next = (ProtobufCBinaryData){ copy.len, (uint8_t *)copy.ptr };
	return copy.ptr ? 0 : -ENOMEM;
}

static int list(struct db_conn *conn, void *arg)
{
	struct list_read *r = arg;
	int e = 0;

	for (size_t i = 0; !e && !r->is_chosen && i < r->plan.n_leaders; i++)
		e = count_leader(conn, r, &r->plan.leaders[i]);
	if (!e && !r->is_chosen)
		list_plan_choose(&r->plan);
	r->is_chosen = true;
	if (!e)
		e = find_end(conn, r);
	return e ? e : read_page(conn, r);
}

/* Scan after scan, until the page is full, the list at its end, or this call has looked at enough. */
static int list_page(struct ca_core *core, struct list_read *r)
{
	int e = db_read(core->db, list, r);

	for (int scans = 1; !e && !r->is_full && r->plan.until.is_set && scans < LIST_SCANS; scans++) {
		r->plan.from = r->plan.until;
		r->plan.until.is_set = false;
		e = db_read(core->db, list, r);
	}
	return e ? e : write_next(r);
}

/* ---- beginning behind a row ---- */

static int find_place(struct db_conn *conn, void *arg)
{
	struct list_read *r = arg;
	const struct list_query *q = r->plan.q;
	bool is_request = q->table == FILTER_REQUESTS;
	struct list_sql s = LIST_SQL_INIT(r->arena);
	OWNED(db_rows) rows = NULL;
	int e = buf_printf(&s.text, "SELECT %s, q.id FROM %s WHERE %s=?", list_key_column(&r->plan),
			   is_request ? "requests q" : "certificates c JOIN requests q ON q.id=c.request_id",
			   is_request ? "q.id" : "c.serial");

	s.values[++s.n] = is_request ? DB_INT(q->after_id) : DB_BLOB(q->after_serial);
	if (!e)
		e = select_sql(conn, &rows, &s);
	if (!e && (e = db_next(rows)) == DB_ROW) {
		r->plan.from = (struct list_cursor){ db_col_int(rows, 0), db_col_int(rows, 1), true };
		e = 0;
	}
	buf_fini(&s.text);
	return e;
}

static int begin_after(struct ca_core *core, struct list_read *r, char why[static FILTER_WHY_SIZE])
{
	const struct list_query *q = r->plan.q;
	int e;

	if (r->plan.from.is_set || !(q->after_id || q->after_serial.len))
		return 0;
	e = db_read(core->db, find_place, r);
	if (e || r->plan.from.is_set)
		return e;
	snprintf(why, FILTER_WHY_SIZE, "there is no such row to begin after");
	return FILTER_WRONG;
}

int store_list(struct ca_core *core, const struct list_query *q, struct arena *arena, Gatehouse__Admin__Reply *reply,
	       char why[static FILTER_WHY_SIZE])
{
	struct list_read r = { .arena = arena, .reply = reply,
			       .limit = q->limit == 0 ? PAGE_DEFAULT : q->limit > PAGE_MAX ? PAGE_MAX : q->limit };
	int e = list_plan_init(&r.plan, q, arena, why);

	if (!e)
		e = begin_after(core, &r, why);
	if (e)
		return e;
	reply->requests = arena_alloc(arena, r.limit * sizeof(*reply->requests));
	reply->certificates = arena_alloc(arena, r.limit * sizeof(*reply->certificates));
	return reply->requests && reply->certificates ? list_page(core, &r) : -ENOMEM;
}
