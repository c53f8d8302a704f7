/* Edits of held requests within their walls: names, extensions, validity; and notes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_turn.h"

#include <errno.h>
#include <stdio.h>

#include "core/admin_rights.h"
#include "core/base/clock.h"
#include "core/base/ip.h"
#include "core/base/own.h"
#include "core/store.h"
#include "core/x509/text.h"

#define NOTE_MAX 1000
#define LIFETIME_MIN_S 300

/* Make one change to `r` in memory, with its line. 0, an outcome of core/admin.h, or negative. */
typedef int edit_fn(struct ca_core *core, struct ca_request *r, const struct ca_edit *e, struct ca_outcome *out);

/* No role helps: the profile would have to say something else. */
static int forbidden(const struct ca_request *r, struct ca_outcome *out, const char *lack)
{
	char text[CA_REASON_SIZE];

	snprintf(text, sizeof(text), "profile %.64s %s", r->profile, lack);
	return admin_turn_say(out, CA_ADMIN_FORBIDDEN, text);
}

/* ---- attributes, extensions ---- */

static int set_attribute(struct ca_core *core, struct ca_request *r, const struct ca_edit *edit,
			 struct ca_outcome *out)
{
	int e;

	if (ca_attribute_is_observed(edit->name))
		return admin_turn_say(out, CA_ADMIN_INVALID,
				      "this attribute says what was seen of the client; officers set others");
	e = request_set_attribute(r, edit->name, edit->value, true);
	if (e)
		return e == -ENOMEM ? e :
				      admin_turn_say(out, CA_ADMIN_INVALID,
						     "the attribute's name or value is too long or has a line break");
	request_note(r, r->officer, "set-attribute by=%s name=\"%s\"", r->officer, request_quote(r, edit->name));
	return 0;
}

static bool officer_may_set(struct ca_core *core, const struct ca_request *r, const char *oid)
{
	const struct ca_profile *p = core_find_profile(core, r->profile);

	for (size_t i = 0; p && p->conf && i < conf_count(p->conf, "officer-extensions"); i++)
		if (strcmp(conf_str_at(p->conf, "officer-extensions", i), oid) == 0)
			return true;
	return false;
}

static int set_extension(struct ca_core *core, struct ca_request *r, const struct ca_edit *edit,
			 struct ca_outcome *out)
{
	unsigned flags = (edit->flags & (CA_EXT_CRITICAL | CA_EXT_DISABLED)) | CA_EXT_ORIGIN_ADMIN;
	int e;

	if (extension_is_reserved(edit->name))
		return admin_turn_say(out, CA_ADMIN_FORBIDDEN, "the CA alone writes this extension, whatever the "
							       "profile says");
	if (!officer_may_set(core, r, edit->name))
		return forbidden(r, out, "does not list this extension under officer-extensions");
	e = request_set_extension(r, edit->name, edit->der, flags);
	if (e)
		return e == -ENOMEM ? e : admin_turn_say(out, CA_ADMIN_INVALID, "the OID or the value is malformed");
	request_note(r, r->officer, "set-extension by=%s oid=%s flags=%u", r->officer, edit->name, edit->flags);
	return 0;
}

static int remove_extension(struct ca_core *core, struct ca_request *r, const struct ca_edit *edit,
			    struct ca_outcome *out)
{
	struct ca_extension *x = request_find_extension(r, edit->name);

	if (!x)
		return admin_turn_say(out, CA_ADMIN_INVALID, "it has no such extension");
	if ((x->flags & CA_EXT_ORIGIN_MASK) == CA_EXT_ORIGIN_ADMIN)
		*x = r->extensions[--r->n_extensions];
	else
		x->flags |= CA_EXT_DISABLED;
	request_note(r, r->officer, "remove-extension by=%s oid=%s", r->officer, edit->name);
	return 0;
}

/* ---- names ---- */

/* "dns:a.example" or "ip:192.0.2.1", in its normal form. */
static bool parse_name(struct ca_request *r, const char *text, struct ca_name *out)
{
	char dns[DNS_NAME_SIZE], ip[IP_TEXT_SIZE];
	const char *colon = strchr(text, ':'), *value = colon ? colon + 1 : NULL;
	struct ip_address address;

	if (!value)
		return false;
	if (strncmp(text, "dns:", 4) == 0 && dns_name_normalise(bytes_of_str(value), true, dns) == 0)
		*out = (struct ca_name){ .kind = CA_NAME_DNS, .value = arena_strdup(r->arena, dns) };
	else if (strncmp(text, "ip:", 3) == 0 && ip_address_parse(&address, value) == 0)
		*out = (struct ca_name){ .kind = CA_NAME_IP,
					 .value = arena_strdup(r->arena, ip_address_print(&address, ip)) };
	else
		return false;
	return out->value != NULL;
}

