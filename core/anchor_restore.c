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

/* ---- reading the file ---- */

struct scan {
	anchor_line_fn *fn;
	void *arg;
	char *held;     /* the line before: torn when `resume` follows */
};

static int tell(struct scan *s)
{
	char *rest = s->held ? strchr(s->held, ' ') : NULL;

	if (!s->held || !*s->held)
		return 0;
	if (rest)
		*rest++ = '\0';
	return s->fn(s->arg, s->held, rest ? rest : "");
}

static int take_line(struct scan *s, char *line)
{
	int e = strcmp(line, "resume") == 0 ? 0 : tell(s);

	free(s->held);
	s->held = strcmp(line, "resume") == 0 ? NULL : strdup(line);
	return e ? e : s->held || strcmp(line, "resume") == 0 ? 0 : -ENOMEM;
}

static int scan_lines(FILE *f, struct scan *s)
{
	OWNED_STR line = NULL;
	size_t size = 0;
	ssize_t n;
	int e = 0;

	while (!e && (n = getline(&line, &size, f)) > 0 && line[n - 1] == '\n') {
		line[n - 1] = '\0';
		e = (size_t)n > ANCHOR_LINE_MAX ? -EBADMSG : take_line(s, line);
	}
	if (!e)
		e = ferror(f) ? -EIO : tell(s);
	free(s->held);
	return e;
}

int anchor_scan(struct ca_core *core, anchor_line_fn *fn, void *arg)
{
	struct scan s = { .fn = fn, .arg = arg };
	FILE *f = fopen(core->anchor->path, "re");
	int e = f ? scan_lines(f, &s) : -errno;

	if (f)
		fclose(f);
	return e;
}

/* ---- where the store and the file part ---- */

struct fork {
	struct ca_core *core;
	struct anchor_head head; /* the last one that the store agrees with */
	size_t line, line_of_head;
};

static int look_for_fork(void *arg, const char *word, const char *rest)
{
	uint8_t hash[SHA256_SIZE];
	struct fork *f = arg;
	struct anchor_head head;
	int e;

	f->line++;
	if (strcmp(word, "head") != 0 || !anchor_read_head(rest, &head))
		return 0;
	e = store_trail_hash(f->core, head.seq, hash);
	if (e == 0 && memcmp(hash, head.hash, SHA256_SIZE) == 0) {
		f->head = head;
		f->line_of_head = f->line;
	}
	return e < 0 ? e : 0;
}

struct bring_back {
	struct ca_core *core;
	size_t line, from_line;
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

static int bring_back(void *arg, const char *word, const char *rest)
{
	struct bring_back *b = arg;
	const char *payload = strchr(rest, ' '), *why;
	int e;

	if (++b->line <= b->from_line || strcmp(word, "record") != 0)
		return 0;
	e = store_recover(b->core, payload ? payload + 1 : "", &b->counts, &why);
	if (e == STORE_LEFT_OUT) {
		leave_out(b, rest, why);
		return 0;
	}
	return e;
}

static int audit_restore(struct ca_core *core, const struct fork *f, const struct bring_back *b)
{
	char detail[192];

	snprintf(detail, sizeof(detail), "behind-record=%lld anchor-record=%lld recovered=%zu revoked=%zu left-out=%zu",
		 (long long)f->head.seq, (long long)core->anchor->head.seq, b->counts.certificates,
		 b->counts.revocations, b->n_left_out);
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

static int bring_all_back(struct ca_core *core, struct anchor *a, struct fork *f, struct bring_back *b)
{
	int e = anchor_scan(core, look_for_fork, f);

	b->from_line = f->line_of_head;
	if (!e)
		e = anchor_scan(core, bring_back, b);
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
	int e = bring_all_back(core, a, &f, &b);

	buf_fini(&b.left_out);
	if (e)
		return anchor_refuse(core, error, e, "what the backup does not know cannot be brought back: %s",
				     strerror(-e));
	log_warn("store.restored", "certificates", LOG_NUMBER(b.counts.certificates), "revocations",
		 LOG_NUMBER(b.counts.revocations), "left-out", LOG_NUMBER(b.n_left_out));
	return 0;
}
