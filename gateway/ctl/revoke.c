/* Commands about revocation: cert revoke, hold, release, status, import; ca crl; request purge.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "core/admin.h"
#include "core/base/clock.h"
#include "core/module.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/results.h"
#include "gateway/ctl/shapes.h"

typedef Gatehouse__Admin__Call Call;

#define ID_DIGITS_MAX 15 /* a serial of this core has 32 */
#define FILE_MAX (1u << 20)

/* ---- revoke, hold, release ---- */

static int parse_target(const char *text, Gatehouse__Admin__Revoke *query, uint8_t serial[static CTL_SERIAL_MAX])
{
	size_t n = strlen(text);
	int code;

	if (n <= ID_DIGITS_MAX && strspn(text, "0123456789") == n)
		return ctl_parse_id(text, &query->id);
	code = ctl_parse_serial(text, serial, &n);
	query->serial = (ProtobufCBinaryData){ n, serial };
	return code;
}

static void add_changed(cJSON *o, const Gatehouse__Admin__Reply *reply)
{
	const Gatehouse__Admin__Request *r = reply->decided;

	if (r) {
		cJSON_AddNumberToObject(o, "request", (double)r->id);
		cJSON_AddStringToObject(o, "serial", print_hex(r->serial));
		cJSON_AddStringToObject(o, "state", ca_state_word((enum ca_state)r->state));
	}
}

static void print_changed(const Gatehouse__Admin__Reply *reply, const char *done)
{
	const Gatehouse__Admin__Request *r = reply->decided;

	printf("%s: certificate %s of request %lld\n", done, r ? print_hex(r->serial) : "", r ? (long long)r->id : 0ll);
}

static int tell_changed(const struct ctl *ctl, const Gatehouse__Admin__Reply *reply, const char *done)
{
	cJSON *o;

	if (!is_json(ctl)) {
		print_changed(reply, done);
		return CTL_DONE;
	}
	o = cJSON_CreateObject();
	add_changed(o, reply);
	return print_json(o);
}

struct change {
	Call *call;
	Gatehouse__Admin__Revoke *query;
	const char *verb, *done;
	struct results *results; /* NULL: each is told by itself */
};

static int change_one(struct ctl *ctl, const struct change *change, const char *argument)
{
	uint8_t serial[CTL_SERIAL_MAX];
	char what[128];
	OWNED_REPLY *reply = NULL;
	cJSON *result;
	int code;

	change->query->id = 0;
	change->query->serial = (ProtobufCBinaryData){ 0, NULL };
	code = parse_target(argument, change->query, serial);
	snprintf(what, sizeof(what), "%s %.80s", change->verb, argument);
	if (!code) {
		reply = ctl_call(ctl, change->call);
		code = reply ? ctl_outcome(ctl, reply, what) : CTL_UNREACHABLE;
	}
	if (!change->results)
		return code ? code : tell_changed(ctl, reply, change->done);
	result = cJSON_CreateObject();
	cJSON_AddStringToObject(result, "certificate", argument);
	cJSON_AddNumberToObject(result, "exit", code);
	if (!code)
		add_changed(result, reply);
	results_add(change->results, result);
	return code;
}

/* One certificate after the other; the first that fails says why, and the others are still done. */
static int change_all(struct ctl *ctl, Call *call, Gatehouse__Admin__Revoke *query, const char *verb, const char *done)
{
	struct results results = { NULL, NULL };
	struct change change = { call, query, verb, done, is_json(ctl) && ctl->n_arguments > 1 ? &results : NULL };
	int result = CTL_DONE, n_done = 0;

	if (change.results)
		results_begin(&results, ctl);
	for (int i = 0; i < ctl->n_arguments; i++) {
		int code = change_one(ctl, &change, ctl->arguments[i]);

		n_done += code == CTL_DONE;
		result = code && !result ? code : result;
	}
	results_end(&results);
	return result && n_done ? CTL_PARTLY : result;
}

int ctl_cert_revoke(struct ctl *ctl)
{
	Gatehouse__Admin__Revoke query = GATEHOUSE__ADMIN__REVOKE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	const char *reason = option_value(ctl, "reason"), *at = option_value(ctl, "at");
	int number = reason ? ca_reason_parse(reason) : CA_REASON_UNSPECIFIED;
	int64_t at_s = 0;

	if (number < 0 || !ca_reason_is_for_person(number))
		return ctl_fail(CTL_USAGE, reason, "that is no reason of RFC 5280 for a revocation",
				"unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, "
				"cessationOfOperation or privilegeWithdrawn");
	if (at && clock_parse_s(at, &at_s))
		return ctl_fail(CTL_USAGE, at, "a date is written as 2026-11-23T05:32:50Z", NULL);
	query.reason = (uint32_t)number;
	query.when_ms = at_s * 1000;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_REVOKE;
	call.revoke = &query;
	return change_all(ctl, &call, &query, "revoke", "revoked");
}

