/* Steps that look at what the core left: its trace, its rows, certificates and timelines.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/scenario.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sqlite3.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "tests/scenarios/duration.h"

/* ---- the trace ---- */

struct lines {
	struct buf text;
	const char **at;
	size_t n;
};

static void lines_read(const struct scenario *s, struct lines *l)
{
	char *p;
	size_t max = 0;

	*l = (struct lines){ .text = BUF_INIT(64u << 20) };
	(void)file_read(s->rig.trace, &l->text);
	for (size_t i = 0; i < l->text.len; i++)
		max += l->text.ptr[i] == '\n';
	l->at = calloc(max + 1, sizeof(*l->at));
	for (p = (char *)l->text.ptr; l->at && p && l->n < max; p = strchr(p, '\0') + 1) {
		p[strcspn(p, "\n")] = '\0';
		l->at[l->n++] = p;
	}
}

static void lines_fini(struct lines *l)
{
	buf_fini(&l->text);
	free(l->at);
}

/* Does the line hold `"name":value`, as a number or as text? "!=" turns it round. */
static bool has_member(const char *line, const char *pair)
{
	const char *equal = strchr(pair, '=');
	bool is_not = equal && equal > pair && equal[-1] == '!';
	char text[256], number[256];
	const char *found;

	if (!equal)
		return false;
	snprintf(text, sizeof(text), "\"%.*s\":\"%s\"", (int)(equal - pair) - is_not, pair, equal + 1);
	snprintf(number, sizeof(number), "\"%.*s\":%s", (int)(equal - pair) - is_not, pair, equal + 1);
	found = strstr(line, number);
	return (strstr(line, text) || (found && strchr(",}", found[strlen(number)]))) != is_not;
}

static bool is_pair(const char *word)
{
	return strchr(word, '=') != NULL;
}

/* One pattern: an event, then pairs. Returns how many words it has. */
static size_t pattern_length(const char *const *words, size_t n)
{
	size_t used = n ? 1 : 0;

	while (used < n && is_pair(words[used]))
		used++;
	return used;
}

static bool matches(const char *line, const char *const *words, size_t n)
{
	char event[128];

	snprintf(event, sizeof(event), "\"event\":\"%s\"", words[0]);
	if (!strstr(line, event))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!has_member(line, words[i]))
			return false;
	return true;
}

static size_t count(const struct scenario *s, const struct lines *l, const char *const *words, size_t n)
{
	size_t found = 0;

	for (size_t i = s->mark; i < l->n; i++)
		found += matches(l->at[i], words, n);
	return found;
}

static void print_trace(const struct scenario *s, const struct lines *l)
{
	for (size_t i = s->mark; i < l->n; i++)
		printf("    %s\n", l->at[i]);
}

/* A < B < C: each behind the one before. */
static void expect_order(struct scenario *s, const struct lines *l, const struct step *step)
{
	size_t line = s->mark;

	for (size_t w = 1; w < step->n;) {
		size_t n = pattern_length(&step->words[w], step->n - w);

		while (line < l->n && !matches(l->at[line], &step->words[w], n))
			line++;
		if (line++ == l->n) {
			scenario_fail(s, "the trace has no %s%s%s%s there; since the mark it says:", step->words[w],
				      n > 1 ? " " : "", n > 1 ? step->words[w + 1] : "", n > 2 ? " …" : "");
			print_trace(s, l);
			return;
		}
		w += n;
		if (w < step->n && strcmp(step->words[w++], "<") != 0) {
			scenario_fail(s, "expect: '<' between two events, not '%s'", step->words[w - 1]);
			return;
		}
	}
}

static void expect_count(struct scenario *s, const struct lines *l, const struct step *step)
{
	bool none = strcmp(step->words[1], "none") == 0;
	size_t n = pattern_length(&step->words[2], step->n - 2), wanted = 0, got;

	if (!none && step->n_expected)
		wanted = strtoul(step->expected[0], NULL, 10);
	got = n ? count(s, l, &step->words[2], n) : 0;
	if (n == 0 || got != wanted || (!none && !step->n_expected)) {
		scenario_fail(s, "the trace has %zu times %s, not %zu; since the mark it says:", got,
			      step->n > 2 ? step->words[2] : "nothing", wanted);
		print_trace(s, l);
	}
}

/* expect A < B; expect none A; expect count A -> N */
void step_expect(struct scenario *s, const struct step *step)
{
	struct lines l;

	if (step->n < 2) {
		scenario_fail(s, "expect what?");
		return;
	}
	lines_read(s, &l);
	if (strcmp(step->words[1], "none") == 0 || strcmp(step->words[1], "count") == 0)
		expect_count(s, &l, step);
	else
		expect_order(s, &l, step);
	lines_fini(&l);
}

void step_mark(struct scenario *s, const struct step *step)
{
	struct lines l;

	lines_read(s, &l);
	s->mark = step_has(step, "start") ? 0 : l.n;
	lines_fini(&l);
}

/* ---- rows ---- */

