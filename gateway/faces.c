/* The listeners of the configuration: what each answers to and serves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/gateway_int.h"

#include "core/base/file.h"
#include "core/base/log.h"
#include "gateway/config.h"
#include "gateway/pages.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Lower case, addresses in the one text that everybody writes. */
static char *canonical_name(const char *name)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char octets[16];
	char *copy, *c;

	if (inet_pton(AF_INET6, name, octets) == 1)
		return strdup(inet_ntop(AF_INET6, octets, text, sizeof(text)));
	copy = strdup(name);
	for (c = copy; c && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return copy;
}

static int copy_names(struct gw_face *face, const struct conf_section *conf)
{
	size_t i, n = conf_count(conf, "names");

	face->names = calloc(n + 1, sizeof(*face->names));
	if (!face->names)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		face->names[i] = canonical_name(conf_str_at(conf, "names", i));
		if (!face->names[i])
			return -ENOMEM;
		face->n_names++;
	}
	return 0;
}

static struct gw_endpoint *find_endpoint(struct gateway *gw, const char *name)
{
	size_t i;

	for (i = 0; i < gw->n_endpoints; i++)
		if (strcmp(gw->endpoints[i].mount.name, name) == 0)
			return &gw->endpoints[i];
	return NULL;
}

static int make_router(struct gateway *gw, struct gw_face *face, const struct conf_section *conf)
{
	size_t i;
	int r = gw_router_new(&face->router);

	if (!r)
		r = gw_router_add(face->router, &gw->health);
	for (i = 0; !r && i < conf_count(conf, "endpoints"); i++)
		r = gw_router_add(face->router, &find_endpoint(gw, conf_str_at(conf, "endpoints", i))->mount);
	return r;
}

static int add_places_of(struct gateway *gw, struct gw_face *face, const struct conf_section *conf,
			 const struct proto_adapter *adapter)
{
	size_t n = conf_count(conf, "endpoints"), n_own = 0;
	const struct gw_endpoint **own = calloc(n + 1, sizeof(*own));
	int r = own ? 0 : -ENOMEM;

	for (size_t i = 0; own && i < n; i++) {
		const struct gw_endpoint *e = find_endpoint(gw, conf_str_at(conf, "endpoints", i));

		if (e->adapter == adapter)
			own[n_own++] = e;
	}
	if (n_own)
		r = gw_places_add(&face->places, adapter, own, n_own, conf_str(conf, "default-endpoint"),
				  face->router);
	free((void *)own);
	return r;
}

/* After the paths of the configuration, which count before them. */
static int add_places(struct gateway *gw, struct gw_face *face, const struct conf_section *conf)
{
	int r = 0;

	for (size_t i = 0; !r && proto_adapters[i]; i++)
		if (proto_adapters[i]->places)
			r = add_places_of(gw, face, conf, proto_adapters[i]);
	return r;
}

static const struct gw_mount *find_mount(struct gateway *gw, const struct conf_section *conf, const char *path)
{
	for (size_t i = 0; i < conf_count(conf, "endpoints"); i++) {
		const struct gw_mount *m = &find_endpoint(gw, conf_str_at(conf, "endpoints", i))->mount;

		if (strcmp(m->prefix, path) == 0)
			return m;
	}
	return NULL;
}

/* RFC 7030 3.2.2 wants a server to be there with and without a label. A house where no CA is that of everybody serves
 * labels alone, and means it; whoever does not is told. */
static void look_for_default_label(struct gateway *gw, const struct conf_section *conf)
{
	for (size_t i = 0; i < conf_count(conf, "endpoints"); i++) {
		const struct gw_endpoint *e = find_endpoint(gw, conf_str_at(conf, "endpoints", i));
		const char *path = e->adapter->default_path;

		if (!path || find_mount(gw, conf, path))
			continue;
		log_warn("listener.default-label.none", "listener", conf_str(conf, "name"), "endpoint", e->mount.name,
			 "consequence", "clients that know of no label find nobody", "next",
			 "an endpoint with this path", "path", path);
		return;
	}
}

