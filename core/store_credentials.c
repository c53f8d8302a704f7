/* Rows of credentials.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_credentials.h"

#include <errno.h>
#include <stdio.h>

#include "core/audit.h"
#include "core/base/clock.h"
#include "core/base/own.h"

int store_record_credential(struct db_conn *conn, const char *actor, const char *action, const char *subject,
			    const char *detail, int64_t now_ms)
{
	return audit_append(conn, &(struct audit_record){ .at_ms = now_ms,
							  .actor = actor,
							  .action = action,
							  .subject = subject,
							  .detail = detail });
}

/* "user alice", "challenge 12". */
static void print_subject(char out[static 96], enum ca_evidence_kind kind, const char *name, int64_t id)
{
	if (credential_has_name(kind))
		snprintf(out, 96, "%s %.64s", credential_kind_word(kind), name);
	else
		snprintf(out, 96, "%s %lld", credential_kind_word(kind), (long long)id);
}

/* ---- making and taking away ---- */

int store_insert_credential(struct db_conn *conn, struct credential_insert *c)
{
	char subject[96];
	int e = db_run(conn,
		       "INSERT INTO credentials(kind, name, note, secret, salt, endpoints, profiles, scope, created_ms,"
		       " created_by, until_ms, uses_left, by_name, delegates, delegated_by, device, used)"
		       " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)",
		       DB_INT(c->kind), c->name ? DB_TEXT(c->name) : DB_NULL, DB_TEXT(c->note), DB_BLOB(c->secret),
		       DB_BLOB(c->salt), DB_TEXT(c->endpoints), DB_TEXT(c->profiles), DB_TEXT(c->scope),
		       DB_INT(c->now_ms), DB_TEXT(c->actor), c->until_ms ? DB_INT(c->until_ms) : DB_NULL,
		       c->uses ? DB_INT(c->uses) : DB_NULL, DB_INT(c->is_by_name), DB_INT(c->delegates),
		       c->delegated_by ? DB_INT(c->delegated_by) : DB_NULL, DB_TEXT(c->device));

	if (e)
		return e;
	c->id = db_last_id(conn);
	print_subject(subject, c->kind, c->name, c->id);
	return store_record_credential(conn, c->actor, "create-credential", subject,
				       c->detail ? c->detail : strcmp(c->scope, "any") == 0 ? "scope=any" : NULL,
				       c->now_ms);
}

static int add(struct db_conn *conn, void *arg)
{
	return store_insert_credential(conn, arg);
}

int store_add_credential(struct ca_core *core, struct credential_insert *c)
{
	return db_write(core->db, add, c);
}

struct change {
	const char *actor;
	enum ca_evidence_kind kind;
	const char *name;
	struct bytes hash, salt;
	int64_t now_ms;
};

/* Its number; 0 with CA_CALL_NOT_FOUND or STORE_CHANGED when there is none that lives. */
static int find_live(struct db_conn *conn, const struct change *c, int64_t *id)
{
	bool by_name = credential_has_name(c->kind);
	OWNED(db_rows) rows = NULL;
	int e = by_name ? db_select(conn, &rows, "SELECT id, revoked_ms FROM credentials WHERE kind=? AND name=?",
				    DB_INT(c->kind), DB_TEXT(c->name)) :
			  db_select(conn, &rows, "SELECT id, revoked_ms FROM credentials WHERE kind=? AND id=?",
				    DB_INT(c->kind), DB_INT(strtoll(c->name, NULL, 10)));

	if (e)
		return e;
	e = db_next(rows);
	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	*id = db_col_int(rows, 0);
	return db_col_is_null(rows, 1) ? 0 : STORE_CHANGED;
}

int store_revoke_delegated(struct db_conn *conn, int64_t id, int64_t now_ms)
{
	return db_run(conn,
		      "UPDATE credentials SET revoked_ms=?1 WHERE delegated_by=?2 AND revoked_ms IS NULL"
		      " AND ((uses_left>0 AND until_ms>=?1) OR id IN (SELECT credential_id FROM requests WHERE state IN"
		      " (8, 9)))",
		      DB_INT(now_ms), DB_INT(id));
}