int ctl_cert_hold(struct ctl *ctl)
{
	Gatehouse__Admin__Revoke query = GATEHOUSE__ADMIN__REVOKE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_HOLD;
	call.hold = &query;
	return change_all(ctl, &call, &query, "hold", "on hold");
}

int ctl_cert_release(struct ctl *ctl)
{
	Gatehouse__Admin__Revoke query = GATEHOUSE__ADMIN__REVOKE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_RELEASE;
	call.release = &query;
	return change_all(ctl, &call, &query, "release", "released");
}

/* ---- status ---- */

static int print_status(const struct ctl *ctl, const Gatehouse__Admin__CertStatus *s)
{
	static const char *const words[] = { "foreign", "?", "revoked", "valid", "never issued" };
	const char *word = s->status < sizeof(words) / sizeof(*words) ? words[s->status] : "?";
	cJSON *o;

	if (!is_json(ctl)) {
		printf("%s%s%s%s\n", word, *s->reason ? ", " : "", s->reason, s->expired ? ", expired" : "");
		return CTL_DONE;
	}
	o = cJSON_CreateObject();
	cJSON_AddNumberToObject(o, "status", s->status);
	cJSON_AddStringToObject(o, "state", word);
	cJSON_AddBoolToObject(o, "expired", s->expired);
	cJSON_AddNumberToObject(o, "request", (double)s->request_id);
	if (s->revoked_ms) {
		cJSON_AddStringToObject(o, "revoked", print_time_ms(s->revoked_ms));
		cJSON_AddStringToObject(o, "reason", s->reason);
	}
	return print_json(o);
}

int ctl_cert_status(struct ctl *ctl)
{
	Gatehouse__Admin__AskCertStatus query = GATEHOUSE__ADMIN__ASK_CERT_STATUS__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	uint8_t serial[CTL_SERIAL_MAX];
	size_t n;
	int code = ctl_parse_serial(ctl->arguments[0], serial, &n);

	if (code)
		return code;
	query.serial = (ProtobufCBinaryData){ n, serial };
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_CERT_STATUS;
	call.cert_status = &query;
	{
		OWNED_REPLY *reply = ctl_call(ctl, &call);

		code = reply ? ctl_outcome(ctl, reply, "ask for the status of a certificate") : CTL_UNREACHABLE;
		if (!code && reply->cert_status)
			code = print_status(ctl, reply->cert_status);
		if (!code && reply->cert_status && reply->cert_status->status == CA_CERT_NEVER_ISSUED)
			code = CTL_NOT_FOUND;
	}
	return code;
}

/* ---- import ---- */

int ctl_cert_import(struct ctl *ctl)
{
	Gatehouse__Admin__Import query = GATEHOUSE__ADMIN__IMPORT__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	OWNED_BUF der = BUF_INIT(FILE_MAX);
	int code = ctl_read_pem(ctl->arguments[0], "CERTIFICATE", &der);

	if (code)
		return code;
	query.certificate = (ProtobufCBinaryData){ der.len, der.ptr };
	query.existing = option_given(ctl, "existing");
	query.foreign = option_given(ctl, "foreign");
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_IMPORT;
	call.import = &query;
	{
		OWNED_REPLY *reply = ctl_call(ctl, &call);

		code = reply ? ctl_outcome(ctl, reply, "import the certificate") : CTL_UNREACHABLE;
		if (!code)
			code = tell_changed(ctl, reply, "imported");
	}
	return code;
}

/* ---- CRLs ---- */

static const struct column crl_columns[] = {
	{ .name = "ca" },
	{ .name = "key", .kind = COLUMN_NUMBER },
	{ .name = "part", .kind = COLUMN_NUMBER },
	{ .name = "number", .kind = COLUMN_NUMBER },
	{ .name = "entries", .kind = COLUMN_NUMBER },
	{ .name = "size", .kind = COLUMN_NUMBER },
	{ .name = "this-update", .kind = COLUMN_TIME },
	{ .name = "next-update", .kind = COLUMN_TIME },
	{ .name = "url" },
	{ 0 },
};

