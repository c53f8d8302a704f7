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

/* Open the file and read where it ends. A line that a crash tore is closed, so that the next one stands alone. */
int anchor_open(struct anchor *a)
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
	else if (e >= 0 && a->rest.len && a->rest.ptr[a->rest.len - 1] != '\n')
		e = anchor_append(a, bytes_of_str("\nresume\n"));
	if (e < 0 && a->fd >= 0) {
		close(a->fd);
		a->fd = -1;
	}
	a->seq = a->head.seq;
	return e < 0 ? e : 0;
}

/* ---- the store's side ---- */

/* Actions whose records are copied whole. */
#define IS_COPIED "payload->>'action' IN ('issue', 'import', 'revoke', 'hold', 'release', 'recover')"

struct page {
	int64_t after, last;
	size_t n;
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
	while (!e && (e = db_next(rows)) == DB_ROW) {
		if (db_col_blob(rows, 1).len != SHA256_SIZE)
			return -EBADMSG;
		memcpy(p->hash, db_col_blob(rows, 1).ptr, SHA256_SIZE);
		p->last = db_col_int(rows, 0);
		p->n++;
		e = db_col_is_null(rows, 2) ? 0 : buf_printf(&p->text, "record %lld %s\n", (long long)p->last,
							     db_col_text(rows, 2));
	}
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
	struct page p = { .n = PAGE, .text = BUF_INIT(ANCHOR_TAIL_MAX) };
	int e = a->fd < 0 ? anchor_open(a) : 0;

	while (!e && p.n == PAGE) {
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

static bool is_one_line(const char *text)
{
	return !strpbrk(text, "\r\n") && strlen(text) < ANCHOR_LINE_MAX - 64;
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

int anchor_note(struct ca_core *core, const char *kind, const char *text)
{
	OWNED_BUF line = BUF_INIT(ANCHOR_LINE_MAX);
	struct anchor *a = core->anchor;
	int e;

	if (!is_one_line(kind) || !is_one_line(text) || strchr(kind, ' '))
		return -EINVAL;
	e = buf_printf(&line, "note %s %s\n", kind, text);
	if (e)
		return e;
	pthread_mutex_lock(&a->lock);
	e = a->fd < 0 ? anchor_open(a) : 0;
	if (!e)
		e = anchor_append(a, buf_bytes(&line));
	pthread_mutex_unlock(&a->lock);
	return e;
}
