/* A load of ACME orders, EST or SCEP enrolments, and what each cost the server.
 *
 * Every worker is a client. For ACME it has an account of its own and one kept-alive connection, and makes the real
 * thing: order, authorization, http-01, finalize, download. For EST it sends simpleenroll on a connection that is kept,
 * new, or new and resumed, and for SCEP PKCSReq with an RSA-2048 key; such an enrolment is an order in what is printed.
 * The cost is told in microseconds of server CPU and in units of one P-256 verification (SCEP: one RSA-2048 signature)
 * measured in the same run: the ratio carries over to other machines, orders
 * a second do not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/certificates.h"
#include "tests/bench/https.h"
#include "tests/bench/server.h"

#define WORKERS_MAX 1024
#define NS_A_SECOND 1000000000

struct settings {
	const char *directory, *est, *scep, *challenge, *user, *root, *domain, *json, *sync_counts;
	enum connections connections;
	unsigned long http01_port, workers, seconds, orders, poll_ms, pid;
	bool is_traced;
};

/* One run, from its start to its end. */
struct run {
	struct settings set;
	struct load load;
	struct worker_results *results;
	struct worker **workers;
	struct server_cost before, after;
	struct certificates certificates;
	struct server_unit *unit;
	double verify_us; /* while the load ran */
	double elapsed_s, own_us, load_average;
	long fsyncs; /* negative: not counted */
	int64_t *took_ns; /* of each order, sorted */
	size_t n;
	unsigned requests, bad_nonces, connections, resumed;
	char authorization[512];
};

/* ---- options ---- */

static const struct option long_options[] = {
	{ "directory", required_argument, NULL, 'd' }, { "root", required_argument, NULL, 'r' },
	{ "http01-port", required_argument, NULL, 'a' }, { "workers", required_argument, NULL, 'w' },
	{ "seconds", required_argument, NULL, 's' }, { "pid", required_argument, NULL, 'p' },
	{ "json", required_argument, NULL, 'j' }, { "domain", required_argument, NULL, 'n' },
	{ "poll-ms", required_argument, NULL, 'm' }, { "fsyncs", no_argument, NULL, 'f' },
	{ "est", required_argument, NULL, 'e' }, { "user", required_argument, NULL, 'u' },
	{ "connections", required_argument, NULL, 'k' }, { "scep", required_argument, NULL, 'x' },
	{ "challenge", required_argument, NULL, 'y' },
	{ "sync-counts", required_argument, NULL, 'c' }, { "orders", required_argument, NULL, 'o' },
	{ 0 },
};

static int usage(void)
{
	fputs("usage: bench --directory URL --http01-port PORT |\n"
	      "             --est URL --user NAME:PASSWORD [--connections kept|new|resumed] |\n"
	      "             --scep URL --challenge TEXT\n"
	      "             --root PEM [--workers 32] [--seconds 10] [--orders N] [--pid PID [--fsyncs]]\n"
	      "             [--sync-counts FILE] [--domain gatehouse.test] [--poll-ms 20] [--json FILE]\n\n"
	      "Names below DOMAIN are ordered; the daemon's validator must look for them on 127.0.0.1, PORT.\n"
	      "With --pid CPU and memory of that process and its descendants are told. Fsyncs are read from FILE when\n"
	      "the daemon runs with count_syncs.so preloaded, or counted by strace, which slows the daemon down and\n"
	      "so makes them fewer.\n"
	      "The load ends after the seconds, or after N orders if that comes first.\n"
	      "Exit 0: orders were made, without an error and without a duplicate serial.\n",
	      stderr);
	return 2;
}

static bool parse_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	return *text && !*end && !errno && *out > 0 && *out <= max;
}

static bool parse_connections(const char *text, enum connections *out)
{
	static const char *const words[] = { "kept", "new", "resumed" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(text, words[i]) == 0) {
			*out = (enum connections)i;
			return true;
		}
	return false;
}

