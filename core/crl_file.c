/* One CRL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/crl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/crl.h"
#include "core/keys.h"

#define SPOOL ".entries"
#define PAGE 4096                      /* rows a read transaction: some milliseconds */
#define PAGE_OCTETS_MAX (PAGE * 64u)
#define TBS_MAX ((uint64_t)1 << 31)

struct making {
	struct ca_core *core;
	struct ca_key *key;
	struct crl_head head;
	struct crl_row *row;
	int spool;                     /* the entries, in a file without a name */
	size_t n_spooled;
	struct buf piece;              /* what is on its way from one file to another */
	struct buf start, end;         /* around the entries */
	struct buf signature;
};

/* ---- what it says ---- */

static bool has_line(const char *lines, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = lines; *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (strncmp(at, line, n) == 0 && (at[n] == '\n' || !at[n]))
			return true;
	return false;
}

/* Certificates name their part for ever by the URL of the day, and who checks them wants the same URL in the list (RFC
 * 5280 6.3.3 (b)(2)(i)): so the part carries every URL that it ever had. Without one it would pass as the full list,
 * and hide what the other parts say. */
static int use_urls(struct making *m, const struct crl_row *before)
{
	const char *public_url = m->key->ca->public_url;
	OWNED_BUF urls = BUF_INIT(CRL_URLS_SIZE - 1), url = BUF_INIT(1024);

	if (!m->row->partition)
		return 0;
	buf_append_str(&urls, before->urls);
	if (public_url && issue_crl_url(public_url, m->key->index, m->row->partition, &url))
		return buf_status(&url);
	if (public_url && !has_line(before->urls, buf_str(&url)))
		buf_printf(&urls, "%s%s", urls.len ? "\n" : "", buf_str(&url));
	if (buf_status(&urls) || urls.len == 0)
		return buf_status(&urls) ? buf_status(&urls) : -EDESTADDRREQ;
	snprintf(m->row->urls, sizeof(m->row->urls), "%s", buf_str(&urls));
	m->head.partition_urls = m->row->urls;
	return 0;
}

/* RFC 5280 3.3: an entry stays until a list has said it after its certificate ended; the one before tells whether,
 * unless it was made while the clock ran ahead: nothing that has not ended by now is left out. */
static int64_t find_end(const struct crl_row *before)
{
	int64_t now = clock_wall_s();

	return before->this_update_s < now ? before->this_update_s : now;
}

/* Pages, so that no read transaction is long. What is revoked meanwhile counts as a change, and the next publication
 * has it. */
static int spool_page(struct making *m, struct revoked_walk *walk, struct crl_clock *clock, struct revoked_row *rows,
		      size_t *n)
{
	int e = store_next_revoked(m->core, walk, rows, PAGE, n);

	buf_reset(&m->piece);
	for (size_t i = 0; !e && i < *n; i++)
		e = crl_add_entry(&m->piece, clock,
				  &(struct crl_entry){ bytes_of(rows[i].serial, rows[i].n_serial), rows[i].revoked_s,
						       rows[i].reason });
	if (!e)
		e = file_write_all(m->spool, buf_bytes(&m->piece));
	m->n_spooled += m->piece.len;
	m->row->entries += (int64_t)*n;
	return !e && m->n_spooled > TBS_MAX ? -EFBIG : e;
}

static int spool_entries(struct making *m, int64_t expired_s)
{
	struct revoked_walk walk = { .key_id = m->key->row, .partition = m->row->partition, .expired_s = expired_s };
	struct revoked_row *rows = malloc(PAGE * sizeof(*rows));
	struct crl_clock clock = { 0 };
	size_t n = PAGE;
	int e = rows ? 0 : -ENOMEM;

	while (!e && n == PAGE)
		e = spool_page(m, &walk, &clock, rows, &n);
	free(rows);
	return e;
}

/* ---- what takes it ---- */

typedef int taker(void *arg, struct bytes octets);

static int read_piece(struct making *m, size_t offset)
{
	size_t n = m->n_spooled - offset < SIGNER_PIECE_MAX ? m->n_spooled - offset : SIGNER_PIECE_MAX;
	uint8_t *room;
	ssize_t got;

	buf_reset(&m->piece);
	room = buf_room(&m->piece, n);
	got = room ? pread(m->spool, room, n, (off_t)offset) : 0;
	if (!room || got <= 0)
		return !room ? -ENOMEM : got < 0 ? -errno : -EIO;
	buf_added(&m->piece, (size_t)got);
	return 0;
}

