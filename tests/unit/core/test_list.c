/* Lists: every statement is found by the index that it should, and pages together are what the filter says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store_list_sql.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/own.h"
#include "core/store_crl.h"
#include "core/store_import.h"
#include "tests/scenarios/filler.h"
#include "tests/test.h"

#define ROWS 6000

static struct rig rig;

static int begin(void **state)
{
	struct conf_error error;

	rig_init(&rig, &(struct rig_settings){ .exits = "[]" });
	if (rig_start(&rig, &error))
		return -1;
	return filler_fill(&rig, ROWS) ? 0 : -1;
}

static int end(void **state)
{
	rig_fini(&rig);
	return 0;
}

/* ---- SQLite's own explanation ---- */

struct explained {
	const struct list_sql *sql;
	char text[4096];
};

static int explain(struct db_conn *conn, void *arg)
{
	struct explained *x = arg;
	OWNED_BUF sql = BUF_INIT(65536);
	OWNED(db_rows) rows = NULL;
	int e;

	buf_printf(&sql, "EXPLAIN QUERY PLAN %s", buf_str(&x->sql->text));
	e = db_select_once(conn, &rows, buf_str(&sql), x->sql->values, x->sql->n);
	x->text[0] = '\0';
	while (!e && (e = db_next(rows)) == DB_ROW) {
		size_t n = strlen(x->text);

		snprintf(x->text + n, sizeof(x->text) - n, "%s; ", db_col_text(rows, 3));
		e = 0;
	}
	return e;
}

static void check_plan(const struct list_sql *sql, const char *index, bool may_sort, const char *filter)
{
	struct explained x = { .sql = sql };
	char wanted[128];

	snprintf(wanted, sizeof(wanted), "INDEX %s", index);
	assert_int_equal(db_read(rig.core->db, explain, &x), 0);
	if (*index && !strstr(x.text, wanted))
		fail_msg("%s\n%s\nis not by %s: %s", filter, buf_str(&sql->text), index, x.text);
	/* A walk along an index is called a scan too, but "USING INDEX"; without one all are meant to be walked. */
	for (const char *at = x.text; *index && (at = strstr(at, "SCAN ")) != NULL; at++) {
		const char *ends = strchr(at, ';');

		if (!strncmp(at, "SCAN (subquery", 14) || !strncmp(at, "SCAN SUBQUERY", 13))
			continue;
		if (!memmem(at, (size_t)(ends - at), "INDEX", 5))
			fail_msg("%s\n%s\nlooks at every row: %s", filter, buf_str(&sql->text), x.text);
	}
	if (!may_sort && strstr(x.text, "TEMP B-TREE"))
		fail_msg("%s\n%s\nsorts: %s", filter, buf_str(&sql->text), x.text);
}

static const char *value_of(const struct filter_field *f)
{
	static const struct {
		enum filter_kind kind;
		const char *text;
	} values[] = {
		{ FILTER_TEXT, "=x" },	      { FILTER_NUMBER, "=7" },	  { FILTER_TIME, ">2023-01-01" },
		{ FILTER_AGE, ">1h" },	      { FILTER_AHEAD, "<30d" },	  { FILTER_NAME, "~*.zone7.example" },
		{ FILTER_HEX, "=0100aa*" },
	};

	if (f->kind == FILTER_WORD)
		return strcmp(f->word, "state") == 0 ? "=issued" : "=superseded";
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		if (values[i].kind == f->kind)
			return values[i].text;
	return NULL;
}

