/* Writing the core's rows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/store_credentials.h"
#include "core/store_revoke.h"

int store_open(struct ca_core *core, unsigned commit_delay_ms, char *why, size_t why_size)
{
	OWNED_BUF path = BUF_INIT(4096);
	struct db_options options = {
		.application_id = STORE_APPLICATION_ID,
		.migrations = store_migrations,
		.commit_delay_ms = commit_delay_ms,
	};

	if (buf_printf(&path, "%s/core.db", core->data_folder))
		return -ENOMEM;
	options.path = buf_str(&path);
	return db_open(&core->db, &options, why, why_size);
}

struct apply {
	struct ca *ca;
	const struct store_change *change;
	int64_t now_ms;
};

int store_write_lines(struct db_conn *conn, int64_t id, const struct timeline_line *line)
{
	int e = 0;

	for (; !e && line; line = line->next)
		e = db_run(conn, "INSERT INTO timeline(request_id, at_ms, actor, text) VALUES(?,?,?,?)", DB_INT(id),
			   DB_INT(line->at_ms), DB_TEXT(line->actor), DB_TEXT(line->text));
	return e;
}

int store_write_events(struct db_conn *conn, const struct ca *ca, int64_t id, unsigned events, int64_t about,
		       int64_t now_ms)
{
	int e = 0;

	for (unsigned bit = 1; !e && bit <= CA_EVENT_IMPORTED; bit <<= 1) {
		if (!(events & bit))
			continue;
		for (size_t i = 0; !e && i < ca->n_exits; i++)
			if ((ca->exits[i].events & bit) && !ca->exits[i].is_disabled)
				e = db_run(conn,
					   "INSERT INTO outbox(module, ca, event, request_id, about, attempts, next_ms)"
					   " VALUES(?,?,?,?,?,0,?)",
					   DB_TEXT(ca->exits[i].label), DB_TEXT(ca->name), DB_INT(bit),
					   id ? DB_INT(id) : DB_NULL, DB_INT(about), DB_INT(now_ms));
	}
	return e;
}

static int write_rows(struct db_conn *conn, const struct ca_request *r)
{
	int e = 0;

	for (size_t i = 0; !e && i < r->n_attributes; i++)
		e = db_run(conn, "INSERT INTO attributes(request_id, name, value) VALUES(?,?,?)", DB_INT(r->id),
			   DB_TEXT(r->attributes[i].name), DB_TEXT(r->attributes[i].value));
	for (size_t i = 0; !e && i < r->n_extensions; i++)
		e = db_run(conn, "INSERT INTO extensions(request_id, oid, flags, value) VALUES(?,?,?,?)", DB_INT(r->id),
			   DB_TEXT(r->extensions[i].oid), DB_INT(r->extensions[i].flags),
			   DB_BLOB(r->extensions[i].value));
	return e;
}

static int rewrite_rows(struct db_conn *conn, const struct ca_request *r)
{
	int e = db_run(conn, "DELETE FROM attributes WHERE request_id=?", DB_INT(r->id));

	if (!e)
		e = db_run(conn, "DELETE FROM extensions WHERE request_id=?", DB_INT(r->id));
	return e ? e : write_rows(conn, r);
}

static struct bytes serial_of(const struct ca_request *r)
{
	return r->tbs.len ? bytes_of(r->serial, SERIAL_SIZE) : bytes_of(NULL, 0);
}

static struct bytes tbs_of(const struct ca_request *r)
{
	return r->tbs.len ? buf_bytes(&r->tbs) : bytes_of(NULL, 0);
}

static struct db_value key_of(const struct ca_request *r)
{
	return r->tbs.len ? DB_INT(r->key_id) : DB_NULL;
}

/* Octets that the gate did not even copy: none, or too many. */
static struct bytes csr_of(const struct ca_request *r)
{
	return r->csr.der.ptr ? r->csr.der : bytes_of("", 0);
}

