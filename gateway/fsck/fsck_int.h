/* What the files of the checker share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

#include <openssl/x509.h>
#include <sqlite3.h>

#include "gateway/fsck/fsck.h"

#define FSCK_PER_CHECK_MAX 100 /* findings told of one check; the others are counted */

struct fsck {
	const struct fsck_options *o;
	struct fsck_summary *out;
	sqlite3 *db;
};

void fsck_found(struct fsck *f, const char *check, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A statement; NULL after telling that this check cannot be done. */
sqlite3_stmt *fsck_prepare(struct fsck *f, const char *check, const char *sql);

/* Each row of it is a finding; ends the statement, which may be NULL. */
void fsck_tell(struct fsck *f, const char *check, sqlite3_stmt *stmt);

/* Does a core write to the store, or did one that was killed? */
bool fsck_is_live(const struct fsck *f);

/* fsck_certificates.c: each certificate against its row, its plan, its key and its audit record. */
void fsck_certificates(struct fsck *f);
X509 *fsck_parse(sqlite3_stmt *stmt, int column); /* a whole column; NULL: it is none */

/* fsck_crls.c: each revocation list in force. Takes another look at the store when a list was replaced meanwhile. */
void fsck_crls(struct fsck *f);

/* fsck_trail.c: the chain of the audit trail, and the anchor's heads. */
void fsck_trail(struct fsck *f);
