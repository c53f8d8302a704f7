/* server backup and server restore.
 *
 * The core sends its files through the admin socket; the gateway's stores and sealed keys, which the core cannot read,
 * are copied from the data folder. The archive is written under another name and renamed when it is whole and on the
 * disk.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/db_copy.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "core/base/tar.h"
#include "core/restore.h"
#include "gateway/ctl/print.h"

#define PIECE ((size_t)262144)
#define CORE_FILES 3 /* at most, and the manifest */

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;

struct archive {
	struct ctl *ctl;
	const char *path;
	char temporary[PATH_MAX];
	int fd;
	uint64_t written;
	unsigned files;
	struct buf manifest;
	int64_t now_s;
};

static int fail_to_write(const struct archive *a, int e)
{
	return ctl_fail(CTL_FAILED, a->path, strerror(-e), "name a file in a folder where this user may write");
}

static int put(struct archive *a, struct bytes text)
{
	a->written += text.len;
	while (text.len) {
		ssize_t n = write(a->fd, text.ptr, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		text.ptr += n;
		text.len -= (size_t)n;
	}
	return 0;
}

static int put_zeros(struct archive *a, size_t n)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	return put(a, bytes_of(zeros, n));
}

static int put_header(struct archive *a, const char *name, uint64_t size)
{
	uint8_t block[TAR_BLOCK];
	int e = tar_print(name, size, a->now_s, block);

	return e ? e : put(a, bytes_of(block, sizeof(block)));
}

static int end_file(struct archive *a, const char *name, uint64_t size, struct digest **d)
{
	uint8_t hash[SHA256_SIZE];
	char text[2 * SHA256_SIZE + 1];
	int e = digest_end(d, hash);

	a->files++;
	if (!e)
		e = buf_printf(&a->manifest, "%s %llu %s\n", hex_print(bytes_of(hash, sizeof(hash)), text),
			       (unsigned long long)size, name);
	return e ? e : put_zeros(a, tar_padding(size));
}

/* ---- what the core sends ---- */

static Reply *ask_piece(struct archive *a, uint64_t number, unsigned file, uint64_t offset, int *code)
{
	Gatehouse__Admin__ReadBackup query = GATEHOUSE__ADMIN__READ_BACKUP__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	Reply *reply;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_READ_BACKUP;
	call.read_backup = &query;
	query.number = number;
	query.file = file;
	query.offset = offset;
	reply = ctl_call(a->ctl, &call);
	*code = reply ? ctl_outcome(a->ctl, reply, "read the backup") : CTL_UNREACHABLE;
	return reply;
}

static int take_file(struct archive *a, uint64_t number, unsigned file, const Gatehouse__Admin__BackupFile *f)
{
	OWNED(digest) d = digest_new();
	int e = d ? put_header(a, f->name, f->size) : -ENOMEM, code = CTL_DONE;
	uint64_t done = 0;

	while (!e && !code && done < f->size) {
		OWNED_REPLY *reply = ask_piece(a, number, file, done, &code);

		if (code)
			return code;
		if (reply->piece.len == 0 || reply->piece.len > f->size - done)
			return ctl_fail(CTL_FAILED, f->name, "the core sent another size than it said", NULL);
		done += reply->piece.len;
		e = digest_add(d, bytes_of(reply->piece.data, reply->piece.len));
		if (!e)
			e = put(a, bytes_of(reply->piece.data, reply->piece.len));
	}
	if (!e)
		e = end_file(a, f->name, f->size, &d);
	return e ? fail_to_write(a, e) : CTL_DONE;
}

static int take_core(struct archive *a, const Gatehouse__Admin__Backup *b)
{
	int code = CTL_DONE;

	for (size_t i = 0; !code && i < b->n_files; i++) {
		if (!restore_is_name(b->files[i]->name))
			return ctl_fail(CTL_FAILED, b->files[i]->name, "this tool does not know that file", NULL);
		code = take_file(a, b->number, (unsigned)i, b->files[i]);
	}
	return code;
}

/* ---- the gateway's stores ---- */

