/* HTTP/2 over TLS on 127.0.0.1: floods, and clients that never read.
 *
 *     test_gateway_http2_floods                 run the tests
 *     test_gateway_http2_floods --seeds FOLDER  write what the floods send, for tests/fuzz/corpus/http2
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/gateway/h2_server.h"

#define FRAMES_MAX 200                       /* until a flood is cut */
#ifdef __SANITIZE_THREAD__
#define GROWTH_MAX LONG_MAX                  /* shadow memory of each worker's stack */
#elif defined(__SANITIZE_ADDRESS__)
#define GROWTH_MAX ((long)8 << 20)
#else
#define GROWTH_MAX ((long)5 << 20)
#endif
#define FLOOD_SIZE ((size_t)1 << 20)

/* Freed memory is to go back, so that what a flood leaves behind can be measured under a sanitizer too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}

static void rapid_reset(struct buf *out, unsigned n)
{
	h2_request(out, 2 * n + 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/t/slow");
	h2_frame_number(out, H2_RST_STREAM, 2 * n + 1, 8);
}

/* The client breaks the rules of a stream, so that we end it while a worker has its request. */
static void made_you_reset(struct buf *out, unsigned n)
{
	h2_request(out, 2 * n + 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/t/slow");
	h2_frame_number(out, H2_WINDOW_UPDATE, 2 * n + 1, 0x7fffffff);
}

static void wrong_length(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_field(&block, ":method", "POST", false);
	h2_field(&block, ":scheme", "https", false);
	h2_field(&block, ":path", "/t/echo", false);
	h2_field(&block, ":authority", "ca.example", false);
	h2_field(&block, "content-length", "3", false);
	h2_frame(out, H2_HEADERS, H2_END_HEADERS, 2 * n + 1, buf_bytes(&block));
	h2_frame(out, H2_DATA, H2_END_STREAM, 2 * n + 1, NOTHING);
}

static void empty_name(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_field(&block, ":method", "GET", false);
	h2_field(&block, "", "", false);
	h2_frame(out, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 2 * n + 1, buf_bytes(&block));
}

static void upper_name(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_field(&block, ":method", "GET", false);
	h2_field(&block, ":scheme", "https", false);
	h2_field(&block, ":path", "/t/hello", false);
	h2_field(&block, ":authority", "ca.example", false);
	h2_field(&block, "X-Upper", "1", false);
	h2_frame(out, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 2 * n + 1, buf_bytes(&block));
}

static void continuation(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_request(out, 1, H2_END_STREAM, "GET", "/t/hello");
	h2_frame(out, H2_CONTINUATION, 0, 1, bytes_of("\0\1a\1b", n % 2 ? 0 : 5));
}

static void ping(struct buf *out, unsigned n)
{
	h2_frame(out, H2_PING, 0, 0, bytes_of("12345678", 8));
}

static void settings(struct buf *out, unsigned n)
{
	h2_frame(out, H2_SETTINGS, 0, 0, bytes_of("\0\3\0\0\0\1", n % 2 ? 0 : 6));
}

static void empty_data(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_request(out, 1, H2_END_HEADERS, "POST", "/t/echo");
	h2_frame(out, H2_DATA, 0, 1, NOTHING);
}

static void priority(struct buf *out, unsigned n)
{
	h2_frame(out, H2_PRIORITY, 0, 2 * n + 3, bytes_of("\0\0\0\1\7", 5));
}

static void window_update(struct buf *out, unsigned n)
{
	h2_frame_number(out, H2_WINDOW_UPDATE, 0, 1);
}

static void unknown_frame(struct buf *out, unsigned n)
{
	h2_frame(out, 0xbb, 0, 0, bytes_of_str("what"));
}

static void header_bomb(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);
	char value[3900];
	int i;

	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = 0;
	h2_field(&block, ":method", "GET", false);
	h2_field(&block, ":scheme", "https", false);
	h2_field(&block, ":path", "/", false);
	h2_field(&block, ":authority", "ca.example", false);
	h2_field(&block, "x-bomb", value, true);
	for (i = 0; i < 10000; i++)
		buf_append_char(&block, (char)0xbe); /* the newest field of the table */
	h2_frame(out, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 2 * n + 1, buf_bytes(&block));
}

