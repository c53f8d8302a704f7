/* The anchor: a file outside the database that says how far the audit trail went, so that nobody can change it or cut
 * off its end, and that brings back what a restored backup does not know.
 *
 * Only ever appended to. Each line begins with a word:
 *
 *     record SEQ PAYLOAD                 an audit record about a certificate, whole
 *     restored SEQ                       an older store was put back: the trail goes on behind its record SEQ
 *     resume                             a writer begins anew: what stands since the last head was not sworn to, and
 *                                        the line before may be torn
 *     head SEQ HASH SEEN RUNNING MAC     the trail's last record, its hash; the latest time seen, ms
 *
 * RUNNING = SHA-256(RUNNING of the head before || everything since that head's line, up to SEEN and its blank), so the
 * last one covers the whole file; MAC = HMAC-SHA-256 of RUNNING under the core's key in the signer, label "audit".
 * What no head covers, or stands between a head and a `resume`, is believed by nobody, but for one thing: a restore
 * takes trust away for it, as from a certificate that was revoked, and says so. A head is written at least every second
 * while there is news. What was written to the store since the last head can be tampered with unseen; so can a file and
 * a store that are put back together. Keep the file on another machine's disk (`core: audit-anchor`), or compare with
 * the log lines `audit.anchor`, when that matters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* Open the file, hold it against the store, and check the trail behind the last head. 0; negative with what is wrong
 * in `error`. */
int anchor_start(struct ca_core *core, struct conf_error *error);

/* Bring the anchor up to the store: a worker's job, and the last thing before the store is closed. */
bool anchor_run(void *core);
void anchor_drop(struct anchor **a);

/* For status, health and metrics: how far it is behind the store. What is not in it yet can be tampered with unseen. */
#define ANCHOR_LATE_S 10
struct anchor_lag {
	int64_t seq;     /* the last head's record */
	int64_t records; /* how many the store has behind it */
	int64_t for_s;   /* for how long at most; 0 when there are none */
	bool is_failing; /* the file cannot be written */
};
int anchor_measure(struct ca_core *core, struct anchor_lag *out);
