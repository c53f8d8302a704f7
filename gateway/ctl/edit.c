/* The command that changes a pending request: by options, or by a form in an editor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "core/module.h"
#include "gateway/ctl/decide.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/requests.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;

#define FORM_MAX 65536
#define EXTENSION_MAX 8192

/* One change: `value` as an option gives it. */
typedef int change_fn(struct decide_run *run, int64_t id, const char *value);

static int make_change(struct decide_run *run, int64_t id, const Call *call)
{
	const struct target t = { .id = id };
	int code;
	OWNED_REPLY *reply = decide_call(run, &t, call, &code);

	if (!code)
		decide_keep(run, reply);
	return code;
}

static int set_attribute(struct decide_run *run, int64_t id, const char *name, size_t n_name, const char *value)
{
	Gatehouse__Admin__SetAttribute set = GATEHOUSE__ADMIN__SET_ATTRIBUTE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	OWNED_STR copy = strndup(name, n_name);

	if (!copy)
		abort();
	set.id = id;
	set.name = copy;
	set.value = (char *)value;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SET_ATTRIBUTE;
	call.set_attribute = &set;
	return make_change(run, id, &call);
}

static int change_set_attribute(struct decide_run *run, int64_t id, const char *value)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value)
		return ctl_fail(CTL_USAGE, value, "an attribute is written name=value", NULL);
	return set_attribute(run, id, value, (size_t)(equals - value), equals + 1);
}

static int change_delete_attribute(struct decide_run *run, int64_t id, const char *value)
{
	return set_attribute(run, id, value, strlen(value), "");
}

/* "OID=HEX" or "OID=HEX,critical": the value is DER. */
static int change_set_extension(struct decide_run *run, int64_t id, const char *value)
{
	Gatehouse__Admin__SetExtension set = GATEHOUSE__ADMIN__SET_EXTENSION__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	const char *equals = strchr(value, '='), *comma = strchr(value, ',');
	size_t n_hex = equals ? (comma ? (size_t)(comma - equals - 1) : strlen(equals + 1)) : 0;
	OWNED_STR oid = strndup(value, equals ? (size_t)(equals - value) : 0);
	OWNED_STR hex = strndup(equals ? equals + 1 : "", n_hex);
	uint8_t der[EXTENSION_MAX];

	if (!oid || !hex)
		abort();
	if (!*oid || !n_hex || n_hex % 2 || n_hex / 2 > sizeof(der) || hex_parse(hex, der, n_hex / 2) ||
	    (comma && strcmp(comma, ",critical") != 0))
		return ctl_fail(CTL_USAGE, value, "an extension is written OID=HEX or OID=HEX,critical; HEX is its DER",
				NULL);
	set.id = id;
	set.oid = oid;
	set.value.data = der;
	set.value.len = n_hex / 2;
	set.flags = comma ? CA_EXT_CRITICAL : 0;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SET_EXTENSION;
	call.set_extension = &set;
	return make_change(run, id, &call);
}

static int change_delete_extension(struct decide_run *run, int64_t id, const char *value)
{
	Gatehouse__Admin__RemoveExtension remove = GATEHOUSE__ADMIN__REMOVE_EXTENSION__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	remove.id = id;
	remove.oid = (char *)value;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_REMOVE_EXTENSION;
	call.remove_extension = &remove;
	return make_change(run, id, &call);
}

static int change_add_name(struct decide_run *run, int64_t id, const char *value)
{
	Gatehouse__Admin__SetName set = GATEHOUSE__ADMIN__SET_NAME__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	set.id = id;
	set.name = (char *)value;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SET_NAME;
	call.set_name = &set;
	return make_change(run, id, &call);
}

static int change_delete_name(struct decide_run *run, int64_t id, const char *value)
{
	Gatehouse__Admin__RemoveName remove = GATEHOUSE__ADMIN__REMOVE_NAME__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	remove.id = id;
	remove.name = (char *)value;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_REMOVE_NAME;
	call.remove_name = &remove;
	return make_change(run, id, &call);
}