static int revoke(struct db_conn *conn, void *arg)
{
	const struct change *c = arg;
	char subject[96], detail[48] = "";
	int64_t id = 0;
	int e = find_live(conn, c, &id);

	if (!e)
		e = db_run(conn, "UPDATE credentials SET revoked_ms=? WHERE id=?", DB_INT(c->now_ms), DB_INT(id));
	if (!e)
		e = store_revoke_delegated(conn, id, c->now_ms);
	if (e)
		return e;
	if (db_changes(conn))
		snprintf(detail, sizeof(detail), "challenges=%lld", (long long)db_changes(conn));
	print_subject(subject, c->kind, c->name, id);
	return store_record_credential(conn, c->actor, "revoke-credential", subject, *detail ? detail : NULL,
				       c->now_ms);
}

int store_revoke_credential(struct ca_core *core, const char *actor, enum ca_evidence_kind kind, const char *name,
			    int64_t now_ms)
{
	struct change c = { .actor = actor, .kind = kind, .name = name, .now_ms = now_ms };

	return db_write(core->db, revoke, &c);
}

static int set_password(struct db_conn *conn, void *arg)
{
	const struct change *c = arg;
	char subject[96];
	int64_t id = 0;
	int e = find_live(conn, c, &id);

	if (!e)
		e = db_run(conn, "UPDATE credentials SET secret=?, salt=? WHERE id=?", DB_BLOB(c->hash),
			   DB_BLOB(c->salt), DB_INT(id));
	print_subject(subject, c->kind, c->name, id);
	return e ? e : store_record_credential(conn, c->actor, "set-password", subject, NULL, c->now_ms);
}

int store_set_password(struct ca_core *core, const char *actor, const char *user, struct bytes hash, struct bytes salt,
		       int64_t now_ms)
{
	struct change c = { actor, CA_EVIDENCE_USER, user, hash, salt, now_ms };

	return db_write(core->db, set_password, &c);
}

/* ---- reading ---- */

#define COLUMNS \
	"id, kind, name, note, created_by, endpoints, profiles, scope, created_ms, until_ms, last_used_ms," \
	" revoked_ms, uses_left, used, by_name, delegates, device"
#define COLUMNS_N 17

static const char *copy_text(struct arena *arena, struct db_rows *rows, int column)
{
	const char *text = db_col_text(rows, column);

	return arena_strdup(arena, text ? text : "");
}

static int read_row(struct arena *arena, struct db_rows *rows, struct credential_row *out)
{
	*out = (struct credential_row){
		.id = db_col_int(rows, 0),
		.kind = (enum ca_evidence_kind)db_col_int(rows, 1),
		.name = copy_text(arena, rows, 2),
		.note = copy_text(arena, rows, 3),
		.created_by = copy_text(arena, rows, 4),
		.endpoints = copy_text(arena, rows, 5),
		.profiles = copy_text(arena, rows, 6),
		.scope = copy_text(arena, rows, 7),
		.created_ms = db_col_int(rows, 8),
		.until_ms = db_col_int(rows, 9),
		.last_used_ms = db_col_int(rows, 10),
		.revoked_ms = db_col_int(rows, 11),
		.uses_left = db_col_is_null(rows, 12) ? -1 : db_col_int(rows, 12),
		.used = db_col_int(rows, 13),
		.is_by_name = db_col_int(rows, 14) != 0,
		.delegates = (unsigned)db_col_int(rows, 15),
		.device = copy_text(arena, rows, 16),
	};
	return out->name && out->note && out->created_by && out->endpoints && out->profiles && out->scope &&
			       out->device ? 0 : -ENOMEM;
}

struct lookup {
	int64_t id;
	enum ca_evidence_kind kind;
	const char *name;
	struct bytes secret;
	struct arena *arena;
	struct credential_found *out;
};

