/* The checks that are SQL, one row each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/fsck/fsck_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Each query answers with one text a finding. Rows that came from elsewhere (imported, recovered after a restore) have
 * neither a plan nor evidence of their own. */
#define OURS "protocol NOT IN ('recovered', 'import')"

/* What the trail calls a credential. */
#define CREDENTIAL \
	"CASE c.kind WHEN 3 THEN 'eab ' || c.name WHEN 4 THEN 'challenge ' || c.id WHEN 5 THEN 'user ' || c.name" \
	" WHEN 9 THEN 'vendor ' || c.name WHEN 10 THEN 'ra ' || c.name ELSE 'token ' || c.id END"

static const struct {
	const char *check, *sql;
} checks[] = {
	{ "database", "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'" },
	{ "database", "SELECT 'row ' || rowid || ' of ' || \"table\" || ' names a row of ' || parent || ' that"
		      " is not there'"
		      " FROM pragma_foreign_key_check" },
	{ "schema", "SELECT 'the trigger ' || name || ' is missing' FROM (SELECT 'audit_keeps_records' AS name"
		    " UNION ALL"
		    " SELECT 'audit_keeps_content') WHERE name NOT IN (SELECT name FROM sqlite_schema WHERE"
		    " type='trigger')" },
	{ "schema", "SELECT 'the index ' || name || ' is missing' FROM (SELECT 'requests_serial' AS name UNION ALL"
		    " SELECT 'requests_key' UNION ALL SELECT 'requests_pending' UNION ALL SELECT 'ca_keys_state'"
		    " UNION ALL SELECT 'credentials_name' UNION ALL SELECT 'credentials_secret')"
		    " WHERE name NOT IN (SELECT name FROM sqlite_schema WHERE type='index')" },
	{ "serials", "SELECT 'serial ' || lower(hex(serial)) || ' stands in ' || count(*) || ' requests' FROM"
		     " requests"
		     " WHERE serial IS NOT NULL GROUP BY serial HAVING count(*) > 1" },
	{ "serials", "SELECT 'serial ' || lower(hex(serial)) || ' stands in ' || count(*) || ' certificates'"
		     " FROM certificates GROUP BY serial HAVING count(*) > 1" },
	{ "serials", "SELECT 'request ' || id || ' has a serial that none may be: ' || lower(hex(serial)) FROM"
		     " requests"
		     " WHERE serial IS NOT NULL AND " OURS " AND (length(serial) NOT BETWEEN 8 AND 20 OR"
		     " substr(hex(serial), 1, 2) = '00' OR substr(hex(serial), 1, 1) > '7')" },
	{ "serials", "SELECT 'request ' || id || ' and its certificate have different serials' FROM requests r"
		     " JOIN certificates c ON c.request_id=r.id WHERE r.serial IS NOT c.serial" },
	{ "serials", "SELECT 'serial ' || lower(hex(serial)) || ' stands in request ' || r.id || ' and is that of OCSP'"
		     " || ' responder ' || o.id FROM ocsp_responders o JOIN requests r USING (serial)" },
	{ "one-certificate", "SELECT 'request ' || id || ' was issued and has no certificate' FROM requests"
			     " WHERE state IN (20, 21) AND id NOT IN (SELECT request_id FROM certificates)" },
	{ "one-certificate", "SELECT 'request ' || id || ' has a certificate in state ' || state FROM requests"
			     " WHERE state NOT IN (12, 20, 21) AND id IN (SELECT request_id FROM certificates)" },
	{ "one-certificate", "SELECT 'the grant of request ' || request_id || ' was spent by request ' || spent_by ||"
			     " ', which is not there' FROM grants WHERE spent_by IS NOT NULL AND"
			     " spent_by NOT IN (SELECT id FROM requests)" },
	{ "one-certificate", "SELECT 'the grant of request ' || g.request_id || ' was spent and its certificate"
			     " is live'"
			     " FROM grants g JOIN certificates c ON c.request_id=g.request_id"
			     " WHERE g.spent_by IS NOT NULL AND c.revoked_ms IS NULL" },
	{ "plan", "SELECT 'request ' || id || ' is being issued or was, without its plan' FROM requests"
		  " WHERE state IN (8, 20, 21) AND tbs IS NULL AND " OURS
		  /* An offline signer's answer, or that it was there, came into a row of ours. */
		  " AND id NOT IN (SELECT payload->>'request' FROM audit WHERE json_valid(payload) AND"
		  " payload->>'request' IS NOT NULL AND payload->>'action' IN ('import', 'recover'))" },
	{ "plan", "SELECT 'request ' || id || ' is being issued or was, without its serial' FROM requests"
		  " WHERE state IN (8, 20, 21) AND serial IS NULL AND " OURS },
	{ "evidence", "SELECT 'request ' || id || ' came with a credential that nobody knows' FROM requests"
		      " WHERE evidence BETWEEN 3 AND 6 AND (credential_id IS NULL OR credential IS NULL) AND " OURS },
	{ "evidence", "SELECT 'request ' || id || ' came by a certificate that nobody knows' FROM requests"
		      " WHERE evidence=8 AND credential_id IS NULL AND certificate_id IS NULL AND " OURS },
	{ "evidence", "SELECT 'request ' || id || ' was judged by a target that nobody knows' FROM requests"
		      " WHERE evidence=11 AND credential IS NULL AND " OURS },
	{ "evidence", "SELECT 'request ' || id || ' came without evidence' FROM requests WHERE evidence=0 AND"
		      " " OURS },
	{ "evidence", "SELECT 'a name of request ' || request_id || ' has no evidence: ' || value FROM names"
		      " JOIN requests ON id=request_id WHERE names.evidence=0 AND state<>30 AND " OURS },
	/* What is purged is not counted any more, so there may be fewer than were used. */
	{ "credentials", "SELECT 'credential ' || c.id || ' was used ' || used || ' times, by ' || count(r.id) ||"
			 " ' requests' FROM credentials c JOIN requests r ON c.id IN (r.credential_id, r.also_id)"
			 " WHERE c.kind <> 3 AND r.state <> 30 GROUP BY c.id HAVING count(r.id) > used" },
	{ "credentials", "SELECT 'EAB key ' || id || ' was used ' || used || ' times, by ' || n || ' accounts' FROM"
			 " (SELECT c.id, c.used, count(a.account) AS n FROM credentials c LEFT JOIN"
			 " credential_accounts a ON a.credential_id=c.id WHERE c.kind=3 GROUP BY c.id)"
			 " WHERE n <> used" },
	{ "credentials", "SELECT 'credential ' || id || ' was used ' || used || ' times, the trail tells of ' ||"
			 " coalesce(n, 0) FROM credentials c LEFT JOIN (SELECT payload->>'subject' AS subject,"
			 " count(*) AS n FROM audit WHERE json_valid(payload) AND"
			 " payload->>'action'='redeem-credential' GROUP BY 1) ON subject=" CREDENTIAL
			 " WHERE kind <> 3 AND used > coalesce(n, 0)" },
	{ "credentials", "SELECT 'credential ' || id || ' was made by nobody, as the trail says' FROM credentials c"
			 " WHERE " CREDENTIAL " NOT IN (SELECT payload->>'subject' FROM audit WHERE"
			 " json_valid(payload) AND payload->>'action'='create-credential')" },
	{ "events", "SELECT 'an event for ' || module || ' is about request ' || request_id || ', which is not there'"
		    " FROM outbox WHERE request_id IS NOT NULL AND request_id NOT IN (SELECT id FROM requests)" },
	{ "pending", "SELECT 'request ' || id || ' waits without what would be approved' FROM requests"
		     " WHERE state=9 AND (digest IS NULL OR length(digest) <> 32)" },
	{ "pending", "SELECT 'request ' || id || ' waits and its transaction key is free' FROM requests"
		     " WHERE state=9 AND key_until_ms=0" },
	{ "approvals", "SELECT 'request ' || id || ' was approved by its requester ' || requester FROM approvals"
		       " JOIN requests ON id=request_id WHERE officer=requester" },
	{ "approvals", "SELECT 'an approval of request ' || request_id || ' by ' || officer || ' is for no digest'"
		       " FROM approvals WHERE length(digest) <> 32" },
	{ "approvals", "SELECT 'the approval of request ' || request_id || ' by ' || officer || ' is not in the"
		       " trail'"
		       " FROM approvals WHERE request_id || ' ' || officer NOT IN (SELECT (payload->>'request')"
		       " || ' ' ||"
		       " (payload->>'actor') FROM audit WHERE json_valid(payload) AND"
		       " payload->>'action' IN ('approve', 'keep-approval'))" },
	{ "revocation", "SELECT 'request ' || id || ' is revoked and its certificate is not' FROM requests"
			" JOIN certificates ON request_id=id WHERE state=21 AND revoked_ms IS NULL" },
	{ "revocation", "SELECT 'request ' || id || ' is in state ' || state || ' and its certificate is revoked'"
			" FROM requests JOIN certificates ON request_id=id WHERE state<>21 AND revoked_ms IS NOT"
			" NULL" },
	{ "revocation", "SELECT 'the certificate of request ' || request_id || ' is revoked for no reason that there'"
			" || ' is' FROM certificates WHERE (revoked_ms IS NULL) <> (revoked_reason IS NULL)"
			" OR revoked_reason NOT IN (0, 1, 2, 3, 4, 5, 6, 9, 10)" },
	{ "revocation", "SELECT 'the key of request ' || id || ' is compromised and not blocked' FROM requests JOIN"
			" certificates ON request_id=id WHERE revoked_reason=1 AND state=21 AND spki_hash NOT IN"
			" (SELECT spki_hash FROM blocked_keys)" },
	{ "revocation", "SELECT 'request ' || id || ' came with a key that was blocked and was issued' FROM requests"
			" JOIN blocked_keys USING (spki_hash) JOIN certificates ON request_id=id"
			" WHERE received_ms > since_ms + 2000 AND " OURS },
	{ "timeline", "SELECT 'request ' || id || ' has no timeline' FROM requests WHERE id NOT IN"
		      " (SELECT request_id FROM timeline) AND " OURS },
	{ "timeline", "SELECT 'request ' || id || ' was issued, and its timeline does not say so' FROM requests"
		      " WHERE state IN (20, 21) AND id NOT IN (SELECT request_id FROM timeline WHERE text LIKE"
		      " 'issued%' OR text LIKE 'import%') AND " OURS },
	{ "timeline", "SELECT 'line ' || t.id || ' of request ' || t.request_id || ' stands before it was received'"
		      " FROM timeline t JOIN (SELECT request_id, min(id) AS first FROM timeline WHERE text LIKE"
		      " 'received%' GROUP BY request_id) f USING (request_id) WHERE t.id < f.first" },
	{ "history", "SELECT 'request ' || request || ': audit record ' || seq || ' begins at ' ||"
		     " coalesce(before, 'nothing')"
		     " || ', the one before it ended at ' || coalesce(last, 'nothing') FROM"
		     " (SELECT seq, payload->>'request' AS request, payload->>'before' AS before,"
		     " lag(payload->>'after') OVER"
		     " (PARTITION BY payload->>'request' ORDER BY seq) AS last FROM audit WHERE"
		     " json_valid(payload) AND"
		     " payload->>'request' IS NOT NULL) WHERE before IS NOT last" },
	{ "history", "SELECT 'request ' || id || ' is ' || word || ', the trail says ' || coalesce(after,"
		     " 'nothing') FROM"
		     " (SELECT id, CASE state WHEN 8 THEN 'active' WHEN 9 THEN 'pending' WHEN 12 THEN 'foreign'"
		     " WHEN 20"
		     " THEN 'issued' WHEN 21 THEN 'revoked' WHEN 30 THEN 'error' WHEN 31 THEN 'denied' ELSE 'in"
		     " no state'"
		     " END AS word FROM requests) LEFT JOIN (SELECT payload->>'request' AS request,"
		     " payload->>'after' AS after,"
		     " row_number() OVER (PARTITION BY payload->>'request' ORDER BY seq DESC) AS nth FROM audit"
		     " WHERE json_valid(payload)) ON request=id AND nth=1 WHERE after IS NOT word" },
};

