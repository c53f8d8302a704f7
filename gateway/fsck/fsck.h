/* An independent look at a core's store: are the promises kept that it makes about its rows?
 *
 * Shares no code with the core: its own SQL, its own reading of certificates, of the audit trail and of the anchor,
 * with libcrypto and SQLite alone. The core may run meanwhile; nothing is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Told of each finding: the promise that is broken ("serials"), and what is wrong where. */
typedef void fsck_found_fn(void *arg, const char *check, const char *text);

struct fsck_options {
	const char *database; /* core.db */
	const char *anchor;   /* NULL: none, the trail is looked at alone */
	const char *crls;     /* the folder of the revocation lists in force; NULL: they are not looked at */
	bool only_trail;      /* audit trail and anchor, nothing else */
	fsck_found_fn *found;
	void *arg;
};

struct fsck_summary {
	size_t findings;
	long long requests, certificates, lists, records; /* looked at */
	long long anchored;                        /* the last record that the anchor speaks for; 0: none */
};

#define FSCK_WHY_SIZE 512

/* 0: looked at everything, findings were told; -1: it cannot be read at all, `why` says what. */
int fsck_run(const struct fsck_options *o, struct fsck_summary *out, char why[static FSCK_WHY_SIZE]);
