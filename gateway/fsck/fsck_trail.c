/* The audit trail's chain, and the anchor: what it swore to must still stand there.
 *
 * The anchor's MAC is made by the signer and cannot be looked at without it: `gatehouse audit verify` does that. Here
 * its lines are held against each other and against the trail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/fsck/fsck_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#define HASH SHA256_DIGEST_LENGTH
#define RESTORES_MAX 4096

/* ---- the chain ---- */

static bool has_hash(sqlite3_stmt *stmt, int column, const unsigned char *want)
{
	return sqlite3_column_bytes(stmt, column) == HASH &&
	       memcmp(sqlite3_column_blob(stmt, column), want, HASH) == 0;
}

static void hash_record(const unsigned char *prev, long long seq, const void *payload, size_t len, unsigned char *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char number[8];

	for (int i = 0; i < 8; i++)
		number[i] = (unsigned char)((unsigned long long)seq >> (56 - 8 * i));
	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) || !EVP_DigestUpdate(ctx, prev, HASH) ||
	    !EVP_DigestUpdate(ctx, number, sizeof(number)) || (len && !EVP_DigestUpdate(ctx, payload, len)) ||
	    !EVP_DigestFinal_ex(ctx, out, NULL))
		memset(out, 0, HASH);
	EVP_MD_CTX_free(ctx);
}

static const char *look_at(sqlite3_stmt *stmt, long long seq, unsigned char *prev)
{
	unsigned char hash[HASH];

	if (sqlite3_column_int64(stmt, 0) != seq)
		return "is missing";
	if (!has_hash(stmt, 1, prev))
		return "does not follow the one before it";
	hash_record(prev, seq, sqlite3_column_blob(stmt, 2), (size_t)sqlite3_column_bytes(stmt, 2), hash);
	if (!has_hash(stmt, 3, hash))
		return "was changed";
	memcpy(prev, hash, HASH);
	return NULL;
}

static void check_chain(struct fsck *f)
{
	sqlite3_stmt *stmt = fsck_prepare(f, "trail", "SELECT seq, prev, payload, hash FROM audit ORDER BY seq");
	unsigned char prev[HASH] = { 0 };
	const char *wrong = NULL;
	int code = SQLITE_DONE;

	while (stmt && !wrong && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		wrong = look_at(stmt, f->out->records + 1, prev);
		if (wrong)
			fsck_found(f, "trail", "audit record %lld %s", f->out->records + 1, wrong);
		else
			f->out->records++;
	}
	if (stmt && !wrong && code != SQLITE_DONE)
		fsck_found(f, "trail", "cannot be read: %s", sqlite3_errmsg(f->db));
	sqlite3_finalize(stmt);
}

/* ---- the anchor ---- */

struct head {
	long long seq;
	unsigned char hash[HASH], running[HASH];
};

struct anchor {
	struct fsck *f;
	FILE *file;
	char *line;
	size_t size, number;  /* of the line */
	/* Where an older store was put back: line, and the record behind which the trail went on. */
	struct { size_t line; long long seq; } restores[RESTORES_MAX];
	size_t n_restores;
	unsigned char running[HASH];
	EVP_MD_CTX *ctx;
	long long good;       /* the last head that the trail agrees with */
};

