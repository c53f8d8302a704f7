/* From a filter to bound SQL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_list_sql.h"

#include <ctype.h>
#include <errno.h>

/* ---- statements ---- */

static int add_value(struct list_sql *s, struct db_value v)
{
	if (s->n + 1 >= LIST_VALUES_MAX)
		return -EINVAL;
	s->values[++s->n] = v;
	return 0;
}

static int add_number(struct list_sql *s, const char *text, int64_t number)
{
	int e = buf_append_str(&s->text, text);

	return e ? e : add_value(s, DB_INT(number));
}

char *list_reverse(struct arena *arena, const char *text)
{
	size_t n = strlen(text);
	char *out = arena_alloc(arena, n + 1);

	for (size_t i = 0; out && i < n; i++)
		out[i] = (char)tolower((unsigned char)text[n - 1 - i]);
	return out;
}

/* The first octets that come after everything with this beginning; empty when nothing does. */
static struct bytes after_prefix(struct arena *arena, struct bytes prefix)
{
	uint8_t *out = arena_alloc(arena, prefix.len + 1);
	size_t n = prefix.len;

	if (!out)
		return bytes_of(NULL, 0);
	memcpy(out, prefix.ptr, prefix.len);
	while (n && out[n - 1] == 0xff)
		n--;
	if (n)
		out[n - 1]++;
	return bytes_of(out, n);
}

static const char *const comparisons[] = { [FILTER_EQ] = "=", [FILTER_LIKE] = " LIKE ", [FILTER_LT] = "<",
					   [FILTER_LE] = "<=", [FILTER_GT] = ">",	[FILTER_GE] = ">=" };

static int write_range(struct list_sql *s, const char *column, struct db_value from, struct db_value until)
{
	int e = buf_printf(&s->text, "%s>=?", column);

	if (!e)
		e = add_value(s, from);
	if (!e && until.kind != DB_VALUE_NONE) {
		e = buf_printf(&s->text, " AND %s<?", column);
		if (!e)
			e = add_value(s, until);
	}
	return e;
}

bool list_is_ending(const struct filter *t)
{
	return t->op == FILTER_EQ || (t->value.text[0] == '*' && t->value.text[1] &&
				      !strpbrk(t->value.text + 1, "*?"));
}

static int write_reversed(struct list_sql *s, const struct filter *t)
{
	char *reversed = list_reverse(s->arena, t->op == FILTER_EQ ? t->value.text : t->value.text + 1);
	struct bytes after;
	int e;

	if (!reversed)
		return -ENOMEM;
	if (t->op == FILTER_EQ) {
		e = buf_append_str(&s->text, "n.reversed=?");
		if (!e)
			e = add_value(s, DB_TEXT(reversed));
	} else {
		after = after_prefix(s->arena, bytes_of_str(reversed));
		e = write_range(s, "n.reversed", DB_TEXT(reversed),
				after.len ? (struct db_value){ DB_VALUE_TEXT, 0, after } : DB_NULL);
	}
	return !e && t->value.number ? add_number(s, " AND n.kind=?", t->value.number) : e;
}

static int write_name(struct list_sql *s, const struct filter *t)
{
	char *like;
	int e = buf_append_str(&s->text, "EXISTS(SELECT 1 FROM names n WHERE n.request_id=q.id AND ");

	if (!e && list_is_ending(t)) {
		e = write_reversed(s, t);
	} else if (!e) {
		like = filter_like(s->arena, t->value.text);
		e = like ? buf_append_str(&s->text, "n.value LIKE ? ESCAPE '\\'") : -ENOMEM;
		if (!e)
			e = add_value(s, DB_TEXT(like));
		if (!e && t->value.number)
			e = add_number(s, " AND n.kind=?", t->value.number);
	}
	return e ? e : buf_append_char(&s->text, ')');
}

static int write_text(struct list_sql *s, const struct filter *t, const char *column)
{
	char *like;
	int e;

	if (t->op == FILTER_EQ) {
		e = buf_printf(&s->text, "%s=?", column);
		return e ? e : add_value(s, DB_TEXT(t->value.text));
	}
	like = filter_like(s->arena, t->value.text);
	if (!like)
		return -ENOMEM;
	e = buf_printf(&s->text, "%s LIKE ? ESCAPE '\\'", column);
	return e ? e : add_value(s, DB_TEXT(like));
}

static int write_hex(struct list_sql *s, const struct filter *t, const char *column)
{
	struct bytes after;
	int e;

	if (t->value.is_prefix) {
		after = after_prefix(s->arena, t->value.octets);
		return write_range(s, column, DB_BLOB(t->value.octets), after.len ? DB_BLOB(after) : DB_NULL);
	}
	e = buf_printf(&s->text, "%s%s?", column, comparisons[t->op]);
	return e ? e : add_value(s, DB_BLOB(t->value.octets));
}

