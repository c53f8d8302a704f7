/* Commands about enrolment credentials: eab, challenge, user, token, vendor and ra; create, add, list, revoke, passwd.
 *
 * A password is never on the command line, where every user of the machine would see it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/own.h"
#include "core/base/terminal.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/shapes.h"

#define PASSWORD_MAX 1024
#define CERTIFICATES_MAX 65536

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Credential Credential;

/* ---- list ---- */

static cJSON *lines_json(const char *lines)
{
	cJSON *list = cJSON_CreateArray();
	OWNED_STR copy = strdup(lines);
	char *rest = copy;

	for (char *line; rest && (line = strsep(&rest, "\n"));)
		if (*line)
			cJSON_AddItemToArray(list, cJSON_CreateString(line));
	return list;
}

static const char *state_of(const Credential *c, int64_t now_ms)
{
	if (c->revoked_ms)
		return "revoked";
	if (c->uses_left == 0)
		return "used";
	return c->until_ms && c->until_ms < now_ms ? "expired" : "valid";
}

static cJSON *credential_json(const Credential *c)
{
	int64_t now_ms = (int64_t)time(NULL) * 1000;
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "id", (double)c->id);
	cJSON_AddStringToObject(o, "kind", c->kind);
	if (*c->name)
		cJSON_AddStringToObject(o, "name", c->name);
	cJSON_AddStringToObject(o, "state", state_of(c, now_ms));
	cJSON_AddItemToObject(o, "endpoints", lines_json(c->endpoints));
	cJSON_AddItemToObject(o, "profiles", lines_json(c->profiles));
	cJSON_AddItemToObject(o, "scope", lines_json(c->scope));
	if (c->uses_left >= 0)
		cJSON_AddNumberToObject(o, "uses_left", (double)c->uses_left);
	cJSON_AddNumberToObject(o, "used", (double)c->used);
	if (c->delegates)
		cJSON_AddNumberToObject(o, "delegates", c->delegates);
	if (*c->device)
		cJSON_AddItemToObject(o, "device", lines_json(c->device));
	cJSON_AddStringToObject(o, "note", c->note);
	cJSON_AddStringToObject(o, "created", print_time_ms(c->created_ms));
	cJSON_AddStringToObject(o, "created_by", c->created_by);
	if (c->until_ms)
		cJSON_AddStringToObject(o, "until", print_time_ms(c->until_ms));
	if (c->last_used_ms)
		cJSON_AddStringToObject(o, "last_used", print_time_ms(c->last_used_ms));
	if (c->revoked_ms)
		cJSON_AddStringToObject(o, "revoked", print_time_ms(c->revoked_ms));
	return o;
}

static const struct column columns[] = {
	{ .name = "id", .kind = COLUMN_NUMBER },
	{ .name = "name" },
	{ .name = "state", .kind = COLUMN_STATE },
	{ .name = "endpoints", .kind = COLUMN_NAMES },
	{ .name = "profiles", .kind = COLUMN_NAMES },
	{ .name = "scope", .kind = COLUMN_NAMES },
	{ .name = "uses-left", .kind = COLUMN_NUMBER },
	{ .name = "used", .kind = COLUMN_NUMBER },
	{ .name = "until", .kind = COLUMN_TIME },
	{ .name = "last-used", .kind = COLUMN_AGE },
	{ .name = "created", .kind = COLUMN_AGE },
	{ .name = "created-by" },
	{ .name = "revoked", .kind = COLUMN_TIME },
	{ .name = "delegates", .kind = COLUMN_NUMBER },
	{ .name = "device", .kind = COLUMN_NAMES },
	{ .name = "kind" },
	{ .name = "note" },
	{ 0 },
};

const struct list_shape named_credential_shape = {
	"credentials", columns, "id,name,state,endpoints,scope,used,until,note",
	"id,name,state,endpoints,profiles,scope,delegates,uses-left,used,until,last-used,created,created-by,revoked,"
	"note",
	"none", false,
};
const struct list_shape credential_shape = {
	"credentials", columns, "id,state,endpoints,scope,uses-left,until,note",
	"id,state,endpoints,profiles,scope,device,delegates,uses-left,used,until,last-used,created,created-by,revoked,"
	"note",
	"none", false,
};

