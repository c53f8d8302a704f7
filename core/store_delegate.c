/* Challenges that somebody had made.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_credentials.h"

#include <stdio.h>

#include "core/base/own.h"

/* Those of its bearer that are good and not used. */
static int count_waiting(struct db_conn *conn, const struct credential_insert *c, int64_t *n)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT count(*) FROM credentials WHERE delegated_by=? AND until_ms>=? AND uses_left>0 AND"
			  " revoked_ms IS NULL",
			  DB_INT(c->delegated_by), DB_INT(c->now_ms));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e;
	*n = db_col_int(rows, 0);
	return 0;
}

static int add(struct db_conn *conn, void *arg)
{
	struct delegation_insert *d = arg;
	struct credential_insert *c = d->challenge;
	char detail[48];
	int64_t n = 0;
	int e = count_waiting(conn, c, &n);

	if (!e && n >= d->limit)
		e = STORE_FULL;
	if (!e)
		e = store_take_credential(conn, c->delegated_by, c->now_ms);
	if (!e)
		e = store_insert_credential(conn, c);
	if (e)
		return e;
	snprintf(detail, sizeof(detail), "challenge=%lld", (long long)c->id);
	return store_record_credential(conn, c->actor, "redeem-credential", d->by, detail, c->now_ms);
}

int store_add_delegated(struct ca_core *core, struct delegation_insert *d)
{
	return db_write(core->db, add, d);
}
