/* Reading the audit trail, and whether it is whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/audit.h"
#include "core/core_int.h"

/* A walk along the chain. Begins behind record `seq`, whose hash is `hash`; 0 and zeros: at the beginning. */
struct trail_walk {
	int64_t seq;                /* the last record that was looked at */
	uint8_t hash[SHA256_SIZE];
	const char *broken;         /* what is wrong with the record behind it; NULL: nothing so far */
	int64_t seen_ms;            /* the latest time of a record, or since the clock was last accepted; 0: none */
	bool is_over;               /* there are no more */
};

/* Go on for up to `max` records. 0 or -errno. */
int store_walk_trail(struct ca_core *core, struct trail_walk *w, size_t max);

/* The hash of record `seq`; and the last record's number. 0; CA_CALL_NOT_FOUND: there is no such record. */
int store_trail_hash(struct ca_core *core, int64_t seq, uint8_t hash[static SHA256_SIZE]);
int store_trail_last(struct ca_core *core, int64_t *seq);

/* Records for people: what a filter does not name (NULL, 0) fits everything. */
struct trail_filter {
	int64_t after;       /* records behind this one */
	size_t newest;       /* not 0: instead the last so many, still in their order */
	size_t max;          /* records told */
	const char *actor, *action, *subject;
	int64_t request, since_ms, until_ms;
};
struct trail_row {
	int64_t seq;
	struct bytes prev, payload, hash;
};
typedef int trail_row_fn(void *arg, const struct trail_row *row);

/* Tell up to `max` records of those looked at; `last` is the last of these, `more` whether there are others behind. */
int store_list_trail(struct ca_core *core, const struct trail_filter *f, trail_row_fn *fn, void *arg, int64_t *last,
		     bool *more);

/* Does a record with this action stand in the trail? */
int store_trail_has(struct ca_core *core, const char *action, bool *answer);
