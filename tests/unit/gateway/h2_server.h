/* A server for the tests of HTTP/2, with a small adapter behind it, and polite callers. Failures end the test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/loop.h"
#include "tests/unit/gateway/h2_client.h"

#define H2_LARGE (900u << 10)
#define H2_MIDDLE (64u << 10)
#define NOTHING ((struct bytes){ 0 })

extern atomic_uint h2_entered;      /* handlers of /t/slow that began */
extern atomic_bool h2_gate_is_open; /* they end when it is */

struct h2_server {
	struct pool *workers;
	struct gw_server *server;
	struct gw_router *router;
	struct gw_stats stats;
	struct gw_mount mount;
	struct gw_listener *listener;
};

/* Two loops, a fresh certificate for ca.example, the adapter at /t. */
void h2_server_start(struct h2_server *server);
void h2_server_start_with(struct h2_server *server, struct gw_deadlines deadlines, bool http1_only,
			  unsigned flood_pause_ms);
void h2_server_stop(struct h2_server *server);

struct gw_server_stats h2_server_stats(struct h2_server *server);
/* Until it has so many connections; not for ever. */
void h2_server_wait_for(struct h2_server *server, unsigned n);
/* A connected socket with time limits, from 127.0.0.1 or another address of loopback; the caller closes it. */
int h2_server_dial(const struct h2_server *server);
int h2_server_dial_from(const struct h2_server *server, const char *address);

struct h2_caller {
	int fd;
	struct h2_client *client;
};

struct h2_caller h2_call(const struct h2_server *server);
void h2_hang_up(struct h2_caller *caller);
/* The caller frees the body. */
struct h2_answer h2_ask(struct h2_caller *caller, const char *method, const char *path,
			const struct h2_header *headers, struct bytes body);
/* The answer has this status, and this text in its body. */
void h2_expect(struct h2_caller *caller, const char *method, const char *path, struct bytes body, int status,
	       const char *contains);
