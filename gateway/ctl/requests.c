/* Commands about requests: pending, list, show, approve, resubmit, deny, edit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/digest.h"
#include "core/module.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/shapes.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;
typedef Gatehouse__Admin__Request Request;
typedef Gatehouse__Admin__Detail Detail;

static cJSON *request_json(const Request *q)
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
	{ 0 },
};

const struct list_shape pending_shape = {
	"requests", columns, "id,via,profile,subject,names,from,age,why",
	"id,via,endpoint,profile,requester,subject,names,from,age,why", "nothing is pending",
};
const struct list_shape request_shape = {
	"requests", columns, "id,state,via,profile,subject,names,from,age,reason",
	"id,state,via,endpoint,profile,requester,subject,names,from,age,rule,reason,status", "no requests",
};

/* Fetch page by page and put each row into the list. */
static int fetch_requests(struct ctl *ctl, struct list *list, char *filter, int64_t *oldest_ms)
{
	Gatehouse__Admin__ListRequests query = GATEHOUSE__ADMIN__LIST_REQUESTS__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	uint8_t from[LIST_PLACE_MAX];
	bool more = true;

	query.filter = filter;
	query.from.data = from;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_REQUESTS;
	call.list_requests = &query;
	while (more) {
		OWNED_REPLY *reply = ctl_call(ctl, &call);
		int code = reply ? ctl_outcome(reply, "list requests") : CTL_UNREACHABLE;

		if (code)
			return code;
		more = list_goes_on(reply, &query.from);
		for (size_t i = 0; i < reply->n_requests; i++) {
			const Request *q = reply->requests[i];

			if (!*oldest_ms || q->first_seen_ms < *oldest_ms)
				*oldest_ms = q->first_seen_ms;
			if (!list_add(list, request_json(q)))
				return CTL_DONE;
		}
	}
	return CTL_DONE;
}