static int write_time(struct list_sql *s, const struct filter *t, const char *column)
{
	int64_t unit = t->field->unit;
	int e;

	if (t->op == FILTER_EQ)
		return write_range(s, column, DB_INT(t->value.number * unit), DB_INT(t->value.until * unit));
	e = buf_printf(&s->text, "%s%s?", column, comparisons[t->op]);
	return e ? e : add_value(s, DB_INT(t->value.number * unit));
}

static int write_number(struct list_sql *s, const struct filter *t, const char *column)
{
	int e = buf_printf(&s->text, "%s%s?", column, comparisons[t->op]);

	return e ? e : add_value(s, DB_INT(t->value.number));
}

/* A column with a plus before it is found by no index: only what leads may choose one. Numbers of rows are no index of
 * their own. */
static int write_term(struct list_sql *s, const struct filter *t, bool leads)
{
	bool is_free = leads || strcmp(t->field->column, "q.id") == 0;
	const char *column = is_free ? t->field->column : arena_printf(s->arena, "+%s", t->field->column);

	if (!column)
		return -ENOMEM;
	switch (t->field->kind) {
	case FILTER_TEXT:
		return write_text(s, t, column);
	case FILTER_NAME:
		return leads ? write_reversed(s, t) : write_name(s, t);
	case FILTER_HEX:
		return write_hex(s, t, column);
	case FILTER_TIME:
	case FILTER_AGE:
	case FILTER_AHEAD:
		return write_time(s, t, column);
	case FILTER_WORD:
	case FILTER_NUMBER:
		return write_number(s, t, column);
	case FILTER_FLAG:
	case FILTER_STANDS_FOR:
		break;
	}
	return buf_append_str(&s->text, t->field->column);
}

/* A comparison with what is not there is false, also behind "not". */
static int write_tree(struct list_sql *s, const struct filter *f)
{
	static const char *const joints[] = { [FILTER_AND] = " AND ", [FILTER_OR] = " OR " };
	int e = buf_append_str(&s->text, f->what == FILTER_NOT ? "(NOT " : "(");

	if (f->what == FILTER_TERM) {
		if (!e)
			e = write_term(s, f, false);
		return e ? e : buf_append_str(&s->text, ") IS TRUE");
	}
	if (!e)
		e = write_tree(s, f->left);
	if (!e && f->right)
		e = buf_append_str(&s->text, joints[f->what]);
	if (!e && f->right)
		e = write_tree(s, f->right);
	return e ? e : buf_append_char(&s->text, ')');
}

/* ---- what leads ---- */

static int write_leader(struct list_sql *s, const struct list_leader *l)
{
	int e = buf_append_char(&s->text, '(');

	for (size_t i = 0; !e && i < l->n; i++) {
		if (i)
			e = buf_append_str(&s->text, l->is_either ? " OR " : " AND ");
		if (!e)
			e = write_term(s, l->terms[i], true);
	}
	return e ? e : buf_append_char(&s->text, ')');
}

static bool is_of_certificate(const struct filter_field *f)
{
	return f->column[0] == 'c';
}

/* The field whose index the statement walks or looks into; NULL: none, the numbers. */
static const struct filter_field *index_of(const struct list_plan *p)
{
	if (p->leader && (p->is_few || p->leader->is_walkable))
		return p->leader->field;
	return p->order;
}

static bool has_index(const struct filter_field *f)
{
	return f && f->kind != FILTER_NAME && *f->index;
}

/* Does the certificate come first, and the request by its number, or the other way round? */
static bool begins_with_certificate(const struct list_plan *p)
{
	const struct filter_field *f = index_of(p);

	return p->q->table == FILTER_CERTIFICATES && (!f || is_of_certificate(f));
}

static int write_from(const struct list_plan *p, struct list_sql *s)
{
	const struct filter_field *f = index_of(p);
	const char *by = has_index(f) ? " INDEXED BY " : "", *index = has_index(f) ? f->index : "";

	if (p->q->table == FILTER_REQUESTS)
		return buf_printf(&s->text, " FROM requests q%s%s WHERE ", by, index);
	/* CROSS JOIN keeps the order in which they stand. */
	if (begins_with_certificate(p))
		return buf_printf(&s->text,
				  " FROM certificates c%s%s CROSS JOIN requests q WHERE q.id=c.request_id AND ", by,
				  index);
	return buf_printf(&s->text, " FROM requests q%s%s CROSS JOIN certificates c WHERE c.request_id=q.id AND ", by,
			  index);
}

const char *list_id_column(const struct list_plan *p)
{
	return begins_with_certificate(p) ? "c.request_id" : "q.id";
}

const char *list_key_column(const struct list_plan *p)
{
	return p->order ? p->order->column : "0";
}

