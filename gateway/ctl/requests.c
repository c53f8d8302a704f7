/* Requests in lists, and how an argument names one: pending, list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/requests.h"

#include <stdio.h>
#include <string.h>

#include "core/module.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/shapes.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;
typedef Gatehouse__Admin__Request Request;

cJSON *request_json(const Request *q)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "id", (double)q->id);
	cJSON_AddStringToObject(o, "state", ca_state_word((enum ca_state)q->state));
	cJSON_AddStringToObject(o, "via", q->protocol);
	cJSON_AddStringToObject(o, "endpoint", q->endpoint);
	cJSON_AddStringToObject(o, "profile", q->profile);
	cJSON_AddStringToObject(o, "ca", q->ca);
	cJSON_AddStringToObject(o, "requester", q->requester);
	cJSON_AddStringToObject(o, "from", q->source);
	cJSON_AddStringToObject(o, "subject", q->subject);
	cJSON_AddItemToObject(o, "names", print_names_json(q->names, q->n_names));
	cJSON_AddStringToObject(o, "digest", print_hex(q->digest));
	cJSON_AddStringToObject(o, "submitted", print_time_ms(q->submitted_ms));
	cJSON_AddStringToObject(o, "first_seen", print_time_ms(q->first_seen_ms));
	if (q->resolved_ms)
		cJSON_AddStringToObject(o, "resolved", print_time_ms(q->resolved_ms));
	cJSON_AddStringToObject(o, "rule", q->rule);
	cJSON_AddStringToObject(o, "reason", q->reason);
	cJSON_AddStringToObject(o, "status", q->status);
	if (q->serial.len)
		cJSON_AddStringToObject(o, "serial", print_hex(q->serial));
	cJSON_AddNumberToObject(o, "version", (double)q->version);
	if (q->key_hash.len)
		cJSON_AddStringToObject(o, "key_hash", print_hex(q->key_hash));
	cJSON_AddBoolToObject(o, "edited", q->is_edited);
	return o;
}

/* "rule hold: a person must look" */
static const char *held_text(const cJSON *row)
{
	const char *rule = cJSON_GetObjectItemCaseSensitive(row, "rule")->valuestring;
	const char *reason = cJSON_GetObjectItemCaseSensitive(row, "reason")->valuestring;
	OWNED_BUF out = BUF_INIT(65536);

	buf_printf(&out, "%s%s%s%s", rule[0] ? "rule " : "", rule, rule[0] && reason[0] ? ": " : "", reason);
	return print_kept(buf_str(&out));
}

static const struct column columns[] = {
	{ .name = "id", .kind = COLUMN_NUMBER },
	{ .name = "state", .kind = COLUMN_STATE },
	{ .name = "via" },
	{ .name = "endpoint" },
	{ .name = "profile" },
	{ .name = "ca" },
	{ .name = "requester" },
	{ .name = "subject" },
	{ .name = "names", .kind = COLUMN_NAMES },
	{ .name = "from" },
	{ .name = "age", .member = "first_seen", .kind = COLUMN_AGE },
	{ .name = "submitted", .kind = COLUMN_TIME },
	{ .name = "resolved", .kind = COLUMN_TIME },
	{ .name = "rule" },
	{ .name = "reason" },
	{ .name = "why", .heading = "WHY HELD", .text = held_text },
	{ .name = "status" },
	{ .name = "serial" },
	{ .name = "digest" },
	{ .name = "key-hash" },
	{ .name = "edited" },
	{ 0 },
};

const struct list_shape pending_shape = {
	"requests", columns, "id,via,profile,subject,names,from,age,why",
	"id,via,endpoint,profile,requester,subject,names,from,age,why", "nothing is pending", false,
};
const struct list_shape request_shape = {
	"requests", columns, "id,state,via,profile,subject,names,from,age,reason",
	"id,state,via,endpoint,profile,requester,subject,names,from,age,rule,reason,status", "no requests", false,
};

int requests_fetch(struct ctl *ctl, const char *filter, const struct requests_part *part,
		   bool (*each)(void *arg, const Request *q), void *arg)
{
	Gatehouse__Admin__ListRequests query = GATEHOUSE__ADMIN__LIST_REQUESTS__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	uint8_t from[LIST_PLACE_MAX];
	bool more = true;

	query.filter = (char *)filter;
	query.from.data = from;
	query.limit = part->page;
	query.backwards = part->is_backwards;
	query.after_id = part->after;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_REQUESTS;
	call.list_requests = &query;
	while (more) {
		OWNED_REPLY *reply = ctl_call(ctl, &call);
		int code = reply ? ctl_outcome(ctl, reply, "list requests") : CTL_UNREACHABLE;

		if (code)
			return code;
		more = list_goes_on(reply, &query.from);
		for (size_t i = 0; i < reply->n_requests; i++)
			if (!each(arg, reply->requests[i]))
				return CTL_DONE;
	}
	return CTL_DONE;
}