static int read_ca_names(struct gw_face *face, const struct conf_section *conf, struct conf_error *error)
{
	const char *path = conf_str(conf, "client-ca-names");
	OWNED_BUF pem = BUF_INIT(1 << 20);
	char why[256];
	int r;

	if (!path)
		return 0;
	r = file_read(path, &pem);
	snprintf(why, sizeof(why), "%s", r ? strerror(-r) : "");
	if (!r)
		r = gw_tls_names_new(&face->ca_names, buf_bytes(&pem), why, sizeof(why));
	return r ? conf_refuse(conf, "client-ca-names", error, "%s cannot be used: %s", path, why) : 0;
}

static struct gw_listener_options options_of(const struct gateway *gw, const struct gw_face *face,
					     const struct conf_section *conf)
{
	unsigned timeout = (unsigned)conf_duration_ms(conf, "timeout");
	struct gw_listener_options o = {
		.name = conf_str(conf, "name"),
		.address = conf_str(conf, "address"),
		.port = (uint16_t)conf_int(conf, "port"),
		.is_tls = conf_bool(conf, "tls"),
		/* What is bound to a connection is for requests that have it to themselves. */
		.http1_only = !conf_bool(conf, "http2") || gw_config_sees_peers(gw->root, conf),
		.asks_certificate = gw_config_asks_certificate(gw->root, conf),
		.ca_names = face->ca_names,
		.base_url = conf_str(conf, "base-url"),
		.names = (const char *const *)face->names,
		.n_names = face->n_names,
		.limits = { .line_max = gw_config_line_max(gw->root, conf),
			    .head_max = (size_t)conf_int(conf, "header-max"),
			    .body_max = (size_t)conf_int(conf, "body-max"),
			    .allow_http10 = gw_config_takes_http10(gw->root, conf) },
		.deadlines = GW_DEADLINES_DEFAULT,
		.router = face->router,
	};

	o.deadlines.handshake = o.deadlines.head = o.deadlines.body = o.deadlines.write = timeout;
	o.deadlines.idle = (unsigned)conf_duration_ms(conf, "idle-timeout");
	return o;
}

/* Bind, or use what was bound for it. */
static int listen_with(struct gateway *gw, struct gw_listener_options *o, struct gw_listener **out, char *why,
		       size_t why_size)
{
	int *fds = calloc(gw->n_sockets + 1, sizeof(*fds)), r;

	if (!fds)
		return -ENOMEM;
	for (size_t i = 0; i < gw->n_sockets; i++)
		if (strcmp(gw->sockets[i].name, o->name) == 0)
			fds[o->n_sockets++] = gw->sockets[i].fd;
	o->sockets = fds;
	r = gw_server_listen(gw->server, o, out, why, why_size);
	free(fds);
	return r;
}

/* Who gives this listener its certificate. */
static int arrange_certificate(struct gateway *gw, struct gw_face *face, const struct conf_section *conf,
			       struct conf_error *error)
{
	struct ca_door *ca = NULL;
	char why[512];

	if (conf_str(conf, "certificate"))
		return gw_certs_add_files(gw->certs, face->listener, conf_str(conf, "certificate"),
					  conf_str(conf, "key"));
	if (gw_locate(gw, &ca, gw_config_listener_ca(gw->root, conf), why, sizeof(why)))
		return conf_refuse(conf, NULL, error, "listener '%s': %s", conf_str(conf, "name"), why);
	return gw_certs_add(gw->certs, face->listener, ca);
}

static int start_face(struct gateway *gw, struct gw_face *face, const struct conf_section *conf,
		      struct conf_error *error)
{
	struct gw_listener_options options;
	char why[512];
	int r = copy_names(face, conf);

