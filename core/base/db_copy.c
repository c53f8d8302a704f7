/* A copy of a SQLite file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/db_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 10000

static int make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* The snapshot is taken first: the copy then never begins again, however busy the writer is. */
static int copy_pages(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *b;
	int code = sqlite3_exec(from, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);

	if (code != SQLITE_OK)
		return code;
	b = sqlite3_backup_init(to, "main", from, "main");
	if (!b)
		return sqlite3_errcode(to);
	code = sqlite3_backup_step(b, -1);
	sqlite3_backup_finish(b);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int copy_open(const char *from_path, const char *to_path, char *why, size_t why_size)
{
	sqlite3 *from = NULL, *to = NULL;
	int code = sqlite3_open_v2(from_path, &from, SQLITE_OPEN_READWRITE, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_open_v2(to_path, &to, SQLITE_OPEN_READWRITE, NULL);
	if (code == SQLITE_OK) {
		sqlite3_busy_timeout(from, BUSY_MS);
		code = copy_pages(from, to);
	}
	if (code != SQLITE_OK)
		snprintf(why, why_size, "%s: %s", from_path, sqlite3_errstr(code));
	sqlite3_close(to);
	sqlite3_close(from);
	return code == SQLITE_OK ? 0 : code == SQLITE_FULL ? -ENOSPC : -EIO;
}

static int sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), e;

	if (fd < 0)
		return -errno;
	e = fsync(fd) ? -errno : 0;
	close(fd);
	return e;
}

int db_copy(const char *from, const char *to, char *why, size_t why_size)
{
	int e = make_file(to);

	if (e) {
		snprintf(why, why_size, "%s: %s", to, strerror(-e));
		return e;
	}
	e = copy_open(from, to, why, why_size);
	if (!e) {
		e = sync_file(to);
		if (e)
			snprintf(why, why_size, "%s: %s", to, strerror(-e));
	}
	if (e)
		unlink(to);
	return e;
}