static bool parse_option(struct settings *set, int option, const char *text)
{
	switch (option) {
	case 'd': set->directory = text; return true;
	case 'e': set->est = text; return true;
	case 'u': set->user = text; return true;
	case 'x': set->scep = text; return true;
	case 'y': set->challenge = text; return true;
	case 'k': return parse_connections(text, &set->connections);
	case 'r': set->root = text; return true;
	case 'j': set->json = text; return true;
	case 'n': set->domain = text; return true;
	case 'c': set->sync_counts = text; return true;
	case 'f': set->is_traced = true; return true;
	case 'a': return parse_number(text, 65535, &set->http01_port);
	case 'w': return parse_number(text, WORKERS_MAX, &set->workers);
	case 'o': return parse_number(text, 10000000, &set->orders);
	case 's': return parse_number(text, 3600, &set->seconds);
	case 'm': return parse_number(text, 60000, &set->poll_ms);
	case 'p': return parse_number(text, 1UL << 22, &set->pid);
	default: return false;
	}
}

static bool parse_options(struct settings *set, int argc, char **argv)
{
	int option;

	*set = (struct settings){ .domain = "gatehouse.test", .workers = 32, .seconds = 10, .poll_ms = 20 };
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!parse_option(set, option, optarg))
			return false;
	return optind == argc && set->root && (!set->is_traced || set->pid) &&
	       (set->scep ? set->challenge && !set->est && !set->directory :
		set->est  ? set->user && !set->directory : set->directory && set->http01_port);
}

/* ---- the run ---- */

static int fail(const char *what, int e)
{
	fprintf(stderr, "bench: %s%s%s\n", what, e ? ": " : "", e ? strerror(-e) : "");
	return -1;
}

static double own_cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* RFC 7617. */
static int set_authorization(struct run *r)
{
	int n = (int)strlen(r->set.user), at = snprintf(r->authorization, sizeof(r->authorization), "Basic ");

	if (n > 300)
		return fail("the user is too long", 0);
	EVP_EncodeBlock((unsigned char *)r->authorization + at, (const unsigned char *)r->set.user, n);
	r->load.authorization = r->authorization;
	return 0;
}

static int prepare_protocol(struct run *r)
{
	int e;

	r->load.directory = r->set.directory;
	r->load.est = r->set.est;
	r->load.scep = r->set.scep;
	r->load.challenge = r->set.challenge;
	r->load.connections = r->set.connections;
	if (r->set.est)
		return set_authorization(r);
	if (r->set.scep)
		return 0;
	e = responder_start(&r->load.responder, (uint16_t)r->set.http01_port, r->set.workers);
	return e ? fail("the port for http-01 cannot be opened", e) : 0;
}

static int prepare(struct run *r)
{
	const struct settings *set = &r->set;

	if (getloadavg(&r->load_average, 1) != 1)
		r->load_average = 0;
	r->load.domain = set->domain;
	r->load.poll_ms = (unsigned)set->poll_ms;
	r->load.run = (unsigned)time(NULL) ^ (unsigned)getpid() << 16;
	r->load.end_ns = INT64_MAX;
	r->load.orders_left = set->orders ? (long)set->orders : LONG_MAX;
	pthread_barrier_init(&r->load.ready, NULL, (unsigned)set->workers + 1);
	pthread_barrier_init(&r->load.start, NULL, (unsigned)set->workers + 1);
	r->load.tls = https_trust(set->root);
	if (!r->load.tls)
		return fail("the root certificate cannot be read", 0);
	if (prepare_protocol(r))
		return -1;
	r->results = calloc(set->workers, sizeof(*r->results));
	r->workers = calloc(set->workers, sizeof(struct worker *));
	return r->results && r->workers ? 0 : fail("memory", 0);
}

static int measure(const struct run *r, struct server_cost *out)
{
	int e = r->set.pid ? server_measure((pid_t)r->set.pid, out) : 0;

	return e ? fail("the daemon is not there", e) : 0;
}