	if (!r)
		r = make_router(gw, face, conf);
	if (!r)
		r = add_places(gw, face, conf);
	if (!r)
		r = read_ca_names(face, conf, error);
	if (r)
		return r;
	look_for_default_label(gw, conf);
	options = options_of(gw, face, conf);
	r = listen_with(gw, &options, &face->listener, why, sizeof(why));
	if (r)
		return conf_refuse(conf, r == -EADDRNOTAVAIL ? "address" : "port", error, "%s", why);
	return options.is_tls ? arrange_certificate(gw, face, conf, error) : 0;
}

static int start_metrics(struct gateway *gw, struct gw_face *face, const struct conf_section *conf,
			 struct conf_error *error)
{
	struct gw_listener_options o = {
		.name = GW_METRICS_LISTENER,
		.address = conf_str(conf, "address"),
		.port = (uint16_t)conf_int(conf, "port"),
		.limits = HTTP1_LIMITS_DEFAULT, .deadlines = GW_DEADLINES_DEFAULT,
	};
	char why[512];
	int r = gw_router_new(&face->router);

	if (!r)
		r = gw_router_add(face->router, &gw->metrics);
	if (r)
		return r;
	o.router = face->router;
	r = listen_with(gw, &o, &face->listener, why, sizeof(why));
	return r ? conf_refuse(conf, "port", error, "%s", why) : 0;
}

/* A registration authority is called what the listener is called that serves it, or another one when that has only a
 * base URL. */
static void name_authorities(struct gateway *gw)
{
	for (size_t i = 0; i < conf_count(gw->root, "listeners"); i++) {
		const struct gw_face *face = &gw->faces[i];
		const struct conf_section *conf = conf_section_at(gw->root, "listeners", i);

		for (size_t k = 0; face->n_names && k < conf_count(conf, "endpoints"); k++)
			gw_ras_set_names(gw->ras, conf_str_at(conf, "endpoints", k), (const char *const *)face->names,
					 face->n_names);
	}
	for (size_t i = 0; i < gw->n_faces; i++)
		for (size_t k = 0; gw->faces[i].n_names && k < gw->n_endpoints; k++)
			gw_ras_set_names(gw->ras, gw->endpoints[k].mount.name,
					 (const char *const *)gw->faces[i].names, gw->faces[i].n_names);
}

int gw_faces_start(struct gateway *gw, struct conf_error *error)
{
	const struct conf_section *metrics = conf_section(gw->root, "metrics");
	size_t i, n = conf_count(gw->root, "listeners");
	int r = 0;

	gw->faces = calloc(n + 1, sizeof(*gw->faces));
	if (!gw->faces)
		return -ENOMEM;
	for (i = 0; !r && i < n; i++)
		r = start_face(gw, &gw->faces[gw->n_faces++], conf_section_at(gw->root, "listeners", i), error);
	if (!r && conf_int(metrics, "port"))
		r = start_metrics(gw, &gw->faces[gw->n_faces++], metrics, error);
	if (!r)
		name_authorities(gw);
	return r;
}

static bool serves(const struct conf_section *listener, const char *endpoint)
{
	for (size_t i = 0; i < conf_count(listener, "endpoints"); i++)
		if (strcmp(conf_str_at(listener, "endpoints", i), endpoint) == 0)
			return true;
	return false;
}

struct ssl_ctx_st *gw_faces_get_tls(const struct gateway *gw, const char *endpoint)
{
	struct ssl_ctx_st *context = NULL;

	for (size_t i = 0; !context && i < conf_count(gw->root, "listeners"); i++)
		if (serves(conf_section_at(gw->root, "listeners", i), endpoint))
			context = gw_listener_get_tls(gw->faces[i].listener);
	return context;
}

void gw_faces_stop(struct gateway *gw)
{
	size_t i, k;

	for (i = 0; i < gw->n_faces; i++) {
		gw_router_drop(&gw->faces[i].router);
		gw_places_drop(&gw->faces[i].places);
		for (k = 0; k < gw->faces[i].n_names; k++)
			free(gw->faces[i].names[k]);
		free(gw->faces[i].names);
		gw_tls_names_drop(&gw->faces[i].ca_names);
	}
	free(gw->faces);
}
