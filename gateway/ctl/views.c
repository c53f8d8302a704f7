/* Commands that only look: cert list, status, ca show.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "gateway/ctl/print.h"
#include "gateway/ctl/shapes.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;
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

static cJSON *status_json(const Gatehouse__Admin__Status *s)
{
	cJSON *o = cJSON_CreateObject(), *roles;

	cJSON_AddBoolToObject(o, "healthy", s->healthy);
	cJSON_AddStringToObject(o, "health", s->health);
	cJSON_AddNumberToObject(o, "pending", (double)s->pending);
	cJSON_AddNumberToObject(o, "unfinished", (double)s->unfinished);
	cJSON_AddNumberToObject(o, "outbox_waiting", (double)s->outbox_waiting);
	cJSON_AddNumberToObject(o, "outbox_set_aside", (double)s->outbox_set_aside);
	cJSON_AddNumberToObject(o, "certificates", (double)s->certificates);
	cJSON_AddStringToObject(o, "caller", s->caller);
	roles = cJSON_AddArrayToObject(o, "roles");
	for (size_t i = 0; i < s->n_roles; i++)
		cJSON_AddItemToArray(roles, cJSON_CreateString(s->roles[i]));
	cJSON_AddBoolToObject(o, "roles_separated", s->roles_separated);
	return o;
}

int ctl_status(struct ctl *ctl)
{
	Gatehouse__Admin__GetStatus query = GATEHOUSE__ADMIN__GET_STATUS__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	const Gatehouse__Admin__Status *s;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_GET_STATUS;
	call.get_status = &query;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	int code = reply ? ctl_outcome(reply, "get the status") : CTL_UNREACHABLE;

	if (code)
		return code;
	s = reply->status;
	if (!s)
		return ctl_fail(CTL_FAILED, "the core sent no status", NULL, NULL);
	if (is_json(ctl)) {
		print_json(status_json(s));
	} else {
		printf("%s", s->health);
		printf("pending: %lld%s%s\n", (long long)s->pending, s->pending ? ", oldest " : "",
		       s->pending ? print_age(ctl, s->oldest_pending_ms) : "");
		printf("certificates: %lld\nunfinished: %lld\nexit events waiting: %lld, set aside: %lld\n",
		       (long long)s->certificates, (long long)s->unfinished, (long long)s->outbox_waiting,
		       (long long)s->outbox_set_aside);
		printf("roles: %s\n", s->roles_separated ? "separated" : "not separated (one user)");
		printf("you are %s", print_text(s->caller));
		for (size_t i = 0; i < s->n_roles; i++)
			printf("%s%s", i ? ", " : ": ", print_text(s->roles[i]));
		puts("");
	}
	return s->healthy ? CTL_DONE : CTL_FAILED;
}

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