/* All have their accounts now and wait for the start. */
static int run_clock(struct run *r)
{
	struct server_trace trace;
	int64_t begin_ns, end_ns = 0;
	double own_us;
	long syncs = r->set.sync_counts ? server_read_syncs(r->set.sync_counts) : 0;
	int e = r->set.is_traced ? server_trace_start(&trace, (pid_t)r->set.pid) : 0;

	if (syncs < 0)
		return fail("the file of fsyncs cannot be read", 0);
	if (e)
		return fail("strace cannot be attached", e);
	if (measure(r, &r->before))
		return -1;
	r->unit = server_unit_start(r->set.scep != NULL);
	if (!r->unit)
		return fail("the unit cannot be measured", 0);
	own_us = own_cpu_us();
	begin_ns = worker_now_ns();
	r->load.end_ns = begin_ns + (int64_t)r->set.seconds * NS_A_SECOND;
	pthread_barrier_wait(&r->load.start);
	for (size_t i = 0; i < r->set.workers; i++) {
		worker_join(r->workers[i]);
		end_ns = r->results[i].ended_ns > end_ns ? r->results[i].ended_ns : end_ns;
	}
	r->elapsed_s = (double)(end_ns - begin_ns) / NS_A_SECOND;
	r->own_us = own_cpu_us() - own_us;
	r->verify_us = server_unit_stop(r->unit);
	e = measure(r, &r->after);
	r->fsyncs = r->set.is_traced ? server_trace_stop(&trace) :
		    r->set.sync_counts ? server_read_syncs(r->set.sync_counts) - syncs : -1;
	return e;
}

static int run_load(struct run *r)
{
	for (size_t i = 0; i < r->set.workers; i++) {
		r->workers[i] = worker_start(&r->load, i, &r->results[i]);
		if (!r->workers[i])
			return fail("cannot start a thread", 0);
	}
	pthread_barrier_wait(&r->load.ready);
	return run_clock(r);
}

