/* The requests of one HTTP/2 connection: between http2.h and the workers.
 *
 * Several may be at workers at once. A stream that the client ends meanwhile leaves its exchange behind, whose reply
 * is dropped; those count too, so that ending streams buys no more workers. Requests that must wait are started in
 * the order in which they came.
 *
 * Everything here happens on the connection's loop. `hand_back` alone is called on a worker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/exchange.h"
#include "gateway/http2.h"

struct gw_streams;

struct gw_streams_options {
	struct gw_listener *listener;
	const char *peer;            /* borrowed */
	struct pool *workers;
	void *connection;
	/* A worker is done with an exchange: bring it to the loop, and there to gw_streams_answer(). */
	void (*hand_back)(void *connection, struct gw_exchange *x);
	void (*hold)(void *connection);    /* an exchange goes to a worker: stay alive until it came back */
	atomic_ullong *bad_requests;
};

/* The session begins: 0 or -ENOMEM. */
int gw_streams_new(struct gw_streams **out, const struct gw_streams_options *options, int64_t now_ms);

/* Not while an exchange is at a worker. */
void gw_streams_drop(struct gw_streams **streams);

/* The session itself: to take from it, to ask it, to finish it. */
struct http2 *gw_streams_session(struct gw_streams *streams);

/* As http2_feed(). */
int gw_streams_feed(struct gw_streams *streams, struct bytes in, int64_t now_ms);

/* Start requests that waited, as far as they may go now. To be called after feeding and taking. */
void gw_streams_start(struct gw_streams *streams, int64_t now_ms);

/* An exchange is back from its worker. */
void gw_streams_answer(struct gw_streams *streams, struct gw_exchange *x, int64_t now_ms);
