/* Counters of requests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/stats.h"

#define FIRST_STATUS 100

/* Upper bounds in microseconds; the last bucket has none. */
static const uint64_t bounds_us[GW_STATS_BUCKETS - 1] = {
	500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 500000, 1000000, 5000000,
};

const char *gw_http_version_name(enum gw_http_version version)
{
	static const char *const names[] = { [GW_HTTP_1_0] = "1.0", [GW_HTTP_1_1] = "1.1", [GW_HTTP_2] = "2" };

	return names[version];
}

void gw_stats_count(struct gw_stats *s, enum gw_http_version version, int status, uint64_t time_us)
{
	size_t i = 0, n = sizeof(s->by_status) / sizeof(*s->by_status);

	atomic_fetch_add_explicit(&s->by_version[version], 1, memory_order_relaxed);
	if (status >= FIRST_STATUS && (size_t)(status - FIRST_STATUS) < n)
		atomic_fetch_add_explicit(&s->by_status[status - FIRST_STATUS], 1, memory_order_relaxed);
	while (i < GW_STATS_BUCKETS - 1 && time_us > bounds_us[i])
		i++;
	atomic_fetch_add_explicit(&s->by_time[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->time_us, time_us, memory_order_relaxed);
}

static unsigned long long read_counter(const atomic_ullong *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

void gw_stats_print_requests(struct buf *out, const struct gw_stats *s, const char *endpoint)
{
	size_t i;

	for (i = 0; i < sizeof(s->by_status) / sizeof(*s->by_status); i++)
		if (read_counter(&s->by_status[i]))
			buf_printf(out, "gatehouse_http_requests_total{endpoint=\"%s\",status=\"%zu\"} %llu\n",
				   endpoint, i + FIRST_STATUS, read_counter(&s->by_status[i]));
}

void gw_stats_print_versions(struct buf *out, const struct gw_stats *s, const char *endpoint)
{
	int i;

	for (i = 0; i < GW_HTTP_VERSIONS_; i++)
		if (read_counter(&s->by_version[i]))
			buf_printf(out, "gatehouse_http_version_total{endpoint=\"%s\",version=\"%s\"} %llu\n", endpoint,
				   gw_http_version_name((enum gw_http_version)i), read_counter(&s->by_version[i]));
}

void gw_stats_print_times(struct buf *out, const struct gw_stats *s, const char *endpoint)
{
	static const char name[] = "gatehouse_http_request_seconds";
	unsigned long long sum = 0;
	size_t i;

	for (i = 0; i < GW_STATS_BUCKETS; i++) {
		sum += read_counter(&s->by_time[i]);
		if (i < GW_STATS_BUCKETS - 1)
			buf_printf(out, "%s_bucket{endpoint=\"%s\",le=\"%g\"} %llu\n", name, endpoint,
				   (double)bounds_us[i] / 1e6, sum);
		else
			buf_printf(out, "%s_bucket{endpoint=\"%s\",le=\"+Inf\"} %llu\n", name, endpoint, sum);
	}
	buf_printf(out, "%s_sum{endpoint=\"%s\"} %g\n", name, endpoint, (double)read_counter(&s->time_us) / 1e6);
	buf_printf(out, "%s_count{endpoint=\"%s\"} %llu\n", name, endpoint, sum);
}