static sqlite3 *open_rows(const struct scenario *s)
{
	char path[96];
	sqlite3 *db = NULL;

	snprintf(path, sizeof(path), "%s/core/core.db", s->rig.folder);
	sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
	sqlite3_busy_timeout(db, 5000);
	return db;
}

/* The first column of the first row as text, octets in hexadecimal; "none" without a row, "null" for NULL. */
static bool query(struct scenario *s, const char *sql, struct buf *out)
{
	sqlite3 *db = open_rows(s);
	sqlite3_stmt *stmt = NULL;
	bool ok = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK;

	if (!ok)
		scenario_fail(s, "%s: %s", sql, sqlite3_errmsg(db));
	else if (sqlite3_step(stmt) != SQLITE_ROW)
		buf_append_str(out, "none");
	else if (sqlite3_column_type(stmt, 0) == SQLITE_NULL)
		buf_append_str(out, "null");
	else if (sqlite3_column_type(stmt, 0) == SQLITE_BLOB)
		for (int i = 0; i < sqlite3_column_bytes(stmt, 0); i++)
			buf_printf(out, "%02x", ((const uint8_t *)sqlite3_column_blob(stmt, 0))[i]);
	else
		buf_append_str(out, (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return ok;
}

static void check_value(struct scenario *s, const char *what, const struct buf *got, const char *relation,
			const char *wanted)
{
	bool ok =
		strcmp(relation, "~") == 0 ? strstr(buf_str(got), wanted) != NULL : strcmp(buf_str(got), wanted) == 0;

	if (strcmp(relation, "!=") == 0)
		ok = strcmp(buf_str(got), wanted) != 0;
	if (!ok)
		scenario_fail(s, "%s is '%s', expected %s '%s'", what, buf_str(got), relation, wanted);
}

/* Over a link the answer "busy" may come before the row is written: what a submission began goes on without who asked.
 */
static void wait_for_row(struct scenario *s, long long id)
{
	OWNED_BUF sql = BUF_INIT(256), n = BUF_INIT(256);

	buf_printf(&sql, "SELECT count(*) FROM requests WHERE id=%lld", id);
	for (int tries = 0; tries < 500 && query(s, buf_str(&sql), &n) && strcmp(buf_str(&n), "0") == 0; tries++) {
		buf_reset(&n);
		usleep(20000);
	}
}

/* row ID COLUMN = VALUE; also != and ~ (holds). States may be written as words. */
void step_row(struct scenario *s, const struct step *step)
{
	OWNED_BUF sql = BUF_INIT(1024);
	OWNED_BUF got = BUF_INIT(1u << 20);
	const char *wanted = step->n > 4 ? step->words[4] : "";
	char number[8];

	if (step->n < 4) {
		scenario_fail(s, "row ID COLUMN = VALUE");
		return;
	}
	for (int state = 1; strcmp(step->words[2], "state") == 0 && state < 40; state++)
		if (strcmp(ca_state_word((enum ca_state)state), wanted) == 0) {
			snprintf(number, sizeof(number), "%d", state);
			wanted = number;
			break;
		}
	wait_for_row(s, strtoll(step->words[1], NULL, 10));
	buf_printf(&sql, "SELECT %s FROM requests WHERE id=%lld", step->words[2], strtoll(step->words[1], NULL, 10));
	if (query(s, buf_str(&sql), &got))
		check_value(s, step->words[2], &got, step->words[3], wanted);
}

/* sql "SELECT …" = VALUE */
void step_sql(struct scenario *s, const struct step *step)
{
	OWNED_BUF got = BUF_INIT(1u << 20);

	if (step->n < 3)
		scenario_fail(s, "sql \"SELECT …\" = VALUE");
	else if (query(s, step->words[1], &got))
		check_value(s, step->words[1], &got, step->words[2], step->n > 3 ? step->words[3] : "");
}

/* tamper "UPDATE …": behind the core's back, for states that no step reaches. */
void step_tamper(struct scenario *s, const struct step *step)
{
	if (step->n != 2 || !rig_write(&s->rig, step->words[1]))
		scenario_fail(s, "tamper: it cannot be done");
}

/* remember ID: the digest of what an officer is shown now. */
void step_remember(struct scenario *s, const struct step *step)
{
	OWNED_BUF sql = BUF_INIT(256);
	OWNED_BUF got = BUF_INIT(256);

	buf_printf(&sql, "SELECT digest FROM requests WHERE id=%lld",
		   step->n > 1 ? strtoll(step->words[1], NULL, 10) : 0);
	if (!query(s, buf_str(&sql), &got) || hex_parse(buf_str(&got), s->digest, sizeof(s->digest)))
		scenario_fail(s, "remember: the row has no digest: %s", buf_str(&got));
}

/* ---- certificates ---- */

static X509 *load_certificate(struct scenario *s, const char *id)
{
	OWNED_BUF sql = BUF_INIT(256);
	OWNED_BUF hex = BUF_INIT(1u << 20);
	uint8_t der[65536];
	const uint8_t *p = der;
	X509 *cert = NULL;

	buf_printf(&sql, "SELECT certificate FROM certificates WHERE request_id=%lld", strtoll(id, NULL, 10));
	if (query(s, buf_str(&sql), &hex) && hex.len / 2 <= sizeof(der) &&
	    hex_parse(buf_str(&hex), der, hex.len / 2) == 0)
		cert = d2i_X509(NULL, &p, (long)(hex.len / 2));
	if (!cert)
		scenario_fail(s, "request %s has no certificate", id);
	return cert;
}

/* As `openssl verify -x509_strict` does, at the time of the scenario. */
static bool verifies(struct scenario *s, X509 *cert)
{
	const uint8_t *p = s->rig.ca_certificate.ptr;
	X509 *root = d2i_X509(NULL, &p, (long)s->rig.ca_certificate.len);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int ok = root && store && ctx && X509_STORE_add_cert(store, root) &&
		 X509_STORE_CTX_init(ctx, store, cert, NULL);

	if (ok) {
		X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), (time_t)clock_wall_s());
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
		ok = X509_verify_cert(ctx) == 1;
		if (!ok)
			printf("    %s\n", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(root);
	return ok;
}

static void check_text(struct scenario *s, X509 *cert, const char *text, bool wanted)
{
	BIO *out = BIO_new(BIO_s_mem());
	OWNED_BUF printed = BUF_INIT(1u << 20);
	char *data;
	long n;

	/* One form of names for every release of libcrypto. */
	X509_print_ex(out, cert, XN_FLAG_RFC2253, 0);
	n = BIO_get_mem_data(out, &data);
	buf_append(&printed, bytes_of(data, (size_t)n));
	BIO_free(out);
	if ((strstr(buf_str(&printed), text) != NULL) != wanted)
		scenario_fail(s, "the certificate %s \"%s\":\n%s", wanted ? "lacks" : "has", text, buf_str(&printed));
}

/* First and last second included. */
static void check_lifetime(struct scenario *s, X509 *cert, const char *wanted)
{
	int days = 0, seconds = 0;
	int64_t got;

	ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert));
	got = (int64_t)days * 86400 + seconds + 1;
	if (got * 1000 != duration_ms(wanted))
		scenario_fail(s, "the certificate is valid for %lld s, not %s", (long long)got, wanted);
}