/* The TBSCertList, piece by piece. */
static int hand_tbs(struct making *m, taker *take, void *arg)
{
	int e = take(arg, buf_bytes(&m->start));

	for (size_t offset = 0; !e && offset < m->n_spooled; offset += m->piece.len) {
		e = read_piece(m, offset);
		if (!e)
			e = take(arg, buf_bytes(&m->piece));
	}
	return e ? e : take(arg, buf_bytes(&m->end));
}

/* ---- its signature ---- */

struct signing {
	struct signer_stream *stream;
	struct issuer_check *check;
	char why[SIGNER_WHY_SIZE];
};

static int take_signed(void *arg, struct bytes octets)
{
	struct signing *s = arg;
	int e = signer_stream_data(s->stream, octets, s->why);

	return e ? e : issuer_check_add(s->check, octets);
}

/* A signer that was started again is noticed by the finisher, which loads the keys; then it is tried once more. What
 * does not verify is never published: relying parties would take it for an attack, or for no list at all. */
static int sign(struct making *m)
{
	struct signing s = { .why = "" };
	int e = issuer_check_new(&s.check, m->key->issuer);

	if (!e)
		e = signer_stream_begin(m->core->signer, m->key->signer, SIGNER_STREAM_CRL, &s.stream, s.why);
	if (!e)
		e = hand_tbs(m, take_signed, &s);
	if (!e)
		e = signer_stream_end(s.stream, &m->signature, s.why);
	signer_stream_drop(&s.stream);
	if (e < 0 || e == SIGNER_UNKNOWN_KEY)
		m->core->is_signer_failing = true;
	if (!e && !issuer_check_ends(s.check, buf_bytes(&m->signature))) {
		snprintf(s.why, sizeof(s.why), "the signature does not verify under the certificate of the CA");
		e = 1;
	}
	issuer_check_drop(&s.check);
	if (e > 0) {
		log_error("crl.sign", "ca", m->key->ca->name, "why",
			  s.why[0] ? s.why : "the signer does not know the key");
		e = -EKEYREJECTED;
	}
	return e;
}

/* ---- its file ---- */

static int open_spool(int folder)
{
	int fd;

	/* What a process left that was killed between the two. */
	(void)unlinkat(folder, SPOOL, 0);
	fd = openat(folder, SPOOL, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)unlinkat(folder, SPOOL, 0);
	return fd;
}

static int take_written(void *arg, struct bytes octets)
{
	return file_write_all(*(const int *)arg, octets);
}

static int write_file(struct making *m, int folder, const char *name)
{
	OWNED_BUF outer = BUF_INIT(64), tail = BUF_INIT(8192);
	size_t tbs_len = m->start.len + m->n_spooled + m->end.len;
	int fd, e = crl_write_outer(&outer, m->key->issuer, tbs_len, buf_bytes(&m->signature));

	if (!e)
		e = crl_write_signature(&tail, m->key->issuer, buf_bytes(&m->signature));
	if (e)
		return e;
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	e = file_write_all(fd, buf_bytes(&outer));
	if (!e)
		e = hand_tbs(m, take_written, &fd);
	if (!e)
		e = file_write_all(fd, buf_bytes(&tail));
	if (!e && fsync(fd))
		e = -errno;
	close(fd);
	if (e)
		(void)unlinkat(folder, name, 0);
	return e;
}

static int make(struct making *m, int folder, const char *name)
{
	struct crl_row before;
	int e = store_get_crl(m->core, m->key->row, m->row->partition, &before);

	if (!e)
		e = use_urls(m, &before);
	if (!e)
		e = spool_entries(m, find_end(&before));
	if (!e)
		e = crl_write_start(&m->start, &m->head, m->n_spooled);
	if (!e)
		e = crl_write_end(&m->end, &m->head);
	if (!e)
		e = sign(m);
	return e ? e : write_file(m, folder, name);
}

int crl_file_make(int folder, const char *name, struct ca_key *key, struct crl_row *row)
{
	struct making m = {
		.core = key->ca->core, .key = key, .row = row, .spool = open_spool(folder),
		.head = { key->issuer, row->number, row->this_update_s, row->next_update_s, NULL },
		.piece = BUF_INIT(PAGE_OCTETS_MAX), .start = BUF_INIT(65536), .end = BUF_INIT(65536),
		.signature = BUF_INIT(SIGNER_SIGNATURE_MAX),
	};
	int e = m.spool < 0 ? m.spool : make(&m, folder, name);

	if (m.spool >= 0)
		close(m.spool);
	buf_fini(&m.piece);
	buf_fini(&m.start);
	buf_fini(&m.end);
	buf_fini(&m.signature);
	return e;
}
