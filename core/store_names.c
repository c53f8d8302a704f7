/* The names of requests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store.h"

#include <errno.h>

#include "core/store_list_sql.h"

int store_write_names(struct db_conn *conn, const struct ca_request *r)
{
	int e = 0;

	for (size_t i = 0; !e && i < r->n_names; i++) {
		const struct ca_name *n = &r->names[i];
		const char *reversed = list_reverse(r->arena, n->value);

		if (!reversed)
			return -ENOMEM;
		e = db_run(conn,
			   "INSERT INTO names(request_id, position, kind, value, reversed, evidence, evidence_text)"
			   " VALUES(?,?,?,?,?,?,?)",
			   DB_INT(r->id), DB_INT(i), DB_INT(n->kind), DB_TEXT(n->value), DB_TEXT(reversed),
			   DB_INT(n->evidence), DB_TEXT(n->evidence_text));
	}
	return e;
}