int requests_filter(struct buf *out, const char *own, const char *typed)
{
	if (typed && *typed == '@')
		typed++;
	/* First what was typed: a place in it that the core names is the place that was typed. */
	if (typed && *typed && *own)
		return buf_printf(out, strcasestr(typed, "or") ? "(%s) and %s" : "%s and %s", typed, own);
	return buf_append_str(out, typed && *typed ? typed : own);
}

static bool is_number(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n > 0 && n < 19 && !text[n];
}

struct match {
	int64_t ids[2];
	size_t n;
};

static bool take_match(void *arg, const Request *q)
{
	struct match *m = arg;

	m->ids[m->n++] = q->id;
	return m->n < 2;
}

int requests_resolve(struct ctl *ctl, const char *argument, bool is_pending, int64_t *id)
{
	static const struct requests_part two = { .page = 2 };
	struct match m = { .n = 0 };
	OWNED_BUF filter = BUF_INIT(256);
	char why[96];
	int code;

	if (is_number(argument))
		return ctl_parse_id(argument, id);
	if (strlen(argument) < 6 || strlen(argument) > 64 || argument[strspn(argument, "0123456789abcdefABCDEF")])
		return ctl_fail(CTL_USAGE, argument,
				"a request is named by its number, the serial of its certificate, or the beginning of "
				"the hash of its key", "gatehouse list");
	buf_append_str(&filter, "serial=");
	buf_append_str(&filter, argument);
	code = strlen(argument) % 2 == 0 ? requests_fetch(ctl, buf_str(&filter), &two, take_match, &m) : CTL_DONE;
	buf_reset(&filter);
	buf_append_str(&filter, is_pending ? "state=pending and key=" : "key=");
	buf_append_str(&filter, argument);
	buf_append_char(&filter, '*');
	if (!code && m.n == 0)
		code = requests_fetch(ctl, buf_str(&filter), &two, take_match, &m);
	if (code)
		return code;
	*id = m.ids[0];
	if (m.n == 1)
		return CTL_DONE;
	if (m.n == 0)
		return ctl_fail(CTL_NOT_FOUND, argument, "no request has this serial or key", "gatehouse list");
	snprintf(why, sizeof(why), "several requests have it, among them %lld and %lld", (long long)m.ids[0],
		 (long long)m.ids[1]);
	return ctl_fail(CTL_USAGE, argument, why, "name one by its number");
}

struct rows {
	struct list *list;
	int64_t oldest_ms;
};

static bool add_row(void *arg, const Request *q)
{
	struct rows *rows = arg;

	if (!rows->oldest_ms || q->first_seen_ms < rows->oldest_ms)
		rows->oldest_ms = q->first_seen_ms;
	return list_add(rows->list, request_json(q));
}

static int list_requests(struct ctl *ctl, bool pending)
{
	const char *typed = ctl->n_arguments ? ctl->arguments[0] : NULL;
	OWNED_BUF filter = BUF_INIT(8192);
	struct rows rows = { 0 };
	struct requests_part part = { .is_backwards = option_given(ctl, "newest") };
	size_t n;
	int code = list_new(&rows.list, ctl);

	if (!code && requests_filter(&filter, pending ? "state=pending" : "", typed))
		code = ctl_fail(CTL_USAGE, "the filter is too long", NULL, NULL);
	if (!code)
		code = list_after_number(rows.list, &part.after);
	if (code)
		return list_end(&rows.list, code);
	code = requests_fetch(ctl, buf_str(&filter), &part, add_row, &rows);
	n = list_count(rows.list);
	code = list_end(&rows.list, code);
	if (!code && n && pending && ctl->format == CTL_TABLE && !option_given(ctl, "no-headings"))
		printf("%zu pending, oldest %s.   gatehouse show ID | approve ID | deny ID --reason \"…\"\n", n,
		       print_age(ctl, rows.oldest_ms));
	return code;
}

int ctl_pending(struct ctl *ctl)
{
	return list_requests(ctl, true);
}

int ctl_list(struct ctl *ctl)
{
	return list_requests(ctl, false);
}
