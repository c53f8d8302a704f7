/* The core's health and figures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"
#include "core/ocsp.h"
#include "core/keys.h"
#include "core/publish.h"
#include "core/store.h"

#define UNHEALTHY_AFTER 3 /* failures of policy, one after the other */

static void health_line(struct buf *out, bool *all_ok, const char *part, const char *name, bool ok, const char *wrong)
{
	*all_ok &= ok;
	buf_printf(out, "%s%s%s: %s\n", part, name[0] ? " " : "", name, ok ? "ok" : wrong);
}

static void signer_line(struct buf *out, bool *all_ok, const struct ca_core *core)
{
	static const char *const memory[] = {
		[SIGNER_MEMORY_SHARED] = "ok",
		[SIGNER_MEMORY_KEYS] = "ok, key heap locked",
		[SIGNER_MEMORY_ALL] = "ok, memory locked",
		[SIGNER_MEMORY_NONE] = "ok, memory not locked",
	};

	*all_ok &= !core->is_signer_failing;
	buf_printf(out, "signer: %s\n", core->is_signer_failing ? "does not answer" : memory[core->signer_memory]);
}

bool ca_core_health(struct ca_core *core, struct buf *out)
{
	const char *late;
	bool ok = true;

	health_line(out, &ok, "core", "", !core->is_closed, "stopping");
	health_line(out, &ok, "store", "", !core->is_store_failing, "cannot write");
	signer_line(out, &ok, core);
	for (size_t i = 0; i < core->n_cas; i++) {
		const char *trouble = keys_trouble(&core->cas[i]);

		health_line(out, &ok, "ca", core->cas[i].name, !trouble, trouble);
	}
	late = core->publisher ? publisher_late(core->publisher) : NULL;
	health_line(out, &ok, "crl", late ? late : "", !late, "a CRL is late; the log says why");
	health_line(out, &ok, "policy", "", core->policy_failures_in_a_row < UNHEALTHY_AFTER, "gives no valid answers");
	for (size_t i = 0; i < core->n_cas; i++) {
		const struct ca *ca = &core->cas[i];

		for (size_t j = 0; j < ca->n_exits; j++)
			health_line(out, &ok, "exit", ca->exits[j].label,
				    !ca->exits[j].is_disabled && !ca->exits[j].is_failing,
				    ca->exits[j].is_disabled ? "did not start" : "does not take events");
	}
	ok &= ocsp_health(core, out);
	return ok;
}

static void metric(struct buf *out, const char *name, const char *type, const char *help, int64_t value)
{
	buf_printf(out, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s %s\ngatehouse_%s %lld\n", name, help, name, type,
		   name, (long long)value);
}

void ca_core_metrics(struct ca_core *core, struct buf *out)
{
	struct store_counts c = { 0 };
	struct db_stats s = { 0 };

	buf_printf(out, "# HELP gatehouse_requests_total What happened to requests.\n"
			"# TYPE gatehouse_requests_total counter\n");
	for (int a = CA_ACTION_NONE + 1; a < CA_ACTION_COUNT_; a++)
		buf_printf(out, "gatehouse_requests_total{action=\"%s\"} %llu\n", ca_action_word((enum ca_action)a),
			   (unsigned long long)core->counts[a]);
	if (store_count(core, &c) == 0) {
		metric(out, "pending_requests", "gauge", "Requests waiting for a person.", c.pending);
		metric(out, "unfinished_requests", "gauge", "Requests stored but not yet signed.", c.active);
		metric(out, "outbox_waiting", "gauge", "Exit events not yet delivered.", c.outbox_waiting);
		metric(out, "outbox_set_aside", "gauge", "Exit events given up after too many attempts.",
		       c.outbox_set_aside);
		metric(out, "certificates", "gauge", "Certificates in the store.", c.certificates);
	}
	metric(out, "policy_failures_total", "counter", "Times the policy module gave no valid answer.",
	       core->policy_failures);
	metric(out, "notifications_total", "counter", "Exit events delivered.", (int64_t)core->notified);
	metric(out, "notify_failures_total", "counter", "Exit events refused by a module.",
	       (int64_t)core->notify_failures);
	ocsp_metrics(core, out);
	db_get_stats(core->db, &s);
	metric(out, "store_writes_total", "counter", "Writes committed.", (int64_t)s.writes);
	metric(out, "store_commits_total", "counter", "Commits; several writes share one.", (int64_t)s.batches);
	metric(out, "store_failures_total", "counter", "Writes that failed.", (int64_t)s.failures);
}