void fsck_found(struct fsck *f, const char *check, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	f->out->findings++;
	f->o->found(f->o->arg, check, text);
}

sqlite3_stmt *fsck_prepare(struct fsck *f, const char *check, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(f->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fsck_found(f, check, "cannot be looked at: %s", sqlite3_errmsg(f->db));
	return stmt;
}

void fsck_tell(struct fsck *f, const char *check, sqlite3_stmt *stmt)
{
	size_t more = 0;
	int code = SQLITE_DONE;

	for (size_t n = 0; stmt && (code = sqlite3_step(stmt)) == SQLITE_ROW; n++) {
		if (n < FSCK_PER_CHECK_MAX)
			fsck_found(f, check, "%s", sqlite3_column_text(stmt, 0));
		else
			more++;
	}
	if (stmt && code != SQLITE_DONE)
		fsck_found(f, check, "cannot be looked at: %s", sqlite3_errmsg(f->db));
	if (more)
		fsck_found(f, check, "and %zu more", more);
	sqlite3_finalize(stmt);
}

static bool has_log(const char *path)
{
	char log[4096];

	return (size_t)snprintf(log, sizeof(log), "%s-wal", path) < sizeof(log) && access(log, F_OK) == 0;
}

bool fsck_is_live(const struct fsck *f)
{
	return has_log(f->o->database);
}

static long long count(struct fsck *f, const char *sql)
{
	sqlite3_stmt *stmt = fsck_prepare(f, "database", sql);
	long long n = stmt && sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;

	sqlite3_finalize(stmt);
	return n;
}

/* A file that lies alone, as in a folder that cannot be written, is read as it is. */
static int open_store(struct fsck *f, char *why)
{
	char uri[4300];
	int code, flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;

	if (strpbrk(f->o->database, "?#%") || strlen(f->o->database) > 4096) {
		snprintf(why, FSCK_WHY_SIZE, "%.200s: a path with ?, # or %% is not taken", f->o->database);
		return -1;
	}
	snprintf(uri, sizeof(uri), "file:%s?mode=ro%s", f->o->database,
		 has_log(f->o->database) ? "" : "&immutable=1");
	code = sqlite3_open_v2(uri, &f->db, flags, NULL);
	if (code == SQLITE_OK) {
		sqlite3_busy_timeout(f->db, 10000);
		code = sqlite3_exec(f->db, "PRAGMA trusted_schema=OFF; BEGIN; SELECT count(*) FROM"
					   " sqlite_schema", NULL,
				    NULL, NULL);
	}
	if (code != SQLITE_OK)
		snprintf(why, FSCK_WHY_SIZE, "%.300s: %s", f->o->database, sqlite3_errmsg(f->db));
	return code == SQLITE_OK ? 0 : -1;
}

int fsck_run(const struct fsck_options *o, struct fsck_summary *out, char why[static FSCK_WHY_SIZE])
{
	struct fsck f = { .o = o, .out = out };
	int e;

	*out = (struct fsck_summary){ 0 };
	e = open_store(&f, why);
	if (!e) {
		for (size_t i = 0; !o->only_trail && i < sizeof(checks) / sizeof(*checks); i++)
			fsck_tell(&f, checks[i].check, fsck_prepare(&f, checks[i].check, checks[i].sql));
		if (!o->only_trail) {
			out->requests = count(&f, "SELECT count(*) FROM requests");
			fsck_certificates(&f);
		}
		fsck_trail(&f);
		if (!o->only_trail && o->crls)
			fsck_crls(&f);
	}
	sqlite3_close(f.db);
	return e;
}