bool list_walks_all(const struct list_plan *p)
{
	return !index_of(p);
}

/* Behind the row `c` (or up to it) in the order of the list. */
static int write_bound(const struct list_plan *p, struct list_sql *s, const struct list_cursor *c, bool is_until)
{
	const char *sign = is_until ? (p->q->backwards ? ">=" : "<=") : (p->q->backwards ? "<" : ">");
	int e;

	if (!c->is_set)
		return 0;
	if (!p->order) {
		e = buf_printf(&s->text, " AND %s%s?", list_id_column(p), sign);
		return e ? e : add_value(s, DB_INT(c->id));
	}
	e = buf_printf(&s->text, " AND (%s,%s)%s(?,?)", p->order->column, list_id_column(p), sign);
	if (!e)
		e = add_value(s, DB_INT(c->key));
	return e ? e : add_value(s, DB_INT(c->id));
}

static int write_order(const struct list_plan *p, struct list_sql *s)
{
	const char *way = p->q->backwards ? " DESC" : "";

	if (!p->order)
		return buf_printf(&s->text, " ORDER BY %s%s", list_id_column(p), way);
	return buf_printf(&s->text, " ORDER BY %s%s, %s%s", p->order->column, way, list_id_column(p), way);
}

static const struct list_leader *leader_of(const struct list_plan *p, const struct filter_field *f)
{
	for (size_t i = 0; i < p->n_leaders; i++)
		if (strcmp(p->leaders[i].field->column, f->column) == 0)
			return &p->leaders[i];
	return NULL;
}

/* The condition of what leads, for its index to be looked into; a date that orders leads too when nothing else does. */
static int write_lead(const struct list_plan *p, struct list_sql *s)
{
	const struct filter_field *f = index_of(p);
	const struct list_leader *l = f ? leader_of(p, f) : NULL;
	int e;

	if (!l)
		return buf_append_char(&s->text, '1');
	if (f->kind != FILTER_NAME)
		return write_leader(s, l);
	e = buf_append_str(&s->text, "q.id IN (SELECT n.request_id FROM names n INDEXED BY names_reversed WHERE ");
	if (!e)
		e = write_leader(s, l);
	return e ? e : buf_append_char(&s->text, ')');
}

static int finished(struct list_sql *s, int e)
{
	return e ? e : buf_status(&s->text);
}

int list_sql_count(const struct list_plan *p, const struct list_leader *l, struct list_sql *out)
{
	const struct filter_field *f = l->field;
	int e;

	if (f->kind == FILTER_NAME)
		e = buf_append_str(&out->text,
				   "SELECT count(*) FROM (SELECT 1 FROM names n INDEXED BY names_reversed WHERE ");
	else
		e = buf_printf(&out->text, "SELECT count(*) FROM (SELECT 1 FROM %s%s%s WHERE ",
			       is_of_certificate(f) ? "certificates c" : "requests q", *f->index ? " INDEXED BY " : "",
			       f->index);
	if (!e)
		e = write_leader(out, l);
	if (!e)
		e = add_number(out, " LIMIT ?)", LIST_FEW + 1);
	return finished(out, e);
}

int list_sql_until(const struct list_plan *p, struct list_sql *out)
{
	const struct filter_field *f = index_of(p);
	const char *id = is_of_certificate(f) ? "c.request_id" : "q.id";
	struct list_plan alone = *p;
	struct list_query requests = *p->q;
	int e = buf_printf(&out->text, "SELECT %s, %s FROM %s INDEXED BY %s WHERE ", list_key_column(p), id,
			   is_of_certificate(f) ? "certificates c" : "requests q", f->index);

	/* Of one table only: the index has all that is asked for. */
	if (!is_of_certificate(f)) {
		requests.table = FILTER_REQUESTS;
		alone.q = &requests;
	}
	if (!e)
		e = write_lead(&alone, out);
	if (!e)
		e = write_bound(&alone, out, &p->from, false);
	if (!e)
		e = write_order(&alone, out);
	if (!e)
		e = add_number(out, " LIMIT 1 OFFSET ?", LIST_SCAN_MAX);
	return finished(out, e);
}

int list_sql_page(const struct list_plan *p, const char *columns, unsigned limit, struct list_sql *out)
{
	int e = buf_printf(&out->text, "SELECT %s", columns);

	if (!e)
		e = write_from(p, out);
	if (!e)
		e = write_lead(p, out);
	if (!e && p->filter) {
		e = buf_append_str(&out->text, " AND ");
		if (!e)
			e = write_tree(out, p->filter);
	}
	if (!e)
		e = write_bound(p, out, &p->from, false);
	if (!e)
		e = write_bound(p, out, &p->until, true);
	if (!e)
		e = write_order(p, out);
	if (!e)
		e = add_number(out, " LIMIT ?", limit);
	return finished(out, e);
}
