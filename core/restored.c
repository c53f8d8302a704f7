/* The mark of a restore.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/restored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/own.h"

#define MARK "restored"
#define LEFT_OUT "left-out"
#define LEFT_OUT_MAX ((size_t)(8u << 20))

static bool print_path(const char *folder, const char *name, char path[static PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);

	return n > 0 && n < PATH_MAX;
}

bool restored_is_marked(const char *folder)
{
	char path[PATH_MAX];

	return print_path(folder, MARK, path) && access(path, F_OK) == 0;
}

int restored_mark(const char *folder)
{
	char path[PATH_MAX];

	if (!print_path(folder, MARK, path))
		return -ENAMETOOLONG;
	return file_write_atomic_at(AT_FDCWD, path, bytes_of(NULL, 0), 0600);
}

int restored_unmark(const char *folder)
{
	char path[PATH_MAX];
	int fd, e = 0;

	if (!print_path(folder, MARK, path))
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

int restored_keep_left_out(const char *folder, struct bytes lines)
{
	OWNED_BUF text = BUF_INIT(LEFT_OUT_MAX);
	char path[PATH_MAX];
	int e = print_path(folder, LEFT_OUT, path) ? file_read(path, &text) : -ENAMETOOLONG;

	if (e == -ENOENT)
		e = 0;
	if (!e)
		e = buf_append(&text, lines);
	return e ? e : file_write_atomic_at(AT_FDCWD, path, buf_bytes(&text), 0600);
}

size_t restored_count_left_out(const char *folder, char path[static PATH_MAX])
{
	size_t n = 0;
	FILE *f = print_path(folder, LEFT_OUT, path) ? fopen(path, "re") : NULL;

	if (!f)
		return 0;
	for (int c; (c = getc_unlocked(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}
