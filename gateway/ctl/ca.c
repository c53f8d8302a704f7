/* The commands about CAs that exist: import, rollover.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/ca.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "gateway/ctl/print.h"

typedef Gatehouse__Admin__Call Call;

#define CERTIFICATES_MAX ((size_t)1 << 20)

/* ---- options that init, import and rollover share ---- */

const char *ca_option_or(const struct ctl *ctl, const char *name, const char *otherwise)
{
	return option_given(ctl, name) ? option_value(ctl, name) : otherwise;
}

int ca_parse_days(const char *text, int64_t *seconds)
{
	char *end;
	long days = strtol(text, &end, 10);

	if (*end || days < 1 || days > 36500)
		return ctl_fail(CTL_USAGE, text, "--lifetime takes a number of days from 1 to 36500", NULL);
	*seconds = (int64_t)days * 86400;
	return CTL_DONE;
}

int ca_parse_place(const struct ctl *ctl, struct ca_create_options *o)
{
	o->data_folder = ca_option_or(ctl, "data", CTL_DATA_DEFAULT);
	o->kek = (struct kek_source){
		.data_folder = o->data_folder,
		.passphrase_file = option_value(ctl, "passphrase-file"),
		.prompts = option_given(ctl, "passphrase-prompt"),
		.key_file = option_value(ctl, "key-file"),
	};
	/* A path that means the same wherever the daemon starts. */
	if (o->data_folder[0] != '/')
		return ctl_fail(CTL_USAGE, o->data_folder, "the data folder must be an absolute path", NULL);
	return CTL_DONE;
}

int ca_tell_failure(int e, const char *what, const char *why)
{
	static const struct {
		int outcome, code;
		const char *next;
	} rows[] = {
		{ LIFE_EXISTS, CTL_WRONG_STATE, "gatehouse ca show" },
		{ LIFE_NOT_FOUND, CTL_NOT_FOUND, "gatehouse ca show" },
		{ LIFE_WRONG_STATE, CTL_WRONG_STATE, "gatehouse ca show" },
		{ LIFE_REFUSED, CTL_FAILED, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].outcome == e)
			return ctl_fail(rows[i].code, what, why, rows[i].next);
	return ctl_fail(CTL_FAILED, what, why && why[0] ? why : strerror(-e), NULL);
}

/* ---- import ---- */

/* It is done, and something is to be said of it: not where a program reads the answer. */
static int tell_outcome(const struct ctl *ctl, const Gatehouse__Admin__Reply *reply, const char *what)
{
	int code = ctl_outcome(ctl, reply, what);

	if (!code && reply->reason[0])
		fprintf(stderr, "note: %s\n", print_text(reply->reason));
	return code;
}

static int import_online(struct ctl *ctl, const char *name, const struct buf *der)
{
	Gatehouse__Admin__ImportCa import = GATEHOUSE__ADMIN__IMPORT_CA__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	import.name = (char *)(uintptr_t)name;
	import.certificates.data = der->ptr;
	import.certificates.len = der->len;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_IMPORT_CA;
	call.import_ca = &import;
	OWNED_REPLY *reply = ctl_call(ctl, &call);

	return reply ? tell_outcome(ctl, reply, "import the certificate of the CA") : CTL_UNREACHABLE;
}

/* The daemon works with the folder, or this user may not: then the core is asked. */
bool ca_is_asked_of_core(const struct ctl *ctl)
{
	return option_value(ctl, "socket") && !option_value(ctl, "data");
}

bool ca_is_for_core(const struct ca_create_options *o, int e)
{
	return e == CA_CREATE_IN_USE || (e == -EACCES && access(o->data_folder, W_OK) != 0);
}

int ctl_ca_import(struct ctl *ctl)
{
	struct ca_create_options o = { .name = ca_option_or(ctl, "name", CA_NAME_DEFAULT) };
	OWNED_BUF text = BUF_INIT(CERTIFICATES_MAX);
	OWNED_BUF der = BUF_INIT(CERTIFICATES_MAX);
	const char *path = ctl->arguments[0];
	char why[CREATE_WHY_SIZE];
	int e = file_read(path, &text), code = ca_parse_place(ctl, &o);

	if (code)
		return code;
	if (e)
		return ctl_fail(CTL_FAILED, path, strerror(-e), NULL);
	if (ca_read_certificates(buf_bytes(&text), &der))
		return ctl_fail(CTL_USAGE, path, "there are no certificates in it, neither PEM nor DER", NULL);
	umask(077);
	e = ca_is_asked_of_core(ctl) ? CA_CREATE_IN_USE : ca_import(&o, buf_bytes(&der), why);
	if (ca_is_for_core(&o, e))
		code = import_online(ctl, o.name, &der);
	else if (e)
		code = ca_tell_failure(e, "cannot import the certificate of the CA", why);
	if (!code)
		printf("CA '%s' has its certificate.\n", print_text(o.name));
	return code;
}

/* ---- rollover ---- */

int ca_tell_made(const struct ctl *ctl, const char *name, ProtobufCBinaryData certificate,
		 ProtobufCBinaryData request)
{
	if (is_json(ctl)) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddStringToObject(document, "ca", name);
		if (certificate.len) {
			cJSON_AddStringToObject(document, "sha256", print_fingerprint(certificate));
			cJSON_AddStringToObject(document, "certificate", print_pem(certificate));
		} else {
			cJSON_AddStringToObject(document, "request", print_pem_request(request));
		}
		return print_json(document);
	}
	if (certificate.len)
		printf("%-12s %s\n", "sha-256", print_fingerprint(certificate));
	else
		printf("%s%-12s have this signed by another authority, then: gatehouse ca import --name '%s' FILE\n",
		       print_pem_request(request), "next", print_text(name));
	return CTL_DONE;
}

int ca_make_online(struct ctl *ctl, Gatehouse__Admin__MakeCa *make, bool is_new)
{
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	call.what_case = is_new ? GATEHOUSE__ADMIN__CALL__WHAT_INIT_CA : GATEHOUSE__ADMIN__CALL__WHAT_ROLLOVER_CA;
	if (is_new)
		call.init_ca = make;
	else
		call.rollover_ca = make;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	const char *what = is_new ? "create the CA" : "replace the key of the CA";
	int code = reply ? tell_outcome(ctl, reply, what) : CTL_UNREACHABLE;

	if (code || !reply->made)
		return code ? code : CTL_FAILED;
	return ca_tell_made(ctl, make->name, reply->made->certificate, reply->made->request);
}

int ctl_ca_rollover(struct ctl *ctl)
{
	Gatehouse__Admin__MakeCa make = GATEHOUSE__ADMIN__MAKE_CA__INIT;
	int code = ca_parse_days(ca_option_or(ctl, "lifetime", "3650"), &make.lifetime_s);

	if (code)
		return code;
	make.name = (char *)(uintptr_t)ctl->arguments[0];
	make.key_type = (char *)(uintptr_t)ca_option_or(ctl, "key-type", "ec-p256");
	return ca_make_online(ctl, &make, false);
}
