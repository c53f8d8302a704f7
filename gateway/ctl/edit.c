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

#include "core/admin.h"
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

#define CHANGES_MAX 256

/* What goes to the core in one call, so that all of it happens or nothing. */
struct edit {
	Gatehouse__Admin__Change all[CHANGES_MAX];
	Gatehouse__Admin__Change *pointers[CHANGES_MAX];
	size_t n;
};

/* Add a change: `value` as an option gives it, which must live as long as the edit. CTL_DONE or CTL_USAGE, told. */
typedef int change_fn(struct edit *edit, const char *value);

static int add_change(struct edit *edit, enum ca_edit_kind kind, Gatehouse__Admin__Change **out)
{
	if (edit->n == CHANGES_MAX)
		return ctl_fail(CTL_USAGE, "too many changes", "one edit has at most 256", NULL);
	*out = edit->pointers[edit->n] = &edit->all[edit->n];
	edit->n++;
	gatehouse__admin__change__init(*out);
	(*out)->kind = kind;
	return CTL_DONE;
}

static int change_by_name(struct edit *edit, enum ca_edit_kind kind, const char *name)
{
	Gatehouse__Admin__Change *c;
	int code = add_change(edit, kind, &c);

	if (!code)
		c->name = (char *)name;
	return code;
}

static int bad_extension(const char *value)
{
	return ctl_fail(CTL_USAGE, value, "an extension is written OID=HEX or OID=HEX,critical; HEX is its DER", NULL);
}

static int change_set_attribute(struct edit *edit, const char *value)
{
	const char *equals = strchr(value, '=');
	Gatehouse__Admin__Change *c;

	if (!equals || equals == value)
		return ctl_fail(CTL_USAGE, value, "an attribute is written name=value", NULL);
	if (add_change(edit, CA_EDIT_SET_ATTRIBUTE, &c))
		return CTL_USAGE;
	c->name = print_kept_n(value, (size_t)(equals - value));
	c->value = (char *)(equals + 1);
	return CTL_DONE;
}

static int change_delete_attribute(struct edit *edit, const char *value)
{
	return change_by_name(edit, CA_EDIT_SET_ATTRIBUTE, value);
}

/* "OID=HEX" or "OID=HEX,critical": the value is DER. */
static int change_set_extension(struct edit *edit, const char *value)
{
	const char *equals = strchr(value, '='), *comma = strchr(value, ',');
	size_t n_oid = equals ? (size_t)(equals - value) : 0;
	size_t n_hex = equals ? (comma ? (size_t)(comma - equals - 1) : strlen(equals + 1)) : 0;
	Gatehouse__Admin__Change *c;
	char *hex, *der;

	if (!n_oid || (comma && (comma < equals || strcmp(comma, ",critical") != 0)) || !n_hex || n_hex % 2 ||
	    n_hex / 2 > EXTENSION_MAX)
		return bad_extension(value);
	hex = print_kept_n(equals + 1, n_hex);
	der = print_kept_n(hex, n_hex / 2);
	if (hex_parse(hex, (uint8_t *)der, n_hex / 2))
		return bad_extension(value);
	if (add_change(edit, CA_EDIT_SET_EXTENSION, &c))
		return CTL_USAGE;
	c->name = print_kept_n(value, n_oid);
	c->der = (ProtobufCBinaryData){ n_hex / 2, (uint8_t *)der };
	c->flags = comma ? CA_EXT_CRITICAL : 0;
	return CTL_DONE;
}

static int change_delete_extension(struct edit *edit, const char *value)
{
	return change_by_name(edit, CA_EDIT_REMOVE_EXTENSION, value);
}

static int change_add_name(struct edit *edit, const char *value)
{
	return change_by_name(edit, CA_EDIT_SET_NAME, value);
}

static int change_delete_name(struct edit *edit, const char *value)
{
	return change_by_name(edit, CA_EDIT_REMOVE_NAME, value);
}

