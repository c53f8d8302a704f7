/* Each revocation list in force against its row, the key that signed it, and the certificates that it is about.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/fsck/fsck_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/objects.h>

#define CHECK "crls"
#define LISTS_MAX 65536
#define SERIAL_MAX 20

/* A core that runs puts new lists in force and removes those before. */
#define TURNS 50
#define TURN_US 200000

struct list {
	long long key, part, number, this_s, next_s, entries;
	const unsigned char *octets;
	size_t len;
	int error; /* why there are no octets */
};

struct lists {
	struct list *all;
	size_t n;
};

/* ---- octets ---- */

enum { INTEGER = 0x02, BIT_STRING = 0x03, OCTET_STRING = 0x04, OID = 0x06, ENUMERATED = 0x0a, UTC = 0x17,
       GENERALIZED = 0x18, SEQUENCE = 0x30, EXTENSIONS = 0xa0 };

struct octets {
	const unsigned char *p, *end;
};

static size_t length_of(struct octets o)
{
	return (size_t)(o.end - o.p);
}

static bool is_same(struct octets a, const void *p, size_t n)
{
	return length_of(a) == n && memcmp(a.p, p, n) == 0;
}

/* The next element, of any tag but those of two octets; `whole` with its head, or NULL. */
static bool take_any(struct octets *from, struct octets *content, struct octets *whole)
{
	const unsigned char *p = from->p;
	size_t left = length_of(*from), head = 2, n;

	if (left < 2 || (p[0] & 0x1f) == 0x1f)
		return false;
	n = p[1];
	if (n & 0x80) {
		size_t count = n & 0x7f;

		if (count == 0 || count > 4 || left < 2 + count || p[2] == 0)
			return false;
		for (n = 0; head < 2 + count; head++)
			n = n << 8 | p[head];
		if (n < 0x80)
			return false;
	}
	if (left - head < n)
		return false;
	*content = (struct octets){ p + head, p + head + n };
	if (whole)
		*whole = (struct octets){ p, p + head + n };
	from->p = content->end;
	return true;
}

static bool take(struct octets *from, int tag, struct octets *content, struct octets *whole)
{
	return from->p < from->end && *from->p == tag && take_any(from, content, whole);
}

static bool take_time(struct octets *from, long long *seconds)
{
	struct octets content, whole;
	struct tm tm;
	ASN1_TIME *t = NULL;
	bool ok;

	if (!take(from, UTC, &content, &whole) && !take(from, GENERALIZED, &content, &whole))
		return false;
	t = d2i_ASN1_TIME(NULL, &whole.p, (long)length_of(whole));
	ok = t && ASN1_TIME_to_tm(t, &tm);
	if (ok)
		*seconds = (long long)timegm(&tm);
	ASN1_TIME_free(t);
	return ok;
}

/* Of an INTEGER that is not negative: without leading zeros. */
static bool take_unsigned(struct octets *from, struct octets *out)
{
	if (!take(from, INTEGER, out, NULL) || out->p == out->end || (*out->p & 0x80))
		return false;
	while (length_of(*out) > 1 && *out->p == 0)
		out->p++;
	return true;
}

/* The value of an extension, in its OCTET STRING; false: it is not there. */
static bool find_extension(struct octets list, unsigned char last_arc, struct octets *value)
{
	const unsigned char oid[] = { 0x55, 0x1d, last_arc };
	struct octets extension, name;

	while (take(&list, SEQUENCE, &extension, NULL)) {
		if (!take(&extension, OID, &name, NULL) || !is_same(name, oid, sizeof(oid)))
			continue;
		if (extension.p < extension.end && *extension.p == 0x01)
			take_any(&extension, &name, NULL);
		return take(&extension, OCTET_STRING, value, NULL);
	}
	return false;
}

/* ---- the parts of a list ---- */

struct parts {
	struct octets tbs, algorithm, issuer, entries, extensions, signature;
	long long this_s, next_s;
};