static struct ca_name *find_name(struct ca_request *r, const struct ca_name *name)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (r->names[i].kind == name->kind && strcmp(r->names[i].value, name->value) == 0)
			return &r->names[i];
	return NULL;
}

/* A common name is one of the names, always: when its own is gone, another takes its place, or none. */
static int mend_common_name(struct ca_request *r)
{
	const char *subject = request_subject_text(r), *rest;
	const char *cn = NULL;
	size_t n;

	if (!subject)
		return -ENOMEM;
	if (strncmp(subject, "CN=", 3) != 0)
		return 0;
	n = strcspn(subject + 3, ",");
	rest = subject + 3 + n;
	for (size_t i = 0; i < r->n_names; i++) {
		if (strlen(r->names[i].value) == n && strncmp(r->names[i].value, subject + 3, n) == 0)
			return 0;
		if (!cn && strlen(r->names[i].value) <= 64)
			cn = r->names[i].value;
	}
	r->subject_text = cn ? arena_printf(r->arena, "CN=%s%s", cn, rest) :
			       arena_strdup(r->arena, rest + (*rest == ','));
	return r->subject_text ? 0 : -ENOMEM;
}

static bool allows_names(struct ca_core *core, const struct ca_request *r)
{
	const struct ca_profile *p = core_find_profile(core, r->profile);

	return p && p->conf && strcmp(conf_str(p->conf, "officer-names"), "allow") == 0;
}

/* Room for one more. */
static int grow_names(struct ca_request *r)
{
	struct ca_name *names = arena_alloc(r->arena, (r->n_names + 1) * sizeof(*names));

	if (!names)
		return -ENOMEM;
	memcpy(names, r->names, r->n_names * sizeof(*names));
	r->names = names;
	return 0;
}

static int put_name(struct ca_request *r, const char *text, const char *instead_of, struct ca_outcome *out)
{
	struct ca_name name, old, *place = NULL;

	if (!parse_name(r, text, &name))
		return admin_turn_say(out, CA_ADMIN_INVALID, "a name is written dns:a.example or ip:192.0.2.1");
	if (find_name(r, &name))
		return admin_turn_say(out, CA_ADMIN_INVALID, "it has that name");
	if (*instead_of && (!parse_name(r, instead_of, &old) || !(place = find_name(r, &old))))
		return admin_turn_say(out, CA_ADMIN_INVALID, "it has no such name that could be changed");
	if (!place && r->n_names >= CA_NAMES_MAX)
		return admin_turn_say(out, CA_ADMIN_INVALID, "it has as many names as a request may have");
	if (!place && grow_names(r))
		return -ENOMEM;
	name.evidence = CA_EVIDENCE_OFFICER;
	name.evidence_text = arena_strdup(r->arena, r->officer);
	if (!name.evidence_text)
		return -ENOMEM;
	*(place ? place : &r->names[r->n_names++]) = name;
	return mend_common_name(r);
}

static int set_name(struct ca_core *core, struct ca_request *r, const struct ca_edit *edit, struct ca_outcome *out)
{
	int e;

	if (!allows_names(core, r))
		return forbidden(r, out, "does not say officer-names: allow, so nobody adds or changes names");
	e = put_name(r, edit->name, edit->value, out);
	if (!e)
		request_note(r, r->officer, "set-name by=%s name=\"%s\" instead-of=\"%s\"", r->officer,
			     request_quote(r, edit->name), request_quote(r, edit->value));
	return e;
}

static int remove_name(struct ca_core *core, struct ca_request *r, const struct ca_edit *edit, struct ca_outcome *out)
{
	struct ca_name wanted, *place = parse_name(r, edit->name, &wanted) ? find_name(r, &wanted) : NULL;
	int e;

	if (!place)
		return admin_turn_say(out, CA_ADMIN_INVALID, "it has no such name; a name is written dns:a.example");
	if (r->n_names == 1)
		return admin_turn_say(out, CA_ADMIN_INVALID,
				      "the last name cannot be removed; deny the request instead");
	memmove(place, place + 1, (size_t)(r->names + r->n_names - place - 1) * sizeof(*place));
	r->n_names--;
	e = mend_common_name(r);
	if (!e)
		request_note(r, r->officer, "remove-name by=%s name=\"%s\"", r->officer,
			     request_quote(r, edit->name));
	return e;
}

/* ---- validity ---- */

static int shorten(struct ca_core *core, struct ca_request *r, const struct ca_edit *edit, struct ca_outcome *out)
{
	if (edit->lifetime_s < LIFETIME_MIN_S || edit->lifetime_s >= r->template_s)
		return admin_turn_say(out, CA_ADMIN_INVALID,
				      "the validity can be made shorter than it is, but not than five minutes");
	r->officer_lifetime_s = r->template_s = edit->lifetime_s;
	r->not_after_s = r->not_before_s + edit->lifetime_s - 1;
	if (r->officer_not_after_s && r->not_after_s > r->officer_not_after_s)
		r->not_after_s = r->officer_not_after_s;
	request_note(r, r->officer, "shorten by=%s lifetime=%llds", r->officer, (long long)edit->lifetime_s);
	return 0;
}

