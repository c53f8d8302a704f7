/* How a list is asked for: from a filter to bound SQL. The planner is apart from the reading so that tests can hold
 * every statement against SQLite's own explanation of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/store_list.h"

#define LIST_VALUES_MAX (4 * FILTER_TERMS_MAX + 16)
#define LIST_LEADERS_MAX 16

/* SQL with its values; values[0] is not used (core/base/db.h). */
struct list_sql {
	struct buf text;
	struct db_value values[LIST_VALUES_MAX];
	size_t n;
	struct arena *arena;
};

#define LIST_SQL_INIT(a) ((struct list_sql){ .text = BUF_INIT(32768), .arena = (a) })

/* Terms that one index finds together: the top-level ones about one column, or an OR of equal ones. */
struct list_leader {
	const struct filter_field *field;
	const struct filter *terms[FILTER_TERMS_MAX];
	size_t n;
	bool is_either;   /* terms of an OR */
	bool is_walkable; /* one "=": the rows behind its index stand in the order of their numbers */
	int64_t found;    /* rows, counted up to LIST_FEW + 1 */
};

struct list_cursor {
	int64_t key, id; /* the date in its column (0 where numbers order), and the number */
	bool is_set;
};

struct list_plan {
	const struct list_query *q;
	const struct filter *filter;
	const struct filter_field *order;   /* NULL: by number */
	struct list_leader leaders[LIST_LEADERS_MAX];
	size_t n_leaders;
	const struct list_leader *leader;   /* what leads; NULL: all rows are walked */
	bool is_few;
	struct list_cursor from, until;     /* `until`: the last row that this call looks at */
};

/* Read filter and cursor, and find what could lead. 0; FILTER_WRONG with `why`; -ENOMEM. */
int list_plan_init(struct list_plan *p, const struct list_query *q, struct arena *arena,
		   char why[static FILTER_WHY_SIZE]);

/* Choose by what was found. */
void list_plan_choose(struct list_plan *p);

/* How many rows does a leader find? One row with a number, at most LIST_FEW + 1. 0 or negative. */
int list_sql_count(const struct list_plan *p, const struct list_leader *l, struct list_sql *out);

/* The row that is LIST_SCAN_MAX further on in the order: its key and number, or no row. Not for few, nor for a walk
 * over all rows, whose numbers tell. */
int list_sql_until(const struct list_plan *p, struct list_sql *out);

/* The page: `columns`, at most `limit` rows. */
int list_sql_page(const struct list_plan *p, const char *columns, unsigned limit, struct list_sql *out);

/* "*.corp.example" and "a.example": what stands backwards in `names` begins with it, or is it. */
bool list_is_ending(const struct filter *term);

/* In the table `names` a name stands backwards too, in small letters. NULL: no memory. */
char *list_reverse(struct arena *arena, const char *text);

/* The expressions of a row's key and number. */
const char *list_key_column(const struct list_plan *p);
const char *list_id_column(const struct list_plan *p);
bool list_walks_all(const struct list_plan *p);
