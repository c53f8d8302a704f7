/* The core: start and stop, in the documented order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/admin_socket.h"
#include "core/anchor.h"
#include "core/backup.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/credential_guard.h"
#include "core/folder.h"
#include "core/intermediaries.h"
#include "core/keys.h"
#include "core/ocsp.h"
#include "core/outbox.h"
#include "core/policy_watch.h"
#include "core/recover.h"
#include "core/publish.h"
#include "core/registry_int.h"
#include "core/reports.h"
#include "core/store.h"
#include "core/store_revoke.h"
#include "core/worker.h"

#define OUTBOX_INTERVAL_MS 1000
#define FINISHER_INTERVAL_MS 1000
#define ANCHOR_INTERVAL_MS 1000
#define WATCH_INTERVAL_MS 1000
#define STOP_DELIVERY_MS 5000

/* Data folder, trace, tables of what is in flight. */
static int open_folder(struct ca_core *core, struct conf_error *error)
{
	const char *data = conf_str(core->conf, "data");
	const char *trace = conf_str(conf_section(core->conf, "core"), "trace-file");
	int e;

	if (asprintf(&core->data_folder, "%s/core", data) < 0)
		return -ENOMEM;
	e = file_make_folder(core->data_folder, 0700);
	if (e) {
		conf_refuse(core->conf, "data", error,
			    "cannot use the folder %s: %s; give it to this user or name another", core->data_folder,
			    strerror(-e));
		return e;
	}
	e = folder_lock(core->data_folder, &core->lock_fd);
	if (e) {
		conf_refuse(core->conf, "data", error, "cannot lock the folder %s: %s", core->data_folder,
			    e == -EWOULDBLOCK ? "another gatehoused works with it" : strerror(-e));
		return e;
	}
	e = trace_new(&core->trace, trace);
	if (e)
		conf_refuse(conf_section(core->conf, "core"), "trace-file", error, "cannot open %s: %s", trace,
			    strerror(-e));
	if (!e)
		e = flight_new(&core->flight);
	if (!e)
		e = backup_new(&core->backup);
	if (!e)
		e = rejects_new(&core->rejects);
	if (!e)
		e = policy_watch_new(&core->policy_watch);
	if (!e)
		e = credential_guard_new(&core->credential_guard);
	if (!e)
		e = reports_new(&core->reports);
	return e ? e : polls_new(&core->polls);
}

static int open_store(struct ca_core *core, struct conf_error *error)
{
	const struct conf_section *c = conf_section(core->conf, "core");
	char why[512] = "";
	int e = store_open(core, (unsigned)conf_duration_ms(c, "commit-delay"), why, sizeof(why));

	if (e)
		conf_refuse(core->conf, "data", error, "cannot open the store in %s: %s", core->data_folder, why);
	return e;
}

static const struct ca_policy_module *find_policy(const char *name)
{
	for (size_t i = 0; policy_modules[i]; i++)
		if (strcmp(policy_modules[i]->name, name) == 0)
			return policy_modules[i];
	return NULL;
}

static const struct ca_exit_module *find_exit(const char *name)
{
	for (size_t i = 0; exit_modules[i]; i++)
		if (strcmp(exit_modules[i]->name, name) == 0)
			return exit_modules[i];
	return NULL;
}

/* Step 1 for the policy module. Without it the CA does not start. */
static int start_policy(struct ca *ca, const struct conf_section *conf, struct conf_error *error)
{
	const struct conf_section *section = conf_section(conf, "policy");
	struct ca_module_env env = { ca->name, ca->core->data_folder };
	const struct ca_policy_module *module = find_policy(conf_module(section));
	int e;

	if (!module || module->abi != CA_POLICY_ABI)
		return conf_refuse(conf, "policy", error, "there is no usable policy module '%s'",
				   conf_module(section));
	e = module->init(&ca->policy_state, &env, section, error);
	trace_event(ca->core->trace, "policy.init", 0, "\"module\":\"%s\",\"ca\":\"%s\",\"result\":%d", module->name,
		    ca->name, e);
	if (e) {
		conf_refuse(conf, "policy", error, "policy module '%s' did not start", module->name);
		return e < 0 ? e : -EINVAL;
	}
	ca->policy = module;
	log_info("policy.init", "ca", ca->name, "module", module->name);
	return 0;
}

/* The label stands in the outbox: it must mean the same module after the list was put in another order. */
static int label_exit(const struct ca *ca, struct exit_instance *x, const struct conf_section *section,
		      struct conf_error *error)
{
	const char *name = conf_str(section, "name");

	snprintf(x->label, sizeof(x->label), "%.60s", name ? name : x->module->name);
	for (const struct exit_instance *other = ca->exits; other < x; other++)
		if (strcmp(other->label, x->label) == 0)
			return conf_refuse(section, NULL, error,
					   "two exit modules are called '%s'; give one of them a name:", x->label);
	return 0;
}