static int end_earlier(struct ca_core *core, struct ca_request *r, const struct ca_edit *edit, struct ca_outcome *out)
{
	char text[CLOCK_TEXT_SIZE];

	if (edit->not_after_s < clock_wall_s() + LIFETIME_MIN_S || edit->not_after_s >= r->not_after_s)
		return admin_turn_say(out, CA_ADMIN_INVALID,
				      "it can end earlier than it would, but not within the next five minutes");
	r->officer_not_after_s = r->not_after_s = edit->not_after_s;
	request_note(r, r->officer, "shorten by=%s not-after=%s", r->officer, clock_print_s(r->not_after_s, text));
	return 0;
}

/* ---- all of them ---- */

static const struct {
	enum ca_action action;
	edit_fn *make;
} kinds[] = {
	[CA_EDIT_SET_ATTRIBUTE] = { CA_ACTION_SET_ATTRIBUTES, set_attribute },
	[CA_EDIT_SET_EXTENSION] = { CA_ACTION_SET_EXTENSION, set_extension },
	[CA_EDIT_REMOVE_EXTENSION] = { CA_ACTION_SET_EXTENSION, remove_extension },
	[CA_EDIT_SET_NAME] = { CA_ACTION_EDIT, set_name },
	[CA_EDIT_REMOVE_NAME] = { CA_ACTION_EDIT, remove_name },
	[CA_EDIT_SHORTEN] = { CA_ACTION_EDIT, shorten },
	[CA_EDIT_END] = { CA_ACTION_EDIT, end_earlier },
};

/* Changes of several kinds are an edit. */
static enum ca_action action_of(const struct ca_edit *edits, size_t n)
{
	enum ca_action action = n ? kinds[edits[0].kind].action : CA_ACTION_EDIT;

	for (size_t i = 1; i < n && i < CA_EDITS_MAX; i++)
		if (kinds[edits[i].kind].action != action)
			return CA_ACTION_EDIT;
	return action;
}

/* The digest is another one then, so approvals given for the old one count no more. */
static int store_edit(struct ca *ca, struct ca_request *r, enum ca_action action, struct ca_outcome *out)
{
	struct store_change change = { .r = r, .from = CA_STATE_PENDING, .key_until_ms = INT64_MAX,
				       .rewrite_rows = true, .rewrite_names = action == CA_ACTION_EDIT,
				       .action = action };
	const struct ca_profile *p = core_find_profile(ca->core, r->profile);
	int e;

	if (!p)
		return admin_turn_say(out, CA_ADMIN_NO_ANSWER, "the request's profile is no longer configured");
	r->is_edited = true;
	request_await_key(r);
	decide_use_profile(r, p);
	e = request_hash_template(r);
	if (!e)
		e = store_apply(ca, &change);
	if (!e)
		trace_step(ca->core->trace, ca_action_word(action), r->id);
	return e;
}

int admin_turn_edit(struct ca *ca, struct ca_request *r, enum ca_action action, const struct ca_edit *edits, size_t n,
		    struct ca_outcome *out)
{
	int e = 0;

	for (size_t i = 0; !e && i < n; i++)
		e = kinds[edits[i].kind].make(ca->core, r, &edits[i], out);
	return e ? e : store_edit(ca, r, action, out);
}

int ca_admin_edit(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const struct ca_edit *edits,
		  size_t n, struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	enum ca_action action = action_of(edits, n);
	struct ca *ca;
	int e = admin_turn_begin(core, who, id, action, &r, &ca, out);

	if (e)
		return e;
	if (n == 0 || n > CA_EDITS_MAX)
		e = admin_turn_say(out, CA_ADMIN_INVALID, "an edit has 1 to 256 changes");
	else
		e = admin_turn_edit(ca, r, action, edits, n, out);
	return admin_turn_end(core, id, e, out);
}

/* ---- notes ---- */

int ca_admin_note(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *text,
		  struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	size_t n = strlen(text);
	const char *why = "";
	int e;

	if (n == 0 || n > NOTE_MAX || !text_is_clean(bytes_of(text, n)))
		return admin_turn_say(out, CA_ADMIN_INVALID, "a note has 1 to 1000 octets and no line break");
	e = store_load(core, id, &r);
	if (e)
		return e == CA_CALL_NOT_FOUND ? admin_turn_say(out, CA_ADMIN_NOT_FOUND, "there is no such request") : e;
	e = admin_check_officer(who, r->profile, r->requester, &why);
	return e ? admin_turn_say(out, e, why) : store_add_note(core, id, who->name, text, clock_wall_ms());
}