static int list_requests(struct ctl *ctl, bool pending)
{
	struct list *list = NULL;
	int64_t after = 0, oldest_ms = 0;
	char filter[64];
	size_t n;
	int code = option_number(ctl, "after", 1, INT64_MAX, &after);

	if (!code)
		code = list_new(&list, ctl);
	if (code)
		return code;
	snprintf(filter, sizeof(filter), "id>%lld%s", (long long)after, pending ? " and state=pending" : "");
	code = fetch_requests(ctl, list, filter, &oldest_ms);
	n = list_count(list);
	code = list_end(&list, code);
	if (!code && n && pending && ctl->format == CTL_TABLE && !option_given(ctl, "no-headings"))
		printf("%zu pending, oldest %s.   gatehouse show ID | approve ID | deny ID --reason \"…\"\n", n,
		       print_age(ctl, oldest_ms));
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

static Reply *fetch_detail(struct ctl *ctl, int64_t id, bool timeline, int *code)
{
	Gatehouse__Admin__ShowRequest show = GATEHOUSE__ADMIN__SHOW_REQUEST__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	Reply *reply;
	char what[48];

	show.id = id;
	show.timeline = timeline;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SHOW_REQUEST;
	call.show_request = &show;
	reply = ctl_call(ctl, &call);
	snprintf(what, sizeof(what), "show %lld", (long long)id);
	*code = reply ? ctl_outcome(reply, what) : CTL_UNREACHABLE;
	return reply;
}

static int show_json(const struct ctl *ctl, const Detail *d)
{
	cJSON *document = cJSON_CreateObject(), *o = request_json(d->request), *list;

	cJSON_AddItemToObject(document, "request", o);
	cJSON_AddStringToObject(o, "asked_subject", d->asked_subject);
	cJSON_AddStringToObject(o, "key_type", d->key_type);
	cJSON_AddNumberToObject(o, "key_bits", d->key_bits);
	cJSON_AddStringToObject(o, "not_before", print_time_s(d->not_before_s));
	cJSON_AddStringToObject(o, "not_after", print_time_s(d->not_after_s));
	cJSON_AddStringToObject(o, "trace", d->trace);
	list = cJSON_AddArrayToObject(o, "identifiers");
	for (size_t i = 0; i < d->n_names; i++) {
		cJSON *n = cJSON_CreateObject();

		cJSON_AddStringToObject(n, "name", d->names[i]->text);
		cJSON_AddStringToObject(n, "evidence", d->names[i]->evidence);
		cJSON_AddItemToArray(list, n);
	}
	list = cJSON_AddObjectToObject(o, "attributes");
	for (size_t i = 0; i < d->n_attributes; i++)
		cJSON_AddStringToObject(list, d->attributes[i]->name, d->attributes[i]->value);
	list = cJSON_AddArrayToObject(o, "approvals");
	for (size_t i = 0; i < d->n_approvals; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(d->approvals[i]));
	if (option_given(ctl, "timeline")) {
		list = cJSON_AddArrayToObject(o, "timeline");
		for (size_t i = 0; i < d->n_timeline; i++) {
			cJSON *l = cJSON_CreateObject();

			cJSON_AddStringToObject(l, "at", print_time_ms(d->timeline[i]->at_ms));
			cJSON_AddStringToObject(l, "actor", d->timeline[i]->actor);
			cJSON_AddStringToObject(l, "text", d->timeline[i]->text);
			cJSON_AddItemToArray(list, l);
		}
	}
	if (d->certificate.len)
		cJSON_AddStringToObject(o, "certificate", print_pem(d->certificate));
	return print_json(document);
}

static void field(const char *label, const char *value)
{
	if (*value)
		printf("%-12s %s\n", label, value);
}

static void show_extensions(const Detail *d)
{
	static const struct {
		unsigned origin;
		const char *word;
	} origins[] = { { CA_EXT_ORIGIN_REQUEST, "asked for" },
			{ CA_EXT_ORIGIN_POLICY, "set by policy" },
			{ CA_EXT_ORIGIN_ADMIN, "set by an officer" } };

	for (size_t i = 0; i < d->n_extensions; i++) {
		const Gatehouse__Admin__Extension *x = d->extensions[i];
		const char *origin = "";

		for (size_t j = 0; j < sizeof(origins) / sizeof(*origins); j++)
			if ((x->flags & CA_EXT_ORIGIN_MASK) == origins[j].origin)
				origin = origins[j].word;
		/* Names, key usage and the like are always the CA's own. */
		if (extension_is_reserved(x->oid)) {
			printf("%-12s %s  %s, the CA writes its own\n", i ? "" : "extensions", print_text(x->oid),
			       origin);
			continue;
		}
		printf("%-12s %s  %s%s, %s\n", i ? "" : "extensions", print_text(x->oid), origin,
		       x->flags & CA_EXT_CRITICAL ? ", critical" : "",
		       x->flags & CA_EXT_DISABLED ? "left out" : "in the certificate");
	}
}

static void show_text(struct ctl *ctl, const Detail *d)
{
	const Request *q = d->request;

	printf("%-12s %lld (%s)\n", "request", (long long)q->id, ca_state_word((enum ca_state)q->state));
	printf("%-12s %s, endpoint %s, from %s\n", "via", print_text(q->protocol), print_text(q->endpoint),
	       q->source[0] ? print_text(q->source) : "-");
	field("requester", print_text(q->requester));
	printf("%-12s %s, profile %s\n", "ca", print_text(q->ca), print_text(q->profile));
	field("asked for", print_text(d->asked_subject));
	field("subject", print_text(q->subject));
	for (size_t i = 0; i < d->n_names; i++)
		printf("%-12s %s   (%s)\n", i ? "" : "names", print_text(d->names[i]->text),
		       print_text(d->names[i]->evidence));
	printf("%-12s %s %u bits\n", "key", print_text(d->key_type), d->key_bits);
	printf("%-12s %s to %s\n", "validity", print_time_s(d->not_before_s), print_time_s(d->not_after_s));
	for (size_t i = 0; i < d->n_attributes; i++)
		printf("%-12s %s: %s\n", i ? "" : "attributes", print_text(d->attributes[i]->name),
		       print_text(d->attributes[i]->value));
	show_extensions(d);
	for (size_t i = 0; i < d->n_approvals; i++)
		printf("%-12s %s\n", i ? "" : "approved by", print_text(d->approvals[i]));
	field("rule", print_text(q->rule));
	field("policy", print_text(d->trace));
	field("status", print_text(q->status));
	field("reason", print_text(q->reason));
	printf("%-12s %s\n", "submitted", print_time_ms(q->submitted_ms));
	if (q->serial.len)
		field("serial", print_hex(q->serial));
	field("digest", print_hex(q->digest));
	if (option_given(ctl, "timeline") && d->n_timeline)
		puts("");
	for (size_t i = 0; option_given(ctl, "timeline") && i < d->n_timeline; i++)
		printf("%s  %-16s %s\n", print_time_ms(d->timeline[i]->at_ms), print_text(d->timeline[i]->actor),
		       print_text(d->timeline[i]->text));
}

int ctl_show(struct ctl *ctl)
{
	int64_t id;
	int code = ctl_parse_id(ctl->arguments[0], &id);
	OWNED_REPLY *reply = code ? NULL : fetch_detail(ctl, id, option_given(ctl, "timeline"), &code);

	if (code)
		return code;
	if (is_json(ctl))
		return show_json(ctl, reply->detail);
	show_text(ctl, reply->detail);
	return CTL_DONE;
}

/* What a decision came to, by the state the request is in now. */
static int report(struct ctl *ctl, const Reply *reply, int64_t id)
{
	const Request *q = reply->decided;
	enum ca_state state = q ? (enum ca_state)q->state : CA_STATE_ERROR;

	if (is_json(ctl) && q) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddItemToObject(document, "request", request_json(q));
		print_json(document);
	} else {
		printf("request %lld is %s%s%s\n", (long long)id, ca_state_word(state), reply->reason[0] ? ": " : "",
		       print_text(reply->reason));
	}
	switch (state) {
	case CA_STATE_ISSUED:
		return CTL_DONE;
	case CA_STATE_DENIED:
		return CTL_DENIED;
	case CA_STATE_PENDING:
		return CTL_PENDING;
	default:
		return CTL_FAILED;
	}
}

