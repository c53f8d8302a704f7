/* Rows made of what the audit trail says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/credentials.h"
#include "core/store.h"
#include "core/store_credentials.h"
#include "core/store_list_sql.h"

#define WORD_MAX 1024

struct recovery {
	int64_t seq;
	const char *payload;
	bool is_sworn;
	int64_t now_ms, at_ms, request_id;
	char action[32], subject[96];
	uint8_t serial[20];
	size_t serial_size;
	char detail[AUDIT_LONG_MAX + 1];
	struct store_recovered counts;
	const char *why; /* it is left out, or there is something to do */
};

static int leave_out(struct recovery *r, const char *why)
{
	r->why = why;
	return STORE_LEFT_OUT;
}

/* The value of `key=` in the record's detail, in quotes or up to the next blank. False: it is not there, or is cut. */
static bool find_text(const char *detail, const char *key, struct bytes *out)
{
	size_t n = strlen(key);
	const char *p = detail;

	for (; (p = strstr(p, key)); p += n)
		if ((p == detail || p[-1] == ' ') && p[n] == '=')
			break;
	if (!p)
		return false;
	p += n + 1;
	if (*p != '"') {
		*out = bytes_of(p, strcspn(p, " "));
		return true;
	}
	*out = bytes_of(p + 1, strcspn(p + 1, "\""));
	return p[1 + out->len] == '"';
}

static bool find_word(const char *detail, const char *key, char *out, size_t size)
{
	struct bytes text;

	if (!find_text(detail, key, &text) || text.len >= size)
		return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

static int64_t find_number(const char *detail, const char *key)
{
	char text[WORD_MAX];

	return find_word(detail, key, text, sizeof(text)) ? strtoll(text, NULL, 10) : 0;
}

static bool take_serial(struct recovery *r)
{
	r->serial_size = strlen(r->subject) / 2;
	return r->serial_size > 0 && r->serial_size <= sizeof(r->serial) &&
	       hex_parse(r->subject, r->serial, r->serial_size) == 0;
}

static bool take_time(struct recovery *r, const char *text)
{
	int64_t at_s;

	if (!text || clock_parse_s(text, &at_s))
		return false;
	r->at_ms = at_s * 1000;
	return true;
}

/* SQLite reads the JSON: it is ours, and the file's MAC says that it still is. */
static int read_payload(struct db_conn *conn, struct recovery *r)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT p->>'time', p->>'action', p->>'request', p->>'subject', p->>'detail'"
			  " FROM (SELECT ?1 AS p) WHERE json_valid(?1)", DB_TEXT(r->payload));

	if (!e)
		e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : leave_out(r, "it cannot be read");
	r->request_id = db_col_int(rows, 2);
	snprintf(r->action, sizeof(r->action), "%s", db_col_text(rows, 1) ? db_col_text(rows, 1) : "");
	snprintf(r->subject, sizeof(r->subject), "%s", db_col_text(rows, 3) ? db_col_text(rows, 3) : "");
	snprintf(r->detail, sizeof(r->detail), "%s", db_col_text(rows, 4) ? db_col_text(rows, 4) : "");
	return take_time(r, db_col_text(rows, 0)) ? 0 : leave_out(r, "it has no time");
}

static struct db_value serial_of(const struct recovery *r)
{
	return DB_BLOB(bytes_of(r->serial, r->serial_size));
}

static int find_one(struct db_conn *conn, const char *sql, struct db_value what, int64_t *out)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, sql, what);

	*out = 0;
	if (!e)
		e = db_next(rows);
	if (e == DB_ROW)
		*out = db_col_int(rows, 0);
	return e < 0 ? e : 0;
}

/* ---- a certificate that the store does not know ---- */

/* The request as it stands in the backup: it was held, or not there yet. A number that another request has since is not
 * taken from it. */
static int place_request(struct db_conn *conn, struct recovery *r, const char **before)
{
	int64_t state;
	int e = find_one(conn, "SELECT state FROM requests WHERE id=?", DB_INT(r->request_id), &state);

	*before = NULL;
	if (e || state == 0)
		return e;
	if (state == CA_STATE_PENDING) {
		*before = ca_state_word(CA_STATE_PENDING);
		return 0;
	}
	return find_one(conn, "SELECT max(id)+1 FROM requests WHERE ?1=?1", DB_INT(r->request_id), &r->request_id);
}

static bool is_foreign(const struct recovery *r)
{
	return find_number(r->detail, "key") == 0;
}