static void closed_window(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_frame(out, H2_SETTINGS, 0, 0, bytes_of("\0\4\0\0\0\0", 6));
	if (n < 32)
		h2_request(out, 2 * n + 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/t/middle");
}

static void open_header(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_request(out, 1, H2_END_STREAM, "GET", "/t/hello");
}

static void slow_body(struct buf *out, unsigned n)
{
	if (n == 0)
		h2_request(out, 1, H2_END_HEADERS, "POST", "/t/echo");
}

static void not_http_2(struct buf *out, unsigned n)
{
	buf_append_str(out, "GET / HTTP/1.1\r\nHost: ca.example\r\n\r\n");
}

static const struct flood {
	const char *name;
	void (*add)(struct buf *out, unsigned n); /* the n-th piece */
	enum http2_cut cut;
} floods[] = {
	{ "rapid-reset", rapid_reset, HTTP2_CUT_RESETS },
	{ "made-you-reset", made_you_reset, HTTP2_CUT_CONTROL },
	{ "wrong-length", wrong_length, HTTP2_CUT_RESETS },
	{ "empty-name", empty_name, HTTP2_CUT_RESETS },
	{ "upper-name", upper_name, HTTP2_CUT_RESETS },
	{ "continuation", continuation, HTTP2_CUT_HEADERS },
	{ "ping", ping, HTTP2_CUT_CONTROL },
	{ "settings", settings, HTTP2_CUT_CONTROL },
	{ "empty-data", empty_data, HTTP2_CUT_CONTROL },
	{ "priority", priority, HTTP2_CUT_CONTROL },
	{ "window-update", window_update, HTTP2_CUT_CONTROL },
	{ "unknown-frame", unknown_frame, HTTP2_CUT_CONTROL },
	{ "header-bomb", header_bomb, HTTP2_CUT_HEADERS },
	{ "closed-window", closed_window, HTTP2_CUT_STALLED },
	{ "open-header", open_header, HTTP2_CUT_STALLED },
	{ "slow-body", slow_body, HTTP2_CUT_STALLED },
	{ "not-http-2", not_http_2, HTTP2_CUT_PROTOCOL },
};
#define N_FLOODS (sizeof(floods) / sizeof(*floods))

static void make_flood(const struct flood *flood, unsigned pieces, struct buf *out)
{
	unsigned n;

	if (flood->add != not_http_2)
		h2_preface(out);
	for (n = 0; n < pieces && out->len < FLOOD_SIZE; n++)
		flood->add(out, n);
}

static long resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long total = 0, pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &total, &pages), 2);
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

