/* What loops and connections know of each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/loop.h"
#include "gateway/peers.h"

#include <uv.h>

#define GW_SCRATCH_SIZE 65536

struct gw_connection;

struct gw_accept {
	uv_tcp_t tcp; /* listening */
	struct gw_loop *loop;
	struct gw_listener *listener;
	bool is_listening;
};

struct gw_loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t stop_timer;
	uv_idle_t turn;            /* runs while handshakes wait */
	pthread_t thread;
	unsigned number;
	struct gw_server *server;
	struct gw_accept *accepts; /* one a listener */
	size_t n_accepts;
	struct gw_connection *connections; /* all that live */
	struct gw_connection *shaking, **last_shaking; /* whose handshake waits for its turn, the oldest first */
	bool is_stopping, is_cut;
	bool is_running;           /* there is a thread to join */
	uint8_t scratch[GW_SCRATCH_SIZE]; /* what one read of a TLS connection brings */
	pthread_mutex_t lock;      /* guards `finished` */
	struct gw_connection *finished;
};

struct gw_server {
	struct gw_server_options options;
	struct gw_peers *peers;
	struct gw_tickets *tickets;
	struct gw_loop *loops;
	unsigned n_loops;
	struct gw_listener *listeners;
	atomic_bool is_stopping;
	atomic_uint stop_ms;
	bool is_started;
	atomic_uint connections;
	atomic_ullong accepted, refused, paused, bad_requests, timeouts, tls_failures;
	atomic_ullong client_certificates[2]; /* handshakes with one: new sessions, resumed ones */
	atomic_ullong h2_connections, h2_frames, h2_cuts[HTTP2_CUTS_];
};