/* Page, count and end of one filter, whatever its leader finds. */
static void check_field(const struct filter_field *f, enum filter_table table, bool backwards, bool goes_on)
{
	static const uint8_t place[16] = { 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 9 };
	const char *columns = table == FILTER_REQUESTS ? "q.id" : "c.serial";
	char filter[128], why[FILTER_WHY_SIZE];
	struct list_query q = { .table = table, .filter = filter, .now_s = FILLER_NOW_S, .backwards = backwards,
				.from = goes_on ? bytes_of(place, 16) : bytes_of(NULL, 0) };
	struct list_plan *plan;
	struct arena *arena;

	/* A second condition must not lead astray. */
	snprintf(filter, sizeof(filter), "%s%s and ca=" RIG_CA, f->word, value_of(f));
	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	plan = arena_alloc(arena, sizeof(*plan));
	assert_int_equal(list_plan_init(plan, &q, arena, why), 0);
	assert_int_equal(plan->n_leaders, 1);
	for (int few = *f->index ? 0 : 1; few < 2; few++) {
		struct list_sql count = LIST_SQL_INIT(arena), page = LIST_SQL_INIT(arena), until = LIST_SQL_INIT(arena);
		bool is_walk;

		plan->leaders[0].found = few ? 10 : LIST_FEW + 1;
		list_plan_choose(plan);
		is_walk = !plan->is_few && list_walks_all(plan);
		assert_int_equal(list_sql_count(plan, &plan->leaders[0], &count), 0);
		check_plan(&count, f->index, false, filter);
		assert_int_equal(list_sql_page(plan, columns, 101, &page), 0);
		check_plan(&page, is_walk ? "" : f->index, few, filter);
		if (!plan->is_few && !is_walk) {
			assert_int_equal(list_sql_until(plan, &until), 0);
			check_plan(&until, f->index, false, filter);
		}
		buf_fini(&count.text);
		buf_fini(&page.text);
		buf_fini(&until.text);
	}
	arena_drop(&arena);
}

static void every_indexed_field_is_found_by_its_index(void **state)
{
	static const enum filter_table tables[] = { FILTER_REQUESTS, FILTER_CERTIFICATES };
	unsigned n = 0;

	for (const struct filter_field *f = filter_fields; f->word; f++)
		for (int way = 0; f->index && way < 8; way++)
			if (f->tables & tables[way & 1]) {
				check_field(f, tables[way & 1], way & 2, way & 4);
				n++;
			}
	assert_true(n > 80);
}

/* What lives is not looked at. */
static void what_is_purged_is_found_by_an_index(void **state)
{
	static const char *const indexes[] = { [PURGE_CERTIFICATES] = "certificates_not_after",
					       [PURGE_REQUESTS] = "requests_failed",
					       [PURGE_UNREVOKED] = "certificates_not_after" };

	for (enum store_purge what = PURGE_CERTIFICATES; what <= PURGE_UNREVOKED; what++) {
		struct list_sql sql = { .text = BUF_INIT(4096), .n = 4 };

		for (size_t i = 1; i <= sql.n; i++)
			sql.values[i] = DB_INT(0);
		buf_append_str(&sql.text, store_purge_select(what));
		check_plan(&sql, indexes[what], false, "purge");
		buf_fini(&sql.text);
	}
}

static void a_list_of_everything_is_walked_by_number(void **state)
{
	for (int way = 0; way < 4; way++) {
		struct list_query q = { .table = way & 1 ? FILTER_CERTIFICATES : FILTER_REQUESTS, .filter = "",
					.now_s = FILLER_NOW_S, .backwards = way & 2 };
		struct list_plan *plan;
		struct list_sql page;
		char why[FILTER_WHY_SIZE];
		struct explained x = { .sql = &page };
		struct arena *arena;

		assert_int_equal(arena_new(&arena, 1u << 20), 0);
		plan = arena_alloc(arena, sizeof(*plan));
		page = LIST_SQL_INIT(arena);
		assert_int_equal(list_plan_init(plan, &q, arena, why), 0);
		list_plan_choose(plan);
		assert_int_equal(list_sql_page(plan, "q.id", 101, &page), 0);
		assert_int_equal(db_read(rig.core->db, explain, &x), 0);
		assert_null(strstr(x.text, "TEMP B-TREE"));
		buf_fini(&page.text);
		arena_drop(&arena);
	}
}

/* ---- what a list has ---- */

struct total {
	int64_t n, ids, previous, calls;
	bool is_ordered;
};

