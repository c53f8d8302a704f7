/* Commands that ask policy without deciding: explain, policy test.
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

static cJSON *explanation_json(const Explanation *x)
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
	return document;
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

static void print_verdict(const Explanation *x)
{
	printf("%-12s %s\n", "verdict", print_text(x->verdict));
	if (x->rule[0])
		printf("%-12s %s\n", "rule", print_text(x->rule));
	if (x->reason[0])
		printf("%-12s %s\n", "reason", print_text(x->reason));
	print_trace(x->trace);
}

static void print_explanation(const Explanation *x)
{
	print_verdict(x);
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
	code = reply ? ctl_outcome(ctl, reply, "ask policy") : CTL_UNREACHABLE;
	if (code)
		return code;
	if (!reply->explanation)
		return ctl_fail(CTL_FAILED, "the core explains nothing", NULL, NULL);
	if (is_json(ctl))
		print_json(explanation_json(reply->explanation));
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

/* ---- policy test ---- */

/* "NAME=VALUE" of each --attr. CTL_DONE or CTL_USAGE, told. */
static int read_attributes(const struct ctl *ctl, Gatehouse__Admin__TestPolicy *query,
			   Gatehouse__Admin__Attribute all[static CTL_GIVEN_MAX],
			   Gatehouse__Admin__Attribute *pointers[static CTL_GIVEN_MAX])
{
	const char *given, *equals;

	query->attributes = pointers;
	for (int i = 0; (given = option_nth(ctl, "attr", i)); i++) {
		equals = strchr(given, '=');
		if (!equals || equals == given)
			return ctl_fail(CTL_USAGE, given, "an attribute is written NAME=VALUE", NULL);
		gatehouse__admin__attribute__init(&all[i]);
		all[i].name = print_kept_n(given, (size_t)(equals - given));
		all[i].value = (char *)equals + 1;
		pointers[query->n_attributes++] = &all[i];
	}
	return CTL_DONE;
}

static char *text_of(const struct ctl *ctl, const char *option)
{
	return (char *)(option_given(ctl, option) ? option_value(ctl, option) : "");
}

static void print_test_json(const Gatehouse__Admin__Reply *reply)
{
	cJSON *document = explanation_json(reply->explanation), *o;

	if (reply->detail) {
		const Gatehouse__Admin__Request *q = reply->detail->request;

		o = cJSON_AddObjectToObject(document, "request");
		cJSON_AddStringToObject(o, "via", q->protocol);
		cJSON_AddStringToObject(o, "endpoint", q->endpoint);
		cJSON_AddStringToObject(o, "profile", q->profile);
		cJSON_AddStringToObject(o, "ca", q->ca);
		cJSON_AddStringToObject(o, "requester", q->requester);
		cJSON_AddStringToObject(o, "from", q->source);
		cJSON_AddStringToObject(o, "subject", q->subject);
		cJSON_AddStringToObject(o, "digest", print_hex(q->digest));
		requests_add_template(o, reply->detail);
	}
	print_json(document);
}

static void print_test(struct ctl *ctl, const Gatehouse__Admin__Reply *reply)
{
	print_verdict(reply->explanation);
	if (!reply->detail)
		return;
	puts("");
	requests_show_template(ctl, reply->detail);
	printf("%-12s %s\n", "digest", print_hex(reply->detail->request->digest));
}

static int test_policy(struct ctl *ctl, Gatehouse__Admin__TestPolicy *query)
{
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	int code;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_TEST_POLICY;
	call.test_policy = query;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	code = reply ? ctl_outcome(ctl, reply, "test the policy") : CTL_UNREACHABLE;
	if (code)
		return code;
	if (!reply->explanation)
		return ctl_fail(CTL_FAILED, "the core explains nothing", NULL, NULL);
	if (is_json(ctl))
		print_test_json(reply);
	else
		print_test(ctl, reply);
	return code_of(reply->explanation->verdict);
}

int ctl_policy_test(struct ctl *ctl)
{
	Gatehouse__Admin__TestPolicy query = GATEHOUSE__ADMIN__TEST_POLICY__INIT;
	Gatehouse__Admin__Attribute attributes[CTL_GIVEN_MAX], *pointers[CTL_GIVEN_MAX];
	OWNED_BUF csr = BUF_INIT(1u << 20);
	int code;

	if (!option_given(ctl, "csr") || !option_given(ctl, "via"))
		return ctl_fail(CTL_USAGE, "nothing to test",
				"--csr and --via are needed: a request, and where it comes in",
				"gatehouse policy test --csr request.pem --via acme");
	code = ctl_read_pem(option_value(ctl, "csr"), "CERTIFICATE REQUEST", &csr);
	if (!code)
		code = read_attributes(ctl, &query, attributes, pointers);
	if (code)
		return code;
	query.csr = (ProtobufCBinaryData){ csr.len, csr.ptr };
	query.endpoint = text_of(ctl, "via");
	query.profile = text_of(ctl, "profile");
	query.requester = text_of(ctl, "requester");
	query.source = text_of(ctl, "from");
	return test_policy(ctl, &query);
}
