/* How long a page of a list, a submission, an OCSP answer and a page of a purge or a CRL take with 10^4 rows and with
 * 10^6: what an index finds must not notice.
 *
 *     build/bench/tests/unit/core/bench_views [SMALL LARGE]
 *
 * Prints one line a question: the median of both in microseconds, and their ratio. Fails when a ratio is above 1.3,
 * where the smaller time is long enough to be measured (50 us are granted on top). Both stores are open in one process
 * and are asked in turn, so that what else the machine does slows both; still a build without sanitizers, as
 * `meson setup build/bench --buildtype=release` makes it, says more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <sqlite3.h>

#include "core/base/log.h"
#include "core/ocsp.h"
#include "core/store_crl.h"
#include "core/store_import.h"
#include "core/store_list.h"
#include "tests/scenarios/filler.h"

#define ROUNDS 101
#define RATIO_MAX 1.3
#define GRANTED_US 50
#define CRL_PAGE 300 /* no more than the smaller store has */
#define SERIALS ROUNDS

/* A store of one size. */
struct side {
	struct rig rig;
	int64_t rows;
	unsigned n_submitted, n_asked;
	X509 *issuer;
	int64_t key_id;
	ASN1_INTEGER *serials[SERIALS]; /* of rows all over the store */
	int64_t took[ROUNDS];
};

struct question {
	const char *what;
	int (*ask)(struct side *s, const struct question *q);
	const char *filter;
	enum filter_table table;
	bool backwards;
	bool is_share; /* it finds a share of all rows, so the larger store has more to look at: told, not judged */
};

static int ask_list(struct side *s, const struct question *q)
{
	struct list_query query = { .table = q->table, .filter = q->filter, .limit = 50, .backwards = q->backwards,
				    .now_s = FILLER_NOW_S };
	Gatehouse__Admin__Reply reply;
	char why[FILTER_WHY_SIZE];
	struct arena *arena;
	int e = arena_new(&arena, 16u << 20);

	if (e)
		return e;
	gatehouse__admin__reply__init(&reply);
	e = store_list(s->rig.core, &query, arena, &reply, why);
	arena_drop(&arena);
	return e;
}

static int ask_submit(struct side *s, const struct question *q)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	char name[32];
	int e;

	snprintf(name, sizeof(name), "s%u.example", s->n_submitted++);
	e = rig_submit(s->rig.door, "acme:1", name, name, &out);
	return !e && out.disposition != CA_ISSUED ? -EPROTO : e;
}

/* Each serial once, so that no answer was signed before. */
static int ask_ocsp(struct side *s, const struct question *q)
{
	struct ca_ocsp_answer out = CA_OCSP_ANSWER_INIT;
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	uint8_t *der = NULL;
	int n, e;

	OCSP_request_add0_id(request, OCSP_cert_id_new(EVP_sha1(), X509_get_subject_name(s->issuer),
						       X509_get0_pubkey_bitstr(s->issuer),
						       s->serials[s->n_asked++ % SERIALS]));
	n = i2d_OCSP_REQUEST(request, &der);
	e = ca_ocsp(s->rig.door, bytes_of(der, (size_t)n), &out);
	/* Kept is only what is known of a certificate. */
	if (!e && !out.is_cachable)
		e = -EPROTO;
	buf_fini(&out.der);
	OPENSSL_free(der);
	OCSP_REQUEST_free(request);
	return e;
}

/* Nothing ended before that date, whatever number of rows would have to be looked at to see it. */
static int ask_purge(struct side *s, const struct question *q)
{
	struct purge_place after = PURGE_START;
	size_t n;
	bool more;

	return store_purge(s->rig.core, *q->filter ? PURGE_REQUESTS : PURGE_CERTIFICATES, 1000, "bench", 100, &after,
			   &n, &more);
}

static int ask_crl(struct side *s, const struct question *q)
{
	struct revoked_row rows[CRL_PAGE];
	struct revoked_walk walk = { .key_id = s->key_id };
	size_t n = 0;
	int e = store_next_revoked(s->rig.core, &walk, rows, CRL_PAGE, &n);

	return !e && n == 0 ? -EPROTO : e;
}

#define REQUESTS(backwards, filter) { "requests", ask_list, filter, FILTER_REQUESTS, backwards, false }
#define CERTIFICATES(backwards, filter) { "certificates", ask_list, filter, FILTER_CERTIFICATES, backwards, false }
#define SHARE(what, table, backwards, filter) { what, ask_list, filter, table, backwards, true }
#define OTHER(what, ask, filter) { what, ask, filter, 0, false, false }

static const struct question questions[] = {
	REQUESTS(false, "state=pending"),
	REQUESTS(true, ""),
	REQUESTS(true, "state=issued"),
	REQUESTS(false, "requester=acme:n1017"),
	SHARE("requests", FILTER_REQUESTS, true, "requester=acme:7"),
	REQUESTS(true, "profile=p1 and state=issued"),
	REQUESTS(true, "via=est and endpoint=net"),
	REQUESTS(false, "san=h5017.zone17.example"),
	SHARE("requests", FILTER_REQUESTS, true, "san~*.zone34.example"),
	REQUESTS(false, "age<1h"),
	REQUESTS(false, "state=pending and (via=est or via=scep) and age>5m and not edited"),
	CERTIFICATES(false, "requester=acme:n1017"),
	CERTIFICATES(false, "valid and expires<89d"),
	SHARE("certificates", FILTER_CERTIFICATES, true, "state=revoked"),
	CERTIFICATES(false, "key=7f01ab02*"),
	CERTIFICATES(true, "issued>2023-11-12 and profile=p2"),
	OTHER("submit", ask_submit, ""),
	OTHER("OCSP", ask_ocsp, ""),
	OTHER("purge, nothing to do: certificates", ask_purge, ""),
	OTHER("purge, nothing to do:", ask_purge, "requests"),
	OTHER("page of a CRL", ask_crl, ""),
};

