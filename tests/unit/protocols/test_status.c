/* protocols/status: what clients send, what caches are told, and how often the core is asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/der.h"
#include "core/base/own.h"
#include "protocols/status/status.h"
#include "protocols/status/status_int.h"

#define NOW_MS 1772366400000 /* 2026-03-01T12:00:00Z */
#define NOW_S (NOW_MS / 1000)

/* ---- the core ---- */

static struct {
	unsigned asked;
	char last[256];          /* the request, as text */
	const char *answer;
	bool is_cachable;
	int64_t this_update_s;
	int outcome;
} core;

int ca_ocsp(struct ca_door *ca, struct bytes request, struct ca_ocsp_answer *out)
{
	core.asked++;
	snprintf(core.last, sizeof(core.last), "%.*s", (int)request.len, (const char *)request.ptr);
	buf_append_str(&out->der, core.answer);
	out->is_cachable = core.is_cachable;
	out->this_update_s = core.is_cachable ? core.this_update_s : 0;
	out->next_update_s = core.is_cachable ? core.this_update_s + 3600 : 0;
	return core.outcome;
}

int ca_get_key_chain(struct ca_door *ca, unsigned key_index, struct buf *out)
{
	if (key_index > 1)
		return key_index == 2 ? CA_CALL_BUSY : CA_CALL_NOT_FOUND;
	return buf_append_str(out, key_index ? "\x30\x03NEW\x30\x03OLD" : "\x30\x03OLD");
}

static struct {
	unsigned looked, fetched;
	uint64_t number;
	int outcome;
	size_t page;              /* octets of one; 0: all */
	bool is_replaced;         /* after its first page, once */
	atomic_bool is_held;      /* its pages wait */
	atomic_uint waiting;
} crl;

static int print_list(struct buf *out, unsigned partition)
{
	return buf_printf(out, "list %u %llu", partition, (unsigned long long)crl.number);
}

static int append_page(struct buf *out, struct bytes list, uint64_t number, uint64_t offset)
{
	size_t left = list.len - (size_t)offset;

	while (crl.is_held) {
		crl.waiting = 1;
		usleep(1000);
	}
	if (offset == 0)
		crl.fetched++;
	if (number && number != crl.number)
		return CA_CALL_BUSY;
	if (crl.is_replaced) {
		crl.is_replaced = false;
		crl.number++;
	}
	return buf_append(out, bytes_of(list.ptr + offset, crl.page && crl.page < left ? crl.page : left));
}

int ca_get_crl_page(struct ca_door *ca, unsigned key_index, unsigned partition, uint64_t number, uint64_t offset,
		    struct buf *out, struct ca_crl *info)
{
	OWNED_BUF list = BUF_INIT(64);
	int e = print_list(&list, partition);

	*info = (struct ca_crl){ .number = crl.number, .this_update_s = NOW_S, .next_update_s = NOW_S + 86400,
				 .size = list.len };
	if (e || crl.outcome)
		return e ? e : crl.outcome;
	if (key_index || partition > 1)
		return CA_CALL_NOT_FOUND;
	if (out)
		return append_page(out, buf_bytes(&list), number, offset);
	crl.looked++;
	return 0;
}

/* ---- the workers ---- */

static struct {
	pthread_mutex_t lock;
	int places, waiting, most;
} workers = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool enter_wait(void *unused)
{
	bool may;

	pthread_mutex_lock(&workers.lock);
	may = workers.waiting < workers.places;
	workers.waiting += may;
	workers.most = workers.waiting > workers.most ? workers.waiting : workers.most;
	pthread_mutex_unlock(&workers.lock);
	return may;
}

static void leave_wait(void *unused)
{
	pthread_mutex_lock(&workers.lock);
	workers.waiting--;
	pthread_mutex_unlock(&workers.lock);
}

static const struct proto_waits waits = { enter_wait, leave_wait, NULL };

/* ---- requests ---- */

static void *state;
static struct http_reply r;
static struct arena *arena;
static char folder[] = "/tmp/gatehouse-status-XXXXXX";

static int set_up(void **unused)
{
	const struct proto_env env = { .endpoint = "status", .data_folder = folder, .waits = &waits };
	char why[128];

	core = (typeof(core)){ .answer = "answer", .is_cachable = true, .this_update_s = NOW_S };
	memset(&crl, 0, sizeof(crl));
	crl.number = 7;
	workers.places = 2;
	workers.most = 0;
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(folder));
	clock_fake_set(NOW_MS);
	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	r = (struct http_reply){ .body = BUF_INIT(HTTP_REPLY_BODY_MAX), .arena = arena };
	return proto_status.init(&state, &env, NULL, why, sizeof(why));
}