static int insert_request(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;
	int e;

	/* A key whose hold has ended makes room, here and nowhere else, so that no sweep is needed. */
	e = db_run(
		conn,
		"UPDATE requests SET key_until_ms=CASE state WHEN 31 THEN -1 ELSE 0 END"
		" WHERE transaction_key=? AND key_until_ms>0 AND (key_until_ms<? OR " STORE_IS_OTHER_REQUEST ")",
		DB_BLOB(bytes_of(r->transaction_key, sizeof(r->transaction_key))), DB_INT(a->now_ms),
		STORE_OTHER_REQUEST_VALUES(r));
	if (!e)
		e = db_run(
			conn,
			"INSERT INTO requests(id, state, version, ca, protocol, endpoint, profile, "
			"requester, intermediary, source_address, evidence, received_ms, submitted_ms, "
			"first_seen_ms, resolved_ms, retry_after_s, collect_ms, csr, csr_hash, spki_hash, "
			"names_key, asked_subject, subject, raw_attributes, transaction_key, key_until_ms, "
			"status, reason, rule, trace, digest, serial, tbs, key_id, crl_partition, not_before_s, "
			"not_after_s, template_s, edited, key_type, key_bits, credential_id, credential, any_scope,"
			" approvals_needed, server_key, also_id, also, certificate_id, name_change, limit_id,"
			" limit_text, keyless_digest, poll_key)"
			" VALUES(?,?,1,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
			"?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			DB_INT(r->id), DB_INT(r->state), DB_TEXT(r->ca), DB_TEXT(r->protocol), DB_TEXT(r->endpoint),
			DB_TEXT(r->profile), DB_TEXT(r->requester), DB_TEXT(r->intermediary),
			DB_TEXT(r->source_address), DB_INT(r->evidence), DB_INT(r->received_ms),
			DB_INT(r->submitted_ms), DB_INT(r->first_seen_ms), DB_INT(r->resolved_ms),
			DB_INT(r->retry_after_s), DB_INT(r->collect_ms), DB_BLOB(csr_of(r)),
			DB_BLOB(bytes_of(r->asked_hash, SHA256_SIZE)), DB_BLOB(bytes_of(r->spki_hash, SHA256_SIZE)),
			DB_BLOB(bytes_of(r->names_key, SHA256_SIZE)), DB_TEXT(r->csr.subject_text),
			DB_TEXT(request_subject_text(r)), DB_TEXT(r->raw_attributes),
			DB_BLOB(bytes_of(r->transaction_key, sizeof(r->transaction_key))),
			DB_INT(a->change->key_until_ms), DB_INT(r->status), DB_TEXT(r->reason),
			DB_TEXT(r->verdict.rule), DB_TEXT(r->verdict.trace),
			DB_BLOB(bytes_of(r->digest, SHA256_SIZE)), DB_BLOB(serial_of(r)), DB_BLOB(tbs_of(r)),
			key_of(r), DB_INT(r->crl_partition), DB_INT(r->not_before_s), DB_INT(r->not_after_s),
			DB_INT(r->template_s), DB_INT(r->is_edited), DB_TEXT(r->csr.key_type ? r->csr.key_type : ""),
			DB_INT(r->csr.key_bits), r->credential_id ? DB_INT(r->credential_id) : DB_NULL,
			DB_TEXT(r->credential_text), DB_INT(r->is_any_scope), DB_INT(r->verdict.approvals),
			DB_INT(r->server_key), r->also_id ? DB_INT(r->also_id) : DB_NULL, DB_TEXT(r->also_text),
			r->certificate_id ? DB_INT(r->certificate_id) : DB_NULL, DB_INT(r->name_change),
			r->limit_id ? DB_INT(r->limit_id) : DB_NULL, DB_TEXT(r->limit_text),
			DB_BLOB(bytes_of(r->keyless_digest, SHA256_SIZE)),
			r->has_poll_key ? DB_BLOB(bytes_of(r->poll_key, sizeof(r->poll_key))) : DB_NULL);
	if (!e)
		e = store_write_names(conn, r);
	return e ? e : write_rows(conn, r);
}

/* The request of the call that collects, whose key is certified. */
static int rewrite_csr(struct db_conn *conn, const struct ca_request *r)
{
	uint8_t csr_hash[SHA256_SIZE];
	int e = digest_sha256(r->csr.der, csr_hash);

	return e ? e : db_run(conn,
			      "UPDATE requests SET csr=?, csr_hash=?, spki_hash=?, key_type=?, key_bits=? WHERE id=?",
			      DB_BLOB(csr_of(r)), DB_BLOB(bytes_of(csr_hash, sizeof(csr_hash))),
			      DB_BLOB(bytes_of(r->spki_hash, SHA256_SIZE)), DB_TEXT(r->csr.key_type),
			      DB_INT(r->csr.key_bits), DB_INT(r->id));
}

