/* Who holds which role.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/roles.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/log.h"
#include "core/base/pattern.h"

#define ANY "any"

static const struct {
	const char *option;
	unsigned role;
} lists[] = {
	{ "auditors", CA_ROLE_AUDITOR },
	{ "officers", CA_ROLE_OFFICER },
	{ "administrators", CA_ROLE_ADMINISTRATOR },
	{ "operators", CA_ROLE_OPERATOR },
};

const struct conf_option roles_right_rows[] = {
	{ .name = "officer", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "Officer (or group of officers, written %group) of whom this row tells." },
	{ .name = "profiles", .type = CONF_STRINGS, .fallback = CONF_NEEDED,
	  .summary = "Profiles whose requests he handles; `any` for every profile." },
	{ .name = "requesters", .type = CONF_STRINGS, .fallback = ANY,
	  .summary = "Patterns of requesters whose requests he handles, as acme:*; `any` for every requester." },
	{ 0 },
};

/* ---- the configuration ---- */

static bool is_profile(const struct conf_section *root, const char *name)
{
	for (size_t i = 0; i < conf_count(root, "profiles"); i++)
		if (strcmp(conf_str(conf_section_at(root, "profiles", i), "name"), name) == 0)
			return true;
	return strcmp(name, ANY) == 0;
}

static int check_right(const struct conf_section *root, const struct conf_section *row, struct conf_error *error)
{
	for (size_t i = 0; i < conf_count(row, "profiles"); i++)
		if (!is_profile(root, conf_str_at(row, "profiles", i)))
			return conf_refuse_at(row, "profiles", i, error,
					      "there is no profile named '%s'; '" ANY "' stands for all of them",
					      conf_str_at(row, "profiles", i));
	return 0;
}

static bool is_written(const struct conf_section *core, const char *option, const char *entry)
{
	for (size_t i = 0; i < conf_count(core, option); i++)
		if (strcmp(conf_str_at(core, option, i), entry) == 0)
			return true;
	return false;
}

/* Groups change while the core runs; what stands in the file twice is wrong for ever. */
static int check_separation(const struct conf_section *core, struct conf_error *error)
{
	for (size_t l = 1; l < sizeof(lists) / sizeof(*lists); l++)
		for (size_t i = 0; i < conf_count(core, lists[l].option); i++)
			for (size_t other = 0; other < l; other++)
				if (is_written(core, lists[other].option, conf_str_at(core, lists[l].option, i)))
					return conf_refuse(core, lists[l].option, error,
							   "'%s' stands among the %s too, and role-separation is on",
							   conf_str_at(core, lists[l].option, i), lists[other].option);
	return 0;
}

int roles_check(const struct conf_section *root, struct conf_error *error)
{
	const struct conf_section *core = conf_section(root, "core");
	int e = conf_bool(core, "role-separation") ? check_separation(core, error) : 0;

	if (!e && conf_count(core, "officer-rights") > ROLES_RIGHTS_MAX)
		e = conf_refuse(core, "officer-rights", error, "at most %d rows", ROLES_RIGHTS_MAX);
	for (size_t i = 0; !e && i < conf_count(core, "officer-rights"); i++)
		e = check_right(root, conf_section_at(core, "officer-rights", i), error);
	return e;
}

/* ---- users ---- */

void roles_look_up(uid_t uid, gid_t gid, struct roles_user *out)
{
	char space[16384];
	struct passwd entry, *found = NULL;

	out->uid = uid;
	out->n_groups = ROLES_GROUPS_MAX;
	if (getpwuid_r(uid, &entry, space, sizeof(space), &found) == 0 && found) {
		snprintf(out->name, sizeof(out->name), "%s", found->pw_name);
		if (getgrouplist(found->pw_name, gid, out->groups, &out->n_groups) >= 0)
			return;
	} else {
		snprintf(out->name, sizeof(out->name), "%u", (unsigned)uid);
	}
	out->groups[0] = gid;
	out->n_groups = 1;
}