/* Show what will be approved and ask. The digest that was shown goes into `digest`. */
static int confirm(struct ctl *ctl, int64_t id, uint8_t digest[static SHA256_SIZE])
{
	char answer[16] = "";
	int code;
	OWNED_REPLY *reply = fetch_detail(ctl, id, false, &code);

	if (code)
		return code;
	show_text(ctl, reply->detail);
	printf("\nIssue this certificate? [y/N] ");
	fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
		return ctl_fail(CTL_USAGE, "not approved", "it was not confirmed", NULL);
	if (reply->detail->request->digest.len != SHA256_SIZE)
		return ctl_fail(CTL_FAILED, "not approved", "the core sent no digest", NULL);
	memcpy(digest, reply->detail->request->digest.data, SHA256_SIZE);
	return CTL_DONE;
}

static int approve_one(struct ctl *ctl, int64_t id)
{
	Gatehouse__Admin__Decide decide = GATEHOUSE__ADMIN__DECIDE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	const char *wanted = option_value(ctl, "digest");
	uint8_t digest[SHA256_SIZE];
	char what[48];
	int code = CTL_DONE;

	decide.id = id;
	decide.digest.data = digest;
	if (wanted) {
		if (hex_parse(wanted, digest, sizeof(digest)))
			return ctl_fail(CTL_USAGE, wanted, "a digest has 64 hexadecimal digits",
					"gatehouse show ID");
		decide.digest.len = sizeof(digest);
	} else if (!option_given(ctl, "yes")) {
		if (!isatty(STDIN_FILENO))
			return ctl_fail(CTL_USAGE, "not approved", "there is no terminal to confirm it at",
					"add --yes, or --digest with what gatehouse show printed");
		code = confirm(ctl, id, digest);
		decide.digest.len = sizeof(digest);
	}
	if (code)
		return code;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_APPROVE;
	call.approve = &decide;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	snprintf(what, sizeof(what), "approve %lld", (long long)id);
	code = reply ? ctl_outcome(reply, what) : CTL_UNREACHABLE;
	return code ? code : report(ctl, reply, id);
}