static int update_request(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;
	int e = db_run(
		conn,
		"UPDATE requests SET state=?, version=version+1, resolved_ms=?, key_until_ms=?, status=?, reason=?,"
		" rule=?, trace=?, digest=?, serial=?, tbs=?, key_id=?, crl_partition=?, not_before_s=?,"
		" not_after_s=?, template_s=?, edited=?, subject=?, officer_lifetime_s=?, officer_not_after_s=?,"
		" approvals_needed=?, server_key=?, keyless_digest=?"
		" WHERE id=? AND version=? AND state=?",
		DB_INT(r->state), DB_INT(r->resolved_ms), DB_INT(a->change->key_until_ms), DB_INT(r->status),
		DB_TEXT(r->reason), DB_TEXT(r->verdict.rule), DB_TEXT(r->verdict.trace),
		DB_BLOB(bytes_of(r->digest, SHA256_SIZE)), DB_BLOB(serial_of(r)), DB_BLOB(tbs_of(r)),
		key_of(r), DB_INT(r->crl_partition), DB_INT(r->not_before_s), DB_INT(r->not_after_s),
		DB_INT(r->template_s), DB_INT(r->is_edited), DB_TEXT(request_subject_text(r)),
		DB_INT(r->officer_lifetime_s), DB_INT(r->officer_not_after_s), DB_INT(r->verdict.approvals),
		DB_INT(r->server_key), DB_BLOB(bytes_of(r->keyless_digest, SHA256_SIZE)), DB_INT(r->id),
		DB_INT(r->version), DB_INT(a->change->from));

	if (!e && db_changes(conn) != 1)
		return STORE_CHANGED;
	if (!e && r->has_new_key)
		e = rewrite_csr(conn, r);
	if (!e && a->change->rewrite_names) {
		e = db_run(conn, "DELETE FROM names WHERE request_id=?", DB_INT(r->id));
		if (!e)
			e = store_write_names(conn, r);
	}
	return !e && a->change->rewrite_rows ? rewrite_rows(conn, r) : e;
}

/* What was planned is there already, and its indexes stay as they are. */
static int issue_request(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;
	int e = db_run(conn,
		       "UPDATE requests SET state=20, version=version+1, resolved_ms=?, key_until_ms=?, status=?,"
		       " reason=? WHERE id=? AND version=? AND state=8",
		       DB_INT(r->resolved_ms), DB_INT(a->change->key_until_ms), DB_INT(r->status), DB_TEXT(r->reason),
		       DB_INT(r->id), DB_INT(r->version));

	return !e && db_changes(conn) != 1 ? STORE_CHANGED : e;
}

static int write_request(struct db_conn *conn, const struct apply *a)
{
	const struct store_change *c = a->change;

	if (c->insert)
		return insert_request(conn, a);
	if (c->from == CA_STATE_ACTIVE && c->r->state == CA_STATE_ISSUED)
		return issue_request(conn, a);
	return update_request(conn, a);
}

/* Whoever blocks a key does it in a transaction too, before this one or behind it. */
static int write_certificate(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;
	int e = db_run(conn,
		       "INSERT INTO certificates(serial, request_id, ca, key_id, certificate, not_before_s,"
		       " not_after_s, issued_ms, crl_partition) SELECT ?,?,?,?,?,?,?,?,?"
		       " WHERE NOT EXISTS(SELECT 1 FROM blocked_keys WHERE spki_hash=?)",
		       DB_BLOB(bytes_of(r->serial, SERIAL_SIZE)), DB_INT(r->id), DB_TEXT(r->ca), DB_INT(r->key_id),
		       DB_BLOB(buf_bytes(&r->certificate)), DB_INT(r->not_before_s), DB_INT(r->not_after_s),
		       DB_INT(r->resolved_ms), DB_INT(r->crl_partition),
		       DB_BLOB(bytes_of(r->spki_hash, SHA256_SIZE)));

	return !e && db_changes(conn) != 1 ? STORE_BLOCKED : e;
}

int store_write_line(struct db_conn *conn, int64_t id, int64_t at_ms, const char *text)
{
	struct timeline_line line = { .at_ms = at_ms, .actor = "core", .text = text };

	return store_write_lines(conn, id, &line);
}

