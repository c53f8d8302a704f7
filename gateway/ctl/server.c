/* Commands about the daemon: status, doctor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "gateway/ctl/print.h"

typedef Gatehouse__Admin__Call Call;

static cJSON *status_json(const Gatehouse__Admin__Status *s)
{
	cJSON *o = cJSON_CreateObject(), *roles;

	cJSON_AddBoolToObject(o, "healthy", s->healthy);
	cJSON_AddStringToObject(o, "health", s->health);
	cJSON_AddNumberToObject(o, "pending", (double)s->pending);
	cJSON_AddNumberToObject(o, "unfinished", (double)s->unfinished);
	cJSON_AddNumberToObject(o, "outbox_waiting", (double)s->outbox_waiting);
	cJSON_AddNumberToObject(o, "outbox_set_aside", (double)s->outbox_set_aside);
	cJSON_AddNumberToObject(o, "certificates", (double)s->certificates);
	cJSON_AddStringToObject(o, "caller", s->caller);
	roles = cJSON_AddArrayToObject(o, "roles");
	for (size_t i = 0; i < s->n_roles; i++)
		cJSON_AddItemToArray(roles, cJSON_CreateString(s->roles[i]));
	cJSON_AddBoolToObject(o, "roles_separated", s->roles_separated);
	cJSON_AddNumberToObject(o, "credentials_for_any_name", (double)s->any_scope);
	cJSON_AddNumberToObject(o, "credentials_for_any_name_unheld", (double)s->any_scope_unheld);
	cJSON_AddNumberToObject(o, "clock_behind_s", (double)s->clock_behind_s);
	cJSON_AddNumberToObject(o, "audit_anchored", (double)s->anchor_seq);
	cJSON_AddNumberToObject(o, "audit_anchor_lag", (double)s->anchor_lag);
	cJSON_AddNumberToObject(o, "audit_anchor_lag_s", (double)s->anchor_lag_s);
	return o;
}

static Gatehouse__Admin__Reply *fetch_status(struct ctl *ctl, int *code)
{
	Gatehouse__Admin__GetStatus query = GATEHOUSE__ADMIN__GET_STATUS__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	Gatehouse__Admin__Reply *reply;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_GET_STATUS;
	call.get_status = &query;
	reply = ctl_call(ctl, &call);
	*code = reply ? ctl_outcome(ctl, reply, "get the status") : CTL_UNREACHABLE;
	if (!*code && !reply->status)
		*code = ctl_fail(CTL_FAILED, "the core sent no status", NULL, NULL);
	return reply;
}

int ctl_status(struct ctl *ctl)
{
	int code;
	OWNED_REPLY *reply = fetch_status(ctl, &code);
	const Gatehouse__Admin__Status *s;

	if (code)
		return code;
	s = reply->status;
	if (is_json(ctl)) {
		print_json(status_json(s));
	} else {
		printf("%s", s->health);
		printf("pending: %lld%s%s\n", (long long)s->pending, s->pending ? ", oldest " : "",
		       s->pending ? print_age(ctl, s->oldest_pending_ms) : "");
		printf("certificates: %lld\nunfinished: %lld\nexit events waiting: %lld, set aside: %lld\n",
		       (long long)s->certificates, (long long)s->unfinished, (long long)s->outbox_waiting,
		       (long long)s->outbox_set_aside);
		printf("roles: %s\n", s->roles_separated ? "separated" : "not separated (one user)");
		if (s->any_scope)
			printf("credentials for any name: %lld, of these for profiles without any-scope: pend: %lld\n",
			       (long long)s->any_scope, (long long)s->any_scope_unheld);
		printf("audit records anchored: %lld, not yet: %lld\n", (long long)s->anchor_seq,
		       (long long)s->anchor_lag);
		printf("you are %s", print_text(s->caller));
		for (size_t i = 0; i < s->n_roles; i++)
			printf("%s%s", i ? ", " : ": ", print_text(s->roles[i]));
		puts("");
	}
	return s->healthy ? CTL_DONE : CTL_FAILED;
}

/* ---- doctor ---- */

/* As monitoring counts them; they are the exit codes of doctor. */
enum level { LEVEL_OK, LEVEL_WARN, LEVEL_CRITICAL };

#define DAY_S 86400
#define QUEUE_DAYS_WARN 7
#define CA_DAYS_WARN 90
#define CA_DAYS_CRITICAL 14

struct doctor {
	struct ctl *ctl;
	struct print_table *table;
	cJSON *list;
	enum level worst;
};

static void find(struct doctor *d, enum level level, const char *part, const char *what, const char *next)
{
	static const char *const words[] = { "ok", "warning", "critical" };
	static const char *const colors[] = { "green", "yellow", "red" };

	if (level > d->worst)
		d->worst = level;
	if (d->list) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "level", words[level]);
		cJSON_AddStringToObject(o, "part", part);
		cJSON_AddStringToObject(o, "what", what);
		cJSON_AddStringToObject(o, "next", next);
		cJSON_AddItemToArray(d->list, o);
		return;
	}
	print_row(d->table, (const char *[]){ words[level], print_text(part), print_text(what), print_text(next) });
	print_cell_color(d->table, 0, colors[level]);
}

