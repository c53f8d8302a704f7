/* Users and their folders.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/supervisor/users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "gateway/config.h"

static const char *const options[ROLES_] = {
	[ROLE_SIGNER] = "signer-user",
	[ROLE_CORE] = "core-user",
	[ROLE_VALIDATOR] = "validator-user",
	[ROLE_RA_SIGNER] = "ra-signer-user",
	[ROLE_GATEWAY] = "gateway-user",
};

/* A number needs no entry in the system's list of users; its group has the same number. */
static bool look_up(const char *text, uid_t *uid, gid_t *gid)
{
	const struct passwd *entry;
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (!*end && *text >= '1' && *text <= '9' && number < UINT32_MAX) {
		*uid = (uid_t)number;
		*gid = (gid_t)number;
		return true;
	}
	entry = getpwnam(text);
	if (!entry)
		return false;
	*uid = entry->pw_uid;
	*gid = entry->pw_gid;
	return true;
}

int users_load(struct users *u, const struct conf_section *root, struct conf_error *error)
{
	const struct conf_section *conf = conf_section(root, "processes");

	*u = (struct users){ .are_separated = geteuid() == 0 && conf_bool(conf, "separate-users") };
	for (int i = 0; u->are_separated && i < ROLES_; i++) {
		const char *name = conf_str(conf, options[i]);

		/* A house without such endpoints needs no such user. */
		if (i == ROLE_RA_SIGNER && !gw_config_has_ra(root))
			continue;
		if (!look_up(name, &u->of[i].uid, &u->of[i].gid))
			return conf_refuse(conf, options[i], error,
					   "there is no user '%s'; make the users with systemd-sysusers, name "
					   "others, or set processes: separate-users: false",
					   name);
		if (u->of[i].uid == 0 || u->of[i].gid == 0)
			return conf_refuse(conf, options[i], error, "the %s must not be root",
					   role_name((enum role)i));
		for (int k = 0; k < i; k++)
			if (u->of[k].uid == u->of[i].uid)
				return conf_refuse(conf, options[i], error, "%s and %s must not be the same user",
						   role_name((enum role)k), role_name((enum role)i));
	}
	return 0;
}

bool users_are_same(const struct users *a, const struct users *b)
{
	if (a->are_separated != b->are_separated)
		return false;
	for (int i = 0; a->are_separated && i < ROLES_; i++)
		if (a->of[i].uid && b->of[i].uid && (a->of[i].uid != b->of[i].uid || a->of[i].gid != b->of[i].gid))
			return false;
	return true;
}

/* ---- folders ---- */

/* Files of root in a folder of root: nobody else could have put them there, links to elsewhere included. */
static int hand_over_files(int dir, uid_t uid, gid_t gid)
{
	int copy = dup(dir), e = 0;
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	struct stat st;

	if (!d)
		return -errno;
	while (!e && (entry = readdir(d)) != NULL) {
		int fd = openat(dir, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == 0 &&
		    fchown(fd, uid, gid))
			e = -errno;
		close(fd);
	}
	closedir(d);
	return e;
}

static int hand_over(const char *path, uid_t uid, gid_t gid)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), e = 0;
	struct stat st;

	if (dir < 0)
		return -errno;
	if (fstat(dir, &st))
		e = -errno;
	else if (st.st_uid != 0 && st.st_uid != uid)
		e = -EPERM;
	else if (st.st_uid == 0)
		e = hand_over_files(dir, uid, gid);
	if (!e && (fchown(dir, uid, gid) || fchmod(dir, 0700)))
		e = -errno;
	close(dir);
	return e;
}

static int prepare(const struct users *u, const char *data, const char *name, enum role role)
{
	OWNED_BUF path = BUF_INIT(4096);
	int e = buf_printf(&path, "%s/%s", data, name);

	if (!e)
		e = file_make_folder(buf_str(&path), 0700);
	if (!e && u->are_separated)
		e = hand_over(buf_str(&path), u->of[role].uid, u->of[role].gid);
	return e;
}

int users_prepare_folders(const struct users *u, const struct conf_section *root, struct conf_error *error)
{
	const char *data = conf_str(root, "data");
	int e = file_make_folder(data, u->are_separated ? 0711 : 0700);
	struct stat st;

	/* Each role reaches its own folder through it, and sees nothing else. */
	if (!e && u->are_separated && stat(data, &st) == 0 && !(st.st_mode & S_IXOTH) &&
	    chmod(data, (st.st_mode & 07777) | S_IXGRP | S_IXOTH))
		e = -errno;
	if (!e)
		e = prepare(u, data, "core", ROLE_CORE);
	if (!e)
		e = prepare(u, data, "gateway", ROLE_GATEWAY);
	if (e)
		conf_refuse(root, "data", error, "the data folder %s cannot be used: %s", data,
			    e == -EPERM ? "a folder in it belongs to another user than the configured ones" :
					  strerror(-e));
	return e;
}
