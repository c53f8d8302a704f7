/* What the files that write the core's rows share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/store.h"

/* Of a row that holds the transaction key: what is asked now is another request. It was issued, and these are other
 * octets; or it was denied, and these are other names, of which the denial says nothing. The same octets are never
 * another one: which names they ask for is known for certain only once a target has judged them. */
#define STORE_IS_OTHER_REQUEST \
	"(? AND csr_hash<>? AND (state IN (20, 21) OR state=31 AND names_key<>?) OR ? AND state=31 AND profile<>?)"
#define STORE_OTHER_REQUEST_VALUES(r) \
	DB_INT((r)->is_repeat_exact), DB_BLOB(bytes_of((r)->asked_hash, SHA256_SIZE)), \
		DB_BLOB(bytes_of((r)->names_key, SHA256_SIZE)), DB_INT((r)->is_repeat_exact), DB_TEXT((r)->profile)

/* Inside a write: lines of a request's timeline. */
int store_write_lines(struct db_conn *conn, int64_t id, const struct timeline_line *line);
int store_write_line(struct db_conn *conn, int64_t id, int64_t at_ms, const char *text); /* by the core */

/* Inside a write: one outbox row for each bit of `events` and each exit module of `ca` that asked for it. `id` 0: an
 * event about the CA. `about`: the reason of a revocation, the number of a CRL. */
int store_write_events(struct db_conn *conn, const struct ca *ca, int64_t id, unsigned events, int64_t about,
		       int64_t now_ms);

/* Everything that makes a certificate known again when only its audit record is left (core/store_recover.c), as detail
 * of that record. 0 or -errno. */
struct store_issued {
	struct bytes certificate;
	const uint8_t *spki_hash;
	int64_t key_id; /* 0: a foreign one, which `ca` keeps */
	int64_t not_before_s, not_after_s;
	unsigned partition;
	const char *ca, *profile, *endpoint;
};
int store_print_issued(const struct ca_request *r, const struct store_issued *i, struct buf *out);

/* What a finished write comes to: DB_CONFLICT is STORE_DUPLICATE, and a failing store is remembered. */
int store_outcome(struct ca_core *core, int e);

/* Lines and events of `r` are written. */
void store_written(struct ca_request *r);
