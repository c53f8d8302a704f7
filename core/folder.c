/* The core's data folder has one user at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/buf.h"

int folder_lock(const char *folder, int *fd)
{
	OWNED_BUF path = BUF_INIT(4096);
	int e = buf_printf(&path, "%s/lock", folder);

	if (e)
		return e;
	*fd = open(buf_str(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return -errno;
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	e = -errno;
	folder_unlock(fd);
	return e;
}

void folder_unlock(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