/* A line of the core's health may end in the command that helps. */
static const char *cut_command(char *what)
{
	static const char mark[] = ": gatehouse ";
	char *command = strstr(what, mark);

	if (!command)
		return NULL;
	*command = 0;
	return command + 2;
}

/* The lines of the core's health: "store: ok", "ca X: ok, but …", "exit file: does not take events". */
static void check_health(struct doctor *d, const char *health)
{
	while (*health) {
		int n = (int)strcspn(health, "\n"), part = (int)strcspn(health, ":\n");
		char name[128], what[512];
		const char *next;

		snprintf(name, sizeof(name), "%.*s", part, health);
		snprintf(what, sizeof(what), "%.*s", n > part + 2 ? n - part - 2 : 0, health + part + 2);
		next = cut_command(what);
		if (strncmp(what, "ok, but", 7) == 0)
			find(d, LEVEL_WARN, name, what, next ? next : "");
		else if (strncmp(what, "ok", 2) == 0)
			find(d, LEVEL_OK, name, what, "");
		else
			find(d, LEVEL_CRITICAL, name, what, next ? next : "look at the log of gatehoused");
		health += n + (health[n] == '\n');
	}
}

static void check_credentials(struct doctor *d, const Gatehouse__Admin__Status *s)
{
	char what[160];

	if (s->any_scope_unheld)
		snprintf(what, sizeof(what), "%lld prove any name, %lld of them for a profile that does not hold what "
			 "they ask for", (long long)s->any_scope, (long long)s->any_scope_unheld);
	else
		snprintf(what, sizeof(what), "%lld prove any name", (long long)s->any_scope);
	find(d, s->any_scope_unheld ? LEVEL_WARN : LEVEL_OK, "credentials", what,
	     s->any_scope_unheld ? "narrow their scope, or set any-scope: pend in the profile" : "");
}

static void check_queue(struct doctor *d, const Gatehouse__Admin__Status *s)
{
	int64_t waits_s = s->pending ? clock_wall_s() - s->oldest_pending_ms / 1000 : 0;
	char what[128];

	snprintf(what, sizeof(what), "%lld pending, oldest %s", (long long)s->pending,
		 s->pending ? print_age(d->ctl, s->oldest_pending_ms) : "none");
	find(d, waits_s > QUEUE_DAYS_WARN * DAY_S ? LEVEL_WARN : LEVEL_OK, "queue", what,
	     waits_s > QUEUE_DAYS_WARN * DAY_S ? "gatehouse pending" : "");
	snprintf(what, sizeof(what), "%lld exit events waiting, %lld set aside", (long long)s->outbox_waiting,
		 (long long)s->outbox_set_aside);
	find(d, s->outbox_set_aside ? LEVEL_WARN : LEVEL_OK, "outbox", what,
	     s->outbox_set_aside ? "look at the log of gatehoused for the exit module" : "");
}

static void check_ca(struct doctor *d, const Gatehouse__Admin__Ca *ca)
{
	int64_t days = (ca->not_after_s - clock_wall_s()) / DAY_S;
	char what[512];

	if (ca->certificate.len == 0)
		return;
	snprintf(what, sizeof(what), "%.300s ends %s", ca->name, print_time_s(ca->not_after_s));
	find(d, days < CA_DAYS_CRITICAL ? LEVEL_CRITICAL : days < CA_DAYS_WARN ? LEVEL_WARN : LEVEL_OK,
	     "ca certificate", what, days < CA_DAYS_WARN ? "give the CA a new key in time" : "");
}

static void check_all(struct doctor *d)
{
	int code;
	OWNED_REPLY *status = fetch_status(d->ctl, &code);
	OWNED_REPLY *cas = NULL;
	Gatehouse__Admin__ShowCa query = GATEHOUSE__ADMIN__SHOW_CA__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	if (code) {
		find(d, LEVEL_CRITICAL, "core", "does not tell its status", "standard error says why");
		return;
	}
	check_health(d, status->status->health);
	check_queue(d, status->status);
	check_credentials(d, status->status);
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SHOW_CA;
	call.show_ca = &query;
	cas = ctl_call(d->ctl, &call);
	if (!cas || ctl_outcome(d->ctl, cas, "show the CAs"))
		find(d, LEVEL_WARN, "ca certificate", "is not told to this user", "gatehouse status");
	for (size_t i = 0; cas && i < cas->n_cas; i++)
		check_ca(d, cas->cas[i]);
}

int ctl_doctor(struct ctl *ctl)
{
	static const char *const headings[] = { "LEVEL", "PART", "WHAT", "NEXT", NULL };
	struct doctor d = { .ctl = ctl };
	cJSON *document = cJSON_CreateObject();

	if (is_json(ctl))
		d.list = cJSON_AddArrayToObject(document, "findings");
	else
		d.table = print_table_new(ctl, headings);
	check_all(&d);
	if (is_json(ctl)) {
		print_json(document);
	} else {
		print_table_end(d.table, true);
		cJSON_Delete(document);
	}
	return (int)d.worst;
}
