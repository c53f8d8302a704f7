/* Lists in every format.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/list.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/ctl/print.h"

#define COLUMNS_MAX 40
#define KEYS_MAX 8
#define COLUMN_NAME_SIZE 32
#define LIMIT_MAX 1000000000

struct list {
	const struct ctl *ctl;
	const struct list_shape *shape;
	const struct column *columns[COLUMNS_MAX];
	size_t n_columns;
	struct key {
		const struct column *column;
		bool is_descending;
	} keys[KEYS_MAX];
	size_t n_keys;
	const char *after;           /* looked for here; NULL: nothing is */
	bool has_passed;             /* the row `after` was seen */
	int64_t limit;
	bool has_headings;
	size_t n;                    /* rows printed or put into the table */
	struct waiting {
		cJSON *row;
		size_t place; /* among equal ones: as they came */
	} *rows;                     /* those that wait for their order */
	size_t n_rows, rows_room;
	struct print_table *table;   /* made with the first row */
};

static const struct column *find_column(const struct list_shape *shape, const char *name, size_t length)
{
	for (const struct column *c = shape->columns; c->name; c++)
		if (strlen(c->name) == length && memcmp(c->name, name, length) == 0)
			return c;
	return NULL;
}

static int no_such_column(const struct list_shape *shape, const char *option, const char *name, size_t length)
{
	OWNED_BUF what = BUF_INIT(256);
	OWNED_BUF why = BUF_INIT(4096);

	buf_printf(&what, "%s %.*s", option, length < 100 ? (int)length : 100, name);
	buf_append_str(&why, "the columns are:");
	for (const struct column *c = shape->columns; c->name; c++)
		buf_printf(&why, " %s", c->name);
	return ctl_fail(CTL_USAGE, buf_str(&what), buf_str(&why), NULL);
}

static int choose_columns(struct list *l)
{
	bool is_wide = l->ctl->format == CTL_WIDE || l->ctl->format == CTL_CSV;
	const char *names = option_value(l->ctl, "columns");

	if (!names)
		names = is_wide ? l->shape->wide : l->shape->usual;
	if (l->ctl->format == CTL_ID)
		names = l->shape->columns->name;
	while (names) {
		size_t length = strcspn(names, ",");
		const struct column *c = find_column(l->shape, names, length);

		if (!c || l->n_columns == COLUMNS_MAX)
			return no_such_column(l->shape, "--columns", names, length);
		l->columns[l->n_columns++] = c;
		names = names[length] ? names + length + 1 : NULL;
	}
	return CTL_DONE;
}

static int choose_order(struct list *l)
{
	const char *names = option_value(l->ctl, "sort");

	while (names) {
		bool is_descending = names[0] == '-';
		size_t length = strcspn(names += is_descending, ",");
		const struct column *c = find_column(l->shape, names, length);

		if (!c || l->n_keys == KEYS_MAX)
			return no_such_column(l->shape, "--sort", names, length);
		/* The greatest age is the earliest time. */
		l->keys[l->n_keys++] = (struct key){ c, is_descending != (c->kind == COLUMN_AGE) };
		names = names[length] ? names + length + 1 : NULL;
	}
	return CTL_DONE;
}

int list_new(struct list **out, const struct ctl *ctl)
{
	struct list *l = calloc(1, sizeof(*l));
	int code;

	if (!l)
		abort();
	l->ctl = ctl;
	l->shape = ctl->command->list;
	l->limit = INT64_MAX;
	l->has_headings = !option_given(ctl, "no-headings");
	code = option_number(ctl, "limit", 1, LIMIT_MAX, &l->limit);
	if (!code)
		code = choose_columns(l);
	if (!code)
		code = choose_order(l);
	if (l->n_keys || l->shape->is_whole)
		l->after = option_value(ctl, "after");
	if (code) {
		free(l);
		return code;
	}
	*out = l;
	return CTL_DONE;
}

const char *list_after(const struct list *l)
{
	return l->after ? NULL : option_value(l->ctl, "after");
}

int list_after_number(const struct list *l, int64_t *n)
{
	return l->after ? CTL_DONE : option_number(l->ctl, "after", 0, INT64_MAX, n);
}

static const cJSON *member(const cJSON *row, const struct column *c)
{
	char name[COLUMN_NAME_SIZE];
	size_t i = 0;

	if (c->member)
		return cJSON_GetObjectItemCaseSensitive(row, c->member);
	for (; c->name[i] && i + 1 < sizeof(name); i++)
		name[i] = c->name[i] == '-' ? '_' : c->name[i];
	name[i] = '\0';
	return cJSON_GetObjectItemCaseSensitive(row, name);
}

