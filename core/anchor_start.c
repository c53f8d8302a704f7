/* What is asked of the anchor, the store and the trail at the start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/anchor_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/restored.h"
#include "core/store.h"
#include "core/store_trail.h"

#define PAGE 1000

int anchor_refuse(struct ca_core *core, struct conf_error *error, int e, const char *format, ...)
{
	OWNED_BUF text = BUF_INIT(2048);
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	conf_refuse(conf_section(core->conf, "core"), "audit-anchor", error, "%s: %s", core->anchor->path,
		    buf_str(&text));
	return e;
}

static int make(struct ca_core *core)
{
	const char *path = conf_str(conf_section(core->conf, "core"), "audit-anchor");
	struct anchor *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	pthread_mutex_init(&a->lock, NULL);
	a->fd = -1;
	a->whole_s = anchor_now_s();
	a->rest = BUF_INIT(ANCHOR_TAIL_MAX);
	core->anchor = a;
	if (path)
		a->path = strdup(path);
	else if (asprintf(&a->path, "%s/audit.anchor", core->data_folder) < 0)
		a->path = NULL;
	return a->path ? 0 : -ENOMEM;
}

/* Behind the last head nobody has sworn yet, but the records must follow each other. */
static int check_rest(struct ca_core *core, struct anchor *a, struct conf_error *error)
{
	struct trail_walk w = { .seq = a->head.seq, .seen_ms = a->head.seen_ms };
	int e = 0;

	memcpy(w.hash, a->head.hash, SHA256_SIZE);
	while (!e && !w.is_over && !w.broken)
		e = store_walk_trail(core, &w, PAGE);
	if (e)
		return anchor_refuse(core, error, e, "the audit trail cannot be read: %s", strerror(-e));
	if (w.broken)
		return anchor_refuse(core, error, -EBADMSG, "audit record %lld %s: the store was tampered with or is "
				     "damaged; put a backup back", (long long)w.seq + 1, w.broken);
	clock_guard_remember(core, w.seen_ms);
	if (clock_guard_behind_ms(core))
		log_warn("clock.behind.start", "seen-ms", LOG_NUMBER(clock_guard_seen(core)));
	return 0;
}

/* Who takes the anchor away takes the proof away: that is written down. */
static int begin_anew(struct ca_core *core, struct anchor *a)
{
	bool has_run;
	int e = store_trail_has(core, AUDIT_START, &has_run);

	if (e || !has_run)
		return e;
	log_warn("audit.anchor.new", "file", a->path, "consequence",
		 "nothing says whether the trail was changed before now");
	return store_audit(core, &(struct audit_record){ .at_ms = clock_wall_ms(), .actor = "core",
							 .action = "anchor", .detail = "there was no anchor" });
}

/* A backup was put back, and there is no anchor that could know more than it. */
static int note_restore(struct ca_core *core)
{
	int e = store_audit(core, &(struct audit_record){ .at_ms = clock_wall_ms(), .actor = "core",
							  .action = "restore", .detail = "recovered=0 revoked=0" });

	return e ? e : restored_unmark(core->data_folder);
}

static int check_store(struct ca_core *core, struct anchor *a, struct conf_error *error)
{
	uint8_t hash[SHA256_SIZE];
	int64_t last;
	bool is_restored = restored_is_marked(core->data_folder);
	int e = a->head.seq ? store_trail_hash(core, a->head.seq, hash) : begin_anew(core, a);

	if (e < 0)
		return anchor_refuse(core, error, e, "the audit trail cannot be read: %s", strerror(-e));
	if (is_restored)
		return a->head.seq ? anchor_restore(core, a, error) : note_restore(core);
	if (a->head.seq == 0 || (e == 0 && memcmp(hash, a->head.hash, SHA256_SIZE) == 0))
		return 0;
	e = store_trail_last(core, &last);
	return anchor_refuse(core, error, e ? e : -ESTALE, "%s (the store ends at audit record %lld, the anchor at "
			     "%lld): an older store was put back, or records were cut off or written anew. If it was a "
			     "backup, say so with: gatehouse server restore --accept",
			     last < a->head.seq ? "the store is older than its anchor" :
						  "the store's records are not those of the anchor",
			     (long long)last, (long long)a->head.seq);
}

/* The whole file is looked at by `gatehouse audit verify`, and before a restore believes it. */
static int open_first(struct ca_core *core, struct anchor *a, struct conf_error *error)
{
	int e = anchor_open(a, core);

	switch (e) {
	case 0:
		return 0;
	case -EBADMSG:
		return anchor_refuse(core, error, e, "is no anchor of an audit trail, or was damaged; move it away to "
				     "begin a new one, which the trail will say");
	case -EKEYREJECTED:
		return anchor_refuse(core, error, e, "its last head was not written by this CA's signer: "
				     "the file was changed, or belongs to another CA; move it away to begin a new one, "
				     "which the trail will say");
	case -EAGAIN:
		return anchor_refuse(core, error, e, "the signer does not answer");
	default:
		return anchor_refuse(core, error, e, "cannot be opened: %s", strerror(-e));
	}
}

int anchor_start(struct ca_core *core, struct conf_error *error)
{
	int e = make(core);

	if (!e)
		e = open_first(core, core->anchor, error);
	if (!e)
		e = check_store(core, core->anchor, error);
	return e ? e : check_rest(core, core->anchor, error);
}