static int change_lifetime(struct edit *edit, const char *value)
{
	Gatehouse__Admin__Change *c;
	int64_t lifetime_s;

	if (ctl_parse_duration(value, &lifetime_s) || add_change(edit, CA_EDIT_SHORTEN, &c))
		return CTL_USAGE;
	c->lifetime_s = lifetime_s;
	return CTL_DONE;
}

static int change_end(struct edit *edit, const char *value)
{
	Gatehouse__Admin__Change *c;
	int64_t not_after_s;

	if (ctl_parse_time(value, &not_after_s) || add_change(edit, CA_EDIT_END, &c))
		return CTL_USAGE;
	c->not_after_s = not_after_s;
	return CTL_DONE;
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
	{ "not-after", NULL, change_end },
};
#define N_CHANGES (sizeof(changes) / sizeof(*changes))

/* Make all of them at one request; `version` of it as it was shown, or 0. */
static int make_changes(struct decide_run *run, const struct target *t, struct edit *edit, int64_t version)
{
	Gatehouse__Admin__Edit query = GATEHOUSE__ADMIN__EDIT__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	int code;

	query.id = t->id;
	query.version = version;
	query.changes = edit->pointers;
	query.n_changes = edit->n;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_EDIT;
	call.edit = &query;
	OWNED_REPLY *reply = decide_call(run, t, &call, &code);
	if (code)
		return code;
	decide_keep(run, reply);
	if (!is_json(run->ctl))
		printf("request %lld is changed; policy has not been asked: gatehouse resubmit %lld\n",
		       (long long)t->id, (long long)t->id);
	return CTL_DONE;
}

static int edit_one(struct decide_run *run, const struct target *t)
{
	return make_changes(run, t, run->arg, 0);
}

/* Read every option before anything is done. */
static int read_options(struct ctl *ctl, struct edit *edit)
{
	const char *value;
	int code = CTL_DONE;

	edit->n = 0;
	for (size_t i = 0; i < N_CHANGES; i++)
		for (int j = 0; !code && (value = option_nth(ctl, changes[i].option, j)); j++)
			code = changes[i].change(edit, value);
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
static int compare_forms(struct edit *edit, const struct entries *before, const struct entries *after)
{
	int code = CTL_DONE;

	edit->n = 0;
	for (size_t i = 0; !code && i < after->n; i++)
		if (!has_entry(before, &after->all[i]))
			code = changes[after->all[i].change].change(edit, after->all[i].value);
	for (size_t i = 0; !code && i < before->n; i++) {
		change_fn *change = changes[before->all[i].change].change;
		char *value = before->all[i].value;

		if (has_entry(after, &before->all[i]))
			continue;
		if (change == change_add_name)
			code = change_delete_name(edit, value);
		if (change == change_set_attribute && !has_attribute(after, value)) {
			value[strcspn(value, "=")] = '\0';
			code = change_delete_attribute(edit, value);
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
	struct edit edit;
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
	code = read_form(original, &before);
	if (!code)
		code = read_form(edited, &after);
	if (!code)
		code = compare_forms(&edit, &before, &after);
	if (!code && edit.n == 0)
		return printf("request %lld is as it was\n", (long long)t->id) < 0 ? CTL_FAILED : CTL_DONE;
	return code ? code : make_changes(run, t, &edit, reply->detail->request->version);
}

int ctl_edit(struct ctl *ctl)
{
	struct edit edit;

	if (read_options(ctl, &edit))
		return CTL_USAGE;
	if (edit.n)
		return decide_all(ctl, "edit", "state=pending", edit_one, &edit);
	if (!has_terminal() || ctl->n_arguments > 1 || ctl->arguments[0][0] == '@')
		return ctl_fail(CTL_USAGE, "nothing to edit", "no option says what to change",
				"gatehouse edit --help; at a terminal one request is edited as a form");
	return decide_all(ctl, "edit", "state=pending", edit_by_form, NULL);
}
