/* The core's health and figures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/clock.h"
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

/* One that is near its end still works, and says so. */
static void ca_line(struct buf *out, bool *all_ok, const struct ca *ca)
{
	const char *trouble = keys_trouble(ca);
	char end[CLOCK_TEXT_SIZE];

	if (!trouble && keys_near_end(ca))
		buf_printf(out, "ca %s: ok, but its certificate ends at %s: gatehouse ca rollover\n", ca->name,
			   clock_print_s(ca_current_key(ca)->not_after_s, end));
	else
		health_line(out, all_ok, "ca", ca->name, !trouble, trouble);
}

bool ca_core_health(struct ca_core *core, struct buf *out)
{
	const char *late;
	bool ok = true;

	health_line(out, &ok, "core", "", !core->is_closed, "stopping");
	health_line(out, &ok, "store", "", !core->is_store_failing, "cannot write");
	signer_line(out, &ok, core);
	for (size_t i = 0; i < core->n_cas; i++)
		ca_line(out, &ok, &core->cas[i]);
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

/* A label's value as Prometheus wants it. */
static void write_label(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_append_char(out, '\\');
		buf_append_char(out, *text);
	}
}

static void ca_metric(struct buf *out, const struct ca *ca, const char *name, int64_t value)
{
	buf_printf(out, "gatehouse_%s{ca=\"", name);
	write_label(out, ca->name);
	buf_printf(out, "\"} %lld\n", (long long)value);
}

static void ca_metrics(struct buf *out, const struct ca_core *core)
{
	buf_append_str(
		out, "# HELP gatehouse_ca_not_after_seconds End of the certificate of a CA's current key; 0: none.\n"
		     "# TYPE gatehouse_ca_not_after_seconds gauge\n");
	for (const struct ca *ca = core->cas; ca < core->cas + core->n_cas; ca++)
		ca_metric(out, ca, "ca_not_after_seconds", ca_current_key(ca) ? ca_current_key(ca)->not_after_s : 0);
	buf_append_str(out, "# HELP gatehouse_ca_near_end Its certificate ends within end-alarm, or has ended.\n"
			    "# TYPE gatehouse_ca_near_end gauge\n");
	for (const struct ca *ca = core->cas; ca < core->cas + core->n_cas; ca++)
		ca_metric(out, ca, "ca_near_end", keys_near_end(ca));
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
	ca_metrics(out, core);
	db_get_stats(core->db, &s);
	metric(out, "store_writes_total", "counter", "Writes committed.", (int64_t)s.writes);
	metric(out, "store_commits_total", "counter", "Commits; several writes share one.", (int64_t)s.batches);
	metric(out, "store_failures_total", "counter", "Writes that failed.", (int64_t)s.failures);
}