static bool split(const struct list *l, struct parts *out)
{
	struct octets file = { l->octets, l->octets + l->len }, outer, tbs, inner, rest;

	*out = (struct parts){ 0 };
	if (!take(&file, SEQUENCE, &outer, NULL) || file.p != file.end || !take(&outer, SEQUENCE, &tbs, &out->tbs) ||
	    !take(&outer, SEQUENCE, &rest, &out->algorithm) ||
	    !take(&outer, BIT_STRING, &out->signature, NULL) || outer.p != outer.end)
		return false;
	if (!take(&tbs, INTEGER, &rest, NULL) || !take(&tbs, SEQUENCE, &rest, &inner) ||
	    !is_same(inner, out->algorithm.p, length_of(out->algorithm)) ||
	    !take(&tbs, SEQUENCE, &rest, &out->issuer) || !take_time(&tbs, &out->this_s) ||
	    !take_time(&tbs, &out->next_s))
		return false;
	(void)take(&tbs, SEQUENCE, &out->entries, NULL);
	return take(&tbs, EXTENSIONS, &rest, NULL) && tbs.p == tbs.end &&
	       take(&rest, SEQUENCE, &out->extensions, NULL) && rest.p == rest.end;
}

static bool is_number(const struct parts *p, long long want)
{
	struct octets value, number;
	long long n = 0;

	if (!find_extension(p->extensions, 20, &value) || !take_unsigned(&value, &number) || length_of(number) > 8)
		return false;
	for (; number.p < number.end; number.p++)
		n = n << 8 | *number.p;
	return n == want;
}

static bool is_issued_by(const struct parts *p, X509 *by)
{
	unsigned char *der = NULL;
	int len = i2d_X509_NAME(X509_get_subject_name(by), &der);
	bool same = len > 0 && is_same(p->issuer, der, (size_t)len);

	OPENSSL_free(der);
	return same;
}

static bool verifies(const struct parts *p, X509 *by)
{
	const unsigned char *at = p->algorithm.p;
	X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &at, (long)length_of(p->algorithm));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const ASN1_OBJECT *object = NULL;
	int digest = NID_undef, key = NID_undef;
	bool ok = false;

	if (algorithm)
		X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	if (ctx && object && OBJ_find_sigid_algs(OBJ_obj2nid(object), &digest, &key) &&
	    length_of(p->signature) > 1 && *p->signature.p == 0)
		ok = EVP_DigestVerifyInit(ctx, NULL, EVP_get_digestbynid(digest), NULL, X509_get0_pubkey(by)) == 1 &&
		     EVP_DigestVerify(ctx, p->signature.p + 1, length_of(p->signature) - 1, p->tbs.p,
				      length_of(p->tbs)) == 1;
	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	X509_ALGOR_free(algorithm);
	return ok;
}

/* ---- its entries, in a table beside the store ---- */

struct entry {
	struct octets serial;
	long long revoked_s;
	int reason;
};

static bool take_entry(struct octets *from, struct entry *out)
{
	struct octets entry, extensions, value, reason;

	if (!take(from, SEQUENCE, &entry, NULL) || !take_unsigned(&entry, &out->serial) ||
	    length_of(out->serial) > SERIAL_MAX || !take_time(&entry, &out->revoked_s))
		return false;
	out->reason = 0;
	if (take(&entry, SEQUENCE, &extensions, NULL) && find_extension(extensions, 21, &value)) {
		if (!take(&value, ENUMERATED, &reason, NULL) || length_of(reason) != 1)
			return false;
		out->reason = *reason.p;
	}
	return entry.p == entry.end;
}

static void fill(struct fsck *f, const struct list *l, struct octets entries)
{
	sqlite3_stmt *stmt;
	struct entry entry;
	long long n = 0;

	sqlite3_exec(f->db, "DELETE FROM listed", NULL, NULL, NULL);
	stmt = fsck_prepare(f, CHECK, "INSERT INTO listed(serial, revoked_s, reason) VALUES(?, ?, ?)");
	while (stmt && entries.p < entries.end && take_entry(&entries, &entry)) {
		sqlite3_bind_blob(stmt, 1, entry.serial.p, (int)length_of(entry.serial), SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 2, entry.revoked_s);
		sqlite3_bind_int(stmt, 3, entry.reason);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			fsck_found(f, CHECK, "list %lld of key %lld, part %lld: entry %lld is there twice", l->number,
				   l->key, l->part, n + 1);
		sqlite3_reset(stmt);
		n++;
	}
	sqlite3_finalize(stmt);
	if (entries.p < entries.end)
		fsck_found(f, CHECK, "list %lld of key %lld, part %lld: entry %lld cannot be read", l->number, l->key,
			   l->part, n + 1);
	else if (n != l->entries)
		fsck_found(f, CHECK, "list %lld of key %lld, part %lld has %lld entries, its row says %lld",
			   l->number, l->key, l->part, n, l->entries);
}

/* ?1 key, ?2 part, ?3 number, ?4 thisUpdate. What was revoked, held or released since the list before this one was
 * published may not have been known when this one was begun, and the next one is on its way: `moved` has it then. */