/* All pages of a filter: how many rows, the sum of their numbers. */
static struct total read_all(enum filter_table table, const char *filter, unsigned limit, bool backwards)
{
	struct total t = { .is_ordered = true };
	uint8_t place[64];
	struct list_query q = { .table = table, .filter = filter, .limit = limit, .backwards = backwards,
				.now_s = FILLER_NOW_S };
	bool more = true;

	while (more) {
		Gatehouse__Admin__Reply reply;
		char why[FILTER_WHY_SIZE];
		struct arena *arena;

		assert_int_equal(arena_new(&arena, 16u << 20), 0);
		gatehouse__admin__reply__init(&reply);
		assert_int_equal(store_list(rig.core, &q, arena, &reply, why), 0);
		assert_true(++t.calls < 10000);
		for (size_t i = 0; i < reply.n_requests + reply.n_certificates; i++) {
			int64_t id = table == FILTER_REQUESTS ? reply.requests[i]->id :
								reply.certificates[i]->request_id;

			t.is_ordered &= t.n == 0 || (backwards ? id < t.previous : id > t.previous);
			t.previous = id;
			t.n++;
			t.ids += id;
		}
		more = reply.more;
		assert_true(!more || (reply.next.len && reply.next.len <= sizeof(place)));
		if (more)
			memcpy(place, reply.next.data, reply.next.len);
		q.from = bytes_of(place, reply.next.len);
		arena_drop(&arena);
	}
	return t;
}

/* The same by SQL that knows nothing of filters. */
static const struct {
	enum filter_table table;
	const char *filter, *where;
} questions[] = {
	{ FILTER_REQUESTS, "", "1" },
	{ FILTER_REQUESTS, "state=pending", "q.state=9" },
	{ FILTER_REQUESTS, "state=issued", "q.state=20" },
	{ FILTER_REQUESTS, "not state=issued", "q.state<>20" },
	{ FILTER_REQUESTS, "via=scep", "q.protocol='scep'" },
	{ FILTER_REQUESTS, "via=est or via=scep", "q.protocol IN ('est','scep')" },
	{ FILTER_REQUESTS, "state=pending and (via=est or via=scep)", "q.state=9 AND q.protocol IN ('est','scep')" },
	{ FILTER_REQUESTS, "requester=acme:7", "q.requester='acme:7'" },
	{ FILTER_REQUESTS, "requester~acme:n*", "q.requester LIKE 'acme:n%'" },
	{ FILTER_REQUESTS, "requester=acme:n1017 and state=issued", "q.requester='acme:n1017' AND q.state=20" },
	{ FILTER_REQUESTS, "profile=rare", "q.profile='rare'" },
	{ FILTER_REQUESTS, "profile=p1 and endpoint=acme and not edited",
	  "q.profile='p1' AND q.endpoint='acme' AND NOT q.edited" },
	{ FILTER_REQUESTS, "san=h1234.zone34.example", "q.id=1234" },
	{ FILTER_REQUESTS, "san=H1234.ZONE34.EXAMPLE", "q.id=1234" },
	{ FILTER_REQUESTS, "san=ip:h1234.zone34.example", "0" },
	{ FILTER_REQUESTS, "san~*.zone34.example", "q.id%100=34" },
	{ FILTER_REQUESTS, "san~*.example", "1" },
	{ FILTER_REQUESTS, "san~h12*", "q.subject LIKE 'CN=h12%'" },
	{ FILTER_REQUESTS, "san!~*.zone34.example and state=denied", "q.id%100<>34 AND q.state=31" },
	{ FILTER_REQUESTS, "age>1h and age<3h", "q.submitted_ms<1699996400000 AND q.submitted_ms>1699989200000" },
	{ FILTER_REQUESTS, "age<2d", "q.submitted_ms>1699827200000" },
	{ FILTER_REQUESTS, "submitted>2023-11-12", "q.submitted_ms>1699747200000" },
	{ FILTER_REQUESTS, "submitted=2023-11-12", "q.submitted_ms>=1699747200000 AND q.submitted_ms<1699833600000" },
	{ FILTER_REQUESTS, "id>=10 and id<20", "q.id>=10 AND q.id<20" },
	{ FILTER_REQUESTS, "id=4711", "q.id=4711" },
	{ FILTER_REQUESTS, "serial=0100*", "q.serial IS NOT NULL" },
	{ FILTER_REQUESTS, "not serial=0100*", "q.serial IS NULL" },
	{ FILTER_REQUESTS, "key=7f*", "hex(q.spki_hash) LIKE '7F%'" },
	{ FILTER_REQUESTS, "from=192.0.2.9 and via=acme", "q.source_address='192.0.2.9' AND q.protocol='acme'" },
	{ FILTER_REQUESTS, "subject~*zone3?.example", "q.id%100 BETWEEN 30 AND 39" },
	{ FILTER_REQUESTS, "approved or noted", "0" },
	{ FILTER_CERTIFICATES, "", "c.serial IS NOT NULL" },
	{ FILTER_CERTIFICATES, "state=revoked", "q.state=21" },
	{ FILTER_CERTIFICATES, "reason=superseded", "c.revoked_reason=4" },
	{ FILTER_CERTIFICATES, "requester=acme:7 and valid", "q.requester='acme:7' AND q.state=20" },
	{ FILTER_CERTIFICATES, "expires<87d", "c.not_after_s<1700000000+87*86400" },
	{ FILTER_CERTIFICATES, "valid and expires<89d and via=acme",
	  "q.state=20 AND c.not_after_s<1700000000+89*86400 AND q.protocol='acme'" },
	{ FILTER_CERTIFICATES, "expired", "0" },
	{ FILTER_CERTIFICATES, "issued>=2023-11-12 and state=issued and profile=rare",
	  "c.issued_ms>=1699747200000 AND q.state=20 AND q.profile='rare'" },
	{ FILTER_CERTIFICATES, "san~*.zone34.example or san~*.zone35.example", "q.id%100 IN (34,35)" },
	{ FILTER_CERTIFICATES, "not collected and serial=0100*", "1" },
};

