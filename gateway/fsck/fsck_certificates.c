/* Each certificate against its row, its plan, the key that signed it, and its audit record.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/fsck/fsck_int.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/sha.h>

#define KEYS_MAX 256
#define CHECK "certificates"

struct key {
	long long row;
	X509 *certificate;
};

struct keys {
	struct key all[KEYS_MAX];
	size_t n;
};

X509 *fsck_parse(sqlite3_stmt *stmt, int column)
{
	const unsigned char *p = sqlite3_column_blob(stmt, column), *end = p;
	long len = sqlite3_column_bytes(stmt, column);
	X509 *x = p ? d2i_X509(NULL, &end, len) : NULL;

	if (x && end != p + len) {
		X509_free(x);
		x = NULL;
	}
	ERR_clear_error();
	return x;
}

static void read_keys(struct fsck *f, struct keys *keys)
{
	sqlite3_stmt *stmt = fsck_prepare(f, "keys", "SELECT id, certificate, ca FROM ca_keys"
						     " WHERE length(certificate) > 0");

	while (stmt && keys->n < KEYS_MAX && sqlite3_step(stmt) == SQLITE_ROW) {
		X509 *x = fsck_parse(stmt, 1);

		if (!x)
			fsck_found(f, "keys", "the certificate of key %lld of CA '%s' cannot be read",
				   (long long)sqlite3_column_int64(stmt, 0), sqlite3_column_text(stmt, 2));
		else
			keys->all[keys->n++] = (struct key){ sqlite3_column_int64(stmt, 0), x };
	}
	sqlite3_finalize(stmt);
}

static X509 *find_key(const struct keys *keys, long long row)
{
	for (size_t i = 0; i < keys->n; i++)
		if (keys->all[i].row == row)
			return keys->all[i].certificate;
	return NULL;
}

static bool has_serial(X509 *x, sqlite3_stmt *stmt, int column)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	const unsigned char *want = sqlite3_column_blob(stmt, column);
	int len = sqlite3_column_bytes(stmt, column);

	while (len > 1 && want[0] == 0) {
		want++;
		len--;
	}
	return ASN1_STRING_type(serial) == V_ASN1_INTEGER && ASN1_STRING_length(serial) == len && want &&
	       memcmp(ASN1_STRING_get0_data(serial), want, (size_t)len) == 0;
}

static bool is_time(const ASN1_TIME *t, long long want)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) && (long long)timegm(&tm) == want;
}

static bool is_plan(X509 *x, sqlite3_stmt *stmt, int column)
{
	unsigned char *der = NULL;
	int len = i2d_re_X509_tbs(x, &der);
	bool same = len > 0 && len == sqlite3_column_bytes(stmt, column) &&
		    memcmp(der, sqlite3_column_blob(stmt, column), (size_t)len) == 0;

	OPENSSL_free(der);
	return same;
}

static bool is_signed_by(X509 *x, X509 *by)
{
	EVP_PKEY *key = X509_get0_pubkey(by);
	bool ok = key && X509_NAME_cmp(X509_get_issuer_name(x), X509_get_subject_name(by)) == 0 &&
		  X509_verify(x, key) == 1;

	ERR_clear_error();
	return ok;
}

static bool is_in_record(sqlite3_stmt *stmt, int der, int detail)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char want[12 + 2 * SHA256_DIGEST_LENGTH + 1] = "certificate=";
	const char *text = (const char *)sqlite3_column_text(stmt, detail);

	SHA256(sqlite3_column_blob(stmt, der), (size_t)sqlite3_column_bytes(stmt, der), hash);
	for (size_t i = 0; i < sizeof(hash); i++) {
		want[12 + 2 * i] = "0123456789abcdef"[hash[i] >> 4];
		want[13 + 2 * i] = "0123456789abcdef"[hash[i] & 15];
	}
	return text && strstr(text, want);
}

enum { REQUEST, KEY, DER, SERIAL, NOT_BEFORE, NOT_AFTER, TBS, STATE, PROTOCOL, DETAIL };

static void look_at(struct fsck *f, const struct keys *keys, sqlite3_stmt *stmt)
{
	long long id = sqlite3_column_int64(stmt, REQUEST);
	bool is_ours = sqlite3_column_int(stmt, STATE) != 12 &&
		       sqlite3_column_type(stmt, TBS) != SQLITE_NULL;
	X509 *x = fsck_parse(stmt, DER), *key = find_key(keys, sqlite3_column_int64(stmt, KEY));

	if (!x) {
		fsck_found(f, CHECK, "the certificate of request %lld cannot be read", id);
		return;
	}
	if (!has_serial(x, stmt, SERIAL))
		fsck_found(f, CHECK, "the certificate of request %lld has another serial than its row", id);
	if (!is_time(X509_get0_notBefore(x), sqlite3_column_int64(stmt, NOT_BEFORE)) ||
	    !is_time(X509_get0_notAfter(x), sqlite3_column_int64(stmt, NOT_AFTER)))
		fsck_found(f, CHECK, "the certificate of request %lld has other dates than its row", id);
	if (is_ours && !is_plan(x, stmt, TBS))
		fsck_found(f, "plan", "the certificate of request %lld is not what was planned", id);
	if (sqlite3_column_int(stmt, STATE) != 12 && !key)
		fsck_found(f, "keys", "the key of the certificate of request %lld is not there", id);
	else if (key && sqlite3_column_int(stmt, STATE) != 12 && !is_signed_by(x, key))
		fsck_found(f, CHECK, "the certificate of request %lld does not verify under its CA's key", id);
	if (is_ours && !is_in_record(stmt, DER, DETAIL))
		fsck_found(f, "history", "the certificate of request %lld is not the one that its audit record"
					 " tells of", id);
	X509_free(x);
}

void fsck_certificates(struct fsck *f)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	sqlite3_stmt *stmt = NULL;

	if (!keys)
		return fsck_found(f, CHECK, "out of memory");
	read_keys(f, keys);
	/* What was brought back after a restore has no octets to look at. */
	stmt = fsck_prepare(f, CHECK,
			    "SELECT c.request_id, c.key_id, c.certificate, c.serial, c.not_before_s, c.not_after_s,"
			    " r.tbs, r.state, r.protocol, a.detail FROM certificates c JOIN requests r ON"
			    " r.id=c.request_id"
			    " LEFT JOIN (SELECT payload->>'request' AS request, payload->>'detail' AS detail"
			    " FROM audit"
			    " WHERE json_valid(payload) AND payload->>'action'='issue') a ON a.request=c.request_id"
			    " WHERE length(c.certificate) > 0");
	for (; stmt && sqlite3_step(stmt) == SQLITE_ROW; f->out->certificates++)
		look_at(f, keys, stmt);
	sqlite3_finalize(stmt);
	for (size_t i = 0; i < keys->n; i++)
		X509_free(keys->all[i].certificate);
	free(keys);
}
