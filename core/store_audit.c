/* The rows of the audit trail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/audit.h"

#include <errno.h>

#include "core/base/base64.h"
#include "core/base/own.h"
#include "core/store_int.h"

/* The end of the chain as this transaction sees it. It is asked of the table each time, because a member of a batch may
 * be taken back or run again: what the table says then is true, what memory says would not be. */
static int read_head(struct db_conn *conn, int64_t *seq, uint8_t hash[static SHA256_SIZE])
{
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");
	struct bytes found;

	*seq = 0;
	memset(hash, 0, SHA256_SIZE);
	if (!e)
		e = db_next(rows);
	if (e != DB_ROW)
		return e;
	found = db_col_blob(rows, 1);
	if (found.len != SHA256_SIZE)
		return -EBADMSG;
	*seq = db_col_int(rows, 0);
	memcpy(hash, found.ptr, SHA256_SIZE);
	return 0;
}

int audit_append(struct db_conn *conn, const struct audit_record *r)
{
	OWNED_BUF payload = BUF_INIT(AUDIT_PAYLOAD_MAX);
	uint8_t prev[SHA256_SIZE], hash[SHA256_SIZE];
	int64_t seq = 0;
	int e = read_head(conn, &seq, prev);

	if (!e)
		e = audit_print(r, &payload);
	if (!e)
		e = audit_hash(prev, seq + 1, buf_bytes(&payload), hash);
	return e ? e : db_run(conn, "INSERT INTO audit(seq, prev, payload, hash) VALUES(?,?,?,?)", DB_INT(seq + 1),
			      DB_BLOB(bytes_of(prev, SHA256_SIZE)), DB_TEXT(buf_str(&payload)),
			      DB_BLOB(bytes_of(hash, SHA256_SIZE)));
}

static int append_one(struct db_conn *conn, void *arg)
{
	return audit_append(conn, arg);
}

int store_audit(struct ca_core *core, const struct audit_record *r)
{
	return db_write(core->db, append_one, (void *)r);
}

/* ---- the transitions of a request ---- */

static const char *actor_of(const struct ca_request *r, enum ca_action action)
{
	switch (action) {
	case CA_ACTION_RECEIVE:
	case CA_ACTION_REJECT:
	case CA_ACTION_WITHDRAW:
		return r->requester;
	case CA_ACTION_ISSUE:
	case CA_ACTION_PEND:
	case CA_ACTION_DENY:
		return "policy";
	case CA_ACTION_SET_ATTRIBUTES:
	case CA_ACTION_SET_EXTENSION:
	case CA_ACTION_EDIT:
	case CA_ACTION_ADMIN_DENY:
		return r->officer;
	case CA_ACTION_RESUBMIT:
		return r->officer ? r->officer : r->requester;
	default:
		return "core";
	}
}

/* The line of the timeline that tells the same: an officer's own, else the last one. */
static const char *line_of(const struct ca_request *r, const char *actor)
{
	const char *text = NULL;

	for (const struct timeline_line *line = r->lines; line; line = line->next) {
		text = line->text;
		if (r->officer && strcmp(actor, r->officer) == 0 && strcmp(line->actor, actor) == 0)
			break;
	}
	return text;
}

int store_print_issued(const struct ca_request *r, const struct store_issued *i, struct buf *out)
{
	uint8_t hash[SHA256_SIZE];
	char text[2 * SHA256_SIZE + 1];
	int e = digest_sha256(i->certificate, hash);

	buf_printf(out, "certificate=%s key=%lld not-before=%lld not-after=%lld",
		   hex_print(bytes_of(hash, sizeof(hash)), text), (long long)i->key_id, (long long)i->not_before_s,
		   (long long)i->not_after_s);
	if (i->key_id == 0)
		buf_printf(out, " ca=\"%s\"", request_quote(r, i->ca));
	buf_printf(out, " partition=%u spki=%s profile=\"%s\" endpoint=\"%s\" requester=\"%s\" names=\"",
		   i->partition, hex_print(bytes_of(i->spki_hash, SHA256_SIZE), text), i->profile, i->endpoint,
		   request_quote(r, r->requester));
	for (size_t n = 0; n < r->n_names; n++)
		buf_printf(out, "%s%s:%s", n ? " " : "", ca_name_kind_word(r->names[n].kind), r->names[n].value);
	buf_append_char(out, '"');
	return e ? e : buf_status(out);
}