static enum ca_state state_of(const struct recovery *r)
{
	return is_foreign(r) ? CA_STATE_FOREIGN : CA_STATE_ISSUED;
}

static int insert_request(struct db_conn *conn, const struct recovery *r, const char *ca)
{
	char profile[WORD_MAX] = "", endpoint[WORD_MAX] = "", requester[WORD_MAX] = "", hex[WORD_MAX] = "";
	uint8_t spki[SHA256_SIZE] = { 0 };

	find_word(r->detail, "profile", profile, sizeof(profile));
	find_word(r->detail, "endpoint", endpoint, sizeof(endpoint));
	find_word(r->detail, "requester", requester, sizeof(requester));
	if (!find_word(r->detail, "spki", hex, sizeof(hex)) || hex_parse(hex, spki, sizeof(spki)))
		memset(spki, 0, sizeof(spki));
	return db_run(conn,
		      "INSERT INTO requests(id, state, version, ca, protocol, endpoint, profile, requester,"
		      " intermediary, evidence, received_ms, submitted_ms, first_seen_ms, resolved_ms, retry_after_s,"
		      " collect_ms, csr, csr_hash, spki_hash, names_key, asked_subject, subject, raw_attributes,"
		      " transaction_key, key_until_ms, status, reason, rule, trace, serial, not_before_s, not_after_s,"
		      " template_s, edited, key_type, key_bits, key_id, crl_partition, any_scope)"
		      " VALUES(?1,?13,1,?2,'recovered',?3,?4,?5,'',0,?6,?6,?6,?6,0,0,x'',x'',?7,x'','','','',x'',0,0,"
		      "'recovered from the audit anchor','','',?8,?9,?10,0,0,'',0,?11,?12,0)",
		      DB_INT(r->request_id), DB_TEXT(ca), DB_TEXT(endpoint), DB_TEXT(profile), DB_TEXT(requester),
		      DB_INT(r->at_ms), DB_BLOB(bytes_of(spki, SHA256_SIZE)), serial_of(r),
		      DB_INT(find_number(r->detail, "not-before")), DB_INT(find_number(r->detail, "not-after")),
		      is_foreign(r) ? DB_NULL : DB_INT(find_number(r->detail, "key")),
		      DB_INT(find_number(r->detail, "partition")), DB_INT(state_of(r)));
}

static int finish_request(struct db_conn *conn, const struct recovery *r)
{
	return db_run(conn,
		      "UPDATE requests SET state=20, version=version+1, resolved_ms=?, key_until_ms=0, serial=?,"
		      " reason='recovered from the audit anchor', key_id=?, crl_partition=?, not_before_s=?,"
		      " not_after_s=? WHERE id=? AND state=9",
		      DB_INT(r->at_ms), serial_of(r), DB_INT(find_number(r->detail, "key")),
		      DB_INT(find_number(r->detail, "partition")),
		      DB_INT(find_number(r->detail, "not-before")),
		      DB_INT(find_number(r->detail, "not-after")), DB_INT(r->request_id));
}

static int insert_certificate(struct db_conn *conn, const struct recovery *r, const char *ca)
{
	return db_run(conn,
		      "INSERT INTO certificates(serial, request_id, ca, key_id, certificate, not_before_s, not_after_s,"
		      " issued_ms, crl_partition) VALUES(?,?,?,?,x'',?,?,?,?)",
		      serial_of(r), DB_INT(r->request_id), DB_TEXT(ca), DB_INT(find_number(r->detail, "key")),
		      DB_INT(find_number(r->detail, "not-before")), DB_INT(find_number(r->detail, "not-after")),
		      DB_INT(r->at_ms), DB_INT(find_number(r->detail, "partition")));
}

/* Names as the trail lists them: kind:value by blanks. */
static int insert_names(struct db_conn *conn, const struct recovery *r)
{
	OWNED(arena) arena = NULL;
	struct bytes names;
	char *text, *save = NULL;
	int e = arena_new(&arena, 1u << 20), position = 0;

	if (e || !find_text(r->detail, "names", &names))
		return e;
	text = arena_printf(arena, "%.*s", (int)names.len, (const char *)names.ptr);
	if (!text)
		return -ENOMEM;
	for (char *name = strtok_r(text, " ", &save); !e && name; name = strtok_r(NULL, " ", &save)) {
		char *value = strchr(name, ':'), *reversed;
		enum ca_name_kind kind = CA_NAME_DNS;

		if (!value)
			continue;
		*value++ = '\0';
		while (kind < CA_NAME_KINDS && strcmp(ca_name_kind_word(kind), name) != 0)
			kind++;
		reversed = list_reverse(arena, value);
		e = !reversed ? -ENOMEM :
				db_run(conn,
				       "INSERT OR IGNORE INTO names(request_id, position, kind, value, reversed,"
				       " evidence, evidence_text) VALUES(?,?,?,?,?,0,'recovered')",
				       DB_INT(r->request_id), DB_INT(position++), DB_INT(kind), DB_TEXT(value),
				       DB_TEXT(reversed));
	}
	return e;
}