static int change_lifetime(struct decide_run *run, int64_t id, const char *value)
{
	Gatehouse__Admin__Shorten shorten = GATEHOUSE__ADMIN__SHORTEN__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;

	if (ctl_parse_duration(value, &shorten.lifetime_s))
		return CTL_USAGE;
	shorten.id = id;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SHORTEN;
	call.shorten = &shorten;
	return make_change(run, id, &call);
}

/* In the order in which they are made: a name is added before another one goes, because the last one cannot. */
static const struct {
	const char *option, *word; /* the word of the form; NULL: not in it */
	change_fn *change;
} changes[] = {
	{ "set-attr", "attribute", change_set_attribute },
	{ "del-attr", NULL, change_delete_attribute },
	{ "set-ext", NULL, change_set_extension },
	{ "del-ext", NULL, change_delete_extension },
	{ "add-san", "name", change_add_name },
	{ "del-san", NULL, change_delete_name },
	{ "lifetime", "lifetime", change_lifetime },
};
#define N_CHANGES (sizeof(changes) / sizeof(*changes))

static int edit_one(struct decide_run *run, const struct target *t)
{
	const char *value;
	int code = CTL_DONE;

	for (size_t i = 0; i < N_CHANGES; i++)
		for (int j = 0; !code && (value = option_nth(run->ctl, changes[i].option, j)); j++)
			code = changes[i].change(run, t->id, value);
	if (!code && !is_json(run->ctl))
		printf("request %lld is changed; policy has not been asked: gatehouse resubmit %lld\n",
		       (long long)t->id, (long long)t->id);
	return code;
}

/* ---- the form ---- */

/* A line that an editor would break in two, or that a terminal would obey, cannot be edited there. */
static bool fits_a_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int write_form(const Gatehouse__Admin__Detail *d, struct buf *form)
{
	buf_printf(form,
		   "# Request %lld. What stands here when the editor ends is what it becomes; lines that begin with\n"
		   "# a # do not count. Names are added only where the profile allows it.\n\n"
		   "lifetime: %llds\n",
		   (long long)d->request->id, (long long)d->lifetime_s);
	for (size_t i = 0; i < d->n_names; i++)
		buf_printf(form, "name: %s\n", d->names[i]->text);
	for (size_t i = 0; i < d->n_attributes; i++)
		if (fits_a_line(d->attributes[i]->name) && fits_a_line(d->attributes[i]->value))
			buf_printf(form, "attribute: %s=%s\n", d->attributes[i]->name, d->attributes[i]->value);
	return buf_status(form);
}

