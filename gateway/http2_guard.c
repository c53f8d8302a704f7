/* Token buckets of an HTTP/2 connection.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http2_guard.h"

/* A rapid reset is two frames: 90 of them, and what comes back while they arrive, stay below 200. */
static const struct {
	int64_t burst, per_s;
} limits[HTTP2_RATES_] = {
	[HTTP2_RATE_RESETS] = { 90, 10 },
	[HTTP2_RATE_ENDINGS] = { 90, 10 },
	[HTTP2_RATE_CONTROL] = { 50, 5 },
};

/* A client acknowledges, may ping, and gives the windows of stream and connection room: Go after each 4 KiB. */
#define EARNED_A_REPLY 5
#define OCTETS_A_FRAME 1024

void http2_guard_init(struct http2_guard *g, int64_t now_ms)
{
	int i;

	for (i = 0; i < HTTP2_RATES_; i++) {
		g->rates[i].left_milli = limits[i].burst * 1000;
		g->rates[i].at_ms = now_ms;
	}
}

static void add(struct http2_guard *g, enum http2_rate rate, int64_t milli)
{
	int64_t left = g->rates[rate].left_milli + milli, max = limits[rate].burst * 1000;

	g->rates[rate].left_milli = left < max ? left : max;
}

bool http2_guard_spend(struct http2_guard *g, enum http2_rate rate, int64_t now_ms)
{
	int64_t passed = now_ms - g->rates[rate].at_ms;

	/* An hour fills any bucket, and never overflows. */
	if (passed > 0)
		add(g, rate, (passed < 3600000 ? passed : 3600000) * limits[rate].per_s);
	g->rates[rate].at_ms = now_ms;
	if (g->rates[rate].left_milli < 1000)
		return false;
	g->rates[rate].left_milli -= 1000;
	return true;
}

void http2_guard_earn(struct http2_guard *g, size_t octets, bool is_end)
{
	add(g, HTTP2_RATE_CONTROL, (is_end ? EARNED_A_REPLY * 1000 : 0) + (int64_t)octets * 1000 / OCTETS_A_FRAME);
}
