/* Which process comes from which, by /proc.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/ancestry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STEPS_MAX 64

/* The fourth field of stat, behind a name in brackets that may hold anything. Negative: not known. */
static pid_t parent_of(pid_t pid)
{
	char path[32], text[512];
	const char *end;
	ssize_t n;
	int fd, parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')');
	return end && sscanf(end, ") %*c %d", &parent) == 1 && parent >= 0 ? parent : -1;
}

/* A /proc that hides other users' processes (hidepid=) says of them that they are not there. They have another user,
 * and without the rights of root, and no way to new ones, nobody can have started them. */
static bool is_of_another_user(pid_t pid)
{
	return geteuid() != 0 && kill(pid, 0) && errno == EPERM;
}

enum ancestry ancestry_of(pid_t pid, pid_t ancestor)
{
	/* The kernel gives 0 for a peer that has no number in this PID namespace. */
	if (pid <= 0)
		return ANCESTRY_UNKNOWN;
	for (int i = 0; i < STEPS_MAX; i++) {
		pid_t parent;

		if (pid == ancestor)
			return ANCESTRY_BELOW;
		if (pid <= 1)
			return ANCESTRY_ELSEWHERE;
		parent = parent_of(pid);
		if (parent < 0)
			return is_of_another_user(pid) ? ANCESTRY_ELSEWHERE : ANCESTRY_UNKNOWN;
		pid = parent;
	}
	return ANCESTRY_UNKNOWN;
}