static int run_editor(const char *path)
{
	const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");
	OWNED_BUF command = BUF_INIT(4096);
	int status = 0;
	pid_t child;

	buf_printf(&command, "%s \"$1\"", visual && *visual ? visual : editor && *editor ? editor : "editor");
	if (buf_status(&command))
		return buf_status(&command);
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", buf_str(&command), "editor", path, (char *)NULL);
		_exit(127);
	}
	if (waitpid(child, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

/* Let a person edit the text. 0 or negative. */
static int edit_text(struct buf *form)
{
	const char *folder = getenv("TMPDIR");
	char path[512];
	int fd, e = 0;

	snprintf(path, sizeof(path), "%.400s/gatehouse-edit-XXXXXX", folder && *folder ? folder : "/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		return -errno;
	if (write(fd, form->ptr, form->len) != (ssize_t)form->len)
		e = -EIO;
	close(fd);
	if (!e)
		e = run_editor(path);
	buf_reset(form);
	/* An editor may have put another file in its place. */
	if (!e)
		e = file_read(path, form);
	unlink(path);
	return e;
}

/* One value of a form: what stood there, or what stands there now. */
struct entry {
	size_t change; /* index of `changes` */
	char *value;
};

#define ENTRIES_MAX 256

struct entries {
	struct entry all[ENTRIES_MAX];
	size_t n;
};

static int bad_line(const char *line)
{
	return ctl_fail(CTL_USAGE, line, "a line of the form is lifetime: …, name: … or attribute: name=value",
			"nothing was changed; edit it again");
}

/* Read a form; the values point into `text`, which is cut up. */
static int read_form(char *text, struct entries *out)
{
	char *line;

	out->n = 0;
	while ((line = strsep(&text, "\n"))) {
		char *colon = strchr(line, ':');
		size_t i = 0;

		if (*line == '#' || !line[strspn(line, " \t\r")])
			continue;
		for (; colon && i < N_CHANGES; i++)
			if (changes[i].word && strlen(changes[i].word) == (size_t)(colon - line) &&
			    strncmp(changes[i].word, line, (size_t)(colon - line)) == 0)
				break;
		if (!colon || i == N_CHANGES || out->n == ENTRIES_MAX)
			return bad_line(line);
		colon += 1 + strspn(colon + 1, " ");
		colon[strcspn(colon, "\r")] = '\0';
		out->all[out->n++] = (struct entry){ i, colon };
	}
	return CTL_DONE;
}

static bool has_entry(const struct entries *e, const struct entry *wanted)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->all[i].change == wanted->change && strcmp(e->all[i].value, wanted->value) == 0)
			return true;
	return false;
}

/* Is an attribute of this name still there, with whatever value? Then setting it is enough. */
static bool has_attribute(const struct entries *e, const char *value)
{
	size_t n = strcspn(value, "=") + 1;

	for (size_t i = 0; i < e->n; i++)
		if (changes[e->all[i].change].change == change_set_attribute &&
		    strncmp(e->all[i].value, value, n) == 0)
			return true;
	return false;
}

/* What is new is set, then what is gone is taken away. */
static int apply_form(struct decide_run *run, int64_t id, const struct entries *before,
		      const struct entries *after)
{
	int code = CTL_DONE;

	for (size_t i = 0; !code && i < after->n; i++)
		if (!has_entry(before, &after->all[i]))
			code = changes[after->all[i].change].change(run, id, after->all[i].value);
	for (size_t i = 0; !code && i < before->n; i++) {
		change_fn *change = changes[before->all[i].change].change;
		char *value = before->all[i].value;

		if (has_entry(after, &before->all[i]))
			continue;
		if (change == change_add_name)
			code = change_delete_name(run, id, value);
		if (change == change_set_attribute && !has_attribute(after, value)) {
			value[strcspn(value, "=")] = '\0';
			code = change_delete_attribute(run, id, value);
		}
	}
	return code;
}

static int edit_by_form(struct decide_run *run, const struct target *t)
{
	OWNED_BUF form = BUF_INIT(FORM_MAX);
	OWNED_STR original = NULL;
	OWNED_STR edited = NULL;
	struct entries before, after;
	int code, e;
	OWNED_REPLY *reply = requests_detail(run->ctl, t->id, false, &code);

	if (code)
		return code;
	e = write_form(reply->detail, &form);
	original = e ? NULL : strdup(buf_str(&form));
	if (!e)
		e = edit_text(&form);
	edited = e ? NULL : strdup(buf_str(&form));
	if (e || !original || !edited)
		return ctl_fail(CTL_FAILED, "the form was not edited", strerror(e ? -e : ENOMEM),
				"set EDITOR, or use the options: gatehouse edit --help");
	if (strcmp(original, edited) == 0)
		return printf("request %lld is as it was\n", (long long)t->id) < 0 ? CTL_FAILED : CTL_DONE;
	code = read_form(original, &before);
	if (!code)
		code = read_form(edited, &after);
	if (!code)
		code = apply_form(run, t->id, &before, &after);
	if (!code && !is_json(run->ctl))
		printf("request %lld is changed; policy has not been asked: gatehouse resubmit %lld\n",
		       (long long)t->id, (long long)t->id);
	return code;
}

int ctl_edit(struct ctl *ctl)
{
	bool has_changes = false;

	for (size_t i = 0; i < N_CHANGES; i++)
		has_changes |= option_given(ctl, changes[i].option);
	if (has_changes)
		return decide_all(ctl, "edit", "state=pending", edit_one, NULL);
	if (!has_terminal() || ctl->n_arguments > 1 || ctl->arguments[0][0] == '@')
		return ctl_fail(CTL_USAGE, "nothing to edit", "no option says what to change",
				"gatehouse edit --help; at a terminal one request is edited as a form");
	return decide_all(ctl, "edit", "state=pending", edit_by_form, NULL);
}
