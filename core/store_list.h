/* Lists of requests and certificates: filtered, in pages, by index.
 *
 * A filter's terms that an index can find are looked at first. One that finds few rows leads, and the others are held
 * against what it found. Where each finds many, the rows are walked in their order, a limited number of them a call: a
 * page may have fewer rows than asked for, and still more follow.
 *
 * The order is that of the numbers, or, when the filter limits a date that has an index, that of the date: it follows
 * from the filter alone, so that pages fit together whatever happens between them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/filter.h"
#include "core/store.h"

#include "admin.pb-c.h"

#define LIST_SCAN_MAX 2000 /* rows that one read transaction looks at, */
#define LIST_SCANS 10      /* of which a call makes so many at most */
#define LIST_FEW 500

struct list_query {
	enum filter_table table;
	const char *filter;
	struct bytes from; /* `next` of the page before; empty */
	/* Where the first page begins: behind this row in the order of the list. */
	int64_t after_id;          /* of requests; 0 */
	struct bytes after_serial; /* of certificates; empty */
	unsigned limit;    /* 0: 100 */
	bool backwards;
	int64_t now_s;
};

/* Fills reply->requests or reply->certificates, `more` and `next`. 0; FILTER_WRONG with `why`; negative. */
int store_list(struct ca_core *core, const struct list_query *q, struct arena *arena, Gatehouse__Admin__Reply *reply,
	       char why[static FILTER_WHY_SIZE]);
