/* How much of what costs the server and serves nobody one HTTP/2 connection may send.
 *
 * Token buckets. A flood is cut within 200 frames; a client that works never comes near, because replies earn back
 * what their flow control and pings cost.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http2_rate {
	HTTP2_RATE_RESETS,   /* streams that the client ends, or makes us end by a fault: rapid reset, MadeYouReset */
	HTTP2_RATE_ENDINGS,  /* RST_STREAMs that we really send, whatever made us */
	HTTP2_RATE_CONTROL,  /* PING, SETTINGS, PRIORITY, WINDOW_UPDATE, CONTINUATION, empty DATA, unknown ones */
	HTTP2_RATES_
};

struct http2_guard {
	struct {
		int64_t left_milli, at_ms; /* thousandths of a frame */
	} rates[HTTP2_RATES_];
};

void http2_guard_init(struct http2_guard *g, int64_t now_ms);

/* One more frame. False: too many. */
bool http2_guard_spend(struct http2_guard *g, enum http2_rate rate, int64_t now_ms);

/* Octets of a reply went out, or its end: the control frames that belong to them are no waste. */
void http2_guard_earn(struct http2_guard *g, size_t octets, bool is_end);