/* The older request for the same names leaves the queue; when it was first seen stays known. */
static int supersede(struct db_conn *conn, const struct apply *a)
{
	int64_t old = a->change->supersedes, id = a->change->r->id;
	char text[96];
	int e;

	snprintf(text, sizeof(text), "superseded by=%lld", (long long)id);
	e = db_run(conn,
		   "UPDATE requests SET state=31, version=version+1, status=?, reason=?, resolved_ms=?, key_until_ms=0"
		   " WHERE id=? AND state=9",
		   DB_INT(CA_STATUS_SUPERSEDED), DB_TEXT("superseded by a newer request for the same names"),
		   DB_INT(a->now_ms), DB_INT(old));
	if (!e && db_changes(conn) != 1)
		return STORE_CHANGED;
	if (!e)
		e = store_write_line(conn, old, a->now_ms, text);
	if (!e)
		e = audit_append(conn, &(struct audit_record){ .at_ms = a->now_ms, .actor = a->change->r->requester,
							       .action = ca_action_word(CA_ACTION_SUPERSEDE),
							       .request_id = old, .before = "pending",
							       .after = "denied", .detail = text });
	return e ? e : store_write_events(conn, a->ca, old, CA_EVENT_DENIED, 0, a->now_ms);
}

static int carry_first_seen(struct db_conn *conn, const struct apply *a)
{
	int e = db_run(conn,
		      "UPDATE requests SET first_seen_ms=(SELECT first_seen_ms FROM requests WHERE id=?) WHERE id=?",
		      DB_INT(a->change->supersedes), DB_INT(a->change->r->id));

	return e ? e : store_carry_notes(conn, a->change->supersedes, a->change->r->id);
}

/* One use: the first that gets here wins. What was issued for the held request and never collected is revoked, so
 * that one approval leaves one live certificate. */
static int spend_grant(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;
	char text[96];
	int e = db_run(conn, "UPDATE grants SET spent_by=? WHERE id=? AND spent_by IS NULL AND until_ms>=?",
		       DB_INT(r->id), DB_INT(r->grant_id), DB_INT(a->now_ms));

	if (!e && db_changes(conn) != 1)
		return STORE_CHANGED;
	if (!e)
		e = db_run(conn,
			   "UPDATE requests SET key_until_ms=0 WHERE id=? AND EXISTS(SELECT 1 FROM certificates c"
			   " WHERE c.request_id=requests.id AND c.collected_ms IS NULL)",
			   DB_INT(r->grant_request_id));
	if (!e && db_changes(conn) != 1)
		return STORE_CHANGED;
	snprintf(text, sizeof(text), "grant spent-by=%lld revoked reason=superseded", (long long)r->id);
	if (!e)
		e = store_write_line(conn, r->grant_request_id, a->now_ms, text);
	return e ? e : revoke_write(conn, a->ca, &(struct revoke_rows){ .request_id = r->grant_request_id,
									.action = CA_ACTION_REVOKE,
									.from = CA_STATE_ISSUED,
									.reason = CA_REASON_SUPERSEDED,
									.effective_ms = a->now_ms,
									.now_ms = a->now_ms,
									.actor = r->requester,
									.detail = text });
}

static int write_grant(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;

	return db_run(conn,
		      "INSERT INTO grants(ca, endpoint, requester, names_key, profile, request_id, template, until_ms)"
		      " VALUES(?,?,?,?,?,?,?,?)",
		      DB_TEXT(r->ca), DB_TEXT(r->endpoint), DB_TEXT(r->requester),
		      DB_BLOB(bytes_of(r->names_key, SHA256_SIZE)), DB_TEXT(r->profile), DB_INT(r->id),
		      DB_BLOB(bytes_of(r->template_hash, SHA256_SIZE)), DB_INT(a->change->grant_until_ms));
}

static int write_approval(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;

	return db_run(conn,
		      "INSERT INTO approvals(request_id, officer, rule, digest, at_ms) VALUES(?,?,?,?,?)"
		      " ON CONFLICT DO UPDATE SET digest=excluded.digest, at_ms=excluded.at_ms",
		      DB_INT(r->id), DB_TEXT(a->change->approved_by), DB_TEXT(a->change->approved_rule),
		      DB_BLOB(bytes_of(r->digest, SHA256_SIZE)), DB_INT(a->now_ms));
}

/* One record for each officer: that he approved this request, who reads the trail looks for. */
static int record_kept(struct db_conn *conn, const struct apply *a, const char *text)
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT officer FROM approvals WHERE request_id=?", DB_INT(a->change->r->id));

	while (!e && (e = db_next(rows)) == DB_ROW)
		e = audit_append(conn, &(struct audit_record){ .at_ms = a->now_ms, .actor = db_col_text(rows, 0),
							       .action = "keep-approval",
							       .request_id = a->change->r->id, .before = "pending",
							       .after = "pending", .detail = text });
	return e;
}

