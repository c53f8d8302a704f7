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

int ca_admin_remove_extension(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *oid,
			      struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	struct ca_extension *x;
	struct ca *ca;
	int e = admin_turn_begin(core, who, id, CA_ACTION_SET_EXTENSION, &r, &ca, out);

	if (e)
		return e;
	x = request_find_extension(r, oid);
	if (!x)
		return admin_turn_end(core, id, admin_turn_say(out, CA_ADMIN_INVALID, "it has no such extension"), out);
	if ((x->flags & CA_EXT_ORIGIN_MASK) == CA_EXT_ORIGIN_ADMIN)
		*x = r->extensions[--r->n_extensions];
	else
		x->flags |= CA_EXT_DISABLED;
	request_note(r, who->name, "remove-extension by=%s oid=%s", who->name, oid);
	return admin_turn_edit(core, ca, r, CA_ACTION_SET_EXTENSION, out);
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

static int set_name(struct ca_request *r, const char *text, const char *instead_of, const char *officer,
		    struct ca_outcome *out)
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
	name.evidence_text = arena_strdup(r->arena, officer);
	if (!name.evidence_text)
		return -ENOMEM;
	*(place ? place : &r->names[r->n_names++]) = name;
	return mend_common_name(r);
}

int ca_admin_set_name(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *name,
		      const char *instead_of, struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	struct ca *ca;
	int e = admin_turn_begin(core, who, id, CA_ACTION_EDIT, &r, &ca, out);

	if (e)
		return e;
	if (!allows_names(core, r))
		e = admin_turn_say(out, CA_ADMIN_NOT_PERMITTED,
				   "the profile does not say officer-names: allow, so nobody adds or changes names");
	if (!e)
		e = set_name(r, name, instead_of ? instead_of : "", who->name, out);
	if (e)
		return admin_turn_end(core, id, e, out);
	request_note(r, who->name, "set-name by=%s name=\"%s\" instead-of=\"%s\"", who->name, request_quote(r, name),
		     request_quote(r, instead_of ? instead_of : ""));
	return admin_turn_edit(core, ca, r, CA_ACTION_EDIT, out);
}

int ca_admin_remove_name(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *name,
			 struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	struct ca_name wanted, *place;
	struct ca *ca;
	int e = admin_turn_begin(core, who, id, CA_ACTION_EDIT, &r, &ca, out);

	if (e)
		return e;
	place = parse_name(r, name, &wanted) ? find_name(r, &wanted) : NULL;
	if (!place)
		e = admin_turn_say(out, CA_ADMIN_INVALID, "it has no such name; a name is written dns:a.example");
	else if (r->n_names == 1)
		e = admin_turn_say(out, CA_ADMIN_INVALID, "the last name cannot be removed; deny the request instead");
	if (e)
		return admin_turn_end(core, id, e, out);
	memmove(place, place + 1, (size_t)(r->names + r->n_names - place - 1) * sizeof(*place));
	r->n_names--;
	e = mend_common_name(r);
	if (e)
		return admin_turn_end(core, id, e, out);
	request_note(r, who->name, "remove-name by=%s name=\"%s\"", who->name, request_quote(r, name));
	return admin_turn_edit(core, ca, r, CA_ACTION_EDIT, out);
}

/* ---- validity, notes ---- */

int ca_admin_shorten(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, int64_t lifetime_s,
		     struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	struct ca *ca;
	int e = admin_turn_begin(core, who, id, CA_ACTION_EDIT, &r, &ca, out);

	if (e)
		return e;
	if (lifetime_s < LIFETIME_MIN_S || lifetime_s >= r->template_s)
		return admin_turn_end(core, id,
				      admin_turn_say(out, CA_ADMIN_INVALID,
						     "the validity can be made shorter than it is, but not than five "
						     "minutes"), out);
	r->officer_lifetime_s = r->template_s = lifetime_s;
	r->not_after_s = r->not_before_s + lifetime_s - 1;
	request_note(r, who->name, "shorten by=%s lifetime=%llds", who->name, (long long)lifetime_s);
	return admin_turn_edit(core, ca, r, CA_ACTION_EDIT, out);
}

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