static int start_exit(struct ca *ca, const struct conf_section *section, struct conf_error *error)
{
	struct exit_instance *x = &ca->exits[ca->n_exits];
	struct ca_module_env env = { ca->name, ca->core->data_folder };
	struct conf_error own = { 0 };
	char mask[16];
	int e;

	x->module = find_exit(conf_module(section));
	if (!x->module || x->module->abi != CA_EXIT_ABI)
		return conf_refuse(section, NULL, error, "there is no usable exit module '%s'", conf_module(section));
	e = label_exit(ca, x, section, error);
	if (e)
		return e;
	e = x->module->init(&x->state, &x->events, &env, section, &own);
	trace_event(ca->core->trace, "exit.init", 0, "\"module\":\"%s\",\"ca\":\"%s\",\"mask\":%u,\"result\":%d",
		    x->label, ca->name, x->events, e);
	if (e && conf_bool(section, "required")) {
		conf_refuse(section, NULL, error, "exit module '%s' did not start: %s", x->label, own.text);
		return e < 0 ? e : -EINVAL;
	}
	ca->n_exits++;
	x->is_disabled = e != 0;
	snprintf(mask, sizeof(mask), "0x%x", x->events);
	if (e)
		log_warn("exit.disabled", "ca", ca->name, "module", x->label, "why", own.text);
	else
		log_info("exit.init", "ca", ca->name, "module", x->label, "mask", mask);
	return 0;
}

static int start_modules(struct ca_core *core, struct conf_error *error)
{
	int e = 0;

	for (size_t i = 0; !e && i < core->n_cas; i++)
		e = start_policy(&core->cas[i], conf_section_at(core->conf, "cas", i), error);
	for (size_t i = 0; !e && i < core->n_cas; i++) {
		const struct conf_section *conf = conf_section_at(core->conf, "cas", i);
		size_t n = conf_count(conf, "exits");

		core->cas[i].exits = calloc(n ? n : 1, sizeof(*core->cas[i].exits));
		if (!core->cas[i].exits)
			return -ENOMEM;
		for (size_t j = 0; !e && j < n; j++)
			e = start_exit(&core->cas[i], conf_section_at(conf, "exits", j), error);
	}
	return e;
}

static int open_sockets(struct ca_core *core, struct conf_error *error)
{
	if (!core->env.sockets)
		return ca_core_open_sockets(core->conf, core->sockets, error);
	memcpy(core->sockets, core->env.sockets, sizeof(core->sockets));
	return 0;
}

static int audit_act(struct ca_core *core, const char *action, const char *detail)
{
	return store_audit(core, &(struct audit_record){ .at_ms = clock_wall_ms(), .actor = "core",
							 .action = action, .detail = detail });
}

/* With what it decides from now on. */
static int audit_start(struct ca_core *core)
{
	char hex[2 * SHA256_SIZE + 1], detail[sizeof(hex) + 16];

	snprintf(detail, sizeof(detail), "configuration=%s",
		 hex_print(bytes_of(conf_digest(core->conf), SHA256_SIZE), hex));
	return audit_act(core, AUDIT_START, detail);
}

static bool watch_run(void *arg)
{
	const struct ca_core *core = arg;

	if (policy_watch_is_stuck(core->policy_watch) && core->env.give_up)
		core->env.give_up();
	return false;
}

static int start_work(struct ca_core *core, struct conf_error *error)
{
	int64_t last = 0, blocked = 0;
	int e = store_last_id(core, &last);

	if (!e)
		e = store_release_denied(core);
	if (!e)
		e = store_count_blocked_keys(core, &blocked);
	if (!e)
		e = audit_start(core);
	if (e)
		return e;
	core->last_id = last;
	core->has_blocked_keys = blocked > 0;
	recover_run(core);
	outbox_announce(core, CA_EVENT_STARTUP);
	e = worker_start(&core->outbox, "exit", OUTBOX_INTERVAL_MS, outbox_run, core);
	if (!e)
		e = worker_start(&core->finisher, "finisher", FINISHER_INTERVAL_MS, recover_run, core);
	if (!e)
		e = worker_start(&core->anchoring, "anchor", ANCHOR_INTERVAL_MS, anchor_run, core);
	if (!e)
		e = worker_start(&core->watching, "watch", WATCH_INTERVAL_MS, watch_run, core);
	if (!e)
		e = publisher_start(&core->publisher, core);
	if (!e)
		e = ocsp_start(&core->ocsp, core);
	if (!e)
		e = open_sockets(core, error);
	if (!e)
		e = admin_socket_start(&core->admin, core, core->sockets[CA_SOCKET_ADMIN]);
	if (!e)
		e = intermediaries_start(&core->intermediaries, core, core->sockets[CA_SOCKET_INTERMEDIARIES],
					 core->sockets[CA_SOCKET_REMOTE], error);
	if (!e)
		registry_publish(core);
	return e;
}

static struct ca_core *new_core(const struct conf_section *root)
{
	struct ca_core *core = calloc(1, sizeof(*core));

	if (!core)
		return NULL;
	core->conf = root;
	core->lock_fd = -1;
	for (int i = 0; i < CA_SOCKETS_; i++)
		core->sockets[i] = -1;
	pthread_mutex_init(&core->key_turn, NULL);
	return core;
}

