/* The core's health and figures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "core/anchor.h"
#include "core/base/clock.h"
#include "core/clock_guard.h"
#include "core/core_int.h"
#include "core/credentials.h"
#include "core/keys.h"
#include "core/ocsp.h"
#include "core/policy_watch.h"
#include "core/publish.h"
#include "core/restored.h"
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

/* One that is near its end still works, and says so; so does one that ends before what it certifies would. */
static void ca_line(struct buf *out, bool *all_ok, const struct ca *ca)
{
	const struct ca_profile *shortened = keys_shortened(ca);
	const char *trouble = keys_trouble(ca);
	char end[CLOCK_TEXT_SIZE];

	if (trouble || (!keys_near_end(ca) && !shortened))
		return health_line(out, all_ok, "ca", ca->name, !trouble, trouble);
	buf_printf(out, "ca %s: ok, but its certificate ends at %s", ca->name,
		   clock_print_s(ca_current_key(ca)->not_after_s, end));
	if (shortened)
		buf_printf(out, ", before what profile %s gives", shortened->name);
	buf_append_str(out, ": gatehouse ca rollover\n");
}

static void clock_line(struct buf *out, bool *all_ok, struct ca_core *core)
{
	int64_t behind_s = clock_guard_behind_ms(core) / 1000;
	char wrong[128];

	snprintf(wrong, sizeof(wrong), "%lld s behind the latest time seen, so nothing is issued; set it, or accept "
		 "it: gatehouse server accept-clock", (long long)behind_s);
	health_line(out, all_ok, "clock", "", !behind_s, wrong);
}

static void anchor_line(struct buf *out, bool *all_ok, struct ca_core *core)
{
	struct anchor_lag lag;
	char wrong[128];

	if (anchor_measure(core, &lag))
		return health_line(out, all_ok, "audit anchor", "", false, "the audit trail cannot be read");
	snprintf(wrong, sizeof(wrong), "%s; %lld records are not in it, for %lld s",
		 lag.is_failing ? "cannot be written" : "is late", (long long)lag.records, (long long)lag.for_s);
	health_line(out, all_ok, "audit anchor", "", !lag.is_failing && lag.for_s < ANCHOR_LATE_S, wrong);
}

/* Who reads it removes the file. */
static void restore_line(struct buf *out, const struct ca_core *core)
{
	char path[PATH_MAX];
	size_t n = restored_count_left_out(core->data_folder, path);

	if (n)
		buf_printf(out,
			   "restore: ok, but %zu records of the audit anchor could not be brought back; settle them and"
			   " remove the file: cat %s\n", n, path);
}

bool ca_core_health(struct ca_core *core, struct buf *out)
{
	const char *late;
	bool ok = true, is_stuck;

	health_line(out, &ok, "core", "", !core->is_closed, "stopping");
	health_line(out, &ok, "store", "", !core->is_store_failing, "cannot write");
	clock_line(out, &ok, core);
	anchor_line(out, &ok, core);
	restore_line(out, core);
	signer_line(out, &ok, core);
	for (size_t i = 0; i < core->n_cas; i++)
		ca_line(out, &ok, &core->cas[i]);
	late = core->publisher ? publisher_late(core->publisher) : NULL;
	health_line(out, &ok, "crl", late ? late : "", !late, "a CRL is late; the log says why");
	is_stuck = policy_watch_is_stuck(core->policy_watch);
	health_line(out, &ok, "policy", "", !is_stuck && core->policy_failures_in_a_row < UNHEALTHY_AFTER,
		    is_stuck ? "does not answer" : "gives no valid answers");
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
	buf_append_str(out, "# HELP gatehouse_ca_shortens It ends before what a profile of its endpoints gives would.\n"
			    "# TYPE gatehouse_ca_shortens gauge\n");
	for (const struct ca *ca = core->cas; ca < core->cas + core->n_cas; ca++)
		ca_metric(out, ca, "ca_shortens", keys_shortened(ca) != NULL);
}

static void watched_metrics(struct buf *out, struct ca_core *core)
{
	struct credentials_any any;
	struct anchor_lag lag;
	char path[PATH_MAX];

	metric(out, "restore_left_out", "gauge", "Records that a restore could not bring back.",
	       (int64_t)restored_count_left_out(core->data_folder, path));
	metric(out, "clock_behind_seconds", "gauge",
	       "How far the clock is behind the latest time seen, when nothing is issued because of it.",
	       clock_guard_behind_ms(core) / 1000);
	if (anchor_measure(core, &lag) == 0) {
		metric(out, "audit_anchored_record", "gauge", "The last audit record that is anchored.", lag.seq);
		metric(out, "audit_anchor_lag_records", "gauge", "Audit records that are not anchored yet.",
		       lag.records);
		metric(out, "audit_anchor_lag_seconds", "gauge", "For how long they have not been, at most.",
		       lag.for_s);
	}
	if (credentials_count_any(core, &any) == 0) {
		metric(out, "credentials_any_scope", "gauge", "Live credentials that prove any name.", any.n);
		metric(out, "credentials_any_scope_unheld", "gauge",
		       "Those of them for a profile that does not hold what they ask for.", any.n_unheld);
	}
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
	watched_metrics(out, core);
	db_get_stats(core->db, &s);
	metric(out, "store_writes_total", "counter", "Writes committed.", (int64_t)s.writes);
	metric(out, "store_commits_total", "counter", "Commits; several writes share one.", (int64_t)s.batches);
	metric(out, "store_failures_total", "counter", "Writes that failed.", (int64_t)s.failures);
}