static int fetch(struct ctl *ctl, struct list *list, int64_t after)
{
	Gatehouse__Admin__ListCredentials query = GATEHOUSE__ADMIN__LIST_CREDENTIALS__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	bool more = true;

	query.kind = (char *)ctl->command->noun;
	query.after = after;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_CREDENTIALS;
	call.list_credentials = &query;
	while (more) {
		OWNED_REPLY *reply = ctl_call(ctl, &call);
		int code = reply ? ctl_outcome(ctl, reply, "list credentials") : CTL_UNREACHABLE;

		if (code)
			return code;
		more = reply->more && reply->n_credentials;
		for (size_t i = 0; i < reply->n_credentials; i++) {
			query.after = reply->credentials[i]->id;
			if (!list_add(list, credential_json(reply->credentials[i])))
				return CTL_DONE;
		}
	}
	return CTL_DONE;
}

int ctl_credential_list(struct ctl *ctl)
{
	struct list *list = NULL;
	int64_t after = 0;
	int code = list_new(&list, ctl);

	if (!code)
		code = list_after_number(list, &after);
	return list_end(&list, code ? code : fetch(ctl, list, after));
}

/* ---- passwords ---- */

/* Up to the first line break. CTL_DONE or told. */
static int read_line(int fd, char password[static PASSWORD_MAX + 2], const char *from)
{
	size_t n = 0;
	ssize_t got;

	while (n <= PASSWORD_MAX && !memchr(password, '\n', n) &&
	       (got = read(fd, password + n, PASSWORD_MAX + 1 - n)) > 0)
		n += (size_t)got;
	password[n] = '\0';
	password[strcspn(password, "\r\n")] = '\0';
	if (!*password || strlen(password) > PASSWORD_MAX)
		return ctl_fail(CTL_USAGE, "cannot read the password", from,
				"its first line has 8 to 1024 characters");
	return CTL_DONE;
}

static int read_file(const char *path, char password[static PASSWORD_MAX + 2])
{
	bool is_input = strcmp(path, "-") == 0;
	int fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), code;

	if (fd < 0)
		return ctl_fail(CTL_FAILED, "cannot read the password", path, strerror(errno));
	code = read_line(fd, password, is_input ? "standard input" : path);
	if (!is_input)
		close(fd);
	return code;
}

static int ask(const char *question, char password[static PASSWORD_MAX + 2])
{
	struct buf typed = BUF_INIT(PASSWORD_MAX);
	int e = terminal_ask(question, &typed);

	if (!e && typed.len)
		snprintf(password, PASSWORD_MAX + 2, "%s", buf_str(&typed));
	buf_wipe(&typed);
	if (e || !*password)
		return ctl_fail(CTL_USAGE, "cannot read the password", e ? strerror(-e) : "nothing was typed",
				"it has 8 to 1024 characters; --password-file takes it from a file");
	return CTL_DONE;
}

static int ask_twice(char password[static PASSWORD_MAX + 2])
{
	char again[PASSWORD_MAX + 2] = "";
	int code = ask("password: ", password);

	if (!code)
		code = ask("once more: ", again);
	if (!code && strcmp(password, again) != 0)
		code = ctl_fail(CTL_USAGE, "cannot take the password", "the two are not alike", "try again");
	explicit_bzero(again, sizeof(again));
	return code;
}

/* Empty: the core makes one. */
static int get_password(const struct ctl *ctl, char password[static PASSWORD_MAX + 2])
{
	const char *file = option_value(ctl, "password-file");

	password[0] = '\0';
	if (option_given(ctl, "generate"))
		return file ? ctl_fail(CTL_USAGE, "cannot take both", "--generate and --password-file", NULL) :
			      CTL_DONE;
	if (file)
		return read_file(file, password);
	if (has_terminal())
		return ask_twice(password);
	return ctl_fail(CTL_USAGE, "there is nobody to ask for the password", "standard input is no terminal",
			"use --generate, or --password-file FILE (- for standard input)");
}

/* ---- create, passwd, revoke ---- */

static const char *secret_word(const char *kind)
{
	return strcmp(kind, "eab") == 0 ? "hmac-key" : strcmp(kind, "user") == 0 ? "password" : kind;
}

