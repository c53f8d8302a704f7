/* Lists in every format.
 *
 * A row is a JSON object, the same in each format: a table shows some of its members by the columns of the list's
 * shape, `-o json` is one document with all of them, `-o jsonl` a line each, `-o csv` columns with headings, `-o id`
 * the first column alone. What needs no widths and no order is printed as it comes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/ctl/ctl.h"

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_AGE,   /* a time of the past, in a table as "3m" */
	COLUMN_TIME,
	COLUMN_NAMES, /* a list of texts, in a table the first and how many more */
	COLUMN_STATE, /* a text with a colour */
};

struct column {
	const char *name;    /* for --columns and --sort: "not-after"; NULL ends the columns */
	const char *member;  /* of the row; NULL: that of the name, "not_after" */
	const char *heading; /* NULL: made of the name, "NOT AFTER" */
	enum column_kind kind;
	const char *(*text)(const cJSON *row); /* a text made from several members; NULL: the member */
};

struct list_shape {
	const char *member;            /* of the document: "requests" */
	const struct column *columns;  /* all; the first one names the row: `-o id`, --after */
	const char *usual, *wide;      /* those of a table, and of `-o wide` and csv: "id,state" */
	const char *empty;             /* what a table without rows says */
	bool is_whole;                 /* --after is looked for here, not by the core */
};

struct list;

/* Begin the list of `ctl->command`. CTL_DONE, or CTL_USAGE, told: --columns or --sort names no column. */
int list_new(struct list **out, const struct ctl *ctl);

/* The row that the core shall begin behind, `--after`; NULL: none, or the list is put into an order here, and begins
 * behind that row in it. As a whole number, 0 when there is none. CTL_DONE or CTL_USAGE, told. */
const char *list_after(const struct list *l);
int list_after_number(const struct list *l, int64_t *n);

/* Takes the row. False when --limit is reached and no further row is wanted. */
bool list_add(struct list *l, cJSON *row);

/* Does another page follow? Where it begins is copied to `from`, which has room for LIST_PLACE_MAX octets. */
#define LIST_PLACE_MAX 64
bool list_goes_on(const Gatehouse__Admin__Reply *reply, ProtobufCBinaryData *from);

/* How many rows were added. */
size_t list_count(const struct list *l);

/* Print what has to be printed at the end, and free. With a `code` other than CTL_DONE nothing more is printed.
 * Returns `code`, or what went wrong. */
int list_end(struct list **l, int code);