static void pages_are_what_the_filter_says(void **state)
{
	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		const char *from = questions[i].table == FILTER_REQUESTS ?
					   "requests q" : "requests q JOIN certificates c ON c.request_id=q.id";
		char sql[512];
		int64_t n, ids;

		snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s WHERE %s", from, questions[i].where);
		n = rig_number(&rig, sql);
		snprintf(sql, sizeof(sql), "SELECT coalesce(sum(q.id), 0) FROM %s WHERE %s", from, questions[i].where);
		ids = rig_number(&rig, sql);
		for (int way = 0; way < 4; way++) {
			struct total t = read_all(questions[i].table, questions[i].filter, way & 1 ? 7 : 500, way & 2);

			if (t.n != n || t.ids != ids || !t.is_ordered)
				fail_msg("'%s': %lld rows, not %lld%s", questions[i].filter, (long long)t.n,
					 (long long)n, t.is_ordered ? "" : ", in no order");
		}
	}
}

/* ---- beginning behind a row ---- */

#define SOME 400

/* The numbers of the first rows of a list, and of certificates their serials. */
struct rows {
	int64_t ids[SOME];
	uint8_t serials[SOME][20];
	size_t lengths[SOME], n;
};

static void read_some(struct list_query *q, struct rows *out, size_t most)
{
	uint8_t place[64];
	bool more = true;

	for (out->n = 0; more && out->n < most;) {
		Gatehouse__Admin__Reply reply;
		char why[FILTER_WHY_SIZE];
		struct arena *arena;

		assert_int_equal(arena_new(&arena, 16u << 20), 0);
		gatehouse__admin__reply__init(&reply);
		assert_int_equal(store_list(rig.core, q, arena, &reply, why), 0);
		for (size_t i = 0; out->n < most && i < reply.n_requests + reply.n_certificates; i++) {
			const Gatehouse__Admin__Certificate *c = reply.n_requests ? NULL : reply.certificates[i];

			out->ids[out->n] = c ? c->request_id : reply.requests[i]->id;
			out->lengths[out->n] = c ? c->serial.len : 0;
			if (c)
				memcpy(out->serials[out->n], c->serial.data, c->serial.len);
			out->n++;
		}
		more = reply.more;
		if (more)
			memcpy(place, reply.next.data, reply.next.len);
		q->from = bytes_of(place, reply.next.len);
		arena_drop(&arena);
	}
	q->from = bytes_of(NULL, 0);
}