static int put_content(struct archive *a, int fd, uint64_t size, struct digest *d)
{
	uint8_t *piece = malloc(PIECE);
	int e = piece ? 0 : -ENOMEM;

	for (uint64_t left = size; !e && left;) {
		ssize_t n = read(fd, piece, left < PIECE ? (size_t)left : PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		e = n < 0 ? -errno : n == 0 ? -EIO : digest_add(d, bytes_of(piece, (size_t)n));
		if (!e)
			e = put(a, bytes_of(piece, (size_t)n));
		left -= n > 0 ? (uint64_t)n : 0;
	}
	free(piece);
	return e;
}

static int put_file(struct archive *a, const char *name, const char *path)
{
	OWNED(digest) d = digest_new();
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), e = fd < 0 ? -errno : d ? 0 : -ENOMEM;
	struct stat st;

	if (!e && fstat(fd, &st))
		e = -errno;
	if (!e)
		e = put_header(a, name, (uint64_t)st.st_size);
	if (!e)
		e = put_content(a, fd, (uint64_t)st.st_size, d);
	if (!e)
		e = end_file(a, name, (uint64_t)st.st_size, &d);
	if (fd >= 0)
		close(fd);
	return e ? fail_to_write(a, e) : CTL_DONE;
}

static int copy_store(struct archive *a, const char *from, const char *in_archive)
{
	char to[PATH_MAX], why[512] = "";
	int code;

	if (snprintf(to, sizeof(to), "%s.db", a->temporary) >= (int)sizeof(to))
		return fail_to_write(a, -ENAMETOOLONG);
	unlink(to);
	if (db_copy(from, to, why, sizeof(why)))
		return ctl_fail(CTL_FAILED, "the gateway's store cannot be copied", why, "try again");
	code = put_file(a, in_archive, to);
	unlink(to);
	return code;
}

static bool is_store(const char *name)
{
	size_t n = strlen(name);

	return n > 3 && strcmp(name + n - 3, ".db") == 0;
}

/* The store of an endpoint, or the sealed key of a registration authority, which is never changed once it is there. */
static int take_one(struct archive *a, const char *folder, const char *name)
{
	char from[PATH_MAX], in_archive[TAR_NAME_SIZE];

	if (snprintf(in_archive, sizeof(in_archive), "gateway/%s", name) >= (int)sizeof(in_archive) ||
	    !restore_is_name(in_archive))
		return CTL_DONE; /* neither */
	if (a->files + CORE_FILES >= BACKUP_FILES_MAX)
		return ctl_fail(CTL_FAILED, folder, "it has more files than a backup takes",
				"remove keys of registration authorities (ra-*.pem) whose certificates ended");
	if (snprintf(from, sizeof(from), "%s/%s", folder, name) >= (int)sizeof(from))
		return fail_to_write(a, -ENAMETOOLONG);
	return is_store(name) ? copy_store(a, from, in_archive) : put_file(a, in_archive, from);
}

static int take_gateway(struct archive *a, const char *data)
{
	char folder[PATH_MAX];
	struct dirent *entry;
	int code = CTL_DONE;
	DIR *d;

	snprintf(folder, sizeof(folder), "%s/gateway", data);
	d = opendir(folder);
	if (!d && errno == ENOENT)
		return CTL_DONE; /* a core alone */
	if (!d)
		return ctl_fail(CTL_FAILED, folder, strerror(errno),
				"run it as root: core and gateway have users of their own; or with"
				" --without-gateway");
	while (!code && (entry = readdir(d)))
		code = take_one(a, folder, entry->d_name);
	closedir(d);
	return code;
}

/* ---- the archive ---- */

