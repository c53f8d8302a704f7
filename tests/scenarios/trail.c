/* The audit trail of a rig, held against its rows. Shares no code with the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/trail.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

static bool complain(sqlite3 *db, const char *what, int64_t seq)
{
	printf("audit trail: %s: %lld (%s)\n", what, (long long)seq, sqlite3_errmsg(db));
	return false;
}

static bool is_chained(sqlite3 *db, sqlite3_stmt *stmt)
{
	uint8_t message[SHA256_DIGEST_LENGTH + 8 + 65536] = { 0 }, hash[SHA256_DIGEST_LENGTH];
	int64_t wanted = 1;

	for (; sqlite3_step(stmt) == SQLITE_ROW; wanted++) {
		int64_t seq = sqlite3_column_int64(stmt, 0);
		size_t len = (size_t)sqlite3_column_bytes(stmt, 2);

		if (seq != wanted || sqlite3_column_bytes(stmt, 1) != 32 || sqlite3_column_bytes(stmt, 3) != 32 ||
		    len > 65536)
			return complain(db, "a gap or a malformed record", wanted);
		if (memcmp(sqlite3_column_blob(stmt, 1), message, 32) != 0)
			return complain(db, "a record that does not follow", seq);
		for (int i = 0; i < 8; i++)
			message[32 + i] = (uint8_t)(seq >> (56 - 8 * i));
		memcpy(message + 40, sqlite3_column_blob(stmt, 2), len);
		SHA256(message, 40 + len, hash);
		if (memcmp(sqlite3_column_blob(stmt, 3), hash, 32) != 0)
			return complain(db, "a wrong hash", seq);
		memcpy(message, hash, 32);
	}
	return true;
}

static bool check_chain(sqlite3 *db)
{
	sqlite3_stmt *stmt = NULL;
	bool ok = sqlite3_prepare_v2(db, "SELECT seq, prev, payload, hash FROM audit ORDER BY seq", -1, &stmt, NULL) ==
			  SQLITE_OK &&
		  is_chained(db, stmt);

	sqlite3_finalize(stmt);
	return ok;
}

/* The first answer of the query is where it is wrong; no answer: nowhere. */
static bool finds_none(sqlite3 *db, const char *what, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	bool ok;

	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	ok = code == SQLITE_DONE || complain(db, what, sqlite3_column_int64(stmt, 0));
	sqlite3_finalize(stmt);
	return ok;
}

/* Every record of a request begins where the one before it ended. */
static const char broken_thread[] =
	"SELECT seq FROM (SELECT seq, payload->>'before' AS before, lag(payload->>'after') OVER"
	" (PARTITION BY payload->>'request' ORDER BY seq) AS last FROM audit WHERE payload->>'request' IS NOT NULL)"
	" WHERE before IS NOT last LIMIT 1";

/* And its last one ends where the row stands. */
static const char other_end[] =
	"SELECT id FROM requests LEFT JOIN (SELECT payload->>'request' AS request, payload->>'after' AS after,"
	" row_number() OVER (PARTITION BY payload->>'request' ORDER BY seq DESC) AS nth FROM audit)"
	" ON request=id AND nth=1 WHERE after IS NOT CASE state WHEN 8 THEN 'active' WHEN 9 THEN 'pending'"
	" WHEN 12 THEN 'foreign' WHEN 20 THEN 'issued' WHEN 21 THEN 'revoked' WHEN 30 THEN 'error'"
	" WHEN 31 THEN 'denied' END LIMIT 1";

bool trail_check(sqlite3 *db, bool has_own_rows)
{
	if (!check_chain(db))
		return false;
	return !has_own_rows || (finds_none(db, "a record does not begin where the last one ended", broken_thread) &&
				 finds_none(db, "a request is in another state than its last record", other_end));
}
