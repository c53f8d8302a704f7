/* Bringing back what a store that was put back does not know: certificates that were issued after the backup, and what
 * was revoked since.
 *
 * What is known of them is what the trail's records say. A certificate is there again with its serial, dates, key and
 * requester, so that OCSP knows it, it can be revoked, and its serial is never used again; its octets are not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/anchor_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/restored.h"
#include "core/store.h"
#include "core/store_recover.h"
#include "core/store_trail.h"

#define LEFT_OUT_MAX ((size_t)(4u << 20))

/* ---- where the store and the file part ---- */

struct fork {
	struct ca_core *core;
	struct anchor_head head; /* the last one that the store agrees with */
	size_t line;
};

static int look_for_fork(void *arg, const struct anchor_line *line)
{
	uint8_t hash[SHA256_SIZE];
	struct fork *f = arg;
	struct anchor_head head;
	int e;

	if (strcmp(line->word, "head") != 0 || !anchor_read_head(line->rest, &head))
		return 0;
	e = store_trail_hash(f->core, head.seq, hash);
	if (e == 0 && memcmp(hash, head.hash, SHA256_SIZE) == 0) {
		f->head = head;
		f->line = line->number;
	}
	return e < 0 ? e : 0;
}

/* Nothing is believed of a file that somebody edited. -ESTALE: it is not the one whose last head the signer was asked
 * about. */
static int find_fork(struct ca_core *core, const struct anchor *a, struct fork *f, struct conf_error *error)
{
	struct anchor_end end;
	int e = anchor_walk(a->path, look_for_fork, f, &end);

	if (!e && memcmp(end.head.running, a->head.running, SHA256_SIZE) != 0)
		e = -ESTALE;
	if (e != ANCHOR_CHANGED)
		return e ? anchor_refuse(core, error, e, "cannot be read: %s", strerror(-e)) : 0;
	return anchor_refuse(core, error, -EKEYREJECTED, "line %zu, or one since the head before it, was changed, so "
			     "nothing that the file says is brought back: put an unchanged copy of it here; or move it "
			     "away and put the backup back once more, which has one of its time: what was issued and "
			     "revoked since is unknown then", end.line);
}

struct bring_back {
	struct ca_core *core;
	size_t from_line;
	struct store_recovered counts;
	size_t n_left_out;
	struct buf left_out; /* as it is kept */
};

/* What cannot be brought back is no reason to have nothing back. */
static void leave_out(struct bring_back *b, const char *record, const char *why)
{
	b->n_left_out++;
	log_warn("restore.left-out", "record", record, "reason", why);
	/* The log has all of them. */
	if (b->left_out.len < LEFT_OUT_MAX / 2)
		buf_printf(&b->left_out, "%s: %s\n", why, record);
}

static int bring_back(void *arg, const struct anchor_line *line)
{
	struct bring_back *b = arg;
	const char *payload = strchr(line->rest, ' '), *why;
	size_t taken = b->counts.revocations + b->counts.credentials;
	int e;

	if (line->number <= b->from_line || strcmp(line->word, "record") != 0)
		return 0;
	e = store_recover(b->core, &(struct store_record){ strtoll(line->rest, NULL, 10), payload ? payload + 1 : "",
							   line->is_sworn }, &b->counts, &why);
	if (e == STORE_LEFT_OUT || (!e && why))
		leave_out(b, line->rest, why);
	if (e == STORE_LEFT_OUT)
		return 0;
	if (!e && !line->is_sworn && b->counts.revocations + b->counts.credentials > taken)
		log_warn("restore.unsworn", "record", line->rest, "consequence",
			 "no head of the anchor covers it; it takes trust away, so it was believed");
	return e;
}

static int audit_restore(struct ca_core *core, const struct fork *f, const struct bring_back *b)
{
	char detail[256];

	snprintf(detail, sizeof(detail), "behind-record=%lld anchor-record=%lld recovered=%zu revoked=%zu"
		 " credentials=%zu left-out=%zu", (long long)f->head.seq, (long long)core->anchor->head.seq,
		 b->counts.certificates, b->counts.revocations, b->counts.credentials, b->n_left_out);
	return store_audit(core, &(struct audit_record){ .at_ms = clock_wall_ms(), .actor = "core",
							 .action = "restore", .detail = detail });
}

/* From here on the file belongs to the store that is there. */
static int go_on(struct anchor *a, const struct fork *f)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "restored %lld\n", (long long)f->head.seq);
	int e = anchor_append(a, bytes_of(line, (size_t)n));

	a->head.seq = f->head.seq;
	memcpy(a->head.hash, f->head.hash, SHA256_SIZE);
	return e;
}

static int bring_all_back(struct ca_core *core, struct anchor *a, const struct fork *f, struct bring_back *b)
{
	struct anchor_end end;
	int e = anchor_walk(a->path, bring_back, b, &end);

	if (e == ANCHOR_CHANGED)
		e = -ESTALE;
	if (!e && b->n_left_out)
		e = restored_keep_left_out(core->data_folder, buf_bytes(&b->left_out));
	if (!e)
		e = audit_restore(core, f, b);
	if (!e)
		e = go_on(a, f);
	if (!e)
		e = anchor_bring_up(a, core);
	return e ? e : restored_unmark(core->data_folder);
}

int anchor_restore(struct ca_core *core, struct anchor *a, struct conf_error *error)
{
	struct fork f = { .core = core };
	struct bring_back b = { .core = core, .left_out = BUF_INIT(LEFT_OUT_MAX) };
	int e = find_fork(core, a, &f, error);

	if (e)
		return e;
	b.from_line = f.line;
	e = bring_all_back(core, a, &f, &b);
	buf_fini(&b.left_out);
	if (e)
		return anchor_refuse(core, error, e, "what the backup does not know cannot be brought back: %s",
				     strerror(-e));
	log_warn("store.restored", "certificates", LOG_NUMBER(b.counts.certificates), "revocations",
		 LOG_NUMBER(b.counts.revocations), "credentials", LOG_NUMBER(b.counts.credentials),
		 "left-out", LOG_NUMBER(b.n_left_out));
	return 0;
}
