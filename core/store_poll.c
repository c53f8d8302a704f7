/* Requests by what their clients bring when they ask again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store.h"

#include "core/base/own.h"

struct polled_read {
	const char *endpoint;
	const uint8_t *poll_key;
	int64_t *id;
};

static int find_polled(struct db_conn *conn, void *arg)
{
	const struct polled_read *q = arg;
	OWNED(db_rows) rows = NULL;
	/* Left to itself SQLite may look through all that the endpoint ever had. */
	int e = db_select(conn, &rows,
			  "SELECT id FROM requests INDEXED BY requests_poll WHERE poll_key=? AND endpoint=?"
			  " ORDER BY id DESC LIMIT 1",
			  DB_BLOB(bytes_of(q->poll_key, CA_POLL_KEY_SIZE)), DB_TEXT(q->endpoint));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	*q->id = db_col_int(rows, 0);
	return 0;
}

int store_find_polled(struct ca_core *core, const char *endpoint, const uint8_t *poll_key, int64_t *id)
{
	struct polled_read q = { endpoint, poll_key, id };

	return db_read(core->db, find_polled, &q);
}