#define QUESTIONS (sizeof(questions) / sizeof(*questions))

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t median(struct side *s)
{
	qsort(s->took, ROUNDS, sizeof(*s->took), compare);
	return s->took[ROUNDS / 2];
}

/* One round before the first that counts; who is asked first alternates. */
static int measure(struct side sides[static 2], const struct question *q)
{
	for (int round = -1; round < ROUNDS; round++) {
		for (int i = 0; i < 2; i++) {
			struct side *s = &sides[(round ^ i) & 1];
			int64_t began = now_us();
			int e = q->ask(s, q);

			if (e)
				return e;
			if (round >= 0)
				s->took[round] = now_us() - began;
		}
	}
	return 0;
}

/* ---- the stores ---- */

static bool read_serials(struct side *s)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	char path[128];
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/core/core.db", s->rig.folder);
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT serial FROM certificates WHERE request_id>=?1 ORDER BY request_id LIMIT 1",
			       -1, &stmt, NULL) == SQLITE_OK) {
		for (; n < SERIALS; n++) {
			BIGNUM *number;

			sqlite3_bind_int64(stmt, 1, 1 + (int64_t)n * (s->rows - 100) / SERIALS);
			if (sqlite3_step(stmt) != SQLITE_ROW)
				break;
			number = BN_bin2bn(sqlite3_column_blob(stmt, 0), sqlite3_column_bytes(stmt, 0), NULL);
			s->serials[n] = BN_to_ASN1_INTEGER(number, NULL);
			BN_free(number);
			sqlite3_reset(stmt);
		}
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return n == SERIALS;
}

static bool start(struct side *s)
{
	struct conf_error error = { 0 };
	bool ok = rig_start(&s->rig, &error) == 0;

	if (!ok)
		fprintf(stderr, "bench_views: %s\n", error.text);
	return ok;
}

/* Filled while no core runs, which knows the number of the last request. */
static bool begin(struct side *s, int64_t rows)
{
	const uint8_t *at;

	s->rows = rows;
	rig_init(&s->rig, &(struct rig_settings){ .exits = "[]", .policy = "{module: rules, default: issue}",
						  .ca = "status: {public-url: http://pki.example/status}" });
	if (!start(s))
		return false;
	at = s->rig.ca_certificate.ptr;
	s->issuer = d2i_X509(NULL, &at, (long)s->rig.ca_certificate.len);
	s->key_id = s->rig.core->cas[0].keys[0]->row;
	rig_stop(&s->rig);
	return s->issuer && filler_fill(&s->rig, rows) && start(s) && read_serials(s) &&
	       ocsp_settle(s->rig.core, 10000);
}

static void end(struct side *s)
{
	for (size_t i = 0; i < SERIALS; i++)
		ASN1_INTEGER_free(s->serials[i]);
	X509_free(s->issuer);
	rig_fini(&s->rig);
}

static void swallow(void *arg, const char *line)
{
}

static int report(struct side sides[static 2], const struct question *q)
{
	int64_t small = median(&sides[0]), large = median(&sides[1]);
	bool is_slow = !q->is_share && (double)large > (double)small * RATIO_MAX + GRANTED_US;

	printf("%8lld %8lld %6.2f   %s%s%s%s%s\n", (long long)small, (long long)large, (double)large / (double)small,
	       q->what, *q->filter ? " " : "", q->filter, q->backwards ? " (newest first)" : "",
	       is_slow ? "   SLOW" : "");
	return is_slow;
}

int main(int argc, char **argv)
{
	static struct side sides[2];
	int64_t rows[2] = { argc > 2 ? strtoll(argv[1], NULL, 10) : 10000,
			    argc > 2 ? strtoll(argv[2], NULL, 10) : 1000000 };
	int slow = 0, e = 0;

	log_capture(swallow, NULL);
	if (!begin(&sides[0], rows[0]) || !begin(&sides[1], rows[1])) {
		fprintf(stderr, "bench_views: a store could not be made\n");
		return 1;
	}
	printf("%8s %8s %6s   microseconds, a page of 50, with %lld and %lld rows\n", "small", "large", "ratio",
	       (long long)rows[0], (long long)rows[1]);
	for (size_t q = 0; !e && q < QUESTIONS; q++) {
		e = measure(sides, &questions[q]);
		if (e)
			fprintf(stderr, "bench_views: %s %s: %d\n", questions[q].what, questions[q].filter, e);
		else
			slow += report(sides, &questions[q]);
	}
	end(&sides[1]);
	end(&sides[0]);
	/* Other numbers are a short run that only shows that it runs. */
	return e || (slow && argc <= 2) ? 1 : 0;
}
