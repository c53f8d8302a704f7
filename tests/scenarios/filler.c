/* A store with many rows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/filler.h"

#include <stdio.h>

#include <sqlite3.h>

#define NUMBERS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?1) "

/* ?1 is how many, ?2 the time of the last in milliseconds. */
static const char *const fills[] = {
	NUMBERS
	"INSERT INTO requests(id, state, version, ca, protocol, endpoint, profile, requester, intermediary,"
	" source_address, evidence, received_ms, submitted_ms, first_seen_ms, resolved_ms, retry_after_s, collect_ms,"
	" csr, csr_hash, spki_hash, names_key, asked_subject, subject, raw_attributes, transaction_key, key_until_ms,"
	" status, reason, rule, trace, digest, serial, tbs, key_id, not_before_s, not_after_s, template_s, edited,"
	" key_type, key_bits, any_scope, crl_partition) "
	"SELECT i, CASE WHEN i>?1-50 THEN 9 WHEN i%100<90 THEN 20 WHEN i%100<94 THEN 21 WHEN i%100<98 THEN 31"
	" ELSE 30 END, 1, '" RIG_CA "', CASE WHEN i%500=0 THEN 'scep' WHEN i%10=0 THEN 'est' ELSE 'acme' END,"
	" CASE WHEN i%10=0 THEN 'net' ELSE 'acme' END, CASE WHEN i%1000=1 THEN 'rare' ELSE 'p'||(i%4) END,"
	" CASE WHEN i%1000=17 THEN 'acme:n'||i ELSE 'acme:'||(i%100) END, 'test', '192.0.2.'||(i%200), 1,"
	" ?2-(?1-i)*60000, ?2-(?1-i)*60000, ?2-(?1-i)*60000, ?2-(?1-i)*60000+5, 5, 86400000,"
	" randomblob(400), randomblob(32), randomblob(32), randomblob(32), 'CN=h'||i,"
	" 'CN=h'||i||'.zone'||(i%100)||'.example', '', randomblob(32), 0, 0, '', 'rule'||(i%7), 'rule: yes',"
	" randomblob(32), CASE WHEN i<=?1-50 AND i%100<94 THEN CAST(x'0100'||randomblob(14) AS BLOB) END, NULL, 1,"
	" ?2/1000-(?1-i)*60, ?2/1000-(?1-i)*60+7776000, 7776000, i%300=0, 'ec-p256', 256, 0, 0 FROM n",

	NUMBERS
	"INSERT INTO names(request_id, position, kind, value, reversed, evidence, evidence_text) "
	"SELECT i, 0, 1, 'h'||i||'.zone'||(i%100)||'.example', 'elpmaxe.'||substr(i%100, -1)||"
	"CASE WHEN i%100>9 THEN substr(i%100, 1, 1) ELSE '' END||'enoz.'||"
	"(SELECT group_concat(substr(i, length(i)+1-k, 1), '') FROM (SELECT 1 k UNION SELECT 2 UNION SELECT 3 UNION"
	" SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 ORDER BY k) WHERE k<=length(i))||'h', 1, '' FROM n"
	" WHERE ?2",

	"INSERT INTO certificates(serial, request_id, ca, key_id, certificate, not_before_s, not_after_s, issued_ms,"
	" revoked_ms, revoked_reason) "
	"SELECT serial, id, ca, 1, randomblob(500), not_before_s, not_after_s, resolved_ms,"
	" CASE WHEN state=21 THEN resolved_ms+1000 END, CASE WHEN state=21 THEN 4 END"
	" FROM requests WHERE serial IS NOT NULL AND ?1 AND ?2",
};

static bool fill(sqlite3 *db, const char *sql, int64_t n)
{
	sqlite3_stmt *stmt = NULL;
	bool ok = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		  sqlite3_bind_int64(stmt, 1, n) == SQLITE_OK &&
		  sqlite3_bind_int64(stmt, 2, FILLER_NOW_S * 1000) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_DONE;

	sqlite3_finalize(stmt);
	return ok;
}

bool filler_fill(const struct rig *r, int64_t n)
{
	char path[128];
	sqlite3 *db = NULL;
	bool ok;

	snprintf(path, sizeof(path), "%s/core/core.db", r->folder);
	ok = sqlite3_open(path, &db) == SQLITE_OK &&
	     sqlite3_exec(db, "PRAGMA synchronous=OFF; BEGIN", NULL, NULL, NULL) == SQLITE_OK;
	for (size_t i = 0; ok && i < sizeof(fills) / sizeof(*fills); i++)
		ok = fill(db, fills[i], n);
	ok = ok && sqlite3_exec(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) == SQLITE_OK;
	if (!ok)
		fprintf(stderr, "filling %s: %s\n", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	return ok;
}
