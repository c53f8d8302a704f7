/* A listener: an address with its sockets, its certificate, its routes and its habits.
 *
 * The sockets are bound when the listener is made, so that an address in use is found at start; they begin to listen
 * with `gw_server_open()`, for TLS not before there is a certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/http1.h"
#include "gateway/router.h"
#include "gateway/stats.h"
#include "gateway/tls.h"
#include "gateway/tls_peer.h"

#include <pthread.h>

/* How long a client may take, in milliseconds. */
struct gw_deadlines {
	unsigned handshake, head, body, write; /* 10 s each: TLS handshake, header section, body, reading our reply */
	unsigned idle;                         /* 60 s between requests */
	unsigned linger;                       /* 2 s to read our last reply before the connection goes */
};

#define GW_DEADLINES_DEFAULT ((struct gw_deadlines){ 10000, 10000, 10000, 10000, 60000, 2000 })

struct gw_listener_options {
	const char *name;
	const char *address;      /* IPv4 or IPv6 text */
	uint16_t port;            /* 0: any (tests) */
	bool is_tls;
	bool http1_only;          /* with TLS: do not offer HTTP/2 */
	bool asks_certificate;    /* with TLS: ask clients for a certificate, and take any or none */
	const struct gw_tls_names *ca_names; /* by which they choose it; NULL: as they like */
	const char *base_url;     /* NULL: made from the Host that the client used if it is one of `names` */
	const char *const *names; /* DNS names and addresses it answers to */
	size_t n_names;
	struct http1_limits limits;
	struct gw_deadlines deadlines;
	const struct gw_router *router;
	const int *sockets;       /* bound by somebody else; read while the listener is made, and copied */
	unsigned n_sockets;       /* 0: it binds its own */
};

struct gw_listener {
	struct gw_listener_options options; /* strings and router are borrowed */
	struct gw_listener *next;
	uint16_t port;                      /* the real one */
	char *default_url;
	int *sockets;                       /* one a loop; -1 once a loop took it */
	unsigned n_sockets;
	atomic_bool is_open;                /* may listen */
	pthread_mutex_t tls_lock;           /* guards `tls` */
	struct ssl_ctx_st *tls;             /* NULL: no certificate yet */
	struct gw_tickets *tickets;         /* the server's */
	struct gw_stats unrouted;           /* requests that no endpoint saw */
};

/* Bind one socket for each of `n_sockets` loops. 0; -errno with a sentence in `why` that names the address. */
int gw_listener_new(struct gw_listener **out, const struct gw_listener_options *options, unsigned n_sockets,
		    char *why, size_t why_size);
void gw_listener_drop(struct gw_listener **listener);

/* New connections get this certificate from now on, and tickets of the server's keys, and are asked for one of theirs
 * where the options say so. Takes a reference; the context belongs to this listener alone. Any thread. */
void gw_listener_set_tls(struct gw_listener *listener, struct ssl_ctx_st *context);

/* The context of a new connection, with a reference for the caller; NULL: none yet. */
struct ssl_ctx_st *gw_listener_get_tls(struct gw_listener *listener);

/* What absolute URLs begin with, for a request with this Host (NULL: none). Copied into `arena` unless it is
 * constant; NULL without memory. */
const char *gw_listener_base_url(const struct gw_listener *listener, const char *host, struct arena *arena);
