/* The gateway put together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/gateway_int.h"

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "gateway/config.h"
#include "gateway/pages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int make_folder(struct gateway *gw, struct conf_error *error)
{
	const char *data = conf_str(gw->root, "data");
	int r;

	if (asprintf(&gw->folder, "%s/gateway", data) < 0) {
		gw->folder = NULL;
		return -ENOMEM;
	}
	r = file_make_folder(gw->folder, 0700);
	/* One of them may have a key. */
	if (!r)
		r = file_sweep_temporary(gw->folder);
	if (r)
		return conf_refuse(gw->root, "data", error, "the data folder %s cannot be used: %s", gw->folder,
				   strerror(-r));
	return 0;
}

static int make_parts(struct gateway *gw, struct conf_error *error)
{
	const struct conf_section *conf = conf_section(gw->root, "gateway");
	struct pool_options workers = {
		.threads = (unsigned)conf_int(conf, "workers"),
		.queue = (unsigned)conf_int(conf, "queue"),
	};
	struct gw_server_options server = {
		.loops = (unsigned)conf_int(conf, "loops"),
		.max_connections = (unsigned)conf_int(conf, "max-connections"),
		.max_per_address = (unsigned)conf_int(conf, "connections-per-address"),
		.flood_pause_ms = (unsigned)conf_duration_ms(conf, "flood-pause"),
	};
	int r = make_folder(gw, error);

	if (!r)
		r = pool_new(&gw->workers, &workers);
	server.workers = gw->workers;
	gw->waits = (struct proto_waits){ pool_enter_wait, pool_leave_wait, gw->workers };
	if (!r)
		r = gw_server_new(&gw->server, &server);
	if (!r)
		r = gw_certs_new(&gw->certs, gw->server, gw->folder);
	if (!r)
		r = gw_ras_new(&gw->ras, gw->ra_signer, gw->folder);
	if (!r && !gw->validator) {
		r = validator_new(&gw->own_validator, conf_section(gw->root, "validator"), error);
		gw->validator = gw->own_validator;
	}
	return r;
}

/* The core of another daemon, where the configuration names one. */
static int find_core(struct gateway *gw, const struct gateway_env *env, struct conf_error *error)
{
	const struct conf_section *conf = conf_section(gw->root, "gateway"), *tls = conf_section(conf, "core-tls");
	struct ca_link_tls identity = { conf_str(tls, "certificate"), conf_str(tls, "key"),
					conf_str(tls, "core-certificate") };
	char why[512];
	int r;

	gw->core = conf_str(conf, "core") ? conf_str(conf, "core") : env->core;
	if (!gw_config_core_is_tls(gw->root))
		return 0;
	r = ca_link_use_tls(&identity, why, sizeof(why));
	return r ? conf_refuse(conf, "core-tls", error, "the gateway cannot speak TLS with the core: %s", why) : 0;
}

/* The section may stand there for the gateway of another daemon, whose core this is. */
static void look_for_listener(const struct gateway *gw, const char *endpoint)
{
	if (!gw_config_is_served(gw->root, endpoint))
		log_warn("endpoint.unserved", "endpoint", endpoint, "consequence", "no listener here serves it", "next",
			 "name it under endpoints: of a listener");
}

static int start_endpoints(struct gateway *gw, struct conf_error *error)
{
	size_t n = conf_count(gw->root, "endpoints");
	int r = 0;

	gw->endpoints = calloc(n + 1, sizeof(*gw->endpoints));
	if (!gw->endpoints)
		return -ENOMEM;
	while (!r && gw->n_endpoints < n) {
		r = gw_endpoint_start(gw, &gw->endpoints[gw->n_endpoints],
				      conf_section_at(gw->root, "endpoints", gw->n_endpoints), error);
		look_for_listener(gw, gw->endpoints[gw->n_endpoints++].mount.name);
	}
	return r;
}

/* False when it is time to end. */
static bool wait_a_second(struct gateway *gw)
{
	struct timespec until;
	bool ends;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&gw->lock);
	if (!gw->ends)
		pthread_cond_timedwait(&gw->wake, &gw->lock, &until);
	ends = gw->ends;
	pthread_mutex_unlock(&gw->lock);
	return !ends;
}