/* cert ID has TEXT | lacks TEXT | verifies | lasts DURATION | critical OID | not-critical OID */
void step_cert(struct scenario *s, const struct step *step)
{
	const char *what = step->n > 2 ? step->words[2] : "", *text = step->n > 3 ? step->words[3] : "";
	X509 *cert = step->n > 1 ? load_certificate(s, step->words[1]) : NULL;
	ASN1_OBJECT *oid = NULL;

	if (!cert)
		return;
	if (strcmp(what, "has") == 0 || strcmp(what, "lacks") == 0) {
		check_text(s, cert, text, strcmp(what, "has") == 0);
	} else if (strcmp(what, "verifies") == 0) {
		if (!verifies(s, cert))
			scenario_fail(s, "the certificate does not verify");
	} else if (strcmp(what, "lasts") == 0) {
		check_lifetime(s, cert, text);
	} else if ((oid = OBJ_txt2obj(text, 1))) {
		int at = X509_get_ext_by_OBJ(cert, oid, -1);

		if (at < 0 ||
		    (X509_EXTENSION_get_critical(X509_get_ext(cert, at)) == 1) != (strcmp(what, "critical") == 0))
			scenario_fail(s, "extension %s is absent or not %s", text, what);
	} else {
		scenario_fail(s, "cert ID has, lacks, verifies, lasts, critical or not-critical");
	}
	ASN1_OBJECT_free(oid);
	X509_free(cert);
}

/* ---- timelines ---- */

static void load_timeline(struct scenario *s, const char *id, struct buf *out)
{
	OWNED_BUF sql = BUF_INIT(256);

	buf_printf(&sql,
		   "SELECT coalesce(group_concat(actor || ' ' || text, char(10)), '') FROM"
		   " (SELECT actor, text FROM timeline WHERE request_id=%lld ORDER BY id)",
		   strtoll(id, NULL, 10));
	(void)query(s, buf_str(&sql), out);
}

/* timeline ID TEXT < TEXT; timeline ID none TEXT. Each TEXT is a part of "actor text". */
void step_timeline(struct scenario *s, const struct step *step)
{
	OWNED_BUF lines = BUF_INIT(1u << 20);
	const char *from;

	if (step->n < 3) {
		scenario_fail(s, "timeline ID TEXT < TEXT");
		return;
	}
	load_timeline(s, step->words[1], &lines);
	from = buf_str(&lines);
	if (strcmp(step->words[2], "none") == 0) {
		if (step->n < 4 || strstr(from, step->words[3]))
			scenario_fail(s, "the timeline has \"%s\":\n%s", step->n > 3 ? step->words[3] : "", from);
		return;
	}
	for (size_t w = 2; w < step->n; w++) {
		if (strcmp(step->words[w], "<") == 0)
			continue;
		from = strstr(from, step->words[w]);
		if (!from) {
			scenario_fail(s, "the timeline has no \"%s\" there:\n%s", step->words[w], buf_str(&lines));
			return;
		}
		from += strcspn(from, "\n");
	}
}
