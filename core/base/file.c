/* Files read and written whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/file.h"

#include "core/base/base64.h"
#include "core/base/digest.h"
#include "core/base/own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)65536)
#define TAG_SIZE ((size_t)16) /* of a temporary name: NAME.TAG.tmp, hex digits */
#define ENDING ".tmp"

/* Room for the next read: as much as the limit leaves, and one octet beyond it to see whether the file goes on. */
static ssize_t read_piece(int fd, struct buf *out)
{
	size_t left = out->max - out->len;
	uint8_t beyond, *room = &beyond;
	ssize_t n;

	if (left) {
		left = left < PIECE ? left : PIECE;
		room = buf_room(out, left);
		if (!room)
			return buf_status(out);
	}
	do
		n = read(fd, room, left ? left : 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n > 0 && !left)
		return buf_room(out, 1) ? -EIO : buf_status(out);
	if (left)
		buf_added(out, (size_t)n);
	return n;
}

static int read_all(int fd, struct buf *out)
{
	ssize_t n;

	if (buf_status(out))
		return buf_status(out);
	do
		n = read_piece(fd, out);
	while (n > 0);
	return (int)n;
}

int file_read(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = read_all(fd, out);
	close(fd);
	return r;
}

int file_read_fd(int fd, struct buf *out)
{
	struct stat st;
	uint8_t *room;
	ssize_t n = 1;

	if (fstat(fd, &st) < 0)
		return -errno;
	room = buf_room(out, (size_t)st.st_size);
	for (off_t done = 0; room && done < st.st_size && n > 0; done += n) {
		do
			n = pread(fd, room + done, (size_t)(st.st_size - done), done);
		while (n < 0 && errno == EINTR);
		if (n > 0)
			buf_added(out, (size_t)n);
	}
	return !room ? buf_status(out) : n < 0 ? -errno : 0;
}

int file_read_secret(const char *path, struct buf *out)
{
	/* O_NONBLOCK: a FIFO in the place of the file must be refused, not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXG | S_IRWXO)))
		r = -EPERM;
	else
		r = read_all(fd, out);
	close(fd);
	return r;
}

int file_write_all(int fd, struct bytes data)
{
	ssize_t n;

	while (data.len) {
		n = write(fd, data.ptr, data.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data.ptr += n;
		data.len -= (size_t)n;
	}
	return 0;
}

static int write_new(int dirfd, const char *name, struct bytes data, mode_t mode)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0700);
	int r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, data);
	/* The mode is what the caller asked for, whatever the umask. */
	if (!r && fchmod(fd, mode) < 0)
		r = -errno;
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && !r)
		r = -errno;
	if (r)
		unlinkat(dirfd, name, 0);
	return r;
}

static int sync_folder_of(int dirfd, const char *name)
{
	const char *slash = strrchr(name, '/');
	char folder[PATH_MAX] = ".";
	int fd, r = 0;

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", slash == name ? 1 : (int)(slash - name), name);
	fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

int file_write_atomic_at(int dirfd, const char *name, struct bytes data, mode_t mode)
{
	char temporary[PATH_MAX], tag[TAG_SIZE + 1];
	uint8_t random[TAG_SIZE / 2];
	int r, n;

	r = random_octets(random, sizeof(random));
	if (r)
		return r;
	hex_print(bytes_of(random, sizeof(random)), tag);
	n = snprintf(temporary, sizeof(temporary), "%s.%s" ENDING, name, tag);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;
	r = write_new(dirfd, temporary, data, mode);
	if (r)
		return r;
	if (renameat(dirfd, temporary, dirfd, name) < 0) {
		r = -errno;
		unlinkat(dirfd, temporary, 0);
		return r;
	}
	return sync_folder_of(dirfd, name);
}

static bool is_temporary(const char *name)
{
	size_t n = strlen(name), tail = 1 + TAG_SIZE + strlen(ENDING);
	const char *tag = name + n - tail + 1;

	return n > tail && tag[-1] == '.' && strspn(tag, "0123456789abcdef") == TAG_SIZE &&
	       strcmp(tag + TAG_SIZE, ENDING) == 0;
}

int file_sweep_temporary(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	int r = 0;

	if (!d)
		return -errno;
	while ((entry = readdir(d)))
		if (is_temporary(entry->d_name) && unlinkat(dirfd(d), entry->d_name, 0) < 0 && errno != ENOENT)
			r = -errno;
	closedir(d);
	return r;
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_make_folder(const char *path, mode_t mode)
{
	OWNED_STR copy = strdup(path);
	char *p;
	int r;

	if (!copy)
		return -ENOMEM;
	if (!*copy)
		return -ENOENT;
	for (p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		r = make_one(copy, mode);
		if (r)
			return r;
		*p = '/';
	}
	return make_one(copy, mode);
}