static void *tick_all(void *arg)
{
	struct gateway *gw = arg;
	struct gw_reporter reporter = { .told = BUF_INIT(65536) };
	size_t i;

	while (wait_a_second(gw)) {
		for (i = 0; i < gw->n_endpoints; i++)
			if (gw->endpoints[i].adapter->tick)
				gw->endpoints[i].adapter->tick(gw->endpoints[i].state);
		gw_report(gw, &reporter);
	}
	buf_fini(&reporter.told);
	return NULL;
}

static int start_threads(struct gateway *gw, struct conf_error *error)
{
	char why[512] = "";
	size_t i;
	int r = gw_server_start(gw->server);

	if (r)
		return r;
	for (i = 0; i < gw->n_faces; i++)
		if (!gw->faces[i].listener->options.is_tls)
			gw_server_open(gw->server, gw->faces[i].listener);
	r = -pthread_create(&gw->ticker, NULL, tick_all, gw);
	gw->has_ticker = r == 0;
	if (!r)
		r = gw_certs_start(gw->certs, why, sizeof(why));
	if (r && *why)
		return conf_refuse(gw->root, "listeners", error, "%s", why);
	return r ? r : gw_ras_start(gw->ras);
}

static void log_listeners(const struct gateway *gw)
{
	const struct gw_listener *l;
	size_t i;

	for (i = 0; i < gw->n_faces; i++) {
		l = gw->faces[i].listener;
		log_info(atomic_load(&l->is_open) ? "listener.open" : "listener.closed", "listener", l->options.name,
			 "address", l->options.address, "port", LOG_NUMBER(l->port), "tls",
			 l->options.is_tls ? "yes" : "no");
	}
}

int gateway_start(struct gateway **out, const struct conf_section *root, const struct gateway_env *env,
		  struct conf_error *error)
{
	struct gateway *gw = calloc(1, sizeof(*gw));
	int r;

	*error = (struct conf_error){ 0 };
	if (!gw)
		return -ENOMEM;
	pthread_mutex_init(&gw->lock, NULL);
	pthread_cond_init(&gw->wake, NULL);
	gw->root = root;
	gw->validator = env->validator;
	gw->ra_signer = env->ra_signer;
	gw->sockets = env->sockets;
	gw->n_sockets = env->n_sockets;
	gw->began_s = clock_wall_s();
	gw->health = (struct gw_mount){ .name = "gateway", .prefix = "", .routes = gw_health_routes, .state = gw,
					.stats = &gw->own_stats };
	gw->metrics = gw->health;
	gw->metrics.routes = gw_metrics_routes;
	r = find_core(gw, env, error);
	if (!r)
		r = make_parts(gw, error);
	if (!r)
		r = start_endpoints(gw, error);
	if (!r)
		r = gw_faces_start(gw, error);
	if (!r)
		r = start_threads(gw, error);
	if (r) {
		gateway_drop(&gw);
		return r;
	}
	log_listeners(gw);
	*out = gw;
	return 0;
}

static void stop_ticker(struct gateway *gw)
{
	pthread_mutex_lock(&gw->lock);
	gw->ends = true;
	pthread_cond_signal(&gw->wake);
	pthread_mutex_unlock(&gw->lock);
	if (gw->has_ticker)
		pthread_join(gw->ticker, NULL);
}

void gateway_drop(struct gateway **gateway)
{
	struct gateway *gw = *gateway;
	size_t i;

	if (!gw)
		return;
	if (gw->certs)
		gw_certs_stop(gw->certs);
	if (gw->ras)
		gw_ras_stop(gw->ras);
	if (gw->server)
		gw_server_stop(gw->server,
			       (unsigned)conf_duration_ms(conf_section(gw->root, "gateway"), "stop-timeout"));
	stop_ticker(gw);
	gw_certs_drop(&gw->certs);
	pool_drop(&gw->workers);
	gw_ras_drop(&gw->ras);
	gw_server_drop(&gw->server);
	gw_faces_stop(gw);
	for (i = 0; i < gw->n_endpoints; i++)
		gw_endpoint_stop(&gw->endpoints[i]);
	free(gw->endpoints);
	(void)ca_link_use_tls(NULL, NULL, 0);
	validator_drop(&gw->own_validator);
	pthread_cond_destroy(&gw->wake);
	pthread_mutex_destroy(&gw->lock);
	free(gw->folder);
	free(gw);
	*gateway = NULL;
}