static int begin_archive(struct archive *a)
{
	if (snprintf(a->temporary, sizeof(a->temporary), "%s.partial", a->path) >= (int)sizeof(a->temporary) - 4)
		return fail_to_write(a, -ENAMETOOLONG);
	if (unlink(a->temporary) && errno != ENOENT)
		return fail_to_write(a, -errno);
	a->fd = open(a->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return a->fd < 0 ? fail_to_write(a, -errno) : CTL_DONE;
}

static int sync_folder_of(const char *path)
{
	char folder[PATH_MAX];
	char *slash;
	int fd, e;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	e = fsync(fd) ? -errno : 0;
	close(fd);
	return e;
}

static int end_archive(struct archive *a)
{
	int e = put_header(a, BACKUP_MANIFEST, a->manifest.len);

	if (!e)
		e = put(a, buf_bytes(&a->manifest));
	if (!e)
		e = put_zeros(a, tar_padding(a->manifest.len));
	if (!e)
		e = put_zeros(a, 2 * TAR_BLOCK);
	if (!e && fsync(a->fd))
		e = -errno;
	if (!e && rename(a->temporary, a->path))
		e = -errno;
	if (!e)
		e = sync_folder_of(a->path);
	return e ? fail_to_write(a, e) : CTL_DONE;
}

/* The gateway first: it may know less than the core, which answers it then, never more. */
static int fill_archive(struct archive *a)
{
	Gatehouse__Admin__BeginBackup begin = GATEHOUSE__ADMIN__BEGIN_BACKUP__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	OWNED_REPLY *reply = NULL;
	const char *data = option_given(a->ctl, "data") ? option_value(a->ctl, "data") : CTL_DATA_DEFAULT;
	int code = CTL_DONE;

	if (!option_given(a->ctl, "without-gateway"))
		code = take_gateway(a, data);
	if (code)
		return code;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_BEGIN_BACKUP;
	call.begin_backup = &begin;
	reply = ctl_call(a->ctl, &call);
	code = reply ? ctl_outcome(a->ctl, reply, "backup") : CTL_UNREACHABLE;
	if (!code)
		code = reply->backup ? take_core(a, reply->backup) : CTL_FAILED;
	return code ? code : end_archive(a);
}

static void tell_backup(const struct ctl *ctl, const struct archive *a)
{
	if (is_json(ctl)) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "file", a->path);
		cJSON_AddNumberToObject(o, "files", a->files);
		cJSON_AddNumberToObject(o, "octets", (double)a->written);
		print_json(o);
		return;
	}
	printf("%s: %u files, %llu octets\nThe key-encryption key is not in it: keep a copy of it elsewhere.\n",
	       print_text(a->path), a->files, (unsigned long long)a->written);
}

int ctl_backup(struct ctl *ctl)
{
	struct archive a = { .ctl = ctl, .path = ctl->arguments[0], .fd = -1, .now_s = clock_wall_s(),
			     .manifest = BUF_INIT(BACKUP_MANIFEST_MAX) };
	int code;

	buf_append_str(&a.manifest, BACKUP_MANIFEST_TITLE);
	code = begin_archive(&a);
	if (!code)
		code = fill_archive(&a);
	if (a.fd >= 0)
		close(a.fd);
	if (code && a.fd >= 0)
		unlink(a.temporary);
	buf_fini(&a.manifest);
	if (!code)
		tell_backup(ctl, &a);
	return code;
}

/* ---- restore ---- */

int ctl_restore(struct ctl *ctl)
{
	const char *data = option_given(ctl, "data") ? option_value(ctl, "data") : CTL_DATA_DEFAULT;
	bool accepts = option_given(ctl, "accept");
	char why[RESTORE_WHY_SIZE] = "";
	struct restore_summary s = { 0 };
	int e;

	if (accepts == (ctl->n_arguments > 0))
		return ctl_fail(CTL_USAGE, "restore", "either a FILE is put back, or with --accept what lies"
						      " there is taken",
				"gatehouse help server restore");
	umask(077);
	e = accepts ? ca_restore_accept(data, why) : ca_restore(ctl->arguments[0], data, &s, why);
	if (e)
		return ctl_fail(CTL_FAILED, "the backup was not put back", why[0] ? why : strerror(-e), NULL);
	if (!accepts)
		printf("%u files, %llu octets%s\n", s.files, (unsigned long long)s.octets,
		       s.kept_anchor ? "; the audit anchor that is there stays" : "");
	printf("Start gatehoused: it brings back from the audit anchor what the backup does not know.\n");
	return CTL_DONE;
}