/* Approvals that still count for the older request, by a rule that cares for everything but the key. */
static int carry_approvals(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;
	char text[CA_RULE_SIZE + 96];
	int64_t n;
	int e = db_run(conn,
		       "INSERT INTO approvals(request_id, officer, rule, digest, at_ms)"
		       " SELECT ?, a.officer, a.rule, ?, a.at_ms FROM approvals a JOIN requests q ON q.id=a.request_id"
		       " WHERE q.id=? AND a.rule=? AND a.digest=q.digest AND q.keyless_digest=?",
		       DB_INT(r->id), DB_BLOB(bytes_of(r->digest, SHA256_SIZE)), DB_INT(a->change->supersedes),
		       DB_TEXT(r->verdict.rule), DB_BLOB(bytes_of(r->keyless_digest, SHA256_SIZE)));

	n = e ? 0 : db_changes(conn);
	if (!n)
		return e;
	snprintf(text, sizeof(text), "approvals kept=%lld rule=%s from=%lld", (long long)n, r->verdict.rule,
		 (long long)a->change->supersedes);
	e = store_write_line(conn, r->id, a->now_ms, text);
	return e ? e : record_kept(conn, a, text);
}

/* Used with the row, and given back when the row comes to nothing: a request that failed cost nobody his challenge. */
static int settle_credential(struct db_conn *conn, const struct apply *a)
{
	const struct ca_request *r = a->change->r;
	bool is_error = r->state == CA_STATE_ERROR;

	if ((!r->credential_id && !r->also_id) || a->change->insert == is_error)
		return 0;
	return is_error ? store_return_credentials(conn, r, a->now_ms) :
			  a->change->insert ? store_use_credentials(conn, r, a->now_ms) : 0;
}

static int apply(struct db_conn *conn, void *arg)
{
	const struct apply *a = arg;
	const struct store_change *c = a->change;
	int e = 0;

	if (c->supersedes)
		e = supersede(conn, a);
	if (!e)
		e = write_request(conn, a);
	if (!e)
		e = settle_credential(conn, a);
	if (!e && c->supersedes)
		e = carry_first_seen(conn, a);
	if (!e && c->spend_grant)
		e = spend_grant(conn, a);
	if (!e && c->approved_by)
		e = write_approval(conn, a);
	if (!e && c->r->state == CA_STATE_ISSUED)
		e = write_certificate(conn, a);
	if (!e && c->grant_until_ms)
		e = write_grant(conn, a);
	if (!e)
		e = store_write_lines(conn, c->r->id, c->r->lines);
	if (!e)
		e = store_write_events(conn, a->ca, c->r->id, c->r->events, 0, a->now_ms);
	if (!e)
		e = store_audit_change(conn, c, a->now_ms);
	if (!e && c->supersedes && c->r->verdict.keeps_approvals && c->r->state == CA_STATE_PENDING)
		e = carry_approvals(conn, a);
	return e;
}

/* DB_CONFLICT and STORE_CHANGED come out of the same call; here they are told apart. */
int store_outcome(struct ca_core *core, int e)
{
	core->is_store_failing = e < 0;
	return e == DB_CONFLICT ? STORE_DUPLICATE : e;
}

void store_written(struct ca_request *r)
{
	r->lines = NULL;
	r->lines_end = &r->lines;
	r->events = 0;
}

/* One line for each row whose state this change set. */
static void trace_change(struct ca_core *core, const struct store_change *c)
{
	const struct ca_request *r = c->r;
	char serial[2 * SERIAL_SIZE + 1] = "";

	if (r->state == CA_STATE_ISSUED)
		hex_print(bytes_of(r->serial, SERIAL_SIZE), serial);
	trace_event(core->trace, "commit", r->id, "\"state\":\"%s\",\"status\":\"%s\"%s%s%s", ca_state_word(r->state),
		    ca_status_word(r->status), serial[0] ? ",\"serial\":\"" : "", serial, serial[0] ? "\"" : "");
	if (c->supersedes)
		trace_event(core->trace, "commit", c->supersedes,
			    "\"state\":\"denied\",\"status\":\"superseded\",\"by\":%lld", (long long)r->id);
	if (c->spend_grant)
		trace_event(core->trace, "commit", r->grant_request_id,
			    "\"state\":\"revoked\",\"reason\":\"superseded\",\"by\":%lld", (long long)r->id);
}