static bool take_number(const char **p, long long *out)
{
	char *end;

	if (!isdigit((unsigned char)**p))
		return false;
	*out = strtoll(*p, &end, 10);
	*p = end + 1;
	return *end == ' ';
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hash(const char **p, unsigned char *out)
{
	for (size_t i = 0; i < HASH; i++, *p += 2) {
		if (digit((*p)[0]) < 0 || digit((*p)[1]) < 0)
			return false;
		out[i] = (unsigned char)(digit((*p)[0]) << 4 | digit((*p)[1]));
	}
	return *(*p)++ == ' ';
}

/* "SEQ HASH SEEN RUNNING MAC"; `covered` is where RUNNING begins. */
static bool read_head(const char *p, struct head *h, const char **covered)
{
	long long seen;

	if (!take_number(&p, &h->seq) || !take_hash(&p, h->hash) || !take_number(&p, &seen))
		return false;
	*covered = p;
	return take_hash(&p, h->running) && strspn(p, "0123456789abcdef") == 2 * HASH && p[2 * HASH] == '\n';
}

static bool next_line(struct anchor *a)
{
	a->number++;
	return getline(&a->line, &a->size, a->file) > 0;
}

static void remember_restore(struct anchor *a)
{
	if (a->n_restores == RESTORES_MAX)
		return;
	a->restores[a->n_restores].line = a->number;
	a->restores[a->n_restores++].seq = strtoll(a->line + 9, NULL, 10);
}

/* Anybody can write `restored`. It counts when a head follows that covers it, unless a `resume` says before that nobody
 * had sworn to what stood there. */
static void collect_restores(struct anchor *a)
{
	size_t covered = 0;

	while (next_line(a)) {
		if (strncmp(a->line, "restored ", 9) == 0)
			remember_restore(a);
		else if (strncmp(a->line, "head ", 5) == 0)
			covered = a->n_restores;
		else if (strcmp(a->line, "resume\n") == 0)
			a->n_restores = covered;
	}
	a->n_restores = covered;
	rewind(a->file);
	a->number = 0;
}

/* What was anchored behind the place of a later restore is another story by now. */
static bool is_of_today(const struct anchor *a, const struct head *h)
{
	for (size_t i = 0; i < a->n_restores; i++)
		if (a->restores[i].line > a->number && a->restores[i].seq < h->seq)
			return false;
	return true;
}

static bool restart(struct anchor *a)
{
	return EVP_DigestInit_ex(a->ctx, EVP_sha256(), NULL) && EVP_DigestUpdate(a->ctx, a->running, HASH);
}

/* Does the head cover what stands before it? */
static bool closes_group(struct anchor *a, const struct head *h, const char *covered)
{
	return EVP_DigestUpdate(a->ctx, a->line, (size_t)(covered - a->line)) &&
	       EVP_DigestFinal_ex(a->ctx, a->running, NULL) && memcmp(a->running, h->running, HASH) == 0 && restart(a);
}

/* Does the trail still say what was anchored? False after telling: one such place is enough. */
static bool holds(struct anchor *a, const struct head *h)
{
	struct fsck *f = a->f;
	sqlite3_stmt *stmt = fsck_prepare(f, "anchor", "SELECT hash FROM audit WHERE seq=?");
	bool is_there, is_same;

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, h->seq);
	is_there = sqlite3_step(stmt) == SQLITE_ROW;
	is_same = is_there && has_hash(stmt, 0, h->hash);
	sqlite3_finalize(stmt);
	/* Whoever chains the rest anew leaves no trace of the place: it lies between two heads. */
	if (!is_same)
		fsck_found(f, "anchor", "audit records %lld to %lld are not those that were anchored%s", a->good + 1,
			   h->seq, is_there ? "" : "; the last of them is gone");
	if (is_same && h->seq > a->good)
		a->good = h->seq;
	return is_same;
}

static bool check_line(struct anchor *a)
{
	const char *covered;
	struct head h;

	if (a->number == 1 && strcmp(a->line, "gatehouse-anchor 1\n") != 0) {
		fsck_found(a->f, "anchor", "%s is no anchor", a->f->o->anchor);
		return false;
	}
	if (strncmp(a->line, "head ", 5) != 0)
		return EVP_DigestUpdate(a->ctx, a->line, strlen(a->line));
	if (!read_head(a->line + 5, &h, &covered) || !closes_group(a, &h, covered)) {
		fsck_found(a->f, "anchor", "line %zu of the anchor, or one since the head before it, was"
					   " changed", a->number);
		return false;
	}
	return !is_of_today(a, &h) || holds(a, &h);
}

static void check_anchor(struct fsck *f)
{
	struct anchor *a = calloc(1, sizeof(*a));

	if (a) {
		a->f = f;
		a->file = fopen(f->o->anchor, "re");
		a->ctx = EVP_MD_CTX_new();
	}
	if (!a || !a->file || !a->ctx || !restart(a)) {
		fsck_found(f, "anchor", "%s cannot be read: %s", f->o->anchor, strerror(errno));
	} else {
		collect_restores(a);
		while (next_line(a) && check_line(a))
			;
		f->out->anchored = a->good;
	}
	if (a && a->file)
		fclose(a->file);
	if (a) {
		EVP_MD_CTX_free(a->ctx);
		free(a->line);
	}
	free(a);
}

void fsck_trail(struct fsck *f)
{
	check_chain(f);
	if (f->o->anchor)
		check_anchor(f);
}