static int tell(struct db_conn *conn, const struct recovery *r, const char *before, const char *detail)
{
	char serial[2 * sizeof(r->serial) + 1];
	int e = db_run(conn, "INSERT INTO timeline(request_id, at_ms, actor, text) VALUES(?,?,'core',?)",
		       DB_INT(r->request_id), DB_INT(r->now_ms),
		       DB_TEXT("issued, recovered from the audit anchor"));

	hex_print(bytes_of(r->serial, r->serial_size), serial);
	return e ? e : audit_append(conn, &(struct audit_record){ .at_ms = r->now_ms, .actor = "core",
								  .action = "recover", .request_id = r->request_id,
								  .subject = serial, .before = before,
								  .after = ca_state_word(detail ? state_of(r) :
												  CA_STATE_ISSUED),
								  .detail = detail, .is_long = true });
}

static int read_ca(struct db_conn *conn, const struct recovery *r, char *ca, size_t size)
{
	OWNED(db_rows) rows = NULL;
	int e;

	ca[0] = '\0';
	if (is_foreign(r)) {
		find_word(r->detail, "ca", ca, size);
		return 0;
	}
	e = db_select(conn, &rows, "SELECT ca FROM ca_keys WHERE id=?", DB_INT(find_number(r->detail, "key")));
	if (!e)
		e = db_next(rows);
	if (e == DB_ROW)
		snprintf(ca, size, "%s", db_col_text(rows, 0));
	return e < 0 ? e : 0;
}

static int recover_certificate(struct db_conn *conn, struct recovery *r)
{
	const char *before;
	char ca[WORD_MAX];
	int64_t known;
	int e = find_one(conn, "SELECT 1 FROM requests WHERE serial=?", serial_of(r), &known);

	/* Planned, in the backup, and not signed yet: the same octets are signed when the core goes to work. */
	if (!e && !known)
		e = find_one(conn, "SELECT 1 FROM certificates WHERE serial=?", serial_of(r), &known);
	if (e || known)
		return e;
	e = read_ca(conn, r, ca, sizeof(ca));
	if (!e && !ca[0])
		return leave_out(r, is_foreign(r) ? "it does not say whose it is" :
					  "the store does not have the key that signed it");
	if (!e)
		e = place_request(conn, r, &before);
	if (!e)
		e = before ? finish_request(conn, r) : insert_request(conn, r, ca);
	if (!e)
		e = insert_certificate(conn, r, ca);
	if (!e && !before)
		e = insert_names(conn, r);
	if (!e)
		e = tell(conn, r, before, r->detail);
	r->counts.certificates += !e;
	return e;
}

/* ---- what became of it ---- */

static int read_reason(const struct recovery *r)
{
	char text[WORD_MAX];
	int reason = find_word(r->detail, "reason", text, sizeof(text)) ? ca_reason_parse(text) : 0;

	return reason > 0 ? reason : 0;
}

/* Nobody certifies a key again whose private half others have. */
static int block_key(struct db_conn *conn, const struct recovery *r)
{
	return db_run(conn,
		      "INSERT OR IGNORE INTO blocked_keys(spki_hash, since_ms, serial) SELECT spki_hash, ?, serial"
		      " FROM requests WHERE id=? AND length(spki_hash)=32 AND spki_hash<>zeroblob(32)",
		      DB_INT(r->at_ms), DB_INT(r->request_id));
}

/* What is of the revocation that the row has. */
struct known {
	int64_t state, reason, revoked_s;
};

static int read_known(struct db_conn *conn, struct recovery *r, struct known *k)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT r.id, r.state, c.revoked_reason, c.revoked_ms/1000 FROM requests r LEFT JOIN"
			  " certificates c ON c.request_id=r.id WHERE r.serial=?", serial_of(r));

	*k = (struct known){ 0 };
	if (!e)
		e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : leave_out(r, "there is no certificate with its serial");
	r->request_id = db_col_int(rows, 0);
	*k = (struct known){ db_col_int(rows, 1), db_col_int(rows, 2), db_col_int(rows, 3) };
	return 0;
}