static int tear_down(void **unused)
{
	buf_fini(&r.body);
	http_octets_drop(&r.large);
	proto_status.fini(state);
	/* No file has a name, and no place is taken. */
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(workers.waiting, 0);
	arena_drop(&arena);
	clock_fake_end();
	return 0;
}

static void clear_reply(void)
{
	buf_reset(&r.body);
	http_octets_drop(&r.large);
	r.status = 0;
	r.n_headers = 0;
}

static const char *header(const char *name)
{
	for (size_t i = 0; i < r.n_headers; i++)
		if (strcmp(r.headers[i].name, name) == 0)
			return r.headers[i].value;
	return NULL;
}

static void assert_list(struct http_octets *octets, const char *wanted)
{
	char text[64] = "";

	assert_non_null(octets);
	assert_int_equal(http_octets_size(octets), strlen(wanted));
	assert_int_equal(http_octets_read(octets, 0, text, strlen(wanted)), 0);
	assert_string_equal(text, wanted);
}

typedef int handler(void *state, const struct http_request *q, struct http_reply *reply);

static int get_with(handler *h, const char *path, const char *name, const char *value)
{
	struct http_header sent = { name, value };
	struct http_request q = { .method = "GET", .params = { path }, .headers = &sent, .n_headers = name ? 1 : 0 };

	clear_reply();
	assert_int_equal(h(state, &q, &r), 0);
	return r.status;
}

static int get(handler *h, const char *path)
{
	return get_with(h, path, NULL, NULL);
}

static int post(const char *type, const char *body)
{
	struct http_header sent = { "content-type", type };
	struct http_request q = { .method = "POST", .headers = &sent, .n_headers = 1, .body = bytes_of_str(body) };

	clear_reply();
	assert_int_equal(status_ocsp_post(state, &q, &r), 0);
	return r.status;
}

/* ---- tests ---- */

/* "hi?>" in base64 is aGk/Pg==, with everything in it that is encoded or not. */
static void reads_a_get_request_however_it_is_encoded(void **unused)
{
	static const char *const paths[] = { "aGk/Pg==", "aGk%2FPg%3D%3D", "aGk%2fPg%3d=", "%61Gk/Pg==" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		OWNED_BUF request = BUF_INIT(64);

		assert_int_equal(status_ocsp_decode(paths[i], &request), 0);
		assert_string_equal(buf_str(&request), "hi?>");
		assert_int_equal(get(status_ocsp_get, paths[i]), 200);
		assert_string_equal(core.last, "hi?>");
	}
}