static int resubmit_one(struct ctl *ctl, int64_t id)
{
	Gatehouse__Admin__Decide decide = GATEHOUSE__ADMIN__DECIDE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	char what[48];
	int code;

	decide.id = id;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_RESUBMIT;
	call.resubmit = &decide;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	snprintf(what, sizeof(what), "resubmit %lld", (long long)id);
	code = reply ? ctl_outcome(reply, what) : CTL_UNREACHABLE;
	return code ? code : report(ctl, reply, id);
}

/* Denying is what was asked for: done, not "denied by policy". */
static int deny_one(struct ctl *ctl, int64_t id)
{
	Gatehouse__Admin__Decide decide = GATEHOUSE__ADMIN__DECIDE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	char what[48];
	int code;

	decide.id = id;
	decide.reason = (char *)(option_given(ctl, "reason") ? option_value(ctl, "reason") : "");
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_DENY;
	call.deny = &decide;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	snprintf(what, sizeof(what), "deny %lld", (long long)id);
	code = reply ? ctl_outcome(reply, what) : CTL_UNREACHABLE;
	if (!code)
		report(ctl, reply, id);
	return code;
}

static int set_attribute(struct ctl *ctl, int64_t id, const char *name, const char *value)
{
	Gatehouse__Admin__SetAttribute set = GATEHOUSE__ADMIN__SET_ATTRIBUTE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	char what[200];

	set.id = id;
	set.name = (char *)name;
	set.value = (char *)value;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SET_ATTRIBUTE;
	call.set_attribute = &set;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	snprintf(what, sizeof(what), "set attribute '%.100s' of %lld", name, (long long)id);
	return reply ? ctl_outcome(reply, what) : CTL_UNREACHABLE;
}

static int edit_one(struct ctl *ctl, int64_t id)
{
	const char *given;
	int code = CTL_DONE;

	if (!option_given(ctl, "set-attr") && !option_given(ctl, "del-attr"))
		return ctl_fail(CTL_USAGE, "nothing to edit", "no --set-attr and no --del-attr was given", NULL);
	for (int i = 0; !code && (given = option_nth(ctl, "set-attr", i)); i++) {
		char *name = strdup(given), *value = name ? strchr(name, '=') : NULL;

		if (!value || value == name)
			code = ctl_fail(CTL_USAGE, given, "an attribute is written name=value", NULL);
		if (!code) {
			*value++ = '\0';
			code = set_attribute(ctl, id, name, value);
		}
		free(name);
	}
	for (int i = 0; !code && (given = option_nth(ctl, "del-attr", i)); i++)
		code = set_attribute(ctl, id, given, "");
	if (!code && !is_json(ctl))
		printf("request %lld is changed; policy has not been asked: gatehouse resubmit %lld\n", (long long)id,
		       (long long)id);
	return code;
}

/* Do it to every request of the command line. Several with different results: CTL_PARTLY when some went well. */
static int for_each(struct ctl *ctl, int (*one)(struct ctl *ctl, int64_t id))
{
	int code = CTL_DONE, done = 0, failed = 0;

	for (int i = 0; i < ctl->n_arguments; i++) {
		int64_t id;
		int this = ctl_parse_id(ctl->arguments[i], &id);

		if (!this)
			this = one(ctl, id);
		done += this == CTL_DONE;
		failed += this != CTL_DONE;
		if (this != CTL_DONE)
			code = this;
		if (this == CTL_UNREACHABLE)
			break;
	}
	return done && failed ? CTL_PARTLY : code;
}

int ctl_approve(struct ctl *ctl)
{
	if (option_given(ctl, "digest") && ctl->n_arguments > 1)
		return ctl_fail(CTL_USAGE, "--digest goes with one request", NULL, NULL);
	return for_each(ctl, approve_one);
}

int ctl_resubmit(struct ctl *ctl)
{
	return for_each(ctl, resubmit_one);
}

int ctl_deny(struct ctl *ctl)
{
	return for_each(ctl, deny_one);
}

int ctl_edit(struct ctl *ctl)
{
	return for_each(ctl, edit_one);
}
