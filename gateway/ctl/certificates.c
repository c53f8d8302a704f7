/* Commands about certificates: list, show, expiring, export.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/module.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/requests.h"
#include "gateway/ctl/shapes.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Certificate Certificate;

#define HOLD 6 /* RFC 5280 5.3.1: certificateHold */

static const char *state_word(const Certificate *c)
{
	if (c->revoked_ms)
		return c->revoked_reason == HOLD ? "held" : "revoked";
	return c->not_after_s < clock_wall_s() ? "expired" : "valid";
}

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
	cJSON_AddStringToObject(o, "state", state_word(c));
	if (c->key_hash.len)
		cJSON_AddStringToObject(o, "key_hash", print_hex(c->key_hash));
	if (c->issued_ms)
		cJSON_AddStringToObject(o, "issued", print_time_ms(c->issued_ms));
	if (c->collected_ms)
		cJSON_AddStringToObject(o, "collected", print_time_ms(c->collected_ms));
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
	{ .name = "issued", .kind = COLUMN_TIME },
	{ .name = "collected", .kind = COLUMN_TIME },
	{ .name = "key-hash" },
	{ 0 },
};

const struct list_shape certificate_shape = {
	"certificates", certificate_columns, "serial,request,state,profile,subject,names,not-after",
	"serial,request,state,profile,ca,requester,subject,names,not-before,not-after,revoked",
	"no certificates", false,
};

/* Every certificate that the filter matches, page by page; `each` returns false to end. */
static int fetch(struct ctl *ctl, const char *filter, const Gatehouse__Admin__ListCertificates *part,
		 bool (*each)(void *arg, const Certificate *c), void *arg)
{
	Gatehouse__Admin__ListCertificates query = *part;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	uint8_t from[LIST_PLACE_MAX];
	bool more = true;

	query.filter = (char *)filter;
	query.from.data = from;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_CERTIFICATES;
	call.list_certificates = &query;
	while (more) {
		OWNED_REPLY *reply = ctl_call(ctl, &call);
		int code = reply ? ctl_outcome(ctl, reply, "list certificates") : CTL_UNREACHABLE;

		if (code)
			return code;
		more = list_goes_on(reply, &query.from);
		for (size_t i = 0; i < reply->n_certificates; i++)
			if (!each(arg, reply->certificates[i]))
				return CTL_DONE;
	}
	return CTL_DONE;
}

static bool add_row(void *arg, const Certificate *c)
{
	return list_add(arg, certificate_json(c));
}

/* `own`: what the command itself wants, besides what was typed. */
static int list_certificates(struct ctl *ctl, const char *own)
{
	Gatehouse__Admin__ListCertificates part = GATEHOUSE__ADMIN__LIST_CERTIFICATES__INIT;
	const char *typed = ctl->n_arguments ? ctl->arguments[0] : NULL;
	OWNED_BUF filter = BUF_INIT(8192);
	uint8_t serial[CTL_SERIAL_MAX];
	struct list *list = NULL;
	int code = list_new(&list, ctl);

	part.backwards = option_given(ctl, "newest");
	part.after_serial.data = serial;
	if (!code && requests_filter(&filter, own, typed))
		code = ctl_fail(CTL_USAGE, "the filter is too long", NULL, NULL);
	if (!code && list_after(list))
		code = ctl_parse_serial(list_after(list), serial, &part.after_serial.len);
	if (!code)
		code = fetch(ctl, buf_str(&filter), &part, add_row, list);
	return list_end(&list, code);
}

int ctl_cert_list(struct ctl *ctl)
{
	return list_certificates(ctl, "");
}

int ctl_cert_expiring(struct ctl *ctl)
{
	const char *within = option_given(ctl, "within") ? option_value(ctl, "within") : "30d";
	char own[96];
	int64_t seconds;

	if (ctl_parse_duration(within, &seconds))
		return CTL_USAGE;
	snprintf(own, sizeof(own), "valid and expires<%llds", (long long)seconds);
	return list_certificates(ctl, own);
}

/* ---- one of them ---- */

struct match {
	int64_t ids[2];
	size_t n;
	cJSON *json;
};

static bool take_match(void *arg, const Certificate *c)
{
	struct match *m = arg;

	if (m->n == 0)
		m->json = certificate_json(c);
	m->ids[m->n++] = c->request_id;
	return m->n < 2;
}

/* The certificate that the argument names: a serial, the number of its request, the beginning of the hash of its key.
 * On success with its JSON, and with everything that is known of its request. */
static int find_one(struct ctl *ctl, struct match *m, Gatehouse__Admin__Reply **detail)
{
	const char *argument = ctl->arguments[0];
	Gatehouse__Admin__ListCertificates part = GATEHOUSE__ADMIN__LIST_CERTIFICATES__INIT;
	char filter[256], why[96];
	int64_t id = 0;
	int code = requests_resolve(ctl, argument, false, &id);

	if (code)
		return code;
	snprintf(filter, sizeof(filter), "id=%lld", (long long)id);
	part.limit = 2;
	code = fetch(ctl, filter, &part, take_match, m);
	if (code)
		return code;
	snprintf(why, sizeof(why), "request %lld has no certificate", (long long)id);
	if (m->n == 0)
		return ctl_fail(CTL_NOT_FOUND, argument, why, "gatehouse cert list");
	*detail = requests_detail(ctl, m->ids[0], false, &code);
	return code;
}

#define NOT_HERE "the certificate itself is not known here: it was brought back from the audit anchor after a restore"

static void show_certificate(const cJSON *o, const Gatehouse__Admin__Detail *d)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, o) {
		const cJSON *name;

		if (cJSON_IsString(member) && *member->valuestring)
			printf("%-12s %s\n", member->string, print_text(member->valuestring));
		if (cJSON_IsNumber(member))
			printf("%-12s %s\n", member->string, print_number((int64_t)member->valuedouble));
		for (name = cJSON_IsArray(member) ? member->child : NULL; name; name = name->next)
			printf("%-12s %s\n", name == member->child ? member->string : "",
			       print_text(name->valuestring));
	}
	if (d->certificate.len)
		printf("%-12s %s\n%s", "sha-256", print_fingerprint(d->certificate), print_pem(d->certificate));
	else
		printf("%s\n", NOT_HERE);
}

int ctl_cert_show(struct ctl *ctl)
{
	struct match m = { .n = 0 };
	OWNED_REPLY *reply = NULL;
	int code = find_one(ctl, &m, &reply);

	if (!code && is_json(ctl)) {
		cJSON *document = cJSON_CreateObject();

		if (reply->detail->certificate.len) {
			cJSON_AddStringToObject(m.json, "sha256", print_fingerprint(reply->detail->certificate));
			cJSON_AddStringToObject(m.json, "certificate", print_pem(reply->detail->certificate));
		}
		cJSON_AddItemToObject(document, "certificate", m.json);
		return print_json(document);
	}
	if (!code)
		show_certificate(m.json, reply->detail);
	cJSON_Delete(m.json);
	return code;
}

int ctl_cert_export(struct ctl *ctl)
{
	struct match m = { .n = 0 };
	OWNED_REPLY *reply = NULL;
	int code = find_one(ctl, &m, &reply);

	cJSON_Delete(m.json);
	if (!code && reply->detail->certificate.len == 0)
		return ctl_fail(CTL_NOT_FOUND, ctl->arguments[0], NOT_HERE,
				"its holder has it, and exit modules that keep files: gatehouse cert import FILE");
	return code ? code : print_block("CERTIFICATE", reply->detail->certificate);
}