/* Begun behind any of its rows the list has exactly those that follow there. */
static void check_after(enum filter_table table, const char *filter, bool backwards)
{
	struct list_query q = { .table = table, .filter = filter, .limit = 97, .backwards = backwards,
				.now_s = FILLER_NOW_S };
	static struct rows all, rest;

	read_some(&q, &all, SOME);
	assert_true(all.n > 20);
	for (size_t i = 0; i + 1 < all.n; i += 1 + all.n / 23) {
		struct list_query behind = q;

		behind.after_id = table == FILTER_REQUESTS ? all.ids[i] : 0;
		behind.after_serial = bytes_of(all.serials[i], all.lengths[i]);
		read_some(&behind, &rest, all.n - i - 1);
		assert_int_equal(rest.n, all.n - i - 1);
		for (size_t k = 0; k < rest.n; k++)
			if (rest.ids[k] != all.ids[i + 1 + k])
				fail_msg("'%s'%s behind %lld: row %zu is %lld, not %lld", filter,
					 backwards ? " backwards" : "", (long long)all.ids[i], k,
					 (long long)rest.ids[k], (long long)all.ids[i + 1 + k]);
	}
}

static int shuffle(struct db_conn *conn, void *arg)
{
	/* Dates that many rows share, in another order than the numbers, and so are the serials. */
	static const char *const statements[] = {
		"UPDATE requests SET submitted_ms=submitted_ms-submitted_ms%1000-(id*7919%50)*1000 WHERE id<=?",
		"UPDATE certificates SET not_after_s=1700000000+(request_id*7919%40)*86400 WHERE request_id<=?",
		"UPDATE certificates SET issued_ms=1699900000000+(request_id*104729%30)*1000 WHERE request_id<=?",
		"UPDATE certificates SET serial=CAST(printf('%016d', request_id*7919%6007+1) AS BLOB)"
		" WHERE request_id<=?",
	};
	int e = 0;

	for (size_t i = 0; !e && i < sizeof(statements) / sizeof(*statements); i++)
		e = db_run(conn, statements[i], DB_INT(ROWS));
	return e;
}

static void a_list_goes_on_behind_any_of_its_rows(void **state)
{
	static const char *const of_requests[] = { "", "state=issued", "via=est or via=scep", "age<2000d",
						   "age<2000d and state=issued", "profile=p1 and submitted>2001-01-01",
						   "san~*.zone34.example and age<2000d" },
				*const of_certificates[] = { "", "valid", "expires<20d", "issued>2001-01-01",
							     "issued>2001-01-01 and via=acme", "requester=acme:7",
							     "state=issued and expires<2000d" };

	assert_int_equal(db_write(rig.core->db, shuffle, NULL), 0);
	for (size_t i = 0; i < 14; i++) {
		check_after(FILTER_REQUESTS, of_requests[i / 2], i & 1);
		check_after(FILTER_CERTIFICATES, of_certificates[i / 2], i & 1);
	}
}

/* ---- what a CRL is made of ---- */

static int deal(struct db_conn *conn, void *arg)
{
	return db_run(conn, "UPDATE certificates SET crl_partition=request_id%5*3 WHERE request_id<=?", DB_INT(ROWS));
}