/* A client that goes on as if nothing happened; its slowest times are kept. */
struct healthy {
	const struct h2_server *f;
	atomic_bool ends;
	unsigned n, failed;
	int64_t us[200000];
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *be_healthy(void *arg)
{
	struct healthy *h = arg;
	int fd = h2_server_dial(h->f);
	struct h2_client *client = h2_client_new(fd);

	while (!atomic_load(&h->ends) && h->n < sizeof(h->us) / sizeof(*h->us)) {
		struct h2_answer a = { .body = BUF_INIT(1000) };
		int64_t began = now_us();

		h2_client_ask(client, "GET", "/t/hello", NULL, NOTHING, &a);
		if (!h2_client_wait(client, &a) || a.status != 200)
			h->failed++;
		buf_fini(&a.body);
		h->us[h->n++] = now_us() - began;
		usleep(500);
	}
	h2_client_drop(&client);
	close(fd);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t p99(struct healthy *h)
{
	qsort(h->us, h->n, sizeof(*h->us), compare);
	return h->n ? h->us[(h->n - 1) * 99 / 100] : 0;
}

/* One record of TLS, or one a frame: what a frame costs must be seen either way. */
static void send_flood(int fd, const struct flood *flood)
{
	OWNED_BUF all = BUF_INIT(FLOOD_SIZE + (1 << 20));
	struct tls_client *client;
	size_t at, n;

	make_flood(flood, 1000, &all); /* before the deadlines of the connection begin */
	client = tls_client_new(fd, 0x0304, "\x02h2");
	assert_non_null(client);
	for (at = 0; at < all.len; at += n) {
		n = all.len - at < 16384 ? all.len - at : 16384;
		if (!tls_client_send(client, bytes_of(all.ptr + at, n)))
			break;
	}
	tls_client_drop(&client);
}

static void check_flood(struct h2_server *f, const struct flood *flood)
{
	struct gw_server_stats before = h2_server_stats(f), after;
	long was = resident(), most = was, is;
	unsigned others = before.connections;
	unsigned long long frames;
	int fd = h2_server_dial(f), i;

	send_flood(fd, flood);
	for (i = 0; i < 3000; i++) {
		after = h2_server_stats(f);
		is = resident();
		most = is > most ? is : most;
		if (after.h2_cuts[flood->cut] > before.h2_cuts[flood->cut] && after.connections <= others)
			break;
		usleep(1000);
		/* Those at workers come back when their handler ends. */
		if (i == 100)
			atomic_store(&h2_gate_is_open, true);
	}
	close(fd);
	atomic_store(&h2_gate_is_open, false);
	after = h2_server_stats(f);
	frames = after.h2_frames - before.h2_frames;
	print_message("%-15s cut=%s frames=%llu growth=%ld KiB\n", flood->name, http2_cut_name(flood->cut), frames,
		      (most - was) / 1024);
	if (after.h2_cuts[flood->cut] == before.h2_cuts[flood->cut])
		fail_msg("%s was not cut", flood->name);
	assert_true(frames <= FRAMES_MAX);
	assert_true(most - was <= GROWTH_MAX);
}

static void cuts_floods_while_others_are_served(void **state)
{
	static struct healthy healthy, idle;
	struct gw_deadlines deadlines = GW_DEADLINES_DEFAULT;
	struct h2_server f;
	pthread_t thread;
	size_t i;

	deadlines.write = deadlines.head = deadlines.body = 300;
	h2_server_start_with(&f, deadlines, false, 0);
	idle = healthy = (struct healthy){ .f = &f };
	assert_int_equal(pthread_create(&thread, NULL, be_healthy, &idle), 0);
	usleep(500000);
	atomic_store(&idle.ends, true);
	pthread_join(thread, NULL);
	h2_server_wait_for(&f, 0);
	assert_int_equal(pthread_create(&thread, NULL, be_healthy, &healthy), 0);
	h2_server_wait_for(&f, 1);
	for (i = 0; i < N_FLOODS; i++)
		check_flood(&f, &floods[i]);
	atomic_store(&healthy.ends, true);
	pthread_join(thread, NULL);
	print_message("p99 of another client: %lld us idle, %lld us meanwhile, %u requests\n", (long long)p99(&idle),
		      (long long)p99(&healthy), healthy.n);
	assert_true(healthy.n > 100);
	assert_int_equal(healthy.failed, 0);
	assert_true(healthy.us[healthy.n - 1] < 1000000);
	h2_server_stop(&f);
}

/* ---- the latency of others while floods go on ---- */

#define WINDOW_US 200000
#define WINDOWS 12
#define ROUNDS 5        /* what else the machine does may spoil one */
#define FRESH_EACH 16   /* so many requests go over one connection before the next is made */

/* Floods connection after connection, from an address of its own. It comes from afar: it must not take the processor
 * from the server and from the client that is measured, or it would be that which is measured. */
struct flooder {
	const struct h2_server *f;
	struct buf octets[N_FLOODS]; /* made before: only what the server does is to cost */
	atomic_bool ends, is_on;
	unsigned connections, refused;
};

/* Of TLS the client speaks first: what can be read before is the end. */
static bool is_refused(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 2) > 0;
}

static void flood_once(struct flooder *a, const struct buf *octets)
{
	int fd = h2_server_dial_from(a->f, "127.0.0.2");
	struct tls_client *client = is_refused(fd) ? NULL : tls_client_new(fd, 0x0304, "\x02h2");
	size_t at, n;

	a->connections++;
	if (!client)
		a->refused++;
	for (at = 0; client && at < octets->len; at += n) {
		n = octets->len - at < 16384 ? octets->len - at : 16384;
		if (!tls_client_send(client, bytes_of(octets->ptr + at, n)))
			break;
	}
	tls_client_drop(&client);
	close(fd);
}

static void *be_a_flooder(void *arg)
{
	struct flooder *a = arg;
	size_t i;

	setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	for (i = 0; !atomic_load(&a->ends); i = (i + 1) % N_FLOODS) {
		do
			usleep(1000);
		while (!atomic_load(&a->is_on) && !atomic_load(&a->ends));
		if (floods[i].cut != HTTP2_CUT_STALLED)
			flood_once(a, &a->octets[i]);
	}
	return NULL;
}

struct samples {
	size_t n;
	int64_t us[100000];
};

static void add_sample(struct samples *s, int64_t us)
{
	if (s->n < sizeof(s->us) / sizeof(*s->us))
		s->us[s->n++] = us;
}

struct client_times {
	struct samples kept, fresh; /* a request over a connection that is there, and over a new one */
};

static void measure(const struct h2_server *f, struct client_times *out)
{
	int64_t until = now_us() + WINDOW_US, began;
	struct h2_caller c = { 0 };
	unsigned n;

	for (n = 0; now_us() < until; n++) {
		began = now_us();
		if (n % FRESH_EACH == 0) {
			if (n)
				h2_hang_up(&c);
			c = h2_call(f);
		}
		h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
		add_sample(n % FRESH_EACH ? &out->kept : &out->fresh, now_us() - began);
		usleep(300);
	}
	h2_hang_up(&c);
}

static int64_t percentile(struct samples *s, size_t percent)
{
	qsort(s->us, s->n, sizeof(*s->us), compare);
	return s->n ? s->us[(s->n - 1) * percent / 100] : 0;
}

static bool is_left_alone(const char *what, struct samples *idle, struct samples *flooded)
{
	int64_t was = percentile(idle, 99), is = percentile(flooded, 99);

	print_message("%s: p50 %lld p99 %lld us idle (%zu), p50 %lld p99 %lld us meanwhile (%zu)\n", what,
		      (long long)percentile(idle, 50), (long long)was, idle->n,
		      (long long)percentile(flooded, 50), (long long)is, flooded->n);
	return is <= 2 * was;
}

/* Windows with and without the flood take turns, so that what else the machine does falls into both. */
static bool measure_round(struct flooder *a)
{
	static struct client_times idle, flooded;
	bool kept, fresh;
	int i;

	idle.kept.n = idle.fresh.n = flooded.kept.n = flooded.fresh.n = 0;
	for (i = 0; i < WINDOWS; i++) {
		atomic_store(&a->is_on, i % 2);
		usleep(20000);
		measure(a->f, i % 2 ? &flooded : &idle);
	}
	kept = is_left_alone("kept ", &idle.kept, &flooded.kept);
	fresh = is_left_alone("fresh", &idle.fresh, &flooded.fresh);
	return kept && fresh;
}

static void leaves_the_latency_of_others_alone(void **state)
{
	static struct flooder a;
	struct h2_server f;
	pthread_t thread;
	unsigned i, good = 0;

	h2_server_start_with(&f, GW_DEADLINES_DEFAULT, false, 60000);
	atomic_store(&h2_gate_is_open, true);
	a.f = &f;
	for (i = 0; i < N_FLOODS; i++) {
		a.octets[i] = BUF_INIT(2 * FLOOD_SIZE);
		make_flood(&floods[i], 1000, &a.octets[i]);
	}
	assert_int_equal(pthread_create(&thread, NULL, be_a_flooder, &a), 0);
	for (i = 0; i < ROUNDS && !good; i++)
		good = measure_round(&a);
	atomic_store(&a.ends, true);
	pthread_join(thread, NULL);
	print_message("%u connections of the flooder, %u of them refused\n", a.connections, a.refused);
	assert_true(good);
	/* Three are forgiven, and those that came before the third was read. */
	assert_true(a.refused > 100 && a.connections - a.refused <= 30);
	assert_true(h2_server_stats(&f).paused > 100);
	for (i = 0; i < N_FLOODS; i++)
		buf_fini(&a.octets[i]);
	h2_server_stop(&f);
}

/* A reply that the client does not take from the network at all. */
static void cuts_a_client_that_never_reads(void **state)
{
	struct gw_deadlines deadlines = GW_DEADLINES_DEFAULT;
	OWNED_BUF all = BUF_INIT(1 << 20);
	struct tls_client *client;
	struct h2_server f;
	int fd, i, small = 4096;

	deadlines.write = 200;
	h2_server_start_with(&f, deadlines, false, 0);
	fd = h2_server_dial(&f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client = tls_client_new(fd, 0x0304, "\x02h2");
	h2_preface(&all);
	h2_frame(&all, H2_SETTINGS, 0, 0, bytes_of("\0\4\x7f\xff\xff\xff", 6));
	h2_frame_number(&all, H2_WINDOW_UPDATE, 0, 0x7fff0000);
	for (i = 0; i < 16; i++)
		h2_request(&all, (uint32_t)(2 * i + 1), H2_END_HEADERS | H2_END_STREAM, "GET", "/t/large");
	assert_true(tls_client_send(client, buf_bytes(&all)));
	h2_server_wait_for(&f, 0);
	assert_int_equal(h2_server_stats(&f).h2_cuts[HTTP2_CUT_STALLED], 1);
	tls_client_drop(&client);
	close(fd);
	h2_server_stop(&f);
}

/* A body with trailers, a header section in two frames, and requests that fuzz_http2.c answers later or never. */
static void add_polite(struct buf *out, unsigned n)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_request(out, 1, H2_END_HEADERS, "POST", "/echo?a=b");
	h2_frame(out, H2_DATA, 0, 1, bytes_of_str("ab"));
	h2_frame(out, H2_DATA, 0, 1, bytes_of_str("c"));
	h2_field(&block, "x-trailer", "1", false);
	h2_frame(out, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, buf_bytes(&block));
	h2_request(out, 3, H2_END_STREAM, "GET", "/later");
	h2_frame(out, H2_CONTINUATION, H2_END_HEADERS, 3, buf_bytes(&block));
	h2_request(out, 5, H2_END_HEADERS | H2_END_STREAM, "HEAD", "/never");
	h2_request(out, 7, H2_END_HEADERS | H2_END_STREAM, "GET", "/hello");
	h2_frame(out, H2_GOAWAY, 0, 0, bytes_of("\0\0\0\0\0\0\0\0", 8));
}

static const struct flood polite = { "polite", add_polite, HTTP2_CUT_NONE };

static int write_seeds(const char *folder)
{
	size_t i;
	int r = 0;

	for (i = 0; i <= N_FLOODS && !r; i++) {
		const struct flood *flood = i < N_FLOODS ? &floods[i] : &polite;
		OWNED_BUF seed = BUF_INIT(1 << 20);
		char path[1024];
		int fd;

		buf_append_char(&seed, '\x20');
		make_flood(flood, flood->cut ? 3 : 1, &seed);
		snprintf(path, sizeof(path), "%s/%s", folder, flood->name);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		r = fd < 0 || write(fd, seed.ptr, seed.len) != (ssize_t)seed.len;
		if (fd >= 0)
			close(fd);
	}
	return r;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_floods_while_others_are_served),
		cmocka_unit_test(leaves_the_latency_of_others_alone),
		cmocka_unit_test(cuts_a_client_that_never_reads),
	};

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		return write_seeds(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
