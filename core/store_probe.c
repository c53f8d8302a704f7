/* Whether rows can be written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_int.h"

/* A page that was changed is written, though nothing is left of the change. */
static int touch(struct db_conn *conn, void *arg)
{
	int e = db_run(conn, "INSERT INTO crl_changes(ca, n) VALUES('', 0)");

	return e ? e : db_run(conn, "DELETE FROM crl_changes WHERE ca=''");
}

bool store_can_write(struct ca_core *core)
{
	return !core->is_store_failing || store_outcome(core, db_write(core->db, touch, NULL)) == 0;
}
