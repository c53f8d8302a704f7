/* Putting a backup back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/restore.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "core/base/tar.h"
#include "core/folder.h"
#include "core/restored.h"

#define PIECE ((size_t)262144)
#define NEW ".restore"
#define OLD ".before-restore"

struct entry {
	char name[TAR_NAME_SIZE];
	uint8_t hash[SHA256_SIZE];
	uint64_t size;
};

struct restore {
	const char *data;
	int fd;
	struct entry entries[BACKUP_FILES_MAX];
	size_t n;
	struct buf manifest;
	char *why;
};

__attribute__((format(printf, 3, 4))) static int fail(struct restore *r, int e, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->why, RESTORE_WHY_SIZE, format, args);
	va_end(args);
	return e;
}

/* What the gateway has: stores of ACME endpoints, sealed keys of registration authorities with their certificates. */
static const struct {
	const char *begin, *ending;
} gateway_names[] = {
	{ "gateway/acme-", ".db" },
	{ "gateway/ra-", ".pem" },
};

/* Nothing that leads elsewhere. */
bool restore_is_name(const char *name)
{
	size_t n = strlen(name);

	if (strcmp(name, "core/core.db") == 0 || strcmp(name, "core/audit.anchor") == 0)
		return true;
	if (n >= TAR_NAME_SIZE || strncmp(name, "gateway/", 8) != 0 || strpbrk(name + 8, "/\\") || strstr(name, ".."))
		return false;
	for (size_t i = 0; i < sizeof(gateway_names) / sizeof(*gateway_names); i++) {
		size_t begin = strlen(gateway_names[i].begin), ending = strlen(gateway_names[i].ending);

		if (n > begin + ending && strncmp(name, gateway_names[i].begin, begin) == 0 &&
		    strcmp(name + n - ending, gateway_names[i].ending) == 0)
			return true;
	}
	return false;
}

bool manifest_read(const char *line, struct manifest_line *out)
{
	char hash[2 * SHA256_SIZE + 1] = "", *end;

	memcpy(hash, line, strnlen(line, 2 * SHA256_SIZE));
	if (strlen(hash) != 2 * SHA256_SIZE || hex_parse(hash, out->hash, SHA256_SIZE) ||
	    line[2 * SHA256_SIZE] != ' ' || !isdigit((unsigned char)line[2 * SHA256_SIZE + 1]))
		return false;
	errno = 0;
	out->size = strtoull(line + 2 * SHA256_SIZE + 1, &end, 10);
	out->name = end + 1;
	return !errno && *end == ' ' && out->size <= INT64_MAX && restore_is_name(out->name);
}

/* ---- reading ---- */

static int read_exactly(int fd, void *to, size_t n)
{
	uint8_t *p = to;

	while (n) {
		ssize_t got = read(fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EBADMSG;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* Told of each piece of a content. */
typedef int piece_fn(void *arg, struct bytes piece);

static int read_content(int fd, uint64_t size, piece_fn *fn, void *arg)
{
	uint8_t *piece = malloc(PIECE), padding[TAR_BLOCK];
	int e = piece ? 0 : -ENOMEM;

	for (uint64_t left = size; !e && left;) {
		size_t n = left < PIECE ? (size_t)left : PIECE;

		e = read_exactly(fd, piece, n);
		if (!e)
			e = fn(arg, bytes_of(piece, n));
		left -= n;
	}
	if (!e)
		e = read_exactly(fd, padding, tar_padding(size));
	free(piece);
	return e;
}

static int add_to_digest(void *arg, struct bytes piece)
{
	return digest_add(arg, piece);
}

static int add_to_buf(void *arg, struct bytes piece)
{
	return buf_append(arg, piece);
}

static int hash_entry(struct restore *r, struct entry *entry)
{
	OWNED(digest) d = digest_new();
	int e = d ? read_content(r->fd, entry->size, add_to_digest, d) : -ENOMEM;

	return e ? e : digest_end(&d, entry->hash);
}

static bool has_entry(const struct restore *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->entries[i].name, name) == 0)
			return true;
	return false;
}

/* 0: go on; 1: that was the last. */
static int look_at_entry(struct restore *r)
{
	uint8_t block[TAR_BLOCK];
	struct entry *entry = &r->entries[r->n];
	int e = read_exactly(r->fd, block, sizeof(block));

	if (!e)
		e = tar_parse(block, entry->name, &entry->size);
	if (e)
		return e < 0 ? -EBADMSG : 1;
	if (r->manifest.len)
		return -EBADMSG;
	if (strcmp(entry->name, BACKUP_MANIFEST) == 0)
		return entry->size > BACKUP_MANIFEST_MAX ? -EBADMSG :
						    read_content(r->fd, entry->size, add_to_buf, &r->manifest);
	if (!restore_is_name(entry->name) || has_entry(r, entry->name) || r->n + 1 == BACKUP_FILES_MAX)
		return -EBADMSG;
	r->n++;
	return hash_entry(r, entry);
}

static bool is_listed(struct restore *r, const struct manifest_line *line)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->entries[i].name, line->name) == 0)
			return r->entries[i].size == line->size &&
			       memcmp(r->entries[i].hash, line->hash, SHA256_SIZE) == 0;
	return false;
}