#define WHERE "'list ' || ?3 || ' of key ' || ?1 || ', part ' || ?2 || ': '"
#define ABOUT "c.key_id=?1 AND (?2=0 OR c.crl_partition=?2)"

static const char *const comparisons[] = {
	"SELECT " WHERE " || 'serial ' || lower(hex(serial)) || ' is revoked and not in it' FROM certificates c"
	" WHERE " ABOUT " AND revoked_ms IS NOT NULL AND not_after_s >= ?4"
	" AND request_id NOT IN (SELECT id FROM moved) AND serial NOT IN (SELECT serial FROM listed)",
	"SELECT " WHERE " || 'serial ' || lower(hex(l.serial)) || ' is in it and not revoked' FROM listed l"
	" JOIN certificates c USING (serial) WHERE " ABOUT " AND revoked_ms IS NULL"
	" AND request_id NOT IN (SELECT id FROM moved)",
	"SELECT " WHERE " || 'serial ' || lower(hex(l.serial)) || ' is in it and of another key or part'"
	" FROM listed l JOIN certificates c USING (serial) WHERE NOT (" ABOUT ")",
	"SELECT " WHERE " || 'serial ' || lower(hex(l.serial)) || ' was revoked at another time or for another'"
	" || ' reason' FROM listed l JOIN certificates c USING (serial) WHERE revoked_ms IS NOT NULL"
	" AND (revoked_ms / 1000 <> revoked_s OR revoked_reason <> reason)"
	" AND request_id NOT IN (SELECT id FROM moved)",
	/* A list that was made after a certificate's end may still say it, and its row may be purged. */
	"SELECT " WHERE " || 'serial ' || lower(hex(serial)) || ' is in it and nobody knows it' FROM listed"
	" WHERE serial NOT IN (SELECT serial FROM certificates) AND lower(hex(serial)) NOT IN (SELECT"
	" payload->>'subject' FROM audit WHERE json_valid(payload) AND payload->>'action'='revoke' AND"
	" payload->>'subject' IS NOT NULL)",
};

static void note_moved(struct fsck *f, const struct list *l)
{
	sqlite3_stmt *stmt;

	sqlite3_exec(f->db, "DELETE FROM moved", NULL, NULL, NULL);
	stmt = fsck_prepare(f, CHECK,
			    "INSERT OR IGNORE INTO moved SELECT payload->>'request' FROM audit, ca_keys k, crls l"
			    " WHERE k.id=?1 AND l.key_id=?1 AND l.crl_partition=?2 AND l.changes <>"
			    " coalesce((SELECT n FROM crl_changes WHERE ca=k.ca), 0) AND json_valid(payload) AND"
			    " payload->>'action' IN ('revoke', 'hold', 'release') AND seq > coalesce((SELECT seq FROM"
			    " audit WHERE json_valid(payload) AND payload->>'action'='publish' AND"
			    " lower(payload->>'subject')=lower(k.ca) ORDER BY seq DESC LIMIT 1 OFFSET 1), 0)");
	if (stmt) {
		sqlite3_bind_int64(stmt, 1, l->key);
		sqlite3_bind_int64(stmt, 2, l->part);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			fsck_found(f, CHECK, "cannot be looked at: %s", sqlite3_errmsg(f->db));
	}
	sqlite3_finalize(stmt);
}

static void compare(struct fsck *f, const struct list *l)
{
	for (size_t i = 0; i < sizeof(comparisons) / sizeof(*comparisons); i++) {
		sqlite3_stmt *stmt = fsck_prepare(f, CHECK, comparisons[i]);

		if (stmt) {
			sqlite3_bind_int64(stmt, 1, l->key);
			sqlite3_bind_int64(stmt, 2, l->part);
			sqlite3_bind_int64(stmt, 3, l->number);
			sqlite3_bind_int64(stmt, 4, l->this_s);
		}
		fsck_tell(f, CHECK, stmt);
	}
}

/* ---- one list ---- */

static void look_at_parts(struct fsck *f, const struct list *l, const struct parts *p, X509 *by)
{
	const struct {
		bool ok;
		const char *wrong;
	} findings[] = {
		{ is_number(p, l->number), "has another number than its row" },
		{ p->this_s == l->this_s && p->next_s == l->next_s, "has other dates than its row" },
		{ is_issued_by(p, by), "has another issuer than its key" },
		{ verifies(p, by), "does not verify under its key" },
	};

	for (size_t i = 0; i < sizeof(findings) / sizeof(*findings); i++)
		if (!findings[i].ok)
			fsck_found(f, CHECK, "list %lld of key %lld, part %lld %s", l->number, l->key, l->part,
				   findings[i].wrong);
}

