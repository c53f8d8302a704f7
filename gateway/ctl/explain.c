/* The command that asks policy without deciding: explain.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "gateway/ctl/print.h"
#include "gateway/ctl/requests.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Explanation Explanation;

static int code_of(const char *verdict)
{
	return strcmp(verdict, "issue") == 0  ? CTL_DONE
	       : strcmp(verdict, "deny") == 0 ? CTL_DENIED
	       : strcmp(verdict, "pend") == 0 ? CTL_PENDING
					      : CTL_FAILED;
}

static void print_explanation_json(const Explanation *x)
{
	cJSON *document = cJSON_CreateObject(), *o = cJSON_AddObjectToObject(document, "explanation");
	cJSON *list;

	cJSON_AddStringToObject(o, "verdict", x->verdict);
	cJSON_AddStringToObject(o, "rule", x->rule);
	cJSON_AddStringToObject(o, "reason", x->reason);
	cJSON_AddStringToObject(o, "trace", x->trace);
	cJSON_AddStringToObject(o, "subject", x->subject);
	cJSON_AddNumberToObject(o, "lifetime_s", (double)x->lifetime_s);
	list = cJSON_AddArrayToObject(o, "differences");
	for (size_t i = 0; i < x->n_differences; i++) {
		cJSON *d = cJSON_CreateObject();

		cJSON_AddStringToObject(d, "what", x->differences[i]->what);
		cJSON_AddStringToObject(d, "requested", x->differences[i]->requested);
		cJSON_AddStringToObject(d, "issued", x->differences[i]->issued);
		cJSON_AddStringToObject(d, "why", x->differences[i]->why);
		cJSON_AddItemToArray(list, d);
	}
	print_json(document);
}

/* The trace is a line for each rule that was looked at. */
static void print_trace(const char *trace)
{
	for (bool is_first = true; *trace; is_first = false) {
		int n = (int)strcspn(trace, "\n");
		char line[2048];

		snprintf(line, sizeof(line), "%.*s", n, trace);
		printf("%-12s %s\n", is_first ? "trace" : "", print_text(line));
		trace += n + (trace[n] == '\n');
	}
}

static void print_explanation(const Explanation *x)
{
	printf("%-12s %s\n", "verdict", print_text(x->verdict));
	if (x->rule[0])
		printf("%-12s %s\n", "rule", print_text(x->rule));
	if (x->reason[0])
		printf("%-12s %s\n", "reason", print_text(x->reason));
	print_trace(x->trace);
	printf("%-12s %s\n%-12s %lld s\n", "subject", print_text(x->subject), "lifetime", (long long)x->lifetime_s);
	for (size_t i = 0; i < x->n_differences; i++)
		printf("%-12s %s: '%s' becomes '%s' (%s)\n", i ? "" : "differences",
		       print_text(x->differences[i]->what), print_text(x->differences[i]->requested),
		       print_text(x->differences[i]->issued), print_text(x->differences[i]->why));
}

static int explain(struct ctl *ctl, Gatehouse__Admin__Explain *query)
{
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	int code;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_EXPLAIN;
	call.explain = query;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	code = reply ? ctl_outcome(reply, "ask policy") : CTL_UNREACHABLE;
	if (code)
		return code;
	if (!reply->explanation)
		return ctl_fail(CTL_FAILED, "the core explains nothing", NULL, NULL);
	if (is_json(ctl))
		print_explanation_json(reply->explanation);
	else
		print_explanation(reply->explanation);
	return code_of(reply->explanation->verdict);
}

int ctl_explain(struct ctl *ctl)
{
	Gatehouse__Admin__Explain query = GATEHOUSE__ADMIN__EXPLAIN__INIT;
	int code = requests_resolve(ctl, ctl->arguments[0], false, &query.id);

	return code ? code : explain(ctl, &query);
}
