/* Health and metrics.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/pages.h"

#include "core/base/clock.h"
#include "gateway/gateway_int.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* "ok", or one line for each part when something is wrong. */
static int get_health(void *state, const struct http_request *q, struct http_reply *r)
{
	struct gateway *gw = state;
	OWNED_BUF lines = BUF_INIT(65536);
	bool is_well = ca_door_health(gw->core, &lines);

	if (lines.len && lines.ptr[lines.len - 1] != '\n')
		buf_append_char(&lines, '\n');
	is_well = gw_print_health(gw, &lines) && is_well;
	if (is_well)
		return http_reply_text(r, 200, "ok");
	return http_reply_body(r, 503, "text/plain; charset=utf-8", buf_bytes(&lines));
}

static void print_value(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	buf_printf(out, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s %s\ngatehouse_%s %.17g\n", name, help, name,
		   type, name, value);
}

/* Octets of resident memory; 0 when the kernel does not say. */
static double resident_memory(void)
{
	unsigned long total = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void print_process(struct gateway *gw, struct buf *out)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	print_value(out, "process_start_time_seconds", "gauge", "When the process started.", (double)gw->began_s);
	print_value(out, "process_cpu_seconds_total", "counter", "Processor time used.",
		    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	print_value(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_memory());
}

static void print_cuts(struct buf *out, const struct gw_server_stats *s)
{
	int i;

	buf_append_str(out, "# HELP gatehouse_http2_cut_total HTTP/2 connections cut, by reason.\n"
			    "# TYPE gatehouse_http2_cut_total counter\n");
	for (i = HTTP2_CUT_NONE + 1; i < HTTP2_CUTS_; i++)
		buf_printf(out, "gatehouse_http2_cut_total{reason=\"%s\"} %llu\n", http2_cut_name((enum http2_cut)i),
			   s->h2_cuts[i]);
}

static void print_server(struct gateway *gw, struct buf *out)
{
	struct gw_server_stats s;
	struct pool_stats w;

	gw_server_count(gw->server, &s);
	pool_count(gw->workers, &w);
	print_value(out, "connections", "gauge", "Open connections.", s.connections);
	print_value(out, "connections_accepted_total", "counter", "Connections accepted.", (double)s.accepted);
	print_value(out, "connections_refused_total", "counter", "Connections over the maximum.", (double)s.refused);
	print_value(out, "connections_paused_total", "counter",
		    "Connections closed at once because their address flooded before.", (double)s.paused);
	print_value(out, "bad_requests_total", "counter", "Requests refused by the parser.", (double)s.bad_requests);
	print_value(out, "timeouts_total", "counter", "Connections cut by a deadline.", (double)s.timeouts);
	print_value(out, "tls_failures_total", "counter", "TLS handshakes that failed.", (double)s.tls_failures);
	buf_append_str(out, "# HELP gatehouse_tls_client_certificates_total TLS handshakes of clients with a "
			    "certificate, by session.\n# TYPE gatehouse_tls_client_certificates_total counter\n");
	for (int i = 0; i < 2; i++)
		buf_printf(out, "gatehouse_tls_client_certificates_total{session=\"%s\"} %llu\n",
			   i ? "resumed" : "new", s.client_certificates[i]);
	print_value(out, "http2_connections_total", "counter", "Connections that speak HTTP/2.",
		    (double)s.h2_connections);
	print_value(out, "http2_frames_total", "counter", "Frames of HTTP/2 connections that are over.",
		    (double)s.h2_frames);
	print_cuts(out, &s);
	print_value(out, "worker_threads", "gauge", "Worker threads started.", w.threads);
	print_value(out, "worker_threads_busy", "gauge", "Worker threads at work.", w.busy);
	print_value(out, "worker_threads_waiting", "gauge", "Worker threads that wait for something slow.",
		    w.waiting);
	print_value(out, "worker_queue", "gauge", "Requests that wait for a worker.", w.queued);
	print_value(out, "worker_refused_total", "counter", "Requests refused because the queue was full.",
		    (double)w.refused);
}

typedef void print_stats(struct buf *out, const struct gw_stats *stats, const char *endpoint);

static void print_requests(struct gateway *gw, struct buf *out, print_stats *print)
{
	struct gw_listener *l;
	char name[128];
	size_t i;

	for (i = 0; i < gw->n_endpoints; i++)
		print(out, &gw->endpoints[i].stats, gw->endpoints[i].mount.name);
	print(out, &gw->own_stats, "gateway");
	for (l = gw_server_listeners(gw->server); l; l = l->next) {
		snprintf(name, sizeof(name), "none:%s", l->options.name);
		print(out, &l->unrouted, name);
	}
}

static int get_metrics(void *state, const struct http_request *q, struct http_reply *r)
{
	struct gateway *gw = state;
	int e = http_reply_body(r, 200, "text/plain; version=0.0.4; charset=utf-8", (struct bytes){ 0 });

	print_process(gw, &r->body);
	print_server(gw, &r->body);
	buf_append_str(&r->body, "# HELP gatehouse_http_requests_total Requests answered.\n"
				 "# TYPE gatehouse_http_requests_total counter\n");
	print_requests(gw, &r->body, gw_stats_print_requests);
	buf_append_str(&r->body, "# HELP gatehouse_http_version_total Requests answered, by version of HTTP.\n"
				 "# TYPE gatehouse_http_version_total counter\n");
	print_requests(gw, &r->body, gw_stats_print_versions);
	buf_append_str(&r->body, "# HELP gatehouse_http_request_seconds From the last octet of a request to its "
				 "reply.\n"
				 "# TYPE gatehouse_http_request_seconds histogram\n");
	print_requests(gw, &r->body, gw_stats_print_times);
	gw_ras_print_metrics(gw->ras, &r->body);
	ca_door_metrics(gw->core, &r->body);
	gw_endpoints_print_counters(gw->endpoints, gw->n_endpoints, &r->body);
	return e ? e : buf_status(&r->body);
}

const struct proto_route gw_health_routes[] = { { "GET", "/healthz", get_health }, { 0 } };

const struct proto_route gw_metrics_routes[] = {
	{ "GET", "/metrics", get_metrics },
	{ "GET", "/healthz", get_health },
	{ 0 },
};
