/* Who holds which role at the administrator's door: what the configuration says of a user of this machine.
 *
 * Roles are listed by user or %group. They are looked up for every call, in an open session too, so that whoever was
 * taken off a list or out of a group has no right left. With `role-separation` nobody holds two.
 *
 * An officer whom `officer-rights` limits handles the requests of the rows that name him, and no others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/admin.h"
#include "core/base/conf.h"

#include <sys/types.h>

#define ROLES_GROUPS_MAX 256
#define ROLES_RIGHTS_MAX 64

/* A user of this machine, as the kernel and the user database know him. */
struct roles_user {
	char name[128]; /* or his number */
	uid_t uid;
	gid_t groups[ROLES_GROUPS_MAX];
	int n_groups;
};

extern const struct conf_option roles_right_rows[]; /* of `core: officer-rights:` */

/* Check what the section `core` of `root` says about roles. 0 or -EINVAL with `error`. */
int roles_check(const struct conf_section *root, struct conf_error *error);

void roles_look_up(uid_t uid, gid_t gid, struct roles_user *out);

/* Fills roles and, for an officer, what he is limited to. `is_owner`: the daemon runs as this user and no other, so
 * that everything belongs to him anyway: he holds every role, or where roles are separated that of an administrator
 * when the file gives him none. */
void roles_find(const struct conf_section *core, const struct roles_user *user, bool is_owner,
		struct ca_admin_caller *out);

/* Is the requester of a request this caller, maybe by another name of his? Requesters of the kinds "unix:NAME" and
 * "est:user:NAME" are people; they are compared by name, without case, and by the number that this machine has for it.
 */
bool roles_is_same_person(const struct ca_admin_caller *who, const char *requester);

/* May an officer with these limits handle a request of this profile and requester? */
bool roles_handles(const struct ca_admin_caller *who, const char *profile, const char *requester);