/* The certificate of its key; NULL: it is not there. `has_ended`: no list is made for it any more. */
static X509 *find_key(struct fsck *f, long long row, bool *has_ended)
{
	sqlite3_stmt *stmt = fsck_prepare(f, CHECK, "SELECT certificate FROM ca_keys WHERE id=?");
	X509 *x = NULL;

	if (stmt) {
		sqlite3_bind_int64(stmt, 1, row);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			x = fsck_parse(stmt, 0);
	}
	sqlite3_finalize(stmt);
	*has_ended = x && X509_cmp_current_time(X509_get0_notAfter(x)) < 0;
	return x;
}

static void look_at(struct fsck *f, const struct list *l)
{
	bool has_ended;
	X509 *by = find_key(f, l->key, &has_ended);
	struct parts parts;

	if (!by)
		fsck_found(f, CHECK, "list %lld is of key %lld, which is not there", l->number, l->key);
	else if (!l->octets && !has_ended)
		fsck_found(f, CHECK, "list %lld of key %lld, part %lld cannot be opened: %s", l->number, l->key,
			   l->part, strerror(l->error));
	else if (l->octets && !split(l, &parts))
		fsck_found(f, CHECK, "list %lld of key %lld, part %lld cannot be read", l->number, l->key, l->part);
	else if (l->octets) {
		f->out->lists++;
		look_at_parts(f, l, &parts, by);
		fill(f, l, parts.entries);
		note_moved(f, l);
		compare(f, l);
	}
	X509_free(by);
}

/* ---- all of them ---- */

static void let_go(struct lists *lists)
{
	for (size_t i = 0; i < lists->n; i++)
		if (lists->all[i].octets)
			munmap((void *)lists->all[i].octets, lists->all[i].len);
	lists->n = 0;
}

static void map_list(struct fsck *f, struct list *l)
{
	char path[4400];
	struct stat st;
	void *octets = MAP_FAILED;
	int fd;

	snprintf(path, sizeof(path), "%.4000s/%lld-%lld-%lld.crl", f->o->crls, l->key, l->part, l->number);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		octets = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	else if (fd >= 0)
		errno = ENODATA;
	l->error = errno;
	if (octets != MAP_FAILED) {
		l->octets = octets;
		l->len = (size_t)st.st_size;
	}
	if (fd >= 0)
		close(fd);
}

/* False: one is not there. */
static bool read_lists(struct fsck *f, struct lists *lists)
{
	sqlite3_stmt *stmt = fsck_prepare(f, CHECK, "SELECT key_id, crl_partition, number, this_update_s,"
						    " next_update_s, entries FROM crls");
	bool is_whole = true;

	while (stmt && lists->n < LISTS_MAX && sqlite3_step(stmt) == SQLITE_ROW) {
		struct list *l = &lists->all[lists->n++];

		*l = (struct list){ sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
				    sqlite3_column_int64(stmt, 2), sqlite3_column_int64(stmt, 3),
				    sqlite3_column_int64(stmt, 4), sqlite3_column_int64(stmt, 5), NULL, 0, 0 };
		map_list(f, l);
		is_whole &= l->octets != NULL;
	}
	sqlite3_finalize(stmt);
	return is_whole;
}

static bool begin(struct fsck *f)
{
	char *why = NULL;
	bool ok = sqlite3_exec(f->db, "CREATE TEMP TABLE listed(serial BLOB PRIMARY KEY, revoked_s, reason) WITHOUT"
				      " ROWID; CREATE TEMP TABLE moved(id INTEGER PRIMARY KEY)",
			       NULL, NULL, &why) == SQLITE_OK;

	if (!ok)
		fsck_found(f, CHECK, "cannot be looked at: %s", why);
	sqlite3_free(why);
	return ok;
}

void fsck_crls(struct fsck *f)
{
	struct lists lists = { calloc(LISTS_MAX, sizeof(*lists.all)), 0 };

	if (!lists.all)
		return fsck_found(f, CHECK, "out of memory");
	for (int turn = 1; begin(f) && !read_lists(f, &lists) && fsck_is_live(f) && turn < TURNS; turn++) {
		let_go(&lists);
		sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
		usleep(TURN_US);
		sqlite3_exec(f->db, "BEGIN", NULL, NULL, NULL);
	}
	for (size_t i = 0; i < lists.n; i++)
		look_at(f, &lists.all[i]);
	let_go(&lists);
	free(lists.all);
}