static void count_change(struct ca_core *core, const struct store_change *c)
{
	core_count(core, c->action);
	if (c->supersedes)
		core_count(core, CA_ACTION_SUPERSEDE);
	if (c->spend_grant)
		core_count(core, CA_ACTION_REVOKE);
	if (c->supersedes)
		polls_forget(core->polls, c->supersedes);
	if (c->r->state != CA_STATE_PENDING)
		polls_forget(core->polls, c->r->id);
}

int store_apply(struct ca *ca, const struct store_change *change)
{
	struct apply a = { ca, change, clock_wall_ms() };
	int e;

	trace_hold(ca->core->trace);
	e = db_write(ca->core->db, apply, &a);
	if (!e) {
		change->r->version = change->insert ? 1 : change->r->version + 1;
		store_written(change->r);
		trace_change(ca->core, change);
		count_change(ca->core, change);
	}
	trace_release(ca->core->trace);
	return store_outcome(ca->core, e);
}

static int collected(struct db_conn *conn, void *arg)
{
	const struct apply *a = arg;
	const struct ca_request *r = a->change->r;
	int e = db_run(conn,
		       "UPDATE certificates SET collected_ms=coalesce(collected_ms, ?)"
		       " WHERE request_id=? AND revoked_ms IS NULL",
		       DB_INT(a->now_ms), DB_INT(r->id));

	/* It was revoked since it was read: nobody may be given it any more. */
	if (!e && r->state == CA_STATE_ISSUED && db_changes(conn) != 1)
		return STORE_CHANGED;
	/* Collected: there is a live certificate now, so the approval is used up. */
	if (!e)
		e = db_run(conn, "DELETE FROM grants WHERE request_id=? AND spent_by IS NULL", DB_INT(r->id));
	if (!e)
		e = store_write_lines(conn, r->id, r->lines);
	if (!e)
		e = audit_append(conn, &(struct audit_record){ .at_ms = a->now_ms, .actor = r->requester,
							       .action = "retrieve", .request_id = r->id,
							       .before = ca_state_word(r->state),
							       .after = ca_state_word(r->state) });
	return e ? e : store_write_events(conn, a->ca, r->id, r->events, 0, a->now_ms);
}

int store_collected(struct ca *ca, struct ca_request *r)
{
	struct store_change change = { .r = r };
	struct apply a = { ca, &change, clock_wall_ms() };
	int e;

	e = db_write(ca->core->db, collected, &a);
	if (!e)
		store_written(r);
	return store_outcome(ca->core, e);
}

static int release_denied(struct db_conn *conn, void *arg)
{
	return db_run(conn, "UPDATE requests SET key_until_ms=0 WHERE key_until_ms<>0 AND state=31 AND status=?",
		      DB_INT(CA_STATUS_POLICY_DENIED));
}

int store_release_denied(struct ca_core *core)
{
	return db_write(core->db, release_denied, NULL);
}

struct event_write {
	const struct outbox_row *row;
	int64_t at_ms, next_ms;
	const char *lines[2];
};

static int write_event_lines(struct db_conn *conn, const struct event_write *w)
{
	int e = 0;

	/* What is about a CA has no timeline. */
	for (int i = 0; !e && w->row->request_id && i < 2 && w->lines[i]; i++)
		e = store_write_line(conn, w->row->request_id, w->at_ms, w->lines[i]);
	return e;
}

static int event_done(struct db_conn *conn, void *arg)
{
	const struct event_write *w = arg;
	int e = db_run(conn, "DELETE FROM outbox WHERE id=?", DB_INT(w->row->id));

	return e ? e : write_event_lines(conn, w);
}

int store_event_done(struct ca_core *core, const struct outbox_row *row, int64_t at_ms, const char *notify_line,
		     const char *inspect_line)
{
	struct event_write w = { .row = row, .at_ms = at_ms, .lines = { notify_line, inspect_line } };

	return db_write(core->db, event_done, &w);
}

static int event_failed(struct db_conn *conn, void *arg)
{
	const struct event_write *w = arg;
	int e = db_run(conn, "UPDATE outbox SET attempts=attempts+1, next_ms=? WHERE id=?",
		       w->next_ms ? DB_INT(w->next_ms) : DB_NULL, DB_INT(w->row->id));

	return e ? e : write_event_lines(conn, w);
}

int store_event_failed(struct ca_core *core, const struct outbox_row *row, int64_t at_ms, int64_t next_ms,
		       const char *line)
{
	struct event_write w = { .row = row, .at_ms = at_ms, .next_ms = next_ms, .lines = { line } };

	return db_write(core->db, event_failed, &w);
}