static int check_manifest(struct restore *r)
{
	char *text = (char *)r->manifest.ptr, *save = NULL;
	size_t lines = 0;

	if (!text || memchr(text, 0, r->manifest.len) ||
	    strncmp(text, BACKUP_MANIFEST_TITLE, strlen(BACKUP_MANIFEST_TITLE)) != 0)
		return -EBADMSG;
	text += strlen(BACKUP_MANIFEST_TITLE);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), lines++) {
		struct manifest_line read;

		if (!manifest_read(line, &read) || !is_listed(r, &read))
			return -EBADMSG;
	}
	return lines == r->n && has_entry(r, "core/core.db") ? 0 : -EBADMSG;
}

static int check_archive(struct restore *r, const char *path)
{
	int e = 0;

	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		return fail(r, -errno, "%s: %s", path, strerror(errno));
	while (!e)
		e = look_at_entry(r);
	if (e > 0)
		e = check_manifest(r);
	if (e)
		return fail(r, e, "%s: %s", path, e == -EBADMSG ? "is no whole backup of gatehouse, or was changed" :
							       strerror(-e));
	return lseek(r->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* ---- writing ---- */

static int add_to_file(void *arg, struct bytes piece)
{
	while (piece.len) {
		ssize_t n = write(*(int *)arg, piece.ptr, piece.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		piece.ptr += n;
		piece.len -= (size_t)n;
	}
	return 0;
}

static bool print_path(const struct restore *r, const char *name, const char *ending, char path[static PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s%s", r->data, name, ending);

	return n > 0 && n < PATH_MAX;
}

/* Root puts files back for the users of core and gateway, whose folders these are. */
static int give_to_owner(int fd, const char *path)
{
	char folder[PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = '\0';
	if (geteuid() != 0)
		return 0;
	if (stat(folder, &st) || fchown(fd, st.st_uid, st.st_gid))
		return -errno;
	return 0;
}

static int write_new(struct restore *r, const struct entry *entry)
{
	char path[PATH_MAX];
	int fd, e;

	if (!print_path(r, entry->name, NEW, path))
		return -ENAMETOOLONG;
	if (unlink(path) && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	e = read_content(r->fd, entry->size, add_to_file, &fd);
	if (!e)
		e = give_to_owner(fd, path);
	if (!e && fsync(fd))
		e = -errno;
	close(fd);
	return e;
}

/* The anchor that is there knows at least what the backup's does. */
static bool is_kept(const struct restore *r, const struct entry *entry)
{
	char path[PATH_MAX];

	return strcmp(entry->name, "core/audit.anchor") == 0 && print_path(r, entry->name, "", path) &&
	       access(path, F_OK) == 0;
}

static int make_folders(struct restore *r)
{
	char path[PATH_MAX];
	int e = print_path(r, "core", "", path) ? file_make_folder(path, 0700) : -ENAMETOOLONG;

	for (size_t i = 0; !e && i < r->n; i++)
		if (strncmp(r->entries[i].name, "gateway/", 8) == 0)
			e = print_path(r, "gateway", "", path) ? file_make_folder(path, 0700) : -ENAMETOOLONG;
	return e;
}

static int write_all_new(struct restore *r)
{
	uint8_t block[TAR_BLOCK];
	char name[TAR_NAME_SIZE];
	uint64_t size;
	int e = make_folders(r);

	for (size_t i = 0; !e && i < r->n; i++) {
		e = read_exactly(r->fd, block, sizeof(block));
		if (!e && (tar_parse(block, name, &size) || strcmp(name, r->entries[i].name) != 0 ||
			   size != r->entries[i].size))
			e = -EBADMSG;
		if (!e)
			e = write_new(r, &r->entries[i]);
	}
	return e ? fail(r, e, "the files cannot be written to %s: %s", r->data, strerror(-e)) : 0;
}

static int move(const char *from, const char *to)
{
	return rename(from, to) && errno != ENOENT ? -errno : 0;
}

/* The log of the old store must not be taken for one of the new. */
static int put_in_place(struct restore *r, const struct entry *entry)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	char from[PATH_MAX], to[PATH_MAX], ending[32];
	int e = 0;

	for (size_t i = 0; !e && i < 3; i++) {
		snprintf(ending, sizeof(ending), "%s" OLD, endings[i]);
		e = print_path(r, entry->name, endings[i], from) && print_path(r, entry->name, ending, to) ?
			    move(from, to) : -ENAMETOOLONG;
	}
	if (!e)
		e = print_path(r, entry->name, NEW, from) && print_path(r, entry->name, "", to) ? move(from, to) :
												-ENAMETOOLONG;
	return e;
}

static int sync_folder(struct restore *r, const char *name)
{
	char path[PATH_MAX];
	int fd, e;

	if (!print_path(r, name, "", path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	e = fsync(fd) ? -errno : 0;
	close(fd);
	return e;
}

/* The mark comes first: a store that was put back must never be taken for one that was tampered with. */
static int put_all_in_place(struct restore *r, struct restore_summary *out)
{
	char folder[PATH_MAX], new_anchor[PATH_MAX];
	int e = print_path(r, "core", "", folder) ? restored_mark(folder) : -ENAMETOOLONG;

	for (size_t i = 0; !e && i < r->n; i++) {
		const struct entry *entry = &r->entries[i];

		if (is_kept(r, entry)) {
			out->kept_anchor = true;
			if (print_path(r, entry->name, NEW, new_anchor))
				unlink(new_anchor);
			continue;
		}
		e = put_in_place(r, entry);
		out->files++;
		out->octets += entry->size;
	}
	if (!e)
		e = sync_folder(r, "core");
	if (!e)
		e = sync_folder(r, "gateway");
	return e ? fail(r, e, "some files were put in place and some not (%s): do it again", strerror(-e)) : 0;
}

static int lock_folder(const char *data, int *lock, char *why)
{
	char folder[PATH_MAX];
	int e;

	snprintf(folder, sizeof(folder), "%s/core", data);
	e = file_make_folder(folder, 0700);
	if (!e)
		e = folder_lock(folder, lock);
	if (e)
		snprintf(why, RESTORE_WHY_SIZE, "%.400s: %s", folder,
			 e == -EWOULDBLOCK ? "gatehoused works with it; stop it first" : strerror(-e));
	return e;
}

int ca_restore(const char *archive, const char *data_folder, struct restore_summary *out,
	       char why[static RESTORE_WHY_SIZE])
{
	struct restore *r = calloc(1, sizeof(*r));
	int e, lock = -1;

	*out = (struct restore_summary){ 0 };
	if (!r)
		return -ENOMEM;
	*r = (struct restore){ .data = data_folder, .fd = -1, .why = why, .manifest = BUF_INIT(BACKUP_MANIFEST_MAX) };
	e = check_archive(r, archive);
	if (!e)
		e = lock_folder(data_folder, &lock, why);
	if (!e)
		e = write_all_new(r);
	if (!e)
		e = put_all_in_place(r, out);
	folder_unlock(&lock);
	if (r->fd >= 0)
		close(r->fd);
	buf_fini(&r->manifest);
	free(r);
	return e;
}

int ca_restore_accept(const char *data_folder, char why[static RESTORE_WHY_SIZE])
{
	char folder[PATH_MAX];
	int lock = -1, e = lock_folder(data_folder, &lock, why);

	snprintf(folder, sizeof(folder), "%s/core", data_folder);
	if (!e) {
		e = restored_mark(folder);
		if (e)
			snprintf(why, RESTORE_WHY_SIZE, "%.400s: %s", folder, strerror(-e));
	}
	folder_unlock(&lock);
	return e;
}