/* The date that was given, or that of the record. */
static int64_t revoked_ms(const struct recovery *r)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t at_s;

	return find_word(r->detail, "date", text, sizeof(text)) && clock_parse_s(text, &at_s) == 0 ? at_s * 1000 :
												  r->at_ms;
}

static bool needs_change(const struct recovery *r, bool is_release, const struct known *k)
{
	if (k->state == CA_STATE_ISSUED)
		return !is_release;
	if (k->state != CA_STATE_REVOKED)
		return false;
	/* What is revoked for good loses nothing by a hold that nobody swore to. */
	if (!r->is_sworn)
		return k->reason == CA_REASON_HOLD && read_reason(r) != CA_REASON_HOLD;
	return is_release || k->reason != read_reason(r) || k->revoked_s != revoked_ms(r) / 1000;
}

/* Planned when the backup was made, signed and revoked since: nobody needs its octets any more. */
static int settle_planned(struct db_conn *conn, const struct recovery *r)
{
	int e = db_run(conn,
		       "INSERT INTO certificates(serial, request_id, ca, key_id, certificate, not_before_s,"
		       " not_after_s, issued_ms, crl_partition) SELECT serial, id, ca, key_id, x'', not_before_s,"
		       " not_after_s, ?, crl_partition FROM requests WHERE id=?",
		       DB_INT(r->at_ms), DB_INT(r->request_id));

	if (!e)
		e = db_run(conn, "UPDATE requests SET state=20, version=version+1, resolved_ms=?, tbs=NULL,"
				 " reason='recovered from the audit anchor' WHERE id=?",
			   DB_INT(r->at_ms), DB_INT(r->request_id));
	return e ? e : tell(conn, r, ca_state_word(CA_STATE_ACTIVE), NULL);
}

static int write_status(struct db_conn *conn, const struct recovery *r, bool is_release)
{
	int e = db_run(conn, "UPDATE requests SET state=?, version=version+1, key_until_ms=0 WHERE id=?",
		       DB_INT(is_release ? CA_STATE_ISSUED : CA_STATE_REVOKED), DB_INT(r->request_id));

	if (!e)
		e = db_run(conn, "UPDATE certificates SET revoked_ms=?, revoked_reason=? WHERE request_id=?",
			   is_release ? DB_NULL : DB_INT(revoked_ms(r)), is_release ? DB_NULL : DB_INT(read_reason(r)),
			   DB_INT(r->request_id));
	/* The list in force does not say it. */
	if (!e)
		e = db_run(conn, "INSERT INTO crl_changes(ca, n) SELECT ca, 1 FROM requests WHERE id=?"
				 " ON CONFLICT DO UPDATE SET n=n+1", DB_INT(r->request_id));
	if (!e && !is_release)
		e = db_run(conn, "DELETE FROM grants WHERE request_id=? AND spent_by IS NULL", DB_INT(r->request_id));
	if (!e && !is_release && read_reason(r) == CA_REASON_KEY_COMPROMISE)
		e = block_key(conn, r);
	return e;
}

static int recover_status(struct db_conn *conn, struct recovery *r)
{
	bool is_release = strcmp(r->action, "release") == 0;
	struct known k;
	int e = read_known(conn, r, &k);

	if (!e && k.state == CA_STATE_ACTIVE && !is_release) {
		e = settle_planned(conn, r);
		k.state = CA_STATE_ISSUED;
	}
	if (e || !needs_change(r, is_release, &k))
		return e;
	e = write_status(conn, r, is_release);
	if (!e)
		e = audit_append(conn, &(struct audit_record){ .at_ms = r->now_ms, .actor = "core",
							       .action = r->action, .subject = r->subject,
							       .request_id = r->request_id,
							       .before = ca_state_word((enum ca_state)k.state),
							       .after = is_release ? "issued" : "revoked",
							       .detail = r->detail });
	r->counts.revocations += !e;
	return e;
}

/* ---- credentials ---- */

/* "user alice", "challenge 12": what is made since the backup is not there, and proves nothing. */
static int find_credential(struct db_conn *conn, const struct recovery *r, int64_t *id)
{
	const char *name = strchr(r->subject, ' ');
	char word[16];
	enum ca_evidence_kind kind;
	OWNED(db_rows) rows = NULL;
	int e;

	*id = 0;
	snprintf(word, sizeof(word), "%.*s", name ? (int)(name - r->subject) : 0, r->subject);
	kind = credential_kind_of(word);
	if (kind == CA_EVIDENCE_NONE)
		return 0;
	e = db_select(conn, &rows,
		      "SELECT id FROM credentials WHERE kind=?1 AND coalesce(name, CAST(id AS TEXT))=?2"
		      " AND revoked_ms IS NULL",
		      DB_INT(kind), DB_TEXT(name + 1));
	if (!e)
		e = db_next(rows);
	if (e == DB_ROW)
		*id = db_col_int(rows, 0);
	return e < 0 ? e : 0;
}

