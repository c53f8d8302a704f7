/* The command that shows the CAs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "gateway/ctl/print.h"

typedef Gatehouse__Admin__Call Call;

static void show_ca(const Gatehouse__Admin__Ca *ca)
{
	printf("%-12s %s\n%-12s %s\n%-12s %s to %s\n", "ca", print_text(ca->name), "subject", print_text(ca->subject),
	       "validity", print_time_s(ca->not_before_s), print_time_s(ca->not_after_s));
	printf("%-12s %s\n", "policy", print_text(ca->policy));
	for (size_t i = 0; i < ca->n_exits; i++)
		printf("%-12s %s\n", i ? "" : "exits", print_text(ca->exits[i]));
	printf("%-12s %s\n%s", "sha-256", print_fingerprint(ca->certificate), print_pem(ca->certificate));
}

int ctl_ca_show(struct ctl *ctl)
{
	Gatehouse__Admin__ShowCa query = GATEHOUSE__ADMIN__SHOW_CA__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	query.name = (char *)(ctl->n_arguments ? ctl->arguments[0] : "");
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SHOW_CA;
	call.show_ca = &query;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	int code = reply ? ctl_outcome(reply, "show the CA") : CTL_UNREACHABLE;

	if (code)
		return code;
	if (is_json(ctl)) {
		cJSON *document = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(document, "cas");

		for (size_t i = 0; i < reply->n_cas; i++) {
			const Gatehouse__Admin__Ca *ca = reply->cas[i];
			cJSON *o = cJSON_CreateObject();

			cJSON_AddStringToObject(o, "name", ca->name);
			cJSON_AddStringToObject(o, "subject", ca->subject);
			cJSON_AddStringToObject(o, "not_before", print_time_s(ca->not_before_s));
			cJSON_AddStringToObject(o, "not_after", print_time_s(ca->not_after_s));
			cJSON_AddStringToObject(o, "policy", ca->policy);
			cJSON_AddStringToObject(o, "sha256", print_fingerprint(ca->certificate));
			cJSON_AddStringToObject(o, "certificate", print_pem(ca->certificate));
			cJSON_AddItemToArray(list, o);
		}
		return print_json(document);
	}
	for (size_t i = 0; i < reply->n_cas; i++)
		show_ca(reply->cas[i]);
	return CTL_DONE;
}
