/* Commands that only look: cert list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "core/base/base64.h"
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
static int fetch_certificates(struct ctl *ctl, struct list *list, char *filter)
{
	Gatehouse__Admin__ListCertificates query = GATEHOUSE__ADMIN__LIST_CERTIFICATES__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	uint8_t from[LIST_PLACE_MAX];
	bool more = true;

	query.filter = filter;
	query.from.data = from;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_CERTIFICATES;
	call.list_certificates = &query;
	while (more) {
		OWNED_REPLY *reply = ctl_call(ctl, &call);
		int code = reply ? ctl_outcome(reply, "list certificates") : CTL_UNREACHABLE;

		if (code)
			return code;
		more = list_goes_on(reply, &query.from);
		for (size_t i = 0; i < reply->n_certificates; i++)
			if (!list_add(list, certificate_json(reply->certificates[i])))
				return CTL_DONE;
	}
	return CTL_DONE;
}

int ctl_cert_list(struct ctl *ctl)
{
	const char *after = option_value(ctl, "after");
	char filter[4 * CTL_SERIAL_MAX + 16] = "";
	uint8_t serial[CTL_SERIAL_MAX];
	char hex[2 * CTL_SERIAL_MAX + 1];
	struct list *list = NULL;
	size_t n = 0;
	int code = after ? ctl_parse_serial(after, serial, &n) : CTL_DONE;

	if (!code)
		code = list_new(&list, ctl);
	if (code)
		return code;
	if (after)
		snprintf(filter, sizeof(filter), "serial>%s", hex_print(bytes_of(serial, n), hex));
	return list_end(&list, fetch_certificates(ctl, list, filter));
}
