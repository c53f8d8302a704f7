/* audit tail, search, verify, export; server accept-clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/shapes.h"

#define FOLLOW_EVERY_US 500000
#define PAGE 500
#define WALK 20000

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;
typedef Gatehouse__Admin__AuditRecord Record;
typedef Gatehouse__Admin__ListAudit Query;

static const struct column record_columns[] = {
	{ .name = "seq", .kind = COLUMN_NUMBER },
	{ .name = "time", .kind = COLUMN_AGE },
	{ .name = "actor" },
	{ .name = "action" },
	{ .name = "request", .kind = COLUMN_NUMBER },
	{ .name = "subject" },
	{ .name = "before" },
	{ .name = "after" },
	{ .name = "detail" },
	{ .name = "hash" },
	{ 0 },
};

const struct list_shape audit_shape = { "records", record_columns, "seq,time,actor,action,request,before,after,detail",
					"seq,time,actor,action,request,subject,before,after,detail",
					"no records", false };

/* The record's own members, with its number and hash. What is no JSON was tampered with, and is shown as it is. */
static cJSON *record_json(const Record *r)
{
	cJSON *o = cJSON_Parse(r->payload);

	if (!cJSON_IsObject(o)) {
		cJSON_Delete(o);
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "detail", r->payload);
	}
	cJSON_AddNumberToObject(o, "seq", (double)r->seq);
	cJSON_AddStringToObject(o, "hash", print_hex(r->hash));
	return o;
}

static Reply *ask(struct ctl *ctl, Query *query, int *code)
{
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	Reply *reply;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_AUDIT;
	call.list_audit = query;
	reply = ctl_call(ctl, &call);
	*code = reply ? ctl_outcome(ctl, reply, "read the audit trail") : CTL_UNREACHABLE;
	return reply;
}

/* All that fits, page by page; stops when the list wants no more. */
static int fetch(struct ctl *ctl, Query *query, struct list *list)
{
	bool more = true;
	int code = CTL_DONE;

	query->limit = PAGE;
	while (!code && more) {
		OWNED_REPLY *reply = ask(ctl, query, &code);

		for (size_t i = 0; !code && more && i < reply->n_audit; i++)
			more = list_add(list, record_json(reply->audit[i]));
		if (!code) {
			more = more && reply->more && reply->audit_last > query->after;
			query->after = reply->audit_last;
			query->newest = 0;
		}
	}
	return code;
}

static int parse_time(const struct ctl *ctl, const char *name, int64_t *ms)
{
	const char *text = option_value(ctl, name);
	int64_t at_s;

	if (!text)
		return CTL_DONE;
	if (clock_parse_s(text, &at_s))
		return ctl_fail(CTL_USAGE, text, "a time is written as 2026-03-01T12:00:00Z", NULL);
	*ms = at_s * 1000;
	return CTL_DONE;
}

int ctl_audit_search(struct ctl *ctl)
{
	Query query = GATEHOUSE__ADMIN__LIST_AUDIT__INIT;
	struct list *list = NULL;
	int code = option_number(ctl, "request", 1, INT64_MAX, &query.request);

	if (!code)
		code = parse_time(ctl, "since", &query.since_ms);
	if (!code)
		code = parse_time(ctl, "until", &query.until_ms);
	if (!code)
		code = list_new(&list, ctl);
	if (!code)
		code = list_after_number(list, &query.after);
	if (code)
		return list_end(&list, code);
	query.actor = (char *)(option_given(ctl, "actor") ? option_value(ctl, "actor") : "");
	query.action = (char *)(option_given(ctl, "action") ? option_value(ctl, "action") : "");
	query.subject = (char *)(option_given(ctl, "subject") ? option_value(ctl, "subject") : "");
	return list_end(&list, fetch(ctl, &query, list));
}

static void print_line(const struct ctl *ctl, const Record *r)
{
	cJSON *o = record_json(r);
	const char *words[5], *names[] = { "actor", "action", "subject", "before", "after" };

	if (is_json(ctl)) {
		print_json_text(o);
		putchar('\n');
	} else {
		const char *time = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "time"));
		const char *detail = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "detail"));
		const cJSON *request = cJSON_GetObjectItemCaseSensitive(o, "request");

		for (int i = 0; i < 5; i++)
			words[i] = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, names[i]));
		printf("%" PRId64 " %s %s %s", r->seq, print_text(time ? time : "-"),
		       print_text(words[0] ? words[0] : "-"),
		       print_text(words[1] ? words[1] : "-"));
		if (request)
			printf(" request=%.0f", cJSON_GetNumberValue(request));
		if (words[2])
			printf(" %s", print_text(words[2]));
		if (words[3] || words[4])
			printf(" %s>%s", print_text(words[3] ? words[3] : ""), print_text(words[4] ? words[4] : ""));
		printf("%s%s\n", detail ? " " : "", print_text(detail ? detail : ""));
	}
	cJSON_Delete(o);
	print_forget();
}

int ctl_audit_tail(struct ctl *ctl)
{
	Query query = GATEHOUSE__ADMIN__LIST_AUDIT__INIT;
	int64_t lines = 20;
	bool follows = option_given(ctl, "follow"), more = true;
	int code = option_number(ctl, "lines", 1, PAGE, &lines);

	query.newest = (uint32_t)lines;
	while (!code && (follows || more)) {
		OWNED_REPLY *reply = ask(ctl, &query, &code);

		if (code)
			break;
		for (size_t i = 0; i < reply->n_audit; i++)
			print_line(ctl, reply->audit[i]);
		more = reply->more && reply->n_audit > 0 && query.newest == 0;
		query.after = reply->audit_last;
		query.newest = 0;
		query.limit = PAGE;
		fflush(stdout);
		if (follows && !more)
			usleep(FOLLOW_EVERY_US);
	}
	return code;
}

