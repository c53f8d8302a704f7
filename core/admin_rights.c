/* Which role may do what.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_rights.h"

#include "core/roles.h"

#define LOOKS (CA_ROLE_AUDITOR | CA_ROLE_OFFICER | CA_ROLE_ADMINISTRATOR)

static const struct {
	unsigned any, all; /* one of the first, and every one of the second */
	const char *holder;
} rights[ADMIN_RIGHT_COUNT_] = {
	[ADMIN_RIGHT_STATUS] = { CA_ROLES_ALL, 0, "a user with a role" },
	[ADMIN_RIGHT_READ] = { LOOKS, 0, "an auditor, officer or administrator" },
	[ADMIN_RIGHT_DECIDE] = { CA_ROLE_OFFICER, 0, "an officer" },
	[ADMIN_RIGHT_ADMINISTER] = { CA_ROLE_ADMINISTRATOR, 0, "an administrator" },
	[ADMIN_RIGHT_PURGE] = { CA_ROLE_ADMINISTRATOR, CA_ROLE_ADMINISTRATOR | CA_ROLE_OFFICER,
				"an administrator who is an officer too" },
	[ADMIN_RIGHT_OPERATE] = { CA_ROLE_OPERATOR, 0, "an operator" },
	[ADMIN_RIGHT_AUDIT] = { CA_ROLE_AUDITOR, 0, "an auditor" },
};

bool admin_has_right(const struct ca_admin_caller *who, enum admin_right right)
{
	return (who->roles & rights[right].any) && (who->roles & rights[right].all) == rights[right].all;
}

int admin_check_officer(const struct ca_admin_caller *who, const char *profile, const char *requester,
			const char **why)
{
	if (!admin_has_right(who, ADMIN_RIGHT_DECIDE)) {
		*why = "this user has no role that allows it: it is for an officer";
		return CA_ADMIN_NOT_PERMITTED;
	}
	if (roles_is_same_person(who, requester)) {
		*why = "whoever asked for a certificate does not decide about it: ask another officer";
		return CA_ADMIN_NOT_PERMITTED;
	}
	if (!roles_handles(who, profile, requester)) {
		*why = "core: officer-rights names no row of this officer for this profile and requester";
		return CA_ADMIN_RESTRICTED;
	}
	return 0;
}

const char *admin_right_holder(enum admin_right right)
{
	return rights[right].holder;
}

const char *admin_role_word(size_t i, unsigned *role)
{
	static const struct {
		unsigned role;
		const char *word;
	} words[] = {
		{ CA_ROLE_AUDITOR, "auditor" },
		{ CA_ROLE_OFFICER, "officer" },
		{ CA_ROLE_ADMINISTRATOR, "administrator" },
		{ CA_ROLE_OPERATOR, "operator" },
	};

	if (i >= sizeof(words) / sizeof(*words))
		return NULL;
	*role = words[i].role;
	return words[i].word;
}
