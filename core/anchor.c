/* Writing the anchor, and what is asked of it at the start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/anchor_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/keys.h"
#include "core/store.h"
#include "core/store_trail.h"

#define PAGE 256
#define PAGE_OCTETS ((size_t)(1u << 20))

static int write_all(int fd, struct bytes data)
{
	while (data.len) {
		ssize_t n = write(fd, data.ptr, data.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		data.ptr += n;
		data.len -= (size_t)n;
	}
	return fdatasync(fd) ? -errno : 0;
}

/* Append and remember. After a failure nobody knows what stands in the file: it is read again before the next word. */
int anchor_append(struct anchor *a, struct bytes text)
{
	int e = write_all(a->fd, text);

	if (!e)
		e = buf_append(&a->rest, text);
	if (e) {
		close(a->fd);
		a->fd = -1;
	}
	if (e && !a->is_failing)
		log_error("audit.anchor.failed", "file", a->path, "reason", strerror(-e));
	a->is_failing = e != 0;
	return e;
}

static int open_or_make(const char *path)
{
	int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW, fd = open(path, flags), e;

	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : -errno;
	e = file_write_atomic_at(AT_FDCWD, path, bytes_of_str(ANCHOR_MAGIC), 0600);
	if (e)
		return e;
	fd = open(path, flags);
	return fd >= 0 ? fd : -errno;
}

/* Nobody else writes heads: not even while the file was closed for a moment. */
static int check_mac(struct ca_core *core, const struct anchor_head *head)
{
	uint8_t mac[SHA256_SIZE];
	int e = head->seq ? anchor_mac(core, head->running, mac) : 0;

	return !e && head->seq && memcmp(mac, head->mac, SHA256_SIZE) != 0 ? -EKEYREJECTED : e;
}

static bool ends_with(const struct buf *text, const char *end)
{
	size_t n = strlen(end);

	return text->len >= n && memcmp(text->ptr + text->len - n, end, n) == 0;
}

/* What stands behind the last head, a line that a crash tore perhaps, is written again from the store; no head to come
 * swears to what somebody else may have put there. */
static int begin_anew(struct anchor *a)
{
	if (a->rest.len == 0 || ends_with(&a->rest, "\nresume\n") ||
	    (a->head.seq == 0 && strcmp(buf_str(&a->rest), ANCHOR_MAGIC) == 0))
		return 0;
	return anchor_append(a, bytes_of_str("\nresume\n"));
}

/* Open the file and read where it ends. */
int anchor_open(struct anchor *a, struct ca_core *core)
{
	int e;

	a->fd = open_or_make(a->path);
	if (a->fd < 0)
		return a->fd;
	memset(&a->head, 0, sizeof(a->head));
	buf_reset(&a->rest);
	e = anchor_read_tail(a->fd, &a->head, &a->rest);
	if (e == 1 && a->rest.len == 0)
		e = anchor_append(a, bytes_of_str(ANCHOR_MAGIC));
	if (e >= 0)
		e = check_mac(core, &a->head);
	if (!e)
		e = begin_anew(a);
	if (e < 0 && a->fd >= 0) {
		close(a->fd);
		a->fd = -1;
	}
	a->seq = a->head.seq;
	return e;
}

/* ---- the store's side ---- */

/* Actions whose records are copied whole. */
#define IS_COPIED "payload->>'action' IN ('issue', 'import', 'import-foreign', 'revoke', 'hold', " \
		  "'release', 'recover', 'revoke-credential', 'set-password')"

struct page {
	int64_t after, last;
	size_t n;
	bool is_full; /* there may be more */
	uint8_t hash[SHA256_SIZE];
	struct buf text;
};

static int read_page(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	struct page *p = arg;
	int e = db_select(conn, &rows, "SELECT seq, hash, CASE WHEN " IS_COPIED " THEN payload END FROM audit"
				       " WHERE seq>? ORDER BY seq LIMIT ?", DB_INT(p->after), DB_INT(PAGE));

	p->n = 0;
	buf_reset(&p->text);
	while (!e && p->text.len < PAGE_OCTETS && (e = db_next(rows)) == DB_ROW) {
		if (db_col_blob(rows, 1).len != SHA256_SIZE)
			return -EBADMSG;
		memcpy(p->hash, db_col_blob(rows, 1).ptr, SHA256_SIZE);
		p->last = db_col_int(rows, 0);
		p->n++;
		e = db_col_is_null(rows, 2) ? 0 : buf_printf(&p->text, "record %lld %s\n", (long long)p->last,
							     db_col_text(rows, 2));
	}
	p->is_full = p->n == PAGE || p->text.len >= PAGE_OCTETS;
	return e;
}