static bool is_member(const struct roles_user *user, const char *group)
{
	char space[16384];
	struct group entry, *found = NULL;

	if (getgrnam_r(group, &entry, space, sizeof(space), &found) || !found)
		return false;
	for (int i = 0; i < user->n_groups; i++)
		if (user->groups[i] == found->gr_gid)
			return true;
	return false;
}

static bool is_meant(const char *entry, const struct roles_user *user)
{
	return entry[0] == '%' ? is_member(user, entry + 1) : strcmp(entry, user->name) == 0;
}

static bool is_listed(const struct conf_section *core, const char *option, const struct roles_user *user)
{
	for (size_t i = 0; i < conf_count(core, option); i++)
		if (is_meant(conf_str_at(core, option, i), user))
			return true;
	return false;
}

/* Only who is all there is, the owner of a daemon of his own, needs no row. */
static void find_limits(const struct conf_section *core, const struct roles_user *user, bool is_owner,
			struct ca_admin_caller *out)
{
	out->is_limited = !is_owner || conf_count(core, "officer-rights") > 0;
	out->rights = 0;
	out->conf = core;
	for (size_t i = 0; i < conf_count(core, "officer-rights"); i++)
		if (is_meant(conf_str(conf_section_at(core, "officer-rights", i), "officer"), user))
			out->rights |= 1ull << i;
}

void roles_find(const struct conf_section *core, const struct roles_user *user, bool is_owner,
		struct ca_admin_caller *out)
{
	bool separates = conf_bool(core, "role-separation");

	out->roles = 0;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		if (is_listed(core, lists[i].option, user))
			out->roles |= lists[i].role;
	if (is_owner && !separates)
		out->roles = CA_ROLES_ALL;
	else if (is_owner && !out->roles)
		out->roles = CA_ROLE_ADMINISTRATOR;
	/* A group may bring a second role at any time: two are none. */
	if (separates && (out->roles & (out->roles - 1))) {
		log_warn("admin.two-roles", "user", user->name, "why",
			 "role-separation is on and this user holds two roles, so he holds none");
		out->roles = 0;
	}
	find_limits(core, user, is_owner, out);
}

/* ---- persons and limits ---- */

static bool find_uid(const char *name, uid_t *uid)
{
	char space[16384], *end;
	struct passwd entry, *found = NULL;
	unsigned long number;

	if (getpwnam_r(name, &entry, space, sizeof(space), &found) == 0 && found) {
		*uid = found->pw_uid;
		return true;
	}
	number = strtoul(name, &end, 10);
	*uid = (uid_t)number;
	return *name >= '0' && *name <= '9' && !*end;
}

/* The name of a person, without the kind of the requester. NULL: a kind that names none. */
static const char *person_of(const char *requester)
{
	static const char *const kinds[] = { "unix:", "est:user:" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strncmp(requester, kinds[i], strlen(kinds[i])) == 0)
			return requester + strlen(kinds[i]);
	return NULL;
}

/* Two people of one name are taken for one: another officer is found, a certificate is not called back. */
bool roles_is_same_person(const struct ca_admin_caller *who, const char *requester)
{
	const char *name = person_of(requester), *own = person_of(who->name);
	uid_t uid;

	if (strcmp(who->name, requester) == 0)
		return true;
	if (!name || !*name)
		return false;
	return (own && strcasecmp(own, name) == 0) || (who->has_uid && find_uid(name, &uid) && uid == who->uid);
}

static bool is_among(const struct conf_section *row, const char *option, const char *text)
{
	for (size_t i = 0; i < conf_count(row, option); i++) {
		const char *entry = conf_str_at(row, option, i);

		if (strcmp(entry, ANY) == 0 || pattern_matches_text(entry, text))
			return true;
	}
	return false;
}

bool roles_handles(const struct ca_admin_caller *who, const char *profile, const char *requester)
{
	if (!who->is_limited)
		return true;
	for (size_t i = 0; i < ROLES_RIGHTS_MAX; i++) {
		const struct conf_section *row;

		if (!(who->rights & 1ull << i))
			continue;
		row = conf_section_at(who->conf, "officer-rights", i);
		if (is_among(row, "profiles", profile) && is_among(row, "requesters", requester))
			return true;
	}
	return false;
}