static int count_revoked(struct db_conn *conn, void *arg)
{
	int64_t *n = arg;
	OWNED(db_rows) rows = NULL;
	int e = db_select(conn, &rows,
			  "SELECT count(*) FROM certificates WHERE revoked_ms IS NOT NULL AND crl_partition>=? AND"
			  " crl_partition<=?", DB_INT(n[0]), DB_INT(n[1]));

	if (!e && (e = db_next(rows)) == DB_ROW)
		n[2] = db_col_int(rows, 0);
	return e < 0 ? e : 0;
}

/* Whatever the size of a page, each revoked certificate of these parts comes once, in the order of part and serial. */
static void check_walk(unsigned partition, size_t max)
{
	struct revoked_walk walk = { .key_id = rig.core->cas[0].keys[0]->row, .partition = partition };
	struct revoked_row page[64], last = { 0 };
	int64_t counted[3] = { partition, partition ? partition : 1000, 0 }, seen = 0;
	size_t n = max;

	while (n == max) {
		assert_int_equal(store_next_revoked(rig.core, &walk, page, max, &n), 0);
		for (size_t i = 0; i < n; i++) {
			int order = memcmp(page[i].serial, last.serial, page[i].n_serial);

			assert_true(seen++ == 0 || page[i].partition > last.partition ||
				    (page[i].partition == last.partition && order > 0));
			last = (struct revoked_row){ .partition = page[i].partition };
			memcpy(last.serial, page[i].serial, page[i].n_serial);
			assert_true(!partition || page[i].partition == partition);
		}
	}
	assert_int_equal(db_read_one(rig.core->db, count_revoked, counted), 0);
	assert_true(counted[2] > 10);
	assert_int_equal(seen, counted[2]);
}

static void a_crl_has_each_revoked_certificate_once(void **state)
{
	check_walk(0, 10);
	assert_int_equal(db_write(rig.core->db, deal, NULL), 0);
	for (size_t max = 1; max <= 64; max += 21) {
		check_walk(0, max);
		check_walk(6, max);
	}
}

static void what_is_not_there_is_no_beginning(void **state)
{
	struct list_query q = { .table = FILTER_REQUESTS, .filter = "", .after_id = 9999999, .now_s = FILLER_NOW_S };
	Gatehouse__Admin__Reply reply;
	char why[FILTER_WHY_SIZE] = "";
	struct arena *arena;

	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	gatehouse__admin__reply__init(&reply);
	assert_int_equal(store_list(rig.core, &q, arena, &reply, why), FILTER_WRONG);
	assert_string_equal(why, "there is no such row to begin after");
	arena_drop(&arena);
}

static int ask(const char *filter, struct bytes from)
{
	struct list_query q = { .table = FILTER_REQUESTS, .filter = filter, .from = from, .now_s = FILLER_NOW_S };
	Gatehouse__Admin__Reply reply;
	char why[FILTER_WHY_SIZE] = "";
	struct arena *arena;
	int e;

	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	gatehouse__admin__reply__init(&reply);
	e = store_list(rig.core, &q, arena, &reply, why);
	assert_int_equal(e == FILTER_WRONG, why[0] != '\0');
	arena_drop(&arena);
	return e;
}

static void a_place_that_is_none_is_refused(void **state)
{
	assert_int_equal(ask("", bytes_of("12345", 5)), FILTER_WRONG);
	assert_int_equal(ask("state=", bytes_of(NULL, 0)), FILTER_WRONG);
	assert_int_equal(ask("state=", bytes_of("12345", 5)), FILTER_WRONG);
	assert_int_equal(ask("", bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_indexed_field_is_found_by_its_index),
		cmocka_unit_test(what_is_purged_is_found_by_an_index),
		cmocka_unit_test(a_list_of_everything_is_walked_by_number),
		cmocka_unit_test(pages_are_what_the_filter_says),
		cmocka_unit_test(a_place_that_is_none_is_refused),
		cmocka_unit_test(what_is_not_there_is_no_beginning),
		cmocka_unit_test(a_crl_has_each_revoked_certificate_once),
		/* The last one: it changes the rows. */
		cmocka_unit_test(a_list_goes_on_behind_any_of_its_rows),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
