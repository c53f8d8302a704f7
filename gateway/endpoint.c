/* Endpoints: one instance of an adapter each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/gateway_int.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "gateway/config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* A core that starts beside us is there in a moment; one that is started again within seconds. */
#define LOCATE_PATIENCE_MS 30000
#define LOCATE_PAUSE_US 100000

int gw_locate(const struct gateway *gw, struct ca_door **out, const char *ca, char *why, size_t why_size)
{
	static const char *const words[] = {
		[CA_LOCATE_BAD_STRING] = "is not a name that can be looked up",
		[CA_LOCATE_UNKNOWN_CA] = "is not published by the core",
		[CA_LOCATE_AWAY] = "cannot be reached: the core does not answer",
		[CA_LOCATE_REFUSED] = "cannot be reached: the core does not serve this gateway; the log says why",
	};
	int64_t end = clock_mono_ms() + LOCATE_PATIENCE_MS;
	char where[512];
	int r;

	snprintf(where, sizeof(where), "%s#%s", gw->core, ca);
	while ((r = ca_locate(out, where, "gateway")) == CA_LOCATE_AWAY && clock_mono_ms() < end)
		usleep(LOCATE_PAUSE_US);
	if (r)
		snprintf(why, why_size, "the CA '%s' %s", ca,
			 r > 0 && r <= CA_LOCATE_REFUSED ? words[r] : strerror(-r));
	return r > 0 ? -ENOENT : r;
}

static int get_identity(void *state, struct buf *chain, struct buf *key)
{
	const struct gw_endpoint *e = state;
	struct ssl_ctx_st *context = gw_faces_get_tls(e->gateway, e->mount.name);
	int r = context ? gw_tls_context_print(context, chain, key) : -ENOENT;

	gw_tls_context_drop(&context);
	return r;
}

static int init_adapter(struct gateway *gw, struct gw_endpoint *e, char *why, size_t why_size)
{
	const char *target = conf_str(e->conf, "challenge-target");
	struct proto_env env = {
		.ca = e->ca,
		.endpoint = e->mount.name,
		.profile = conf_str(e->conf, "profile"),
		.path = e->mount.prefix,
		.data_folder = gw->folder,
		.validator = gw->validator,
		.waits = &gw->waits,
		.awaits_end = target && validator_awaits_end(conf_section(gw->root, "validator"), target),
		.identity = &e->identity,
		.ra = e->ra,
	};
	int r;

	if (e->adapter->abi != PROTO_ABI) {
		snprintf(why, why_size, "the adapter '%s' was built for another gateway", e->adapter->name);
		return -EINVAL;
	}
	snprintf(why, why_size, "the adapter '%s' does not start", e->adapter->name);
	r = e->adapter->init(&e->state, &env, e->conf, why, why_size);
	e->has_state = r == 0;
	return r;
}

static int become_ra(struct gateway *gw, struct gw_endpoint *e)
{
	if (!(e->adapter->caps & PROTO_CAP_RA))
		return 0;
	e->ra = gw_ras_add(gw->ras, e->mount.name, conf_str(e->conf, "ra-key"), e->ca);
	return e->ra ? 0 : -ENOMEM;
}

static size_t body_max_of(const struct proto_adapter *adapter, const struct conf_section *conf)
{
	size_t max = (size_t)conf_int(conf, "body-max");

	return max && max < adapter->body_max ? max : adapter->body_max;
}

int gw_endpoint_start(struct gateway *gw, struct gw_endpoint *e, const struct conf_section *conf,
		      struct conf_error *error)
{
	char why[512] = "";
	int r;

	e->conf = conf;
	e->adapter = gw_config_adapter(conf_module(conf));
	e->gateway = gw;
	e->identity = (struct proto_identity){ get_identity, e };
	e->mount = (struct gw_mount){
		.name = conf_str(conf, "name"), .prefix = conf_str(conf, "path"), .routes = e->adapter->routes,
		.body_max = body_max_of(e->adapter, conf),
		.sees_peer = e->adapter->caps & PROTO_CAP_TLS_CLIENT_AUTH,
		.decodes_prefix = e->adapter->caps & PROTO_CAP_LABELS, .stats = &e->stats,
		.ignores_case = e->adapter->caps & PROTO_CAP_ANY_CASE,
		.refuses_head = e->adapter->caps & PROTO_CAP_NO_HEAD,
		.refusal = e->adapter->refusal,
	};
	r = gw_locate(gw, &e->ca, conf_str(conf, "ca"), why, sizeof(why));
	if (!r) {
		log_info("adapter.locate", "endpoint", e->mount.name, "ca", ca_door_name(e->ca));
		r = become_ra(gw, e);
	}
	if (!r)
		r = init_adapter(gw, e, why, sizeof(why));
	if (r)
		return conf_refuse(conf, NULL, error, "endpoint '%s': %s", e->mount.name, why);
	e->mount.state = e->state;
	log_info("adapter.init", "endpoint", e->mount.name, "protocol", e->adapter->name, "path", e->mount.prefix);
	return 0;
}

void gw_endpoint_stop(struct gw_endpoint *e)
{
	if (e->has_state)
		e->adapter->fini(e->state);
	e->has_state = false;
	ca_door_drop(&e->ca);
}

void gw_endpoints_print_weaknesses(const struct gw_endpoint *endpoints, size_t n, struct buf *out)
{
	for (const struct gw_endpoint *e = endpoints; e < endpoints + n; e++) {
		const char *words = e->adapter->weakness ? e->adapter->weakness(e->state) : NULL;

		if (words)
			buf_printf(out, "endpoint %s algorithms: ok, but %s\n", e->mount.name, words);
	}
}

/* For all endpoints that have the adapter of the first. */
static void print_number(const struct proto_counter *c, const char *type, const struct gw_endpoint *first, size_t n,
			 struct buf *out)
{
	const char *end = strcmp(type, "counter") == 0 ? "_total" : "";

	buf_printf(out, "# HELP gatehouse_%s%s %s\n", c->name, end, c->help);
	buf_printf(out, "# TYPE gatehouse_%s%s %s\n", c->name, end, type);
	for (const struct gw_endpoint *e = first; e < first + n; e++)
		if (e->adapter == first->adapter)
			buf_printf(out, "gatehouse_%s%s{endpoint=\"%s\"} %llu\n", c->name, end, e->mount.name,
				   c->read(e->state));
}

static bool is_first_of_its_adapter(const struct gw_endpoint *endpoints, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (endpoints[k].adapter == endpoints[i].adapter)
			return false;
	return true;
}

void gw_endpoints_print_counters(const struct gw_endpoint *endpoints, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct proto_counter *c = endpoints[i].adapter->counters, *g = endpoints[i].adapter->gauges;

		if (!is_first_of_its_adapter(endpoints, i))
			continue;
		for (; c && c->name; c++)
			print_number(c, "counter", &endpoints[i], n - i, out);
		for (; g && g->name; g++)
			print_number(g, "gauge", &endpoints[i], n - i, out);
	}
}
