/* The mark of a restore.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/restored.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/file.h"

static bool print_path(const char *folder, char path[static PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/restored", folder);

	return n > 0 && n < PATH_MAX;
}

bool restored_is_marked(const char *folder)
{
	char path[PATH_MAX];

	return print_path(folder, path) && access(path, F_OK) == 0;
}

int restored_mark(const char *folder)
{
	char path[PATH_MAX];

	if (!print_path(folder, path))
		return -ENAMETOOLONG;
	return file_write_atomic_at(AT_FDCWD, path, bytes_of(NULL, 0), 0600);
}

int restored_unmark(const char *folder)
{
	char path[PATH_MAX];
	int fd, e = 0;

	if (!print_path(folder, path))
		return -ENAMETOOLONG;
	if (unlink(path))
		return errno == ENOENT ? 0 : -errno;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		e = -errno;
	if (fd >= 0)
		close(fd);
	return e;
}