static const char *heading(const struct column *c)
{
	char text[COLUMN_NAME_SIZE];
	size_t i = 0;

	for (; c->name[i] && i + 1 < sizeof(text); i++)
		text[i] = c->name[i] == '-' ? ' ' : (char)toupper((unsigned char)c->name[i]);
	text[i] = '\0';
	return c->heading ? c->heading : print_kept(text);
}

static const char *names_text(const cJSON *list, bool all)
{
	OWNED_BUF out = BUF_INIT(1u << 20);
	int n = cJSON_GetArraySize(list);
	const cJSON *item;

	cJSON_ArrayForEach(item, list) {
		if (all && out.len)
			buf_append_char(&out, ' ');
		if (cJSON_IsString(item) && (all || !out.len))
			buf_append_str(&out, item->valuestring);
	}
	if (!all && n > 1)
		buf_printf(&out, " +%d", n - 1);
	return print_text(buf_str(&out));
}

/* A cell of a table; whole when nothing shortens it there. */
static const char *cell_text(const struct list *l, const cJSON *row, const struct column *c)
{
	const cJSON *value = member(row, c);
	bool whole = l->ctl->format != CTL_TABLE;

	if (c->text)
		return print_text(c->text(row));
	if (cJSON_IsNumber(value))
		return print_number((int64_t)value->valuedouble);
	if (cJSON_IsBool(value))
		return cJSON_IsTrue(value) ? "yes" : "no";
	if (cJSON_IsArray(value))
		return names_text(value, whole);
	if (!cJSON_IsString(value))
		return "";
	if (c->kind == COLUMN_AGE && l->ctl->format != CTL_CSV)
		return print_age_of(l->ctl, value->valuestring);
	return print_text(value->valuestring);
}

/* RFC 4180. What a spreadsheet would take for a formula does not begin like one. */
static void print_csv_cell(const char *text, enum column_kind kind)
{
	if (kind != COLUMN_NUMBER && *text && strchr("=+-@", *text)) {
		printf("\"\\x%02x", (unsigned char)*text++);
	} else if (!text[strcspn(text, ",\" ")]) {
		fputs(text, stdout);
		return;
	} else {
		putchar('"');
	}
	for (; *text; text++)
		printf(*text == '"' ? "\"\"" : "%c", *text);
	putchar('"');
}

static void print_csv_row(const struct list *l, const cJSON *row)
{
	for (size_t i = 0; i < l->n_columns; i++) {
		if (i)
			putchar(',');
		print_csv_cell(row ? cell_text(l, row, l->columns[i]) : l->columns[i]->name, l->columns[i]->kind);
	}
	fputs("\r\n", stdout);
}

static void add_table_row(struct list *l, const cJSON *row)
{
	const char *cells[COLUMNS_MAX + 1] = { NULL }, *headings[COLUMNS_MAX + 1] = { NULL };

	if (!l->table) {
		for (size_t i = 0; i < l->n_columns; i++)
			headings[i] = heading(l->columns[i]);
		l->table = print_table_new(l->ctl, headings);
		for (size_t i = 0; i < l->n_columns; i++)
			if (l->columns[i]->kind == COLUMN_TEXT || l->columns[i]->kind == COLUMN_NAMES)
				print_table_may_shrink(l->table, i);
	}
	for (size_t i = 0; i < l->n_columns; i++)
		cells[i] = cell_text(l, row, l->columns[i]);
	print_row(l->table, cells);
	for (size_t i = 0; i < l->n_columns; i++)
		if (l->columns[i]->kind == COLUMN_STATE)
			print_cell_color(l->table, i, print_state_color(cells[i]));
}

/* The row goes out; it stays the caller's. */
static void print_list_row(struct list *l, const cJSON *row)
{
	switch (l->ctl->format) {
	case CTL_JSON:
		printf(l->n ? "," : "{\"schema\":1,\"%s\":[", l->shape->member);
		print_json_text(row);
		break;
	case CTL_JSONL:
		print_json_text(row);
		putchar('\n');
		break;
	case CTL_CSV:
		if (l->n == 0 && l->has_headings)
			print_csv_row(l, NULL);
		print_csv_row(l, row);
		break;
	case CTL_ID:
		puts(cell_text(l, row, l->columns[0]));
		break;
	default:
		add_table_row(l, row);
	}
	l->n++;
}