static int read_found(struct lookup *l, struct db_rows *rows)
{
	int e = db_next(rows);

	if (e != DB_ROW)
		return e ? e : CA_CALL_NOT_FOUND;
	l->out->secret = arena_copy(l->arena, db_col_blob(rows, COLUMNS_N));
	l->out->salt = arena_copy(l->arena, db_col_blob(rows, COLUMNS_N + 1));
	return read_row(l->arena, rows, &l->out->row);
}

static int find(struct db_conn *conn, void *arg)
{
	struct lookup *l = arg;
	OWNED(db_rows) rows = NULL;
	int e = l->name ? db_select(conn, &rows,
				    "SELECT " COLUMNS ", secret, salt FROM credentials WHERE kind=? AND name=?",
				    DB_INT(l->kind), DB_TEXT(l->name)) :
			  db_select(conn, &rows,
				    "SELECT " COLUMNS ", secret, salt FROM credentials WHERE kind=? AND name IS NULL"
				    " AND secret=?",
				    DB_INT(l->kind), DB_BLOB(l->secret));

	return e ? e : read_found(l, rows);
}

int store_find_credential(struct ca_core *core, enum ca_evidence_kind kind, const char *name, struct bytes secret,
			  struct arena *arena, struct credential_found *out)
{
	struct lookup l = { .kind = kind, .name = name, .secret = secret, .arena = arena, .out = out };

	return db_read_one(core->db, find, &l);
}

static int load(struct db_conn *conn, void *arg)
{
	struct lookup *l = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT " COLUMNS ", secret, salt FROM credentials WHERE id=? AND revoked_ms IS NULL",
			  DB_INT(l->id));

	return e ? e : read_found(l, rows);
}

int store_load_credential(struct ca_core *core, int64_t id, struct arena *arena, struct credential_found *out)
{
	struct lookup l = { .id = id, .arena = arena, .out = out };

	return db_read_one(core->db, load, &l);
}

struct live {
	enum ca_evidence_kind kind;
	const char *endpoint, *profile;
	int64_t now_ms;
	int64_t *ids;
	size_t n;
};

/* Endpoints and profiles are stored as lines. */
static int list_live(struct db_conn *conn, void *arg)
{
	struct live *l = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT id FROM credentials WHERE kind=? AND revoked_ms IS NULL"
			  " AND instr(char(10) || endpoints || char(10), char(10) || ? || char(10))"
			  " AND instr(char(10) || profiles || char(10), char(10) || ? || char(10))"
			  " ORDER BY uses_left IS 0 OR coalesce(until_ms < ?, 0), id",
			  DB_INT(l->kind), DB_TEXT(l->endpoint), DB_TEXT(l->profile), DB_INT(l->now_ms));

	while (!e && l->n < CREDENTIAL_LISTED_MAX && (e = db_next(rows)) == DB_ROW) {
		l->ids[l->n++] = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

int store_live_credentials(struct ca_core *core, enum ca_evidence_kind kind, const char *endpoint, const char *profile,
			   int64_t ids[static CREDENTIAL_LISTED_MAX], size_t *n)
{
	struct live l = { kind, endpoint, profile, clock_wall_ms(), ids, 0 };
	int e = db_read_one(core->db, list_live, &l);

	*n = l.n;
	return e;
}

struct listing {
	enum ca_evidence_kind kind;
	int64_t after;
	size_t max, n;
	struct arena *arena;
	struct credential_row *rows;
};

static int list(struct db_conn *conn, void *arg)
{
	struct listing *l = arg;
	OWNED(db_rows) rows = NULL;
	int e = l->kind ? db_select(conn, &rows,
				    "SELECT " COLUMNS " FROM credentials WHERE kind=? AND id>? ORDER BY id LIMIT ?",
				    DB_INT(l->kind), DB_INT(l->after), DB_INT(l->max)) :
			  db_select(conn, &rows, "SELECT " COLUMNS " FROM credentials WHERE id>? ORDER BY id LIMIT ?",
				    DB_INT(l->after), DB_INT(l->max));

	while (!e && (e = db_next(rows)) == DB_ROW && l->n < l->max)
		e = read_row(l->arena, rows, &l->rows[l->n++]);
	return e;
}

int credentials_list(struct ca_core *core, enum ca_evidence_kind kind, int64_t after, size_t max, struct arena *arena,
		     struct credential_row **rows, size_t *n)
{
	struct listing l = { kind, after, max, 0, arena, arena_alloc(arena, (max + 1) * sizeof(**rows)) };
	int e = l.rows ? db_read_one(core->db, list, &l) : -ENOMEM;

	*rows = l.rows;
	*n = l.n;
	return e;
}

struct question {
	int64_t id, number;
	const char *account;
};

static int first_number(struct db_rows *rows, int e, int64_t *number)
{
	if (!e && (e = db_next(rows)) == DB_ROW) {
		*number = db_col_int(rows, 0);
		e = 0;
	}
	return e;
}

static int count_live(struct db_conn *conn, void *arg)
{
	struct question *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT count(*) FROM credentials WHERE kind=? AND revoked_ms IS NULL",
			  DB_INT(q->id));

	return first_number(rows, e, &q->number);
}