static int print_issued(const struct ca_request *r, struct buf *out)
{
	return store_print_issued(r,
				  &(struct store_issued){ .certificate = buf_bytes(&r->certificate),
							  .spki_hash = r->spki_hash,
							  .key_id = r->key_id,
							  .not_before_s = r->not_before_s,
							  .not_after_s = r->not_after_s,
							  .partition = r->crl_partition,
							  .ca = r->ca,
							  .profile = r->profile,
							  .endpoint = r->endpoint },
				  out);
}

static int print_received(const struct store_change *c, struct buf *out)
{
	const struct ca_request *r = c->r;

	buf_printf(out, "via=%s endpoint=%s profile=%s intermediary=%s from=%s", r->protocol, r->endpoint, r->profile,
		   r->intermediary, r->source_address ? r->source_address : "-");
	if (c->supersedes)
		buf_printf(out, " supersedes=%lld", (long long)c->supersedes);
	if (c->spend_grant)
		buf_printf(out, " approved-request=%lld", (long long)r->grant_request_id);
	return buf_status(out);
}

struct step {
	struct db_conn *conn;
	const struct store_change *change;
	int64_t now_ms;
};

static int append_step(const struct step *s, enum ca_action action, const char *before, const char *after)
{
	const struct ca_request *r = s->change->r;
	OWNED_BUF detail = BUF_INIT(1u << 20);
	char serial[2 * SERIAL_SIZE + 1];
	struct audit_record record = {
		.at_ms = s->now_ms,
		.actor = actor_of(r, action),
		.action = ca_action_word(action),
		.request_id = r->id,
		.before = before,
		.after = after,
	};
	int e = 0;

	if (action == CA_ACTION_ISSUE) {
		e = print_issued(r, &detail);
		hex_print(bytes_of(r->serial, SERIAL_SIZE), serial);
		record.subject = serial;
		record.is_long = true;
	} else if (action == CA_ACTION_RECEIVE) {
		e = print_received(s->change, &detail);
	}
	record.detail = detail.len ? buf_str(&detail) : line_of(r, record.actor);
	return e ? e : audit_append(s->conn, &record);
}

/* Policy was asked again: in memory only the row was ACTIVE, in the trail it is. */
static bool is_resubmission(const struct store_change *c)
{
	return !c->insert && c->from == CA_STATE_PENDING &&
	       (c->r->state == CA_STATE_ACTIVE || c->action == CA_ACTION_PEND || c->action == CA_ACTION_DENY ||
		c->action == CA_ACTION_RETURN || c->action == CA_ACTION_READY);
}

static int append_approval(const struct step *s)
{
	const struct ca_request *r = s->change->r;

	return audit_append(s->conn, &(struct audit_record){ .at_ms = s->now_ms, .actor = s->change->approved_by,
							     .action = "approve", .request_id = r->id,
							     .before = "pending", .after = "pending",
							     .detail = line_of(r, s->change->approved_by) });
}

int store_audit_change(struct db_conn *conn, const struct store_change *c, int64_t now_ms)
{
	const struct step s = { conn, c, now_ms };
	const char *before = NULL;
	int e = 0;

	if (c->insert && c->action != CA_ACTION_REJECT)
		e = append_step(&s, CA_ACTION_RECEIVE, NULL, ca_state_word(CA_STATE_ACTIVE));
	else if (is_resubmission(c))
		e = append_step(&s, CA_ACTION_RESUBMIT, ca_state_word(c->from), ca_state_word(CA_STATE_ACTIVE));
	if (!e && c->approved_by)
		e = append_approval(&s);
	if (e || c->action == CA_ACTION_NONE)
		return e;
	if (!c->insert && !is_resubmission(c))
		before = ca_state_word(c->from);
	else if (c->action != CA_ACTION_REJECT)
		before = ca_state_word(CA_STATE_ACTIVE);
	return append_step(&s, c->action, before, ca_state_word(c->r->state));
}