static int show_made(const struct ctl *ctl, const Gatehouse__Admin__CredentialMade *m)
{
	const char *word = secret_word(m->kind);
	cJSON *o;

	if (!is_json(ctl)) {
		if (m->id)
			printf("%-12s %lld\n", "id", (long long)m->id);
		if (*m->name)
			printf("%-12s %s\n", strcmp(m->kind, "eab") == 0 ? "kid" : "name", print_text(m->name));
		if (*m->secret)
			printf("%-12s %s\n", word, m->secret);
		if (m->until_ms)
			printf("%-12s %s\n", "until", print_time_ms(m->until_ms));
		if (*m->secret)
			fprintf(stderr, "The %s is shown this once; nobody can look it up later.\n", word);
		return CTL_DONE;
	}
	o = cJSON_CreateObject();
	if (m->id)
		cJSON_AddNumberToObject(o, "id", (double)m->id);
	cJSON_AddStringToObject(o, "kind", m->kind);
	if (*m->name)
		cJSON_AddStringToObject(o, "name", m->name);
	if (*m->secret)
		cJSON_AddStringToObject(o, "secret", m->secret);
	if (m->until_ms)
		cJSON_AddStringToObject(o, "until", print_time_ms(m->until_ms));
	return print_json(o);
}

static int make(struct ctl *ctl, const Call *call, const char *what)
{
	OWNED_REPLY *reply = ctl_call(ctl, call);
	int code = reply ? ctl_outcome(ctl, reply, what) : CTL_UNREACHABLE;

	if (!code && !reply->credential_made)
		return ctl_fail(CTL_FAILED, "the core sent no credential", NULL, NULL);
	return code ? code : show_made(ctl, reply->credential_made);
}

#define NEVER "never"
#define UNLIMITED "unlimited"

static bool is_word(const struct ctl *ctl, const char *option, const char *word)
{
	const char *text = option_value(ctl, option);

	return text && strcmp(text, word) == 0;
}

/* "30m", "12h", "7d"; not set for "never". */
static int get_lifetime(const struct ctl *ctl, int64_t *ms)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
	const char *text = option_value(ctl, "ttl");
	char *end = NULL;
	long long n;

	if (!text || strcmp(text, NEVER) == 0)
		return CTL_DONE;
	errno = 0;
	n = strtoll(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!errno && end > text && *end == units[i].unit && !end[1] && n > 0 && n <= 3660 * 86400ll) {
			*ms = n * units[i].ms;
			return CTL_DONE;
		}
	return ctl_fail(CTL_USAGE, "'--ttl' is no time", text, "write 30m, 12h, 7d or never");
}

#define LIST_MAX CTL_GIVEN_MAX

static size_t collect(const struct ctl *ctl, const char *option, char *words[static LIST_MAX])
{
	size_t n = 0;

	while (n < LIST_MAX && option_nth(ctl, option, (int)n)) {
		words[n] = (char *)(uintptr_t)option_nth(ctl, option, (int)n);
		n++;
	}
	return n;
}

/* What was asked for, and is more or less than most need. Names of ACME are proven by other means. */
static void warn(const Gatehouse__Admin__CreateCredential *q)
{
	bool is_challenge = strcmp(q->kind, "challenge") == 0;

	if (q->n_scope == 0 && strcmp(q->kind, "eab") != 0)
		fprintf(stderr, "warning: it proves no name, and a request for one is refused; make another with "
				"--scope\n");
	if (is_challenge && (q->endless || q->unlimited))
		fprintf(stderr, "warning: whoever learns this challenge may ask with it%s%s, until it is revoked; "
				"narrow its scope, and have another one from time to time\n",
			q->unlimited ? " as often as he likes" : "", q->endless ? " for ever" : "");
	for (size_t i = 0; i < q->n_scope; i++)
		if (strcmp(q->scope[i], "any") == 0)
			fprintf(stderr, "warning: it proves every name; set any-scope: pend in the profile to look at "
					"what comes with it, or narrow its scope\n");
}