const struct list_shape crl_shape = {
	"crls", crl_columns, "ca,key,part,number,entries,size,this-update,next-update",
	"ca,key,part,number,entries,size,this-update,next-update,url", "no CRLs yet", true,
};

static cJSON *crl_json(const Gatehouse__Admin__Crl *c)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "ca", c->ca);
	cJSON_AddNumberToObject(o, "key", c->key_index);
	cJSON_AddNumberToObject(o, "part", c->partition);
	cJSON_AddNumberToObject(o, "number", (double)c->number);
	cJSON_AddNumberToObject(o, "entries", (double)c->entries);
	cJSON_AddNumberToObject(o, "size", (double)c->size);
	cJSON_AddStringToObject(o, "this_update", print_time_s(c->this_update_s));
	cJSON_AddStringToObject(o, "next_update", print_time_s(c->next_update_s));
	cJSON_AddStringToObject(o, "url", c->url);
	return o;
}

static int publish_crl(struct ctl *ctl, char *ca)
{
	Gatehouse__Admin__PublishCrl query = GATEHOUSE__ADMIN__PUBLISH_CRL__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	query.ca = ca;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_PUBLISH_CRL;
	call.publish_crl = &query;
	{
		OWNED_REPLY *reply = ctl_call(ctl, &call);

		return reply ? ctl_outcome(ctl, reply, "publish the CRL") : CTL_UNREACHABLE;
	}
}

int ctl_ca_crl(struct ctl *ctl)
{
	Gatehouse__Admin__ListCrls query = GATEHOUSE__ADMIN__LIST_CRLS__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	char *ca = (char *)(uintptr_t)(ctl->n_arguments ? ctl->arguments[0] : "");
	struct list *list = NULL;
	int code = option_given(ctl, "publish") ? publish_crl(ctl, ca) : CTL_DONE;

	if (!code)
		code = list_new(&list, ctl);
	if (code)
		return code;
	query.ca = ca;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_CRLS;
	call.list_crls = &query;
	{
		OWNED_REPLY *reply = ctl_call(ctl, &call);

		code = reply ? ctl_outcome(ctl, reply, "list the CRLs") : CTL_UNREACHABLE;
		for (size_t i = 0; !code && i < reply->n_crls; i++)
			if (!list_add(list, crl_json(reply->crls[i])))
				break;
	}
	return list_end(&list, code);
}

/* ---- purge ---- */

static int purge(struct ctl *ctl, Call *call)
{
	unsigned long long n = 0;
	bool more = true;

	while (more) {
		OWNED_REPLY *reply = ctl_call(ctl, call);
		int code = reply ? ctl_outcome(ctl, reply, "purge") : CTL_UNREACHABLE;

		if (code)
			return code;
		n += reply->purged;
		more = reply->more && reply->purged;
	}
	if (is_json(ctl)) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddNumberToObject(o, "removed", (double)n);
		return print_json(o);
	}
	printf("removed %llu\n", n);
	return CTL_DONE;
}

static int confirm_purge(struct ctl *ctl, const char *what, const char *before)
{
	char question[160];

	if (option_given(ctl, "yes"))
		return CTL_DONE;
	if (!has_terminal())
		return ctl_fail(CTL_USAGE, "nothing was removed", "there is no terminal to confirm it at", "add --yes");
	snprintf(question, sizeof(question), "Remove for ever %s before %s?", what, before);
	if (!is_confirmed(question))
		return ctl_fail(CTL_USAGE, "nothing was removed", "it was not confirmed", NULL);
	return CTL_DONE;
}

int ctl_request_purge(struct ctl *ctl)
{
	Gatehouse__Admin__Purge query = GATEHOUSE__ADMIN__PURGE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	const char *before = option_value(ctl, "before");
	bool failed = option_given(ctl, "failed");
	int64_t before_s;
	int code;

	if (!before || clock_parse_s(before, &before_s))
		return ctl_fail(CTL_USAGE, "request purge", "--before says up to when, as 2026-01-01T00:00:00Z", NULL);
	code = confirm_purge(ctl, failed ? "requests that were denied or failed" : "certificates that ended", before);
	if (code)
		return code;
	query.what = failed ? 2 : 1;
	query.before_ms = before_s * 1000;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_PURGE;
	call.purge = &query;
	return purge(ctl, &call);
}
