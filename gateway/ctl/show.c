/* One request: show, diff, export.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "core/module.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/requests.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;
typedef Gatehouse__Admin__Request Request;
typedef Gatehouse__Admin__Detail Detail;

Reply *requests_detail(struct ctl *ctl, int64_t id, bool timeline, int *code)
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
	*code = reply ? ctl_outcome(ctl, reply, what) : CTL_UNREACHABLE;
	return reply;
}

static cJSON *line_json(const Gatehouse__Admin__Line *l)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "at", print_time_ms(l->at_ms));
	cJSON_AddStringToObject(o, "actor", l->actor);
	cJSON_AddStringToObject(o, "text", l->text);
	return o;
}

static cJSON *differences_json(const Detail *d)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < d->n_differences; i++) {
		const Gatehouse__Admin__Difference *x = d->differences[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "what", x->what);
		cJSON_AddStringToObject(o, "requested", x->requested);
		cJSON_AddStringToObject(o, "issued", x->issued);
		cJSON_AddStringToObject(o, "why", x->why);
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

void requests_add_template(cJSON *o, const Detail *d)
{
	cJSON *list;

	cJSON_AddStringToObject(o, "asked_subject", d->asked_subject);
	cJSON_AddStringToObject(o, "key_type", d->key_type);
	cJSON_AddNumberToObject(o, "key_bits", d->key_bits);
	if (d->not_after_s) {
		cJSON_AddStringToObject(o, "not_before", print_time_s(d->not_before_s));
		cJSON_AddStringToObject(o, "not_after", print_time_s(d->not_after_s));
	}
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
	cJSON_AddItemToObject(o, "differences", differences_json(d));
}

static int show_json(const struct ctl *ctl, const Detail *d)
{
	cJSON *document = cJSON_CreateObject(), *o = request_json(d->request), *list;

	cJSON_AddItemToObject(document, "request", o);
	requests_add_template(o, d);
	cJSON_AddStringToObject(o, "trace", d->trace);
	list = cJSON_AddArrayToObject(o, "approvals");
	for (size_t i = 0; i < d->n_approvals; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(d->approvals[i]));
	if (option_given(ctl, "timeline")) {
		list = cJSON_AddArrayToObject(o, "timeline");
		for (size_t i = 0; i < d->n_timeline; i++)
			cJSON_AddItemToArray(list, line_json(d->timeline[i]));
	}
	list = cJSON_AddArrayToObject(o, "notes");
	for (size_t i = 0; i < d->n_notes; i++)
		cJSON_AddItemToArray(list, line_json(d->notes[i]));
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

/* What differs, by what was asked for, what will be issued, and who or what did it. */
static void add_difference(struct print_table *t, const char *what, const char *requested, const char *issued,
			   const char *why)
{
	bool is_same = strcmp(requested, issued) == 0;

	print_row(t, (const char *[]){ is_same ? "" : !*requested ? "+" : !*issued ? "-" : "~", print_text(what),
				       print_text(requested), print_text(issued), print_text(why) });
	if (!is_same)
		print_cell_color(t, 0, !*requested ? "green" : !*issued ? "red" : "yellow");
}

static bool differs(const Detail *d, const char *what, const char *value)
{
	for (size_t i = 0; i < d->n_differences; i++)
		if (strcmp(d->differences[i]->what, what) == 0 &&
		    (!value || strcmp(d->differences[i]->requested, value) == 0 ||
		     strcmp(d->differences[i]->issued, value) == 0))
			return true;
	return false;
}

static void print_differences(struct ctl *ctl, const Detail *d, bool with_the_same)
{
	static const char *const headings[] = { "", "", "REQUESTED", "TO BE ISSUED", "BECAUSE OF", NULL };
	struct print_table *t = print_table_new(ctl, headings);
	const Request *q = d->request;
	bool is_refused = q->state == CA_STATE_ERROR && !d->not_after_s; /* before anything was made of it */

	if (with_the_same && !differs(d, "subject", NULL) && (*q->subject || !is_refused))
		add_difference(t, "subject", q->subject, is_refused ? "" : q->subject, "");
	for (size_t i = 0; with_the_same && i < d->n_names; i++)
		if (!differs(d, "name", d->names[i]->text))
			add_difference(t, "name", d->names[i]->text, is_refused ? "" : d->names[i]->text,
				       d->names[i]->evidence);
	for (size_t i = 0; i < d->n_differences; i++)
		add_difference(t, d->differences[i]->what, d->differences[i]->requested, d->differences[i]->issued,
			       d->differences[i]->why);
	print_table_end(t, true);
}

