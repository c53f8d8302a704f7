/* The core's part of a backup.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/anchor_int.h"
#include "core/base/clock.h"
#include "core/base/db_copy.h"
#include "core/store.h"

static const char *const names[BACKUP_FILES] = { "core/audit.anchor", "core/core.db" };

struct backup {
	pthread_mutex_t lock;
	uint64_t number;
	int fds[BACKUP_FILES]; /* -1: none */
	uint64_t sizes[BACKUP_FILES];
};

static void close_files(struct backup *b)
{
	for (int i = 0; i < BACKUP_FILES; i++) {
		if (b->fds[i] >= 0)
			close(b->fds[i]);
		b->fds[i] = -1;
	}
}

int backup_new(struct backup **out)
{
	struct backup *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	pthread_mutex_init(&b->lock, NULL);
	for (int i = 0; i < BACKUP_FILES; i++)
		b->fds[i] = -1;
	*out = b;
	return 0;
}

void backup_drop(struct backup **b)
{
	if (!*b)
		return;
	close_files(*b);
	pthread_mutex_destroy(&(*b)->lock);
	free(*b);
	*b = NULL;
}

/* The copy has no name any more once it is open: it goes when the backup does, even if the core is killed. What a kill
 * between the two left behind is in the way of nobody. */
static int copy_store(struct ca_core *core, char *why)
{
	char from[PATH_MAX], to[PATH_MAX];
	int e, fd;

	snprintf(from, sizeof(from), "%s/core.db", core->data_folder);
	snprintf(to, sizeof(to), "%s/backup.db", core->data_folder);
	if (unlink(to) && errno != ENOENT)
		return -errno;
	e = db_copy(from, to, why, CA_REASON_SIZE);
	if (e)
		return e;
	fd = open(to, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	e = fd < 0 ? -errno : 0;
	unlink(to);
	return e ? e : fd;
}

static int open_sized(int fd, uint64_t *size)
{
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st)) {
		int e = -errno;

		close(fd);
		return e;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

/* The anchor first: it must not know of records that the store of the same backup lacks. */
static int open_files(struct ca_core *core, struct backup *b, char *why)
{
	b->fds[0] = open(core->anchor->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	b->fds[0] = open_sized(b->fds[0] < 0 ? -errno : b->fds[0], &b->sizes[0]);
	if (b->fds[0] >= 0)
		b->fds[1] = open_sized(copy_store(core, why), &b->sizes[1]);
	for (int i = 0; i < BACKUP_FILES; i++)
		if (b->fds[i] < 0)
			return b->fds[i];
	return 0;
}

int backup_begin(struct ca_core *core, const char *actor, uint64_t *number,
		 struct backup_file files[static BACKUP_FILES], char why[static CA_REASON_SIZE])
{
	struct backup *b = core->backup;
	int e = store_audit(core, &(struct audit_record){ .at_ms = clock_wall_ms(), .actor = actor,
							  .action = "backup" });

	if (e)
		return e;
	pthread_mutex_lock(&b->lock);
	close_files(b);
	e = open_files(core, b, why);
	if (e)
		close_files(b);
	*number = ++b->number;
	for (int i = 0; !e && i < BACKUP_FILES; i++)
		files[i] = (struct backup_file){ names[i], b->sizes[i] };
	pthread_mutex_unlock(&b->lock);
	return e;
}

static int read_piece(int fd, uint64_t offset, size_t n, struct buf *out)
{
	uint8_t *room = buf_room(out, n);
	ssize_t got;

	if (!room)
		return buf_status(out);
	do
		got = pread(fd, room, n, (off_t)offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	buf_added(out, (size_t)got);
	return 0;
}

int backup_read(struct ca_core *core, uint64_t number, unsigned file, uint64_t offset, struct buf *out)
{
	struct backup *b = core->backup;
	int e = CA_CALL_NOT_FOUND;

	pthread_mutex_lock(&b->lock);
	if (number == b->number && file < BACKUP_FILES && b->fds[file] >= 0) {
		uint64_t left = offset < b->sizes[file] ? b->sizes[file] - offset : 0;

		e = left ? read_piece(b->fds[file], offset, left < BACKUP_PIECE ? left : BACKUP_PIECE, out) : 0;
	}
	pthread_mutex_unlock(&b->lock);
	return e;
}