static int create(struct ctl *ctl, Gatehouse__Admin__CreateCredential *q)
{
	char *endpoints[LIST_MAX], *profiles[LIST_MAX], *scope[LIST_MAX];
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	const char *note = option_value(ctl, "note");
	int64_t uses = 0, delegates = 0;
	char what[32];
	int code = get_lifetime(ctl, &q->lifetime_ms);

	if (!code && !is_word(ctl, "uses", UNLIMITED))
		code = option_number(ctl, "uses", 1, 1000000, &uses);
	if (!code)
		code = option_number(ctl, "delegates", 1, 100000, &delegates);
	if (code)
		return code;
	q->kind = (char *)(uintptr_t)ctl->command->noun;
	q->uses = (uint32_t)uses;
	q->endless = is_word(ctl, "ttl", NEVER);
	q->unlimited = is_word(ctl, "uses", UNLIMITED);
	q->delegates = (uint32_t)delegates;
	q->n_endpoints = collect(ctl, "endpoint", endpoints);
	q->n_profiles = collect(ctl, "profile", profiles);
	q->n_scope = collect(ctl, "scope", scope);
	q->endpoints = endpoints;
	q->profiles = profiles;
	q->scope = scope;
	q->note = (char *)(uintptr_t)(note ? note : "");
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_CREATE_CREDENTIAL;
	call.create_credential = q;
	snprintf(what, sizeof(what), "create the %s", q->kind);
	code = make(ctl, &call, what);
	if (!code)
		warn(q);
	return code;
}

int ctl_credential_create(struct ctl *ctl)
{
	Gatehouse__Admin__CreateCredential q = GATEHOUSE__ADMIN__CREATE_CREDENTIAL__INIT;

	return create(ctl, &q);
}

int ctl_user_create(struct ctl *ctl)
{
	Gatehouse__Admin__CreateCredential q = GATEHOUSE__ADMIN__CREATE_CREDENTIAL__INIT;
	char password[PASSWORD_MAX + 2];
	int code = get_password(ctl, password);

	q.name = (char *)(uintptr_t)ctl->arguments[0];
	q.password = password;
	if (!code)
		code = create(ctl, &q);
	explicit_bzero(password, sizeof(password));
	return code;
}

/* vendor add, ra add */
int ctl_listed_add(struct ctl *ctl)
{
	Gatehouse__Admin__CreateCredential q = GATEHOUSE__ADMIN__CREATE_CREDENTIAL__INIT;
	OWNED_BUF certificates = BUF_INIT(CERTIFICATES_MAX);
	int e = file_read(ctl->arguments[1], &certificates);
	char failed[256];

	snprintf(failed, sizeof(failed), "cannot read the certificates in %.200s", ctl->arguments[1]);
	if (e)
		return ctl_fail(CTL_FAILED, failed, e == -EMSGSIZE ? "a file has at most 64 KiB" : strerror(-e), NULL);
	q.name = (char *)(uintptr_t)ctl->arguments[0];
	q.certificates.data = certificates.ptr;
	q.certificates.len = certificates.len;
	q.by_name = option_given(ctl, "by-name");
	return create(ctl, &q);
}

int ctl_user_passwd(struct ctl *ctl)
{
	Gatehouse__Admin__SetPassword q = GATEHOUSE__ADMIN__SET_PASSWORD__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	char password[PASSWORD_MAX + 2];
	int code = get_password(ctl, password);

	q.user = (char *)(uintptr_t)ctl->arguments[0];
	q.password = password;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SET_PASSWORD;
	call.set_password = &q;
	if (!code)
		code = make(ctl, &call, "set the password");
	explicit_bzero(password, sizeof(password));
	return code;
}

static int revoke_one(struct ctl *ctl, const char *name)
{
	Gatehouse__Admin__RevokeCredential q = GATEHOUSE__ADMIN__REVOKE_CREDENTIAL__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	char what[128];

	q.kind = (char *)(uintptr_t)ctl->command->noun;
	q.name = (char *)(uintptr_t)name;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_REVOKE_CREDENTIAL;
	call.revoke_credential = &q;
	OWNED_REPLY *reply = ctl_call(ctl, &call);
	snprintf(what, sizeof(what), "revoke %s %.80s", q.kind, name);
	return reply ? ctl_outcome(ctl, reply, what) : CTL_UNREACHABLE;
}

int ctl_credential_revoke(struct ctl *ctl)
{
	int code = CTL_DONE;

	for (int i = 0; i < ctl->n_arguments; i++) {
		int one = revoke_one(ctl, ctl->arguments[i]);

		code = one == CTL_DONE ? code : ctl->n_arguments == 1 ? one : CTL_PARTLY;
	}
	return code;
}
