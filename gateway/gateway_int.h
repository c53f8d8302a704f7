/* What the parts of the gateway know of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/registry.h"
#include "gateway/gateway.h"
#include "gateway/loop.h"
#include "gateway/ra.h"
#include "gateway/server_cert.h"
#include "gateway/validator/validator.h"

#include <pthread.h>

/* An adapter's instance. */
struct gw_endpoint {
	const struct conf_section *conf;
	const struct proto_adapter *adapter;
	struct ca_door *ca;
	void *state;
	bool has_state; /* init succeeded */
	struct gw_stats stats;
	struct gw_mount mount;
	const struct gateway *gateway;
	struct proto_identity identity; /* that it is known by to its clients */
	const struct proto_ra *ra;      /* NULL: it is no registration authority */
};

/* What a listener of the configuration needs besides the server's part. */
struct gw_face {
	struct gw_router *router;
	struct gw_places *places;     /* where its endpoints are besides; NULL: nowhere */
	struct gw_listener *listener; /* belongs to the server */
	char **names;                 /* lower case, canonical */
	size_t n_names;
	struct gw_tls_names *ca_names; /* NULL: none are told to clients */
};

struct gateway {
	const struct conf_section *root;
	const char *core; /* its address */
	const struct gateway_socket *sockets; /* opened for it; borrowed */
	size_t n_sockets;
	char *folder; /* the gateway's part of the data folder */
	struct pool *workers;
	struct proto_waits waits; /* of the workers */
	struct gw_server *server;
	struct validator *validator;
	struct validator *own_validator; /* NULL: somebody else's */
	struct gw_certs *certs;
	struct signer *ra_signer; /* borrowed */
	struct gw_ras *ras;
	struct gw_endpoint *endpoints;
	size_t n_endpoints;
	struct gw_face *faces; /* the listeners of the configuration, then the one for metrics */
	size_t n_faces;
	struct gw_mount health, metrics;
	struct gw_stats own_stats;
	int64_t began_s;
	pthread_t ticker;
	bool has_ticker;
	pthread_mutex_t lock; /* guards `ends` */
	pthread_cond_t wake;
	bool ends;
};

/* gateway/endpoint.c */
int gw_endpoint_start(struct gateway *gw, struct gw_endpoint *endpoint, const struct conf_section *conf,
		      struct conf_error *error);
void gw_endpoint_stop(struct gw_endpoint *endpoint);
/* What the adapters count, in Prometheus text format: all values of a metric behind its one head. */
void gw_endpoints_print_counters(const struct gw_endpoint *endpoints, size_t n, struct buf *out);

/* One line for each that has a setting which is for old clients alone. */
void gw_endpoints_print_weaknesses(const struct gw_endpoint *endpoints, size_t n, struct buf *out);

/* gateway/report.c */
struct gw_reporter {
	struct buf told; /* and taken by the core */
	int64_t next_ms; /* monotonic */
};

/* One line a part of the gateway itself; true when all is well. */
bool gw_print_health(struct gateway *gw, struct buf *out);
/* Tell the core of it, if it is time. By one thread. */
void gw_report(struct gateway *gw, struct gw_reporter *r);

/* gateway/places.c: mount endpoints of one adapter, which has `places`, where clients look for any of them; what is
 * kept for it is put in front of the list, and has to outlive the router. `fallback`: the name of the one that is meant
 * when nothing says which; NULL: the only one. 0; -ENOMEM; -EINVAL as gw_router_add(). */
struct gw_places;
int gw_places_add(struct gw_places **list, const struct proto_adapter *adapter,
		  const struct gw_endpoint *const *endpoints, size_t n, const char *fallback,
		  struct gw_router *router);
void gw_places_drop(struct gw_places **list);

/* gateway/faces.c: make router, names and server part of each listener of the configuration. */
int gw_faces_start(struct gateway *gw, struct conf_error *error);
void gw_faces_stop(struct gateway *gw);
/* The TLS context of the first listener that serves the endpoint and has one, with a reference for the caller; NULL:
 * there is none. */
struct ssl_ctx_st *gw_faces_get_tls(const struct gateway *gw, const char *endpoint);

/* Locate a CA, once; waits for a core that does not answer yet. 0, or negative with `why`. */
int gw_locate(const struct gateway *gw, struct ca_door **out, const char *ca, char *why, size_t why_size);