int ca_core_start(struct ca_core **out, const struct conf_section *root, const struct ca_core_env *env,
		  struct conf_error *error)
{
	struct ca_core *core = new_core(root);
	int e;

	if (!core)
		return -ENOMEM;
	core->env = env ? *env : (struct ca_core_env){ 0 };
	e = settings_load(core, error);
	if (!e)
		e = open_folder(core, error);
	if (!e)
		e = open_store(core, error);
	if (!e)
		e = keys_start(core, error);
	if (!e)
		e = anchor_start(core, error);
	if (!e)
		e = start_modules(core, error);
	if (!e)
		e = start_work(core, error);
	if (e)
		ca_core_drop(&core);
	else
		*out = core;
	return e;
}

int ca_core_check(const struct conf_section *root, struct conf_error *error)
{
	struct ca_core *core = new_core(root);
	int e;

	if (!core)
		return -ENOMEM;
	e = settings_load(core, error);
	ca_core_drop(&core);
	return e;
}

void ca_core_close(struct ca_core *core)
{
	core->is_closed = true;
	if (core->db)
		db_wake(core->db);
	if (core->flight)
		flight_wait_idle(core->flight);
}

int ca_core_attach(struct ca_core *core, int take_fd)
{
	reports_expect(core);
	return intermediaries_inherit(core->intermediaries, take_fd);
}

bool ca_core_settle(struct ca_core *core, unsigned wait_ms)
{
	int64_t end = clock_mono_ms() + wait_ms;
	struct outbox_row due;
	size_t n;

	/* An event that failed is due later: it is not waited for, under a clock that stands still even less. */
	do {
		if (!worker_settle(core->outbox, wait_ms) || store_due_events(core, clock_wall_ms(), &due, 1, &n))
			return false;
		if (n == 0)
			return true;
	} while (clock_mono_ms() < end);
	return false;
}

static void stop_modules(struct ca_core *core)
{
	for (size_t i = 0; i < core->n_cas; i++) {
		struct ca *ca = &core->cas[i];

		if (ca->policy) {
			trace_event(core->trace, "policy.fini", 0, "\"module\":\"%s\"", ca->policy->name);
			ca->policy->fini(ca->policy_state);
		}
		for (size_t j = 0; j < ca->n_exits; j++) {
			if (ca->exits[j].is_disabled)
				continue;
			trace_event(core->trace, "exit.fini", 0, "\"module\":\"%s\"", ca->exits[j].label);
			ca->exits[j].module->fini(ca->exits[j].state);
		}
	}
}

static void free_settings(struct ca_core *core)
{
	for (size_t i = 0; i < core->n_profiles; i++) {
		const struct ca_profile *p = &core->profiles[i];

		if (!p->conf)
			continue;
		free((void *)p->keys);
		free((void *)p->key_usage);
		free((void *)p->key_usage_no_rsa);
		free((void *)p->ext_key_usage);
		free((void *)p->renewable_from);
	}
	for (size_t i = 0; i < core->n_cas; i++)
		free(core->cas[i].exits);
	keys_free(core);
	bindings_fini(&core->bindings);
	free(core->profiles);
	free(core->cas);
}

/* The end of the trail is anchored too, unless the core never began to work. */
static void stop_anchoring(struct ca_core *core)
{
	if (core->anchoring) {
		worker_stop(&core->anchoring);
		(void)audit_act(core, AUDIT_STOP, NULL);
		anchor_run(core);
	}
	anchor_drop(&core->anchor);
}

void ca_core_drop(struct ca_core **cp)
{
	struct ca_core *core = *cp;

	if (!core)
		return;
	ca_core_close(core);
	admin_socket_stop(&core->admin);
	intermediaries_stop(&core->intermediaries);
	registry_withdraw(core);
	worker_stop(&core->finisher);
	worker_stop(&core->watching);
	publisher_stop(&core->publisher);
	ocsp_stop(&core->ocsp);
	if (core->outbox) {
		/* What cannot be delivered now is kept and delivered after the next start. */
		worker_settle(core->outbox, STOP_DELIVERY_MS);
		worker_stop(&core->outbox);
		outbox_announce(core, CA_EVENT_SHUTDOWN);
	}
	stop_modules(core);
	stop_anchoring(core);
	db_drop(&core->db);
	signer_drop(&core->signer);
	if (!core->env.sockets)
		ca_core_close_sockets(core->conf, core->sockets);
	polls_drop(&core->polls);
	reports_drop(&core->reports);
	rejects_drop(&core->rejects);
	policy_watch_drop(&core->policy_watch);
	credential_guard_drop(&core->credential_guard);
	backup_drop(&core->backup);
	flight_drop(&core->flight);
	trace_drop(&core->trace);
	free_settings(core);
	pthread_mutex_destroy(&core->key_turn);
	folder_unlock(&core->lock_fd);
	free(core->data_folder);
	free(core);
	*cp = NULL;
}
