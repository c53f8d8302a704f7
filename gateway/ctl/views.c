/* Commands that only look: cert list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "gateway/ctl/print.h"
#include "gateway/ctl/shapes.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Certificate Certificate;

static cJSON *certificate_json(const Certificate *c)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "serial", print_hex(c->serial));
	cJSON_AddNumberToObject(o, "request", (double)c->request_id);
	cJSON_AddStringToObject(o, "ca", c->ca);
	cJSON_AddStringToObject(o, "profile", c->profile);
	cJSON_AddStringToObject(o, "requester", c->requester);
	cJSON_AddStringToObject(o, "subject", c->subject);
	cJSON_AddItemToObject(o, "names", print_names_json(c->names, c->n_names));
	cJSON_AddStringToObject(o, "not_before", print_time_s(c->not_before_s));
	cJSON_AddStringToObject(o, "not_after", print_time_s(c->not_after_s));
	cJSON_AddStringToObject(o, "state", c->revoked_ms ? "revoked" : "valid");
	if (c->revoked_ms)
		cJSON_AddStringToObject(o, "revoked", print_time_ms(c->revoked_ms));
	return o;
}

static const struct column certificate_columns[] = {
	{ .name = "serial" },
	{ .name = "request", .kind = COLUMN_NUMBER },
	{ .name = "state", .kind = COLUMN_STATE },
	{ .name = "profile" },
	{ .name = "ca" },
	{ .name = "requester" },
	{ .name = "subject" },
	{ .name = "names", .kind = COLUMN_NAMES },
	{ .name = "not-before", .kind = COLUMN_TIME },
	{ .name = "not-after", .kind = COLUMN_TIME },
	{ .name = "revoked", .kind = COLUMN_TIME },
	{ 0 },
};

const struct list_shape certificate_shape = {
	"certificates", certificate_columns, "serial,request,state,profile,subject,names,not-after",
	"serial,request,state,profile,ca,requester,subject,names,not-before,not-after,revoked", "no certificates",
};

/* Fetch page by page and put each row into the list. */
static int fetch_certificates(struct ctl *ctl, struct list *list, uint8_t last[static CTL_SERIAL_MAX], size_t n_last)
{
	Gatehouse__Admin__ListCertificates query = GATEHOUSE__ADMIN__LIST_CERTIFICATES__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	bool more = true;

	query.after.data = last;
	query.after.len = n_last;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_CERTIFICATES;
	call.list_certificates = &query;
	while (more) {
		OWNED_REPLY *reply = ctl_call(ctl, &call);
		int code = reply ? ctl_outcome(reply, "list certificates") : CTL_UNREACHABLE;

		if (code)
			return code;
		more = reply->more && reply->n_certificates;
		for (size_t i = 0; i < reply->n_certificates; i++) {
			const Certificate *c = reply->certificates[i];

			query.after.len = c->serial.len < CTL_SERIAL_MAX ? c->serial.len : CTL_SERIAL_MAX;
			memcpy(last, c->serial.data, query.after.len);
			if (!list_add(list, certificate_json(c)))
				return CTL_DONE;
		}
	}
	return CTL_DONE;
}

int ctl_cert_list(struct ctl *ctl)
{
	const char *after = option_value(ctl, "after");
	uint8_t last[CTL_SERIAL_MAX] = { 0 };
	size_t n_last = 0;
	struct list *list = NULL;
	int code = after ? ctl_parse_serial(after, last, &n_last) : CTL_DONE;

	if (!code)
		code = list_new(&list, ctl);
	if (code)
		return code;
	return list_end(&list, fetch_certificates(ctl, list, last, n_last));
}