int store_count_live(struct ca_core *core, enum ca_evidence_kind kind, int64_t *n)
{
	struct question q = { .id = kind };
	int e = db_read_one(core->db, count_live, &q);

	*n = q.number;
	return e;
}

struct any_count {
	const struct ca_core *core;
	struct credentials_any *out;
};

static bool has_unheld(const struct ca_core *core, const char *profiles)
{
	for (size_t i = 0; i < core->n_profiles; i++)
		if (!core->profiles[i].holds_any_scope && credential_is_line(profiles, core->profiles[i].name))
			return true;
	return false;
}

static int count_any(struct db_conn *conn, void *arg)
{
	struct any_count *count = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT profiles FROM credentials WHERE scope='any' AND revoked_ms IS NULL"
			  " AND (until_ms IS NULL OR until_ms>=?) AND (uses_left IS NULL OR uses_left>0)",
			  DB_INT(clock_wall_ms()));

	*count->out = (struct credentials_any){ 0 };
	while (!e && (e = db_next(rows)) == DB_ROW) {
		count->out->n++;
		count->out->n_unheld += has_unheld(count->core, db_col_text(rows, 0));
		e = 0;
	}
	return e;
}

int credentials_count_any(struct ca_core *core, struct credentials_any *out)
{
	return db_read_one(core->db, count_any, &(struct any_count){ core, out });
}

static int is_revoked(struct db_conn *conn, void *arg)
{
	struct question *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT count(*) FROM credentials WHERE id=? AND revoked_ms IS NOT NULL",
			  DB_INT(q->id));

	return first_number(rows, e, &q->number);
}

int store_is_credential_revoked(struct ca_core *core, int64_t id, bool *answer)
{
	struct question q = { .id = id };
	int e = db_read_one(core->db, is_revoked, &q);

	*answer = q.number != 0;
	return e;
}

static int is_bound(struct db_conn *conn, void *arg)
{
	struct question *q = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT count(*) FROM credential_accounts WHERE credential_id=? AND account=?",
			  DB_INT(q->id), DB_TEXT(q->account));

	return first_number(rows, e, &q->number);
}

int store_is_bound(struct ca_core *core, int64_t id, const char *account, bool *answer)
{
	struct question q = { .id = id, .account = account };
	int e = db_read_one(core->db, is_bound, &q);

	*answer = q.number != 0;
	return e;
}

/* ---- using ---- */

/* One statement judges and takes: of many at once one is told that a row changed. */
int store_take_credential(struct db_conn *conn, int64_t id, int64_t now_ms)
{
	int e = db_run(conn,
		       "UPDATE credentials SET used=used+1, uses_left=uses_left-1, last_used_ms=?1 WHERE id=?2"
		       " AND revoked_ms IS NULL AND (until_ms IS NULL OR until_ms>=?1)"
		       " AND (uses_left IS NULL OR uses_left>0)",
		       DB_INT(now_ms), DB_INT(id));

	return !e && db_changes(conn) != 1 ? STORE_SPENT : e;
}

struct account_bind {
	int64_t id, now_ms;
	const char *kid, *account;
};

