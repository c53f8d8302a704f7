/* The users that the processes become, and the folders that belong to them.
 *
 * Started as root, each role gets a user of its own; otherwise, or with `processes: separate-users: false`, all stay
 * what the supervisor is, and log and status say so.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"
#include "gateway/supervisor/children.h"

struct users {
	bool are_separated;
	struct {
		uid_t uid;
		gid_t gid;
	} of[ROLES_]; /* when they are separated */
};

/* By the section `processes`. 0; -EINVAL with `error`: a user does not exist, or two roles share one. */
int users_load(struct users *u, const struct conf_section *root, struct conf_error *error);

bool users_are_same(const struct users *a, const struct users *b);

/* Make the data folder, and in it those of core and gateway, each belonging to its user and closed to others. What
 * belongs to root in a folder of root (`gatehouse ca init` made it) changes hands. 0; negative with `error`. */
int users_prepare_folders(const struct users *u, const struct conf_section *root, struct conf_error *error);