/* Texts of cells that are printed already are of no more use. */
static bool is_streamed(const struct list *l)
{
	return l->ctl->format != CTL_TABLE && l->ctl->format != CTL_WIDE;
}

static void print_one(struct list *l, cJSON *row)
{
	print_list_row(l, row);
	cJSON_Delete(row);
	if (is_streamed(l))
		print_forget();
}

/* Does --after name this row? */
static bool is_after(const struct list *l, const cJSON *row)
{
	return strcasecmp(cell_text(l, row, l->shape->columns), l->after) == 0;
}

static bool add_streamed(struct list *l, cJSON *row)
{
	bool is_named = l->after && is_after(l, row);

	l->has_passed |= is_named;
	if (l->after && (is_named || !l->has_passed)) {
		cJSON_Delete(row);
		return true;
	}
	print_one(l, row);
	return (int64_t)l->n < l->limit;
}

bool list_add(struct list *l, cJSON *row)
{
	if (!row)
		abort();
	if (l->n_keys == 0)
		return add_streamed(l, row);
	if (l->n_rows == l->rows_room) {
		l->rows_room = l->rows_room ? 2 * l->rows_room : 64;
		l->rows = reallocarray(l->rows, l->rows_room, sizeof(*l->rows));
		if (!l->rows)
			abort();
	}
	l->rows[l->n_rows] = (struct waiting){ row, l->n_rows };
	l->n_rows++;
	return true;
}

bool list_goes_on(const Gatehouse__Admin__Reply *reply, ProtobufCBinaryData *from)
{
	if (!reply->more || reply->next.len == 0 || reply->next.len > LIST_PLACE_MAX)
		return false;
	memcpy(from->data, reply->next.data, reply->next.len);
	from->len = reply->next.len;
	return true;
}

size_t list_count(const struct list *l)
{
	return l->n + l->n_rows;
}

static int compare_cells(const struct column *c, const cJSON *a, const cJSON *b)
{
	const cJSON *x = member(a, c), *y = member(b, c);

	if (c->text)
		return strcmp(c->text(a), c->text(b));
	if (cJSON_IsNumber(x) && cJSON_IsNumber(y))
		return (x->valuedouble > y->valuedouble) - (x->valuedouble < y->valuedouble);
	if (cJSON_IsArray(x) && cJSON_IsArray(y)) {
		x = x->child;
		y = y->child;
	}
	/* Times are RFC 3339 in UTC: their order is that of the text. What is not there comes first. */
	return strcmp(cJSON_IsString(x) ? x->valuestring : "", cJSON_IsString(y) ? y->valuestring : "");
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct waiting *x = a, *y = b;
	const struct list *l = arg;

	for (size_t i = 0; i < l->n_keys; i++) {
		int order = compare_cells(l->keys[i].column, x->row, y->row);

		if (order)
			return l->keys[i].is_descending ? -order : order;
	}
	return (x->place > y->place) - (x->place < y->place);
}

static void print_sorted(struct list *l)
{
	size_t first = 0;

	if (l->n_rows)
		qsort_r(l->rows, l->n_rows, sizeof(*l->rows), compare_rows, l);
	for (size_t i = 0; l->after && i < l->n_rows; i++)
		if (is_after(l, l->rows[i].row))
			first = i + 1;
	l->has_passed |= first > 0;
	for (size_t i = first; (!l->after || first) && i < l->n_rows && (int64_t)(i - first) < l->limit; i++) {
		print_one(l, l->rows[i].row);
		l->rows[i].row = NULL;
	}
}

static void print_end_of_list(struct list *l)
{
	print_sorted(l);
	if (l->ctl->format == CTL_JSON)
		printf(l->n ? "]}\n" : "{\"schema\":1,\"%s\":[]}\n", l->shape->member);
	if (l->ctl->format == CTL_CSV && l->n == 0 && l->has_headings)
		print_csv_row(l, NULL);
	if (!is_streamed(l) && l->n == 0 && l->has_headings)
		puts(l->shape->empty);
}

int list_end(struct list **lp, int code)
{
	struct list *l = *lp;

	if (!l)
		return code;
	if (code == CTL_DONE)
		print_end_of_list(l);
	if (code == CTL_DONE && l->after && !l->has_passed)
		code = ctl_fail(CTL_USAGE, l->after, "the list has no such row to begin after", NULL);
	if (l->table)
		print_table_end(l->table, code == CTL_DONE);
	for (size_t i = 0; i < l->n_rows; i++)
		cJSON_Delete(l->rows[i].row);
	free(l->rows);
	free(l);
	*lp = NULL;
	return code;
}
