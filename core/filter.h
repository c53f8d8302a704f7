/* The filter language of lists: text that a person typed becomes a tree of terms, and the tree becomes bound SQL
 * (core/store_list.c). Nothing of the text is ever pasted into SQL.
 *
 *     state=pending and (via=est or via=scep) and san~*.corp.example and age>2h and not edited
 *
 *     filter = or ;  or = and {"or" and} ;  and = not {"and" not} ;  not = ["not"] ("(" or ")" | term)
 *     term   = FIELD OP VALUE | FLAG ;  OP = "=" | "!=" | "~" | "!~" | "<" | "<=" | ">" | ">="
 *     VALUE  = letters, digits and signs up to a blank or one of ()<>=!~" ; or "in quotes", with \" and \\
 *
 * `~` compares with a pattern of `*` (any run) and `?` (one character), over the whole value, without case. A request
 * has several names: `san=x` holds when one of them is x, and `san!=x` when none is. Spans are numbers with a
 * unit (s, m, h, d, w), times are dates or RFC 3339 in UTC. Hexadecimal values may end with `*`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"

#include <stdbool.h>

#define FILTER_TEXT_MAX 2000
#define FILTER_TERMS_MAX 32
#define FILTER_DEPTH_MAX 16
#define FILTER_PATTERN_STARS_MAX 8
#define FILTER_WHY_SIZE 256

/* What is listed. A certificate has the fields of its request too. */
enum filter_table { FILTER_REQUESTS = 1 << 0, FILTER_CERTIFICATES = 1 << 1 };

enum filter_kind {
	FILTER_TEXT,   /* value->text */
	FILTER_WORD,   /* value->number: of the word */
	FILTER_NUMBER, /* value->number */
	FILTER_TIME,   /* value->number: seconds since the epoch; `until` where "=" means a whole day */
	FILTER_AGE,    /* the same: what lies that long ago */
	FILTER_AHEAD,  /* the same: what lies that far ahead */
	FILTER_NAME,   /* value->text, value->number: the kind of name, 0 any */
	FILTER_HEX,    /* value->octets, value->is_prefix */
	FILTER_FLAG,   /* no value: the column is the condition */
	FILTER_STANDS_FOR, /* no value: the column is a filter, which is put in its place */
};

enum filter_op { FILTER_EQ, FILTER_LIKE, FILTER_LT, FILTER_LE, FILTER_GT, FILTER_GE };

struct filter_field {
	const char *word;
	unsigned tables;
	enum filter_kind kind;
	const char *column;  /* in SQL: q is the request, c the certificate, n the name */
	int64_t unit;        /* of times: what one second is in the column */
	const char *index;   /* the index that finds it; NULL: none */
	bool is_unique;      /* at most one row has a value of it */
	const char *summary;
};

struct filter_value {
	const char *text;
	int64_t number, until;
	struct bytes octets;
	bool is_prefix;
};

struct filter {
	enum { FILTER_TERM, FILTER_NOT, FILTER_AND, FILTER_OR } what;
	struct filter *left, *right; /* NOT has a left one only */
	const struct filter_field *field;
	enum filter_op op;
	struct filter_value value;
};

/* Every field, for the parser, the planner, their tests and the manual; ends with a row without `word`. */
extern const struct filter_field filter_fields[];

enum { FILTER_WRONG = 1 };

/* Read `text`. 0 with `*out` in the arena, NULL when the text is empty; FILTER_WRONG with a sentence that says where;
 * -ENOMEM. */
int filter_parse(struct filter **out, struct arena *arena, enum filter_table table, const char *text, int64_t now_s,
		 char why[static FILTER_WHY_SIZE]);

/* A pattern of `*` and `?` as the SQL operator LIKE takes it, with the escape character '\'. NULL: no memory. */
char *filter_like(struct arena *arena, const char *pattern);
