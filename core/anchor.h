/* The anchor: a file outside the database that says how far the audit trail went, so that nobody can change it or cut
 * off its end, and that brings back what a restored backup does not know.
 *
 * Only ever appended to. Each line begins with a word:
 *
 *     record SEQ PAYLOAD                 an audit record about a certificate, whole
 *     note KIND TEXT                     what must survive a restore besides, as a CRL's number
 *     restored SEQ                       an older store was put back: the trail goes on behind its record SEQ
 *     resume                             the line before may be torn: the process or the disk stopped in it
 *     head SEQ HASH SEEN RUNNING MAC     the trail's last record, its hash; the latest time seen, ms
 *
 * RUNNING = SHA-256(RUNNING of the head before || everything since that head's line, up to SEEN and its blank), so the
 * last one covers the whole file; MAC = HMAC-SHA-256 of RUNNING under the core's key in the signer, label "audit".
 * A head is written at least every second while there is news. What was written to the store since the last head can be
 * tampered with unseen; so can a file and a store that are put back together. Keep the file on another machine's disk
 * (`core: audit-anchor`), or compare with the log lines `audit.anchor`, when that matters.
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

/* Write `note KIND TEXT`; durable when it returns 0. For what must not go back with a restored store: `crl` with the
 * number of a CRL before it is published. No line breaks. */
int anchor_note(struct ca_core *core, const char *kind, const char *text);

/* Each line of the file, in order, without its line break; `fn` returns 0 to go on. Lines that a crash tore are left
 * out. 0, what `fn` returned, or -errno. */
typedef int anchor_line_fn(void *arg, const char *word, const char *rest);
int anchor_scan(struct ca_core *core, anchor_line_fn *fn, void *arg);

/* For status, health and metrics: how far it is behind the store. What is not in it yet can be tampered with unseen. */
#define ANCHOR_LATE_S 10
struct anchor_lag {
	int64_t seq;     /* the last head's record */
	int64_t records; /* how many the store has behind it */
	int64_t for_s;   /* for how long at most; 0 when there are none */
	bool is_failing; /* the file cannot be written */
};
int anchor_measure(struct ca_core *core, struct anchor_lag *out);
