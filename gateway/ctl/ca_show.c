/* The command that shows the CAs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "core/base/der.h"
#include "gateway/ctl/print.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Ca Ca;
typedef Gatehouse__Admin__CaKey Key;

#define CERTIFICATES_MAX ((size_t)1 << 20)

static void show_key(const Key *k)
{
	printf("%-12s %u %s", "key", k->index, print_text(k->state));
	if (k->certificate.len)
		printf(", %s to %s\n%-12s %s\n%s", print_time_s(k->not_before_s), print_time_s(k->not_after_s),
		       "sha-256", print_fingerprint(k->certificate), print_pem(k->certificate));
	else
		printf("; to be signed by another authority:\n%s", print_pem_request(k->request));
}

static void show_ca(const Ca *ca)
{
	printf("%-12s %s\n%-12s %s\n", "ca", print_text(ca->name), "subject", print_text(ca->subject));
	if (*ca->trouble)
		printf("%-12s %s\n", "signs", print_text(ca->trouble));
	if (ca->not_after_s)
		printf("%-12s %s to %s%s\n", "validity", print_time_s(ca->not_before_s),
		       print_time_s(ca->not_after_s), ca->near_end ? " (ends soon: gatehouse ca rollover)" : "");
	printf("%-12s %s\n", "policy", print_text(ca->policy));
	for (size_t i = 0; i < ca->n_exits; i++)
		printf("%-12s %s\n", i ? "" : "exits", print_text(ca->exits[i]));
	for (size_t i = ca->n_keys; i-- > 0;)
		show_key(ca->keys[i]);
	for (size_t i = 0; i < ca->n_crosses; i++)
		printf("%-12s %s\n%s", "cross", print_fingerprint(ca->crosses[i]), print_pem(ca->crosses[i]));
}

static cJSON *key_json(const Key *k)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "index", k->index);
	cJSON_AddStringToObject(o, "state", k->state);
	if (k->certificate.len) {
		cJSON_AddStringToObject(o, "not_before", print_time_s(k->not_before_s));
		cJSON_AddStringToObject(o, "not_after", print_time_s(k->not_after_s));
		cJSON_AddStringToObject(o, "sha256", print_fingerprint(k->certificate));
		cJSON_AddStringToObject(o, "certificate", print_pem(k->certificate));
	} else {
		cJSON_AddStringToObject(o, "request", print_pem_request(k->request));
	}
	return o;
}

/* Several certificates, as PEM one after the other. */
static void add_chain(cJSON *o, const char *name, ProtobufCBinaryData der)
{
	OWNED_BUF text = BUF_INIT(CERTIFICATES_MAX);
	struct bytes in = bytes_of(der.data, der.len), content, whole;
	unsigned tag;

	while (in.len && der_read(&in, &tag, &content, &whole) == 0)
		buf_append_str(&text, print_pem((ProtobufCBinaryData){ whole.len, (uint8_t *)(uintptr_t)whole.ptr }));
	cJSON_AddStringToObject(o, name, buf_status(&text) ? "" : buf_str(&text));
}

static cJSON *ca_json(const Ca *ca)
{
	cJSON *o = cJSON_CreateObject(), *keys, *crosses;

	cJSON_AddStringToObject(o, "name", ca->name);
	cJSON_AddStringToObject(o, "subject", ca->subject);
	cJSON_AddStringToObject(o, "not_before", print_time_s(ca->not_before_s));
	cJSON_AddStringToObject(o, "not_after", print_time_s(ca->not_after_s));
	cJSON_AddStringToObject(o, "policy", ca->policy);
	cJSON_AddStringToObject(o, "trouble", ca->trouble);
	cJSON_AddBoolToObject(o, "near_end", ca->near_end);
	cJSON_AddStringToObject(o, "sha256", ca->certificate.len ? print_fingerprint(ca->certificate) : "");
	cJSON_AddStringToObject(o, "certificate", ca->certificate.len ? print_pem(ca->certificate) : "");
	add_chain(o, "chain", ca->chain);
	keys = cJSON_AddArrayToObject(o, "keys");
	for (size_t i = 0; i < ca->n_keys; i++)
		cJSON_AddItemToArray(keys, key_json(ca->keys[i]));
	crosses = cJSON_AddArrayToObject(o, "crosses");
	for (size_t i = 0; i < ca->n_crosses; i++)
		cJSON_AddItemToArray(crosses, cJSON_CreateString(print_pem(ca->crosses[i])));
	return o;
}

int ctl_ca_show(struct ctl *ctl)
{
	Gatehouse__Admin__ShowCa query = GATEHOUSE__ADMIN__SHOW_CA__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	query.name = (char *)(ctl->n_arguments ? ctl->arguments[0] : "");
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SHOW_CA;
	call.show_ca = &query;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	int code = reply ? ctl_outcome(ctl, reply, "show the CA") : CTL_UNREACHABLE;

	if (code)
		return code;
	if (is_json(ctl)) {
		cJSON *document = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(document, "cas");

		for (size_t i = 0; i < reply->n_cas; i++)
			cJSON_AddItemToArray(list, ca_json(reply->cas[i]));
		return print_json(document);
	}
	for (size_t i = 0; i < reply->n_cas; i++)
		show_ca(reply->cas[i]);
	return CTL_DONE;
}
