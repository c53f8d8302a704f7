/* Requests as the commands need them: found, fetched, printed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/ctl/ctl.h"

/* A request as JSON: the row of a list, and what decisions print. */
cJSON *request_json(const Gatehouse__Admin__Request *q);

/* Which part of what a filter matches, and how. */
struct requests_part {
	int64_t after;     /* what follows this request in the order of the list; 0: from the beginning */
	bool is_backwards;
	unsigned page;     /* rows of one call; 0: as many as the core likes */
};

/* Every request that the filter matches, page by page; `each` returns false to end. CTL_DONE or what went wrong. */
int requests_fetch(struct ctl *ctl, const char *filter, const struct requests_part *part,
		   bool (*each)(void *arg, const Gatehouse__Admin__Request *q), void *arg);

/* A request with all that is known of it. NULL with `*code` and told; the caller lets go of it in any case. */
Gatehouse__Admin__Reply *requests_detail(struct ctl *ctl, int64_t id, bool timeline, int *code);

/* For a person: what was asked for beside what will be issued. */
void requests_show(struct ctl *ctl, const Gatehouse__Admin__Detail *d);

/* Of that what is asked for and what will be issued, whatever was decided; and the same as members of a JSON object. */
void requests_show_template(struct ctl *ctl, const Gatehouse__Admin__Detail *d);
void requests_add_template(cJSON *o, const Gatehouse__Admin__Detail *d);

/* An argument that names one request: its number, the serial of its certificate, or the beginning of the hash of its
 * key. CTL_DONE; CTL_NOT_FOUND, CTL_USAGE when it is not the only one, told. */
int requests_resolve(struct ctl *ctl, const char *argument, bool is_pending, int64_t *id);

/* The filter of a list: "[@]FILTER" as it was typed and what the command itself wants; "" for all. */
int requests_filter(struct buf *out, const char *own, const char *typed);
