/* The commands about what clients have to trust.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "gateway/ctl/print.h"

static int print_trust_json(const Gatehouse__Admin__Reply *reply)
{
	cJSON *document = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(document, "trust");

	for (size_t i = 0; i < reply->n_cas; i++) {
		const Gatehouse__Admin__Ca *ca = reply->cas[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "ca", ca->name);
		cJSON_AddStringToObject(o, "subject", ca->subject);
		cJSON_AddStringToObject(o, "not_after", print_time_s(ca->not_after_s));
		cJSON_AddStringToObject(o, "sha256", print_fingerprint(ca->certificate));
		cJSON_AddStringToObject(o, "sha1", print_fingerprint_sha1(ca->certificate));
		cJSON_AddStringToObject(o, "md5", print_fingerprint_md5(ca->certificate));
		cJSON_AddStringToObject(o, "certificate", print_pem(ca->certificate));
		cJSON_AddItemToArray(list, o);
	}
	return print_json(document);
}

static void print_trust(const Gatehouse__Admin__Ca *ca, bool is_first)
{
	const struct {
		const char *word, *value;
	} lines[] = {
		{ "ca", print_text(ca->name) },
		{ "subject", print_text(ca->subject) },
		{ "until", print_time_s(ca->not_after_s) },
		{ "sha-256", print_fingerprint(ca->certificate) },
		{ "sha-1", print_fingerprint_sha1(ca->certificate) },
		{ "md5", print_fingerprint_md5(ca->certificate) },
	};

	if (!is_first)
		putchar('\n');
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		printf("%-12s %s\n", lines[i].word, lines[i].value);
}

int ctl_trust_show(struct ctl *ctl)
{
	Gatehouse__Admin__ShowCa query = GATEHOUSE__ADMIN__SHOW_CA__INIT;
	Gatehouse__Admin__Call call = GATEHOUSE__ADMIN__CALL__INIT;

	query.name = (char *)(ctl->n_arguments ? ctl->arguments[0] : "");
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SHOW_CA;
	call.show_ca = &query;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	int code = reply ? ctl_outcome(ctl, reply, "show what to trust") : CTL_UNREACHABLE;

	if (code)
		return code;
	if (is_json(ctl))
		return print_trust_json(reply);
	for (size_t i = 0; i < reply->n_cas; i++) {
		if (option_given(ctl, "pem"))
			fputs(print_pem(reply->cas[i]->certificate), stdout);
		else
			print_trust(reply->cas[i], i == 0);
	}
	if (!option_given(ctl, "pem"))
		puts("\nCompare SHA-256 wherever it is shown; the others are for devices that show nothing else.\n"
		     "As a file for clients: gatehouse trust show --pem > root.pem");
	return CTL_DONE;
}
