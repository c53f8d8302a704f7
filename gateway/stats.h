/* Counters of requests: by status, by version of HTTP, and by how long they took. Any thread may count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdatomic.h>

#define GW_STATS_BUCKETS 12

enum gw_http_version { GW_HTTP_1_0, GW_HTTP_1_1, GW_HTTP_2, GW_HTTP_VERSIONS_ };

const char *gw_http_version_name(enum gw_http_version version); /* "1.1" */

struct gw_stats {
	atomic_ullong by_status[500]; /* 100..599 */
	atomic_ullong by_version[GW_HTTP_VERSIONS_];
	atomic_ullong by_time[GW_STATS_BUCKETS];
	atomic_ullong time_us;
};

void gw_stats_count(struct gw_stats *s, enum gw_http_version version, int status, uint64_t time_us);

/* Append in Prometheus text format; the heads (# TYPE) once, before the first endpoint. */
void gw_stats_print_requests(struct buf *out, const struct gw_stats *s, const char *endpoint);
void gw_stats_print_versions(struct buf *out, const struct gw_stats *s, const char *endpoint);
void gw_stats_print_times(struct buf *out, const struct gw_stats *s, const char *endpoint);