static void refuses_what_is_not_base64(void **unused)
{
	static const char *const paths[] = {
		"aGk/Pg", "aGk/Pg=", "aGk/Ph==", "aGk/Pg==x", "aGk_Pg==", "aGk/Pg%3", "aGk/Pg%", "aGk/Pg%3g=",
		"aGk/%253D", "aGk/Pg%00=", "a Gk/Pg==", "%20aGk/Pg==", "aGk/Pg==%0a",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (get(status_ocsp_get, paths[i]) != 400)
			fail_msg("'%s' is answered with %d", paths[i], r.status);
	assert_int_equal(core.asked, 0);
}

static void tells_caches_how_long_an_answer_is_good(void **unused)
{
	char etag[STATUS_ETAG_SIZE];

	core.this_update_s = NOW_S - 600;
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_string_equal(header("Content-Type"), "application/ocsp-response");
	assert_string_equal(header("Cache-Control"), "max-age=1200, public, no-transform, must-revalidate");
	assert_string_equal(header("Last-Modified"), "Sun, 01 Mar 2026 11:50:00 GMT");
	assert_string_equal(header("Expires"), "Sun, 01 Mar 2026 12:50:00 GMT");
	assert_int_equal(strlen(header("ETag")), STATUS_ETAG_SIZE - 1);
	snprintf(etag, sizeof(etag), "%s", header("ETag"));
	clock_fake_advance(1000);
	core.answer = "another";
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_string_not_equal(header("ETag"), etag);
	/* Past its middle nobody keeps it. */
	clock_fake_advance(3000000);
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_string_equal(header("Cache-Control"), "max-age=0, public, no-transform, must-revalidate");
}

static void sends_nothing_to_whoever_has_it(void **unused)
{
	static const struct {
		const char *name, *value; /* %: the tag */
		int status;
	} cases[] = {
		{ "if-none-match", "%", 304 },
		{ "if-none-match", "W/%", 304 },
		{ "if-none-match", "\"x\", %, \"y\"", 304 },
		{ "if-none-match", "*", 304 },
		{ "if-none-match", "\"x\"", 200 },
		{ "if-none-match", "", 200 },
		{ "if-modified-since", "Sun, 01 Mar 2026 12:00:00 GMT", 304 },
		{ "if-modified-since", "Sun, 01 Mar 2026 12:00:01 GMT", 304 },
		{ "if-modified-since", "Sun, 01 Mar 2026 11:59:59 GMT", 200 },
		{ "if-modified-since", "yesterday", 200 },
	};
	char etag[STATUS_ETAG_SIZE], value[256];

	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	snprintf(etag, sizeof(etag), "%s", header("ETag"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *at = strchr(cases[i].value, '%');

		snprintf(value, sizeof(value), "%.*s%s%s", at ? (int)(at - cases[i].value) : 255, cases[i].value,
			 at ? etag : "", at ? at + 1 : "");
		if (get_with(status_ocsp_get, "eA==", cases[i].name, value) != cases[i].status)
			fail_msg("%s: %s is answered with %d", cases[i].name, value, r.status);
		assert_int_equal(r.body.len, r.status == 304 ? 0 : 6);
		assert_non_null(header("ETag"));
		assert_non_null(header("Cache-Control"));
	}
}

static void what_no_cache_may_keep_is_kept_by_none(void **unused)
{
	core.is_cachable = false;
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(get(status_ocsp_get, "eA=="), 200);
		assert_string_equal(header("Cache-Control"), "no-store");
		assert_null(header("ETag"));
		assert_int_equal(core.asked, i);
	}
	assert_int_equal(post("application/ocsp-request", "x"), 200);
	assert_string_equal(header("Cache-Control"), "no-store");
	assert_int_equal(post("application/ocsp-request; charset=x", "x"), 200);
	assert_int_equal(post("text/plain", "x"), 415);
}

static void the_same_question_reaches_the_core_twice_a_second(void **unused)
{
	for (int i = 0; i < 10; i++)
		assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_int_equal(post("application/ocsp-request", "x"), 200);
	assert_int_equal(core.asked, 1);
	assert_int_equal(get(status_ocsp_get, "eQ=="), 200);
	assert_int_equal(core.asked, 2);
	clock_fake_advance(ANSWERS_LIFETIME_MS - 1);
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_int_equal(core.asked, 2);
	clock_fake_advance(1);
	core.answer = "revoked";
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_int_equal(core.asked, 3);
	assert_string_equal(buf_str(&r.body), "revoked");
	assert_int_equal(proto_status.counters[0].read(state), 14);
	assert_int_equal(proto_status.counters[1].read(state), 11);
}

/* An answer that took long does not take the place of a later one. */
static void an_older_answer_does_not_come_back(void **unused)
{
	struct ca_ocsp_answer old = CA_OCSP_ANSWER_INIT, new = CA_OCSP_ANSWER_INIT, out = CA_OCSP_ANSWER_INIT;
	struct answers *a;

	old.is_cachable = new.is_cachable = true;
	buf_append_str(&old.der, "old");
	buf_append_str(&new.der, "new");
	assert_int_equal(answers_new(&a), 0);
	answers_remember(a, bytes_of_str("q"), 200, &new);
	answers_remember(a, bytes_of_str("q"), 100, &old);
	assert_true(answers_recall(a, bytes_of_str("q"), 300, &out));
	assert_string_equal(buf_str(&out.der), "new");
	assert_false(answers_recall(a, bytes_of_str("r"), 300, &out));
	answers_drop(&a);
	buf_fini(&old.der);
	buf_fini(&new.der);
	buf_fini(&out.der);
}

static void a_list_is_read_once_and_looked_at_once_a_second(void **unused)
{
	for (int i = 0; i < 5; i++) {
		assert_int_equal(get(status_crl_get, "0.crl"), 200);
		assert_list(r.large, "list 0 7");
	}
	assert_string_equal(header("Content-Type"), "application/pkix-crl");
	assert_string_equal(header("ETag"), "\"0-0-7\"");
	assert_string_equal(header("Cache-Control"), "max-age=60, public, no-transform, must-revalidate");
	assert_string_equal(header("Expires"), "Mon, 02 Mar 2026 12:00:00 GMT");
	assert_int_equal(crl.fetched, 1);
	assert_int_equal(get(status_crl_get, "0-1.crl"), 200);
	assert_list(r.large, "list 1 7");
	assert_int_equal(crl.fetched, 2);
	/* The same number is the same list. */
	clock_fake_advance(1000);
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_int_equal(crl.fetched, 2);
	clock_fake_advance(1000);
	crl.number = 8;
	assert_int_equal(get_with(status_crl_get, "0.crl", "if-none-match", "\"0-0-7\""), 200);
	assert_list(r.large, "list 0 8");
	assert_int_equal(get_with(status_crl_get, "0.crl", "if-none-match", "\"0-0-8\""), 304);
	assert_null(r.large);
}

static void a_list_outlives_a_core_that_is_away_until_its_end(void **unused)
{
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	crl.outcome = CA_CALL_BUSY;
	clock_fake_advance(3600000);
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_int_equal(get(status_crl_get, "0-1.crl"), 503);
	assert_non_null(header("Retry-After"));
	clock_fake_advance(86400000);
	assert_int_equal(get(status_crl_get, "0.crl"), 503);
}

static void knows_no_other_lists(void **unused)
{
	static const char *const names[] = { "1.crl", "0-2.crl", "0-0.crl", "0-.crl", "00.crl", "0-01.crl", "0.CRL",
					     "0", "-1.crl", "0-1-1.crl", "0.crl.crl", "9999999999.crl" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (get(status_crl_get, names[i]) != 404)
			fail_msg("'%s' is answered with %d", names[i], r.status);
	assert_int_equal(crl.fetched, 0);
}

static void a_list_is_read_in_pages(void **unused)
{
	crl.page = 3;
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_list(r.large, "list 0 7");
	assert_int_equal(crl.fetched, 1);
	/* What is replaced while it is read is read again. */
	clock_fake_advance(1000);
	crl.number = 8;
	crl.is_replaced = true;
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_list(r.large, "list 0 9");
	assert_int_equal(crl.fetched, 3);
}

static void slow_readers_keep_a_bounded_number_of_lists(void **unused)
{
	struct http_octets *read[LISTS_SUPERSEDED_MAX + 4];
	size_t n = sizeof(read) / sizeof(*read);
	char text[8];

	for (size_t i = 0; i < n; i++) {
		clock_fake_advance(1000);
		crl.number++;
		assert_int_equal(get(status_crl_get, "0.crl"), 200);
		read[i] = http_octets_hold(r.large);
	}
	clear_reply();
	assert_int_equal(lists_count_superseded(((struct status *)state)->lists), LISTS_SUPERSEDED_MAX);
	/* The one in force and those before it are there; the oldest were taken away. */
	for (size_t i = 0; i < n; i++)
		assert_int_equal(http_octets_read(read[i], 0, text, 4), i < n - 1 - LISTS_SUPERSEDED_MAX ? -ESTALE : 0);
	for (size_t i = 0; i < n; i++)
		http_octets_drop(&read[i]);
	assert_int_equal(lists_count_superseded(((struct status *)state)->lists), 0);
}

/* ---- a core that does not answer ---- */

struct other {
	pthread_t thread;
	struct http_request q;
	struct http_reply r;
	handler *handle;
	int result;
};

static void *run_other(void *arg)
{
	struct other *o = arg;

	o->result = o->handle(state, &o->q, &o->r);
	return NULL;
}

/* The request of another client, on another worker. */
static void start_other(struct other *o, handler *h, const char *path)
{
	*o = (struct other){ .q = { .method = "GET", .params = { path } }, .handle = h };
	o->r.body = BUF_INIT(HTTP_REPLY_BODY_MAX);
	assert_int_equal(arena_new(&o->r.arena, 1 << 20), 0);
	assert_int_equal(pthread_create(&o->thread, NULL, run_other, o), 0);
}

static void end_other(struct other *o)
{
	pthread_join(o->thread, NULL);
	assert_int_equal(o->result, 0);
	http_octets_drop(&o->r.large);
	buf_fini(&o->r.body);
	arena_drop(&o->r.arena);
}

static void one_reads_a_list_and_others_get_the_one_before(void **unused)
{
	struct other reader;

	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	clear_reply();
	clock_fake_advance(1000);
	crl.number = 8;
	crl.is_held = true;
	start_other(&reader, status_crl_get, "0.crl");
	while (!crl.waiting)
		usleep(1000);
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_string_equal(header("ETag"), "\"0-0-7\"");
	assert_list(r.large, "list 0 7");
	crl.is_held = false;
	end_other(&reader);
	assert_int_equal(crl.fetched, 2);
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_list(r.large, "list 0 8");
}

static void whoever_has_no_list_comes_back_while_it_is_read(void **unused)
{
	struct other reader;

	crl.is_held = true;
	start_other(&reader, status_crl_get, "0.crl");
	while (!crl.waiting)
		usleep(1000);
	assert_int_equal(get(status_crl_get, "0.crl"), 503);
	assert_non_null(header("Retry-After"));
	crl.is_held = false;
	end_other(&reader);
	assert_int_equal(reader.r.status, 200);
	assert_int_equal(crl.fetched, 1);
}

static void nobody_asks_a_core_for_which_too_many_wait(void **unused)
{
	static const char later[] = "\x30\x03\x0a\x01\x03";

	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	clear_reply();
	clock_fake_advance(1000);
	workers.places = 0;
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_memory_equal(r.body.ptr, later, 5);
	assert_int_equal(r.body.len, 5);
	assert_string_equal(header("Content-Type"), "application/ocsp-response");
	assert_string_equal(header("Cache-Control"), "no-store");
	assert_int_equal(post("application/ocsp-request", "x"), 200);
	assert_int_equal(r.body.len, 5);
	assert_int_equal(get(status_certificate_get, "0.cer"), 503);
	assert_non_null(header("Retry-After"));
	assert_int_equal(get(status_crl_get, "0-1.crl"), 503);
	/* What is at hand is served. */
	assert_int_equal(get(status_crl_get, "0.crl"), 200);
	assert_list(r.large, "list 0 7");
	assert_int_equal(core.asked, 0);
	assert_int_equal(proto_status.counters[2].read(state), 2);
	workers.places = 2;
	assert_int_equal(get(status_ocsp_get, "eA=="), 200);
	assert_string_equal(buf_str(&r.body), "answer");
}

/* More ask at once than may: while the core answers each gets his turn. */
static void a_crowd_waits_its_turn(void **unused)
{
	static const char *const paths[] = { "MDA=", "MDE=", "MDI=", "MDM=", "MDQ=", "MDU=", "MDY=", "MDc=" };
	struct other others[8];

	workers.places = 1;
	for (size_t i = 0; i < 8; i++)
		start_other(&others[i], status_ocsp_get, paths[i]);
	for (size_t i = 0; i < 8; i++)
		end_other(&others[i]);
	assert_int_equal(workers.most, 1);
	assert_int_equal(core.asked, 8);
	assert_int_equal(proto_status.counters[2].read(state), 0);
}

static void serves_the_certificate_of_each_key(void **unused)
{
	assert_int_equal(get(status_certificate_get, "0.cer"), 200);
	assert_string_equal(header("Content-Type"), "application/pkix-cert");
	assert_string_equal(buf_str(&r.body), "\x30\x03OLD");
	assert_non_null(header("ETag"));
	assert_int_equal(get(status_certificate_get, "1.cer"), 200);
	assert_string_equal(buf_str(&r.body), "\x30\x03NEW");
	assert_int_equal(get_with(status_certificate_get, "1.cer", "if-none-match", header("ETag")), 304);
	assert_int_equal(get(status_certificate_get, "2.cer"), 503);
	assert_int_equal(get(status_certificate_get, "3.cer"), 404);
}

static void knows_no_other_names(void **unused)
{
	static const char *const names[] = { "x.cer", ".cer", "0", "0.", "00.cer", "01.cer", "-1.cer", "+1.cer",
					     "0.CER", "0.cerx", "0.pem", "1000000000.cer", "0%2ecer" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (get(status_certificate_get, names[i]) != 404)
			fail_msg("'%s' is answered with %d", names[i], r.status);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_a_get_request_however_it_is_encoded),
		TEST(refuses_what_is_not_base64),
		TEST(tells_caches_how_long_an_answer_is_good),
		TEST(sends_nothing_to_whoever_has_it),
		TEST(what_no_cache_may_keep_is_kept_by_none),
		TEST(the_same_question_reaches_the_core_twice_a_second),
		TEST(an_older_answer_does_not_come_back),
		TEST(a_list_is_read_once_and_looked_at_once_a_second),
		TEST(a_list_outlives_a_core_that_is_away_until_its_end),
		TEST(knows_no_other_lists),
		TEST(a_list_is_read_in_pages),
		TEST(slow_readers_keep_a_bounded_number_of_lists),
		TEST(one_reads_a_list_and_others_get_the_one_before),
		TEST(whoever_has_no_list_comes_back_while_it_is_read),
		TEST(nobody_asks_a_core_for_which_too_many_wait),
		TEST(a_crowd_waits_its_turn),
		TEST(serves_the_certificate_of_each_key),
		TEST(knows_no_other_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
