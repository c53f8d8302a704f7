/* The server: event loops, one thread each, that own sockets and connections.
 *
 * Every loop has its own listening socket of each listener (SO_REUSEPORT) and keeps a connection for life: it alone
 * touches it. Handlers run on the workers; a finished reply comes back to its loop through a queue.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/pool.h"
#include "gateway/http2.h"
#include "gateway/listener.h"

struct gw_server;

struct gw_server_options {
	unsigned loops;            /* 0: one a core */
	unsigned max_connections;  /* of all listeners; one more is closed at once */
	unsigned max_per_address;  /* of one client address (IPv6: /64); 0: no limit */
	unsigned flood_pause_ms;   /* how long an address that floods may not connect; 0: it may */
	struct pool *workers;
};

struct gw_server_stats {
	unsigned long long accepted, refused, paused, bad_requests, timeouts, tls_failures;
	unsigned long long client_certificates[2]; /* TLS handshakes with one: of new sessions, of resumed ones */
	unsigned long long h2_connections, h2_frames, h2_cuts[HTTP2_CUTS_]; /* frames: of connections that are over */
	unsigned connections;
};

int gw_server_new(struct gw_server **out, const struct gw_server_options *options);

/* Bind; before gw_server_start(). The listener belongs to the server. 0; -errno with a sentence in `why`. */
int gw_server_listen(struct gw_server *server, const struct gw_listener_options *options, struct gw_listener **out,
		     char *why, size_t why_size);

/* Start the loops. 0 or -errno. */
int gw_server_start(struct gw_server *server);

/* Begin to accept: clients can connect when it returns. One thread at a time, also before the start. */
void gw_server_open(struct gw_server *server, struct gw_listener *listener);

/* Close the listeners, finish the requests that are being read or handled, end the loops. What still runs after
 * `deadline_ms` is cut, except handlers, which are waited for. Idempotent. */
void gw_server_stop(struct gw_server *server, unsigned deadline_ms);

/* Stops when it still runs. The workers must still be there. */
void gw_server_drop(struct gw_server **server);

void gw_server_count(struct gw_server *server, struct gw_server_stats *out);
struct gw_listener *gw_server_listeners(struct gw_server *server); /* the first; they are linked by `next` */