static int compare_times(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int add_up(struct run *r)
{
	size_t total = 0;
	int e;

	for (size_t i = 0; i < r->set.workers; i++) {
		total += r->results[i].n;
		r->requests += r->results[i].requests;
		r->bad_nonces += r->results[i].bad_nonces;
		r->connections += r->results[i].connections;
		r->resumed += r->results[i].resumed;
	}
	r->took_ns = calloc(total + 1, sizeof(*r->took_ns));
	if (!r->took_ns)
		return fail("memory", 0);
	for (size_t i = 0; i < r->set.workers; i++)
		for (size_t k = 0; k < r->results[i].n; k++)
			r->took_ns[r->n++] = r->results[i].list[k].took_ns;
	qsort(r->took_ns, r->n, sizeof(*r->took_ns), compare_times);
	e = certificates_check(r->results, r->set.workers, r->set.root, &r->load.errors, &r->certificates);
	return e ? fail("the certificates cannot be checked", e) : 0;
}

static void finish(struct run *r)
{
	if (r->load.responder)
		responder_stop(&r->load.responder);
	for (size_t i = 0; r->results && i < r->set.workers; i++)
		worker_results_fini(&r->results[i]);
	free(r->results);
	free(r->workers);
	free(r->took_ns);
	SSL_CTX_free(r->load.tls);
}

/* ---- what it says ---- */

static double per_order(const struct run *r, double sum)
{
	return r->n ? sum / (double)r->n : 0;
}

static double quantile_ms(const struct run *r, double q)
{
	size_t at = (size_t)(q * (double)r->n);

	return r->n ? (double)r->took_ns[at < r->n ? at : r->n - 1] / 1e6 : 0;
}

static double server_us(const struct run *r)
{
	return per_order(r, (double)(r->after.cpu_us - r->before.cpu_us));
}

static void print_line(const struct run *r)
{
	printf("%lu workers, %.1f s: %.0f orders/s, p50 %.1f ms, p99 %.1f ms, %.2f requests an order, %u errors, "
	       "%zu duplicate serials",
	       r->set.workers, r->elapsed_s, (double)r->n / r->elapsed_s, quantile_ms(r, 0.5), quantile_ms(r, 0.99),
	       per_order(r, r->requests), tally_sum(&r->load.errors), r->certificates.duplicate_serials);
	if (r->set.pid)
		printf("; server %.0f us an order = %.1f units of %.1f us, PSS %.1f MB before, %.1f after",
		       server_us(r), server_us(r) / r->verify_us, r->verify_us, (double)r->before.pss_kb / 1024,
		       (double)r->after.pss_kb / 1024);
	if (r->fsyncs >= 0)
		printf("; %.2f fsyncs an order%s", per_order(r, (double)r->fsyncs),
		       r->set.is_traced ? " (under strace: neither this nor the times are those of a free run)" : "");
	for (size_t i = 0; i < r->load.errors.n_rows; i++)
		printf("; %u x %s", r->load.errors.rows[i].n, r->load.errors.rows[i].kind);
	printf("\n");
}

static void add_server(const struct run *r, cJSON *out)
{
	cJSON *server = cJSON_AddObjectToObject(out, "server");

	cJSON_AddNumberToObject(server, "processes", (double)r->after.n_processes);
	cJSON_AddNumberToObject(server, "cpu_us_per_order", server_us(r));
	cJSON_AddNumberToObject(server, "units_per_order", server_us(r) / r->verify_us);
	cJSON_AddNumberToObject(server, "pss_kb_before", (double)r->before.pss_kb);
	cJSON_AddNumberToObject(server, "pss_kb_after", (double)r->after.pss_kb);
	if (r->fsyncs >= 0)
		cJSON_AddNumberToObject(server, "fsyncs_per_order", per_order(r, (double)r->fsyncs));
}

static cJSON *make_report(const struct run *r)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "schema", 1);
	cJSON_AddNumberToObject(out, "workers", (double)r->set.workers);
	cJSON_AddNumberToObject(out, "elapsed_s", r->elapsed_s);
	cJSON_AddNumberToObject(out, "load_average_before", r->load_average);
	cJSON_AddNumberToObject(out, "orders", (double)r->n);
	cJSON_AddNumberToObject(out, "orders_per_s", (double)r->n / r->elapsed_s);
	cJSON_AddNumberToObject(out, "p50_ms", quantile_ms(r, 0.5));
	cJSON_AddNumberToObject(out, "p99_ms", quantile_ms(r, 0.99));
	cJSON_AddNumberToObject(out, "max_ms", quantile_ms(r, 1));
	cJSON_AddNumberToObject(out, "requests_per_order", per_order(r, r->requests));
	cJSON_AddNumberToObject(out, "connections", r->connections);
	cJSON_AddNumberToObject(out, "resumed", r->resumed);
	cJSON_AddNumberToObject(out, "bad_nonces", r->bad_nonces);
	cJSON_AddNumberToObject(out, "errors", tally_sum(&r->load.errors));
	tally_print(&r->load.errors, out, "errors_by_kind");
	cJSON_AddNumberToObject(out, "certificates_good", (double)r->certificates.n);
	cJSON_AddNumberToObject(out, "duplicate_serials", (double)r->certificates.duplicate_serials);
	cJSON_AddNumberToObject(out, "verify_us", r->verify_us);
	cJSON_AddNumberToObject(out, "client_cpu_us_per_order", per_order(r, r->own_us));
	cJSON_AddBoolToObject(out, "is_traced", r->set.is_traced);
	if (r->set.pid)
		add_server(r, out);
	return out;
}

static int write_report(const struct run *r)
{
	cJSON *report = make_report(r);
	char *text = cJSON_Print(report);
	FILE *f = text ? fopen(r->set.json, "we") : NULL;
	int bad = !f || fprintf(f, "%s\n", text) < 0;

	if (f)
		bad |= fclose(f);
	cJSON_free(text);
	cJSON_Delete(report);
	return bad ? fail("the report cannot be written", -errno) : 0;
}

int main(int argc, char **argv)
{
	struct run r = { .load.errors = TALLY_INIT };
	bool good;

	if (!parse_options(&r.set, argc, argv))
		return usage();
	signal(SIGPIPE, SIG_IGN);
	/* A thread that waits would keep whoever failed here waiting: exit() ends them all. */
	if (prepare(&r) || run_load(&r) || add_up(&r))
		exit(1);
	print_line(&r);
	good = !(r.set.json && write_report(&r)) && r.n > 0 && tally_sum(&r.load.errors) == 0 &&
	       r.certificates.duplicate_serials == 0;
	finish(&r);
	return good ? 0 : 1;
}