static int tell_credential(struct db_conn *conn, struct recovery *r, const char *detail)
{
	r->counts.credentials++;
	return audit_append(conn, &(struct audit_record){ .at_ms = r->now_ms, .actor = "core", .action = r->action,
							  .subject = r->subject, .detail = detail });
}

static int revoke_credential(struct db_conn *conn, struct recovery *r)
{
	int64_t id;
	int e = find_credential(conn, r, &id);

	if (!e && id)
		e = db_run(conn, "UPDATE credentials SET revoked_ms=? WHERE id=?", DB_INT(r->at_ms), DB_INT(id));
	if (!e && id)
		e = store_revoke_delegated(conn, id, r->at_ms);
	return e || !id ? e : tell_credential(conn, r, "recovered from the audit anchor");
}

/* The new password is nowhere; the old one is what somebody wanted to be rid of. */
static int take_password(struct db_conn *conn, struct recovery *r)
{
	int64_t id;
	int e = find_credential(conn, r, &id);

	if (!e && id)
		e = db_run(conn, "UPDATE credentials SET secret=x'', salt=x'' WHERE id=? AND length(secret)>0",
			   DB_INT(id));
	if (e || !id || db_changes(conn) == 0)
		return e;
	r->why = "its password was another one when the backup was made: gatehouse user passwd";
	return tell_credential(conn, r, "none: it was changed after the backup");
}

/* ---- each record ---- */

static const struct {
	const char *action;
	bool has_serial;  /* its subject is one */
	bool takes_trust; /* from what it is about */
	int (*apply)(struct db_conn *conn, struct recovery *r);
} actions[] = {
	{ "issue", true, false, recover_certificate },
	{ "import", true, false, recover_certificate },
	{ "import-foreign", true, false, recover_certificate },
	{ "recover", true, false, recover_certificate },
	{ "revoke", true, true, recover_status },
	{ "hold", true, true, recover_status },
	{ "release", true, false, recover_status },
	{ "revoke-credential", false, true, revoke_credential },
	{ "set-password", false, true, take_password },
	/* Comes back with the backup, and goes again when its time has come. */
	{ "purge", false, false, NULL },
};

static int apply(struct db_conn *conn, struct recovery *r)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (strcmp(actions[i].action, r->action) != 0)
			continue;
		if (actions[i].has_serial && !take_serial(r))
			return leave_out(r, "it has no serial");
		if (!r->is_sworn && !actions[i].takes_trust)
			return leave_out(r, "no head of the anchor covers it");
		return actions[i].apply ? actions[i].apply(conn, r) : 0;
	}
	return leave_out(r, "nobody knows what it tells of");
}

/* It stood in the trail before the backup was made: the anchor's heads are seconds apart. */
static int is_in_trail(struct db_conn *conn, const struct recovery *r, bool *answer)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT 1 FROM audit WHERE seq=? AND payload=?", DB_INT(r->seq),
			  DB_TEXT(r->payload));

	if (!e)
		e = db_next(rows);
	*answer = e == DB_ROW;
	return e < 0 ? e : 0;
}

static int recover(struct db_conn *conn, void *arg)
{
	struct recovery *r = arg;
	bool is_known;
	int e = is_in_trail(conn, r, &is_known);

	r->counts = (struct store_recovered){ 0 };
	r->why = NULL;
	if (e || is_known)
		return e;
	e = read_payload(conn, r);
	return e ? e : apply(conn, r);
}

int store_recover(struct ca_core *core, const struct store_record *record, struct store_recovered *counts,
		  const char **why)
{
	struct recovery *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->seq = record->seq;
	r->payload = record->payload;
	r->is_sworn = record->is_sworn;
	r->now_ms = clock_wall_ms();
	e = db_write(core->db, recover, r);
	if (e == DB_CONFLICT)
		e = leave_out(r, "another row has its number");
	if (!e) {
		counts->certificates += r->counts.certificates;
		counts->revocations += r->counts.revocations;
		counts->credentials += r->counts.credentials;
	}
	*why = r->why;
	free(r);
	return e;
}