static void show_lines(const char *heading, Gatehouse__Admin__Line *const *lines, size_t n)
{
	if (n)
		printf("\n%s\n", heading);
	for (size_t i = 0; i < n; i++)
		printf("%s  %-16s %s\n", print_time_ms(lines[i]->at_ms), print_text(lines[i]->actor),
		       print_text(lines[i]->text));
}

void requests_show_template(struct ctl *ctl, const Detail *d)
{
	const Request *q = d->request;

	printf("%-12s %s, endpoint %s, from %s\n", "via", print_text(q->protocol), print_text(q->endpoint),
	       q->source[0] ? print_text(q->source) : "-");
	field("requester", print_text(q->requester));
	printf("%-12s %s, profile %s\n", "ca", print_text(q->ca), print_text(q->profile));
	if (d->key_type[0])
		printf("%-12s %s %u bits%s\n", "key", print_text(d->key_type), d->key_bits,
		       q->key_hash.len ? "" : ", made for the client when it collects");
	field("key hash", print_hex(q->key_hash));
	if (d->not_after_s)
		printf("%-12s %s to %s\n", "validity", print_time_s(d->not_before_s), print_time_s(d->not_after_s));
	for (size_t i = 0; i < d->n_attributes; i++)
		printf("%-12s %s: %s\n", i ? "" : "attributes", print_text(d->attributes[i]->name),
		       print_text(d->attributes[i]->value));
	puts("");
	print_differences(ctl, d, true);
	puts("");
	show_extensions(d);
}

void requests_show(struct ctl *ctl, const Detail *d)
{
	const Request *q = d->request;

	printf("%-12s %lld (%s)%s\n", "request", (long long)q->id, ca_state_word((enum ca_state)q->state),
	       q->is_edited ? ", edited by an officer" : "");
	requests_show_template(ctl, d);
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
	show_lines("notes", d->notes, d->n_notes);
	if (option_given(ctl, "timeline"))
		show_lines("timeline", d->timeline, d->n_timeline);
}

static Reply *fetch_argument(struct ctl *ctl, bool timeline, int *code)
{
	int64_t id;

	*code = requests_resolve(ctl, ctl->arguments[0], false, &id);
	return *code ? NULL : requests_detail(ctl, id, timeline, code);
}

int ctl_show(struct ctl *ctl)
{
	int code;
	OWNED_REPLY *reply = fetch_argument(ctl, option_given(ctl, "timeline"), &code);

	if (code)
		return code;
	if (is_json(ctl))
		return show_json(ctl, reply->detail);
	requests_show(ctl, reply->detail);
	return CTL_DONE;
}

int ctl_diff(struct ctl *ctl)
{
	int code;
	OWNED_REPLY *reply = fetch_argument(ctl, false, &code);

	if (code)
		return code;
	if (is_json(ctl)) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddItemToObject(document, "differences", differences_json(reply->detail));
		return print_json(document);
	}
	if (reply->detail->n_differences)
		print_differences(ctl, reply->detail, false);
	else
		puts("what was asked for is what will be issued");
	return CTL_DONE;
}

/* What a request left behind, in PEM: its certificate. */
int ctl_export(struct ctl *ctl)
{
	int code;
	OWNED_REPLY *reply = fetch_argument(ctl, false, &code);

	if (code)
		return code;
	if (!option_given(ctl, "certificate"))
		return print_block("CERTIFICATE REQUEST", reply->detail->csr);
	if (reply->detail->certificate.len == 0)
		return ctl_fail(CTL_WRONG_STATE, "there is no certificate here",
				ca_state_word((enum ca_state)reply->detail->request->state), NULL);
	return print_block("CERTIFICATE", reply->detail->certificate);
}