int anchor_mac(struct ca_core *core, const uint8_t running[static SHA256_SIZE], uint8_t mac[static SHA256_SIZE])
{
	return keys_mac(core, "audit", bytes_of(running, SHA256_SIZE), mac);
}

static int print_head(struct anchor *a, struct ca_core *core, struct page *p, struct anchor_head *head)
{
	char hash[2 * SHA256_SIZE + 1], running[2 * SHA256_SIZE + 1], mac[2 * SHA256_SIZE + 1];
	OWNED_BUF all = BUF_INIT(ANCHOR_TAIL_MAX);
	int e;

	*head = (struct anchor_head){ .seq = p->last, .seen_ms = clock_guard_seen(core) };
	memcpy(head->hash, p->hash, SHA256_SIZE);
	buf_printf(&p->text, "head %lld %s %lld ", (long long)head->seq,
		   hex_print(bytes_of(p->hash, SHA256_SIZE), hash),
		   (long long)head->seen_ms);
	buf_append(&all, buf_bytes(&a->rest));
	e = buf_append(&all, buf_bytes(&p->text));
	if (!e)
		e = anchor_running(a->head.running, buf_bytes(&all), head->running);
	if (!e)
		e = anchor_mac(core, head->running, head->mac);
	hex_print(bytes_of(head->running, SHA256_SIZE), running);
	hex_print(bytes_of(head->mac, SHA256_SIZE), mac);
	return e ? e : buf_printf(&p->text, "%s %s\n", running, mac);
}

/* One page and its head, with one write and one fsync. */
static int append_page(struct anchor *a, struct ca_core *core, struct page *p)
{
	struct anchor_head head;
	char hash[2 * SHA256_SIZE + 1];
	int e = print_head(a, core, p, &head);

	if (!e)
		e = anchor_append(a, buf_bytes(&p->text));
	if (e)
		return e;
	a->head = head;
	a->seq = head.seq;
	buf_reset(&a->rest);
	log_info("audit.anchor", "seq", LOG_NUMBER(head.seq), "hash",
		 hex_print(bytes_of(head.hash, SHA256_SIZE), hash));
	return 0;
}

int anchor_bring_up(struct anchor *a, struct ca_core *core)
{
	struct page p = { .is_full = true, .text = BUF_INIT(ANCHOR_TAIL_MAX) };
	int e = a->fd < 0 ? anchor_open(a, core) : 0;

	while (!e && p.is_full) {
		p.after = a->head.seq;
		e = db_read_one(core->db, read_page, &p);
		if (!e && p.n)
			e = append_page(a, core, &p);
	}
	buf_fini(&p.text);
	return e;
}

/* Real time: it measures a thread, not the world. */
int64_t anchor_now_s(void)
{
	return clock_deadline_after(0).tv_sec;
}

bool anchor_run(void *arg)
{
	struct ca_core *core = arg;
	struct anchor *a = core->anchor;
	int64_t begun_s = anchor_now_s();
	int e;

	clock_guard_behind_ms(core);
	pthread_mutex_lock(&a->lock);
	e = anchor_bring_up(a, core);
	pthread_mutex_unlock(&a->lock);
	if (!e)
		a->whole_s = begun_s;
	if (e && !a->is_failing)
		log_debug("audit.anchor.waiting", "reason", strerror(-e));
	return false;
}

void anchor_drop(struct anchor **ap)
{
	struct anchor *a = *ap;

	if (!a)
		return;
	if (a->fd >= 0)
		close(a->fd);
	buf_fini(&a->rest);
	pthread_mutex_destroy(&a->lock);
	free(a->path);
	free(a);
	*ap = NULL;
}

/* The head first: what comes in between the two looks counts as one that is not anchored yet. */
int anchor_measure(struct ca_core *core, struct anchor_lag *out)
{
	const struct anchor *a = core->anchor;
	int64_t last, whole_s = a->whole_s;
	int e;

	*out = (struct anchor_lag){ .seq = a->seq, .is_failing = a->is_failing };
	e = store_trail_last(core, &last);
	if (e || last <= out->seq)
		return e;
	out->records = last - out->seq;
	out->for_s = anchor_now_s() - whole_s;
	return 0;
}