static int bind_account(struct db_conn *conn, void *arg)
{
	const struct account_bind *b = arg;
	struct question q = { .id = b->id, .account = b->account };
	char subject[96];
	int e = is_bound(conn, &q);

	if (e || q.number)
		return e;
	e = store_take_credential(conn, b->id, b->now_ms);
	if (!e)
		e = db_run(conn, "INSERT INTO credential_accounts(credential_id, account, at_ms) VALUES(?,?,?)",
			   DB_INT(b->id), DB_TEXT(b->account), DB_INT(b->now_ms));
	print_subject(subject, CA_EVIDENCE_EAB, b->kid, b->id);
	return e ? e : store_record_credential(conn, b->account, "bind-account", subject, NULL, b->now_ms);
}

int store_bind_account(struct ca_core *core, int64_t id, const char *kid, const char *account, int64_t now_ms)
{
	struct account_bind b = { id, now_ms, kid, account };

	return db_write(core->db, bind_account, &b);
}

/* The trail of the request itself is its states: this one is about the credential. */
static int record_use(struct db_conn *conn, const struct ca_request *r, const char *credential, const char *actor,
		      const char *action, int64_t now_ms)
{
	char detail[32];

	snprintf(detail, sizeof(detail), "request=%lld", (long long)r->id);
	return store_record_credential(conn, actor, action, credential, detail, now_ms);
}

static int use(struct db_conn *conn, const struct ca_request *r, int64_t id, const char *credential, int64_t now_ms)
{
	/* An EAB key is used up by accounts, not by what they ask for. */
	int e = r->evidence == CA_EVIDENCE_EAB ? 0 : store_take_credential(conn, id, now_ms);

	return e ? e : record_use(conn, r, credential, r->requester, "redeem-credential", now_ms);
}

int store_use_credentials(struct db_conn *conn, const struct ca_request *r, int64_t now_ms)
{
	int e = r->credential_id ? use(conn, r, r->credential_id, r->credential_text, now_ms) : 0;

	return !e && r->also_id ? use(conn, r, r->also_id, r->also_text, now_ms) : e;
}

static int give_back(struct db_conn *conn, const struct ca_request *r, int64_t id, const char *credential,
		     int64_t now_ms)
{
	int e = r->evidence == CA_EVIDENCE_EAB ?
			0 :
			db_run(conn, "UPDATE credentials SET used=used-1, uses_left=uses_left+1 WHERE id=?",
			       DB_INT(id));

	return e ? e : record_use(conn, r, credential, "core", "return-credential", now_ms);
}

int store_return_credentials(struct db_conn *conn, const struct ca_request *r, int64_t now_ms)
{
	int e = r->credential_id ? give_back(conn, r, r->credential_id, r->credential_text, now_ms) : 0;

	return !e && r->also_id ? give_back(conn, r, r->also_id, r->also_text, now_ms) : e;
}

struct failure {
	const char *text, *source;
	int64_t now_ms;
};

static int failed(struct db_conn *conn, void *arg)
{
	const struct failure *f = arg;

	return store_record_credential(conn, f->source ? f->source : "-", "refuse-credential", f->text, NULL,
				       f->now_ms);
}

int store_credential_failed(struct ca_core *core, const char *text, const char *source, int64_t now_ms)
{
	struct failure f = { text, source, now_ms };

	return db_write(core->db, failed, &f);
}

/* ---- the end ---- */

static int sweep(struct db_conn *conn, void *arg)
{
	const int64_t *before_ms = arg;

	return db_run(conn,
		      "DELETE FROM credentials WHERE name IS NULL"
		      " AND (revoked_ms<?1 OR until_ms<?1 OR (uses_left=0 AND last_used_ms<?1))"
		      " AND NOT EXISTS(SELECT 1 FROM requests WHERE credential_id=credentials.id AND state IN (8, 9))",
		      DB_INT(*before_ms));
}

int store_sweep_credentials(struct ca_core *core, int64_t before_ms)
{
	return db_write(core->db, sweep, &before_ms);
}
