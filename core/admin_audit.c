/* Calls of the administrator's tool about the audit trail, the clock and backups.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>

#include "core/anchor_verify.h"
#include "core/backup.h"
#include "core/clock_guard.h"
#include "core/store_trail.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 500
#define WALK_MAX 20000
#define REPLY_OCTETS_MAX 150000 /* of payloads; a reply has room for 256 KiB */

typedef Gatehouse__Admin__AuditRecord Record;

static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

static bool copy(struct arena *arena, struct bytes from, ProtobufCBinaryData *to)
{
	to->len = from.len;
	to->data = arena_alloc(arena, from.len + 1);
	if (to->data)
		memcpy(to->data, from.ptr ? from.ptr : (const uint8_t *)"", from.len);
	return to->data != NULL;
}

struct page {
	const struct admin_ask *a;
	size_t octets;
};

/* Full: what is told last says where the next page begins. */
#define IS_FULL 1

static int add_record(void *arg, const struct trail_row *row)
{
	struct page *p = arg;
	const struct admin_ask *a = p->a;
	ProtobufCBinaryData payload;
	Record *r = arena_alloc(a->arena, sizeof(*r));

	if (!r)
		return -ENOMEM;
	gatehouse__admin__audit_record__init(r);
	r->seq = row->seq;
	if (!copy(a->arena, row->prev, &r->prev) || !copy(a->arena, row->hash, &r->hash) ||
	    !copy(a->arena, row->payload, &payload))
		return -ENOMEM;
	payload.data[payload.len] = '\0';
	r->payload = (char *)payload.data;
	a->reply->audit[a->reply->n_audit++] = r;
	p->octets += row->payload.len + 128;
	return p->octets > REPLY_OCTETS_MAX ? IS_FULL : 0;
}

void admin_list_audit(const struct admin_ask *a)
{
	const Gatehouse__Admin__ListAudit *q = a->call->list_audit;
	struct page page = { .a = a };
	struct trail_filter f = {
		.after = q->after,
		.newest = q->newest < PAGE_MAX ? q->newest : PAGE_MAX,
		.max = q->limit == 0 ? PAGE_DEFAULT : q->limit < PAGE_MAX ? q->limit : PAGE_MAX,
		.actor = given(q->actor),
		.action = given(q->action),
		.subject = given(q->subject),
		.request = q->request,
		.since_ms = q->since_ms,
		.until_ms = q->until_ms,
	};
	bool more;
	int e;

	if (f.newest)
		f.max = f.newest;
	a->reply->audit = arena_alloc(a->arena, f.max * sizeof(*a->reply->audit));
	e = a->reply->audit ? store_list_trail(a->core, &f, add_record, &page, &a->reply->audit_last, &more) : -ENOMEM;
	if (e < 0)
		return admin_failed(a, e);
	a->reply->more = e == IS_FULL || more;
}

static Gatehouse__Admin__TrailCheck *new_check(const struct admin_ask *a)
{
	Gatehouse__Admin__TrailCheck *c = arena_alloc(a->arena, sizeof(*c));

	if (c)
		gatehouse__admin__trail_check__init(c);
	else
		admin_failed(a, -ENOMEM);
	return c;
}

void admin_verify_audit(const struct admin_ask *a)
{
	const Gatehouse__Admin__VerifyAudit *q = a->call->verify_audit;
	Gatehouse__Admin__TrailCheck *c = new_check(a);
	struct trail_walk w = { .seq = q->after };
	int e;

	if (!c)
		return;
	if (q->hash.len == SHA256_SIZE)
		memcpy(w.hash, q->hash.data, SHA256_SIZE);
	else if (q->after)
		return admin_say(a, CA_ADMIN_INVALID, "a walk that does not begin at the beginning needs a hash");
	e = store_walk_trail(a->core, &w, q->limit && q->limit < WALK_MAX ? q->limit : WALK_MAX);
	if (e)
		return admin_failed(a, e);
	c->last = w.seq;
	c->bad = w.broken ? w.seq + 1 : 0;
	c->bad_to = c->bad;
	c->what = (char *)(w.broken ? w.broken : "");
	if (!copy(a->arena, bytes_of(w.hash, SHA256_SIZE), &c->hash))
		return admin_failed(a, -ENOMEM);
	a->reply->trail = c;
	a->reply->more = !w.is_over && !w.broken;
}

void admin_verify_anchor(const struct admin_ask *a)
{
	Gatehouse__Admin__TrailCheck *c = new_check(a);
	struct anchor_check check;
	int e;

	if (!c)
		return;
	e = anchor_verify(a->core, &check);
	if (e == -EAGAIN)
		return admin_say(a, CA_ADMIN_NO_ANSWER, "the signer does not answer: the anchor's MAC cannot be"
							" looked at");
	if (e)
		return admin_failed(a, e);
	c->last = check.last;
	c->bad = check.bad;
	c->bad_to = check.bad_to;
	c->what = arena_strdup(a->arena, check.what);
	if (!c->what)
		return admin_failed(a, -ENOMEM);
	a->reply->trail = c;
}

void admin_accept_clock(const struct admin_ask *a)
{
	int e = clock_guard_accept(a->core, a->who->name);

	if (e == CLOCK_GUARD_RIGHT)
		admin_say(a, CA_ADMIN_BAD_STATE, "the clock is not behind its past: there is nothing to accept");
	else if (e)
		admin_failed(a, e);
}

static Gatehouse__Admin__Backup *describe_backup(const struct admin_ask *a, uint64_t number,
						 const struct backup_file *files)
{
	Gatehouse__Admin__Backup *b = arena_alloc(a->arena, sizeof(*b));
	Gatehouse__Admin__BackupFile *f = arena_alloc(a->arena, BACKUP_FILES * sizeof(*f));

	if (!b || !f)
		return NULL;
	gatehouse__admin__backup__init(b);
	b->number = number;
	b->data = (char *)conf_str(a->core->conf, "data");
	b->files = arena_alloc(a->arena, BACKUP_FILES * sizeof(*b->files));
	for (; b->files && b->n_files < BACKUP_FILES; b->n_files++) {
		gatehouse__admin__backup_file__init(&f[b->n_files]);
		f[b->n_files].name = (char *)files[b->n_files].name;
		f[b->n_files].size = files[b->n_files].size;
		b->files[b->n_files] = &f[b->n_files];
	}
	return b->files ? b : NULL;
}

void admin_begin_backup(const struct admin_ask *a)
{
	struct backup_file files[BACKUP_FILES];
	char *why = arena_alloc(a->arena, CA_REASON_SIZE);
	uint64_t number;
	int e = why ? backup_begin(a->core, a->who->name, &number, files, why) : -ENOMEM;

	if (!e) {
		a->reply->backup = describe_backup(a, number, files);
		e = a->reply->backup ? 0 : -ENOMEM;
	}
	if (e) {
		admin_failed(a, e);
		a->reply->reason = why ? why : a->reply->reason;
	}
}

void admin_read_backup(const struct admin_ask *a)
{
	const Gatehouse__Admin__ReadBackup *q = a->call->read_backup;
	OWNED_BUF piece = BUF_INIT(BACKUP_PIECE);
	int e = backup_read(a->core, q->number, q->file, q->offset, &piece);

	if (e == CA_CALL_NOT_FOUND)
		return admin_say(a, CA_ADMIN_NOT_FOUND, "another backup began meanwhile, or there is no such file");
	if (!e && !copy(a->arena, buf_bytes(&piece), &a->reply->piece))
		e = -ENOMEM;
	if (e)
		admin_failed(a, e);
}