/* A line a record, with the octets that its hash covers: SHA-256(prev || seq as 8 octets || payload). */
static void print_export(const Record *r)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "seq", (double)r->seq);
	cJSON_AddStringToObject(o, "prev", print_hex(r->prev));
	cJSON_AddStringToObject(o, "payload", r->payload);
	cJSON_AddStringToObject(o, "hash", print_hex(r->hash));
	print_json_text(o);
	putchar('\n');
	cJSON_Delete(o);
	print_forget();
}

int ctl_audit_export(struct ctl *ctl)
{
	Query query = GATEHOUSE__ADMIN__LIST_AUDIT__INIT;
	bool more = true;
	int code = option_number(ctl, "after", 0, INT64_MAX, &query.after);

	query.limit = PAGE;
	while (!code && more) {
		OWNED_REPLY *reply = ask(ctl, &query, &code);

		if (code)
			break;
		for (size_t i = 0; i < reply->n_audit; i++)
			print_export(reply->audit[i]);
		more = reply->more && reply->audit_last > query.after;
		query.after = reply->audit_last;
	}
	if (!code && fflush(stdout))
		code = ctl_fail(CTL_FAILED, "the export", "cannot be written", NULL);
	return code;
}

/* ---- verify ---- */

struct verdict {
	int64_t last, anchored, bad, bad_to;
	char what[256];
};

static void keep(struct verdict *v, const Gatehouse__Admin__TrailCheck *c, const char *what)
{
	v->bad = c->bad;
	v->bad_to = c->bad_to;
	snprintf(v->what, sizeof(v->what), "%s%s", what, c->what);
}

static int walk_chain(struct ctl *ctl, struct verdict *v)
{
	Gatehouse__Admin__VerifyAudit query = GATEHOUSE__ADMIN__VERIFY_AUDIT__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	uint8_t hash[32];
	bool more = true;
	int code = CTL_DONE;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_VERIFY_AUDIT;
	call.verify_audit = &query;
	query.limit = WALK;
	while (!code && more && !v->bad) {
		OWNED_REPLY *reply = ctl_call(ctl, &call);

		code = reply ? ctl_outcome(ctl, reply, "verify the audit trail") : CTL_UNREACHABLE;
		if (code || !reply->trail || reply->trail->hash.len != sizeof(hash))
			return code ? code : CTL_FAILED;
		memcpy(hash, reply->trail->hash.data, sizeof(hash));
		query.hash.data = hash;
		query.hash.len = sizeof(hash);
		query.after = v->last = reply->trail->last;
		if (reply->trail->bad)
			keep(v, reply->trail, "the record ");
		more = reply->more;
	}
	return code;
}

static int check_anchor(struct ctl *ctl, struct verdict *v)
{
	Gatehouse__Admin__VerifyAnchor query = GATEHOUSE__ADMIN__VERIFY_ANCHOR__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	OWNED_REPLY *reply = NULL;
	int code;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_VERIFY_ANCHOR;
	call.verify_anchor = &query;
	reply = ctl_call(ctl, &call);
	code = reply ? ctl_outcome(ctl, reply, "verify the anchor") : CTL_UNREACHABLE;
	if (code || !reply->trail)
		return code ? code : CTL_FAILED;
	v->anchored = reply->trail->last;
	if (reply->trail->what[0])
		keep(v, reply->trail, "");
	return CTL_DONE;
}

static void print_verdict(const struct ctl *ctl, const struct verdict *v)
{
	if (is_json(ctl)) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddBoolToObject(o, "ok", !v->what[0]);
		cJSON_AddNumberToObject(o, "records", (double)v->last);
		cJSON_AddNumberToObject(o, "anchored", (double)v->anchored);
		if (v->bad)
			cJSON_AddNumberToObject(o, "first_bad", (double)v->bad);
		if (v->bad)
			cJSON_AddNumberToObject(o, "first_bad_at_most", (double)v->bad_to);
		if (v->what[0])
			cJSON_AddStringToObject(o, "finding", v->what);
		print_json(o);
	} else if (!v->what[0]) {
		printf("%" PRId64 " audit records, whole; anchored up to %" PRId64 "\n", v->last, v->anchored);
	} else if (v->bad && v->bad == v->bad_to) {
		printf("TAMPERED: audit record %" PRId64 ": %s\n", v->bad, print_text(v->what));
	} else if (v->bad) {
		printf("TAMPERED: the first bad one is among audit records %" PRId64 " to %" PRId64 ": %s\n", v->bad,
		       v->bad_to, print_text(v->what));
	} else {
		printf("TAMPERED: %s\n", print_text(v->what));
	}
}

int ctl_audit_verify(struct ctl *ctl)
{
	struct verdict v = { 0 };
	int code;

	if (option_given(ctl, "database") || option_given(ctl, "data") || option_given(ctl, "anchor"))
		return ctl_check_store(ctl, true);
	code = walk_chain(ctl, &v);
	if (!code && !v.bad)
		code = check_anchor(ctl, &v);
	if (code)
		return code;
	print_verdict(ctl, &v);
	return v.what[0] ? CTL_FAILED : CTL_DONE;
}

int ctl_accept_clock(struct ctl *ctl)
{
	Gatehouse__Admin__AcceptClock query = GATEHOUSE__ADMIN__ACCEPT_CLOCK__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	OWNED_REPLY *reply = NULL;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_ACCEPT_CLOCK;
	call.accept_clock = &query;
	reply = ctl_call(ctl, &call);
	return reply ? ctl_outcome(ctl, reply, "accept the clock") : CTL_UNREACHABLE;
}
