/* A VFS over the system's that writes what a commit adds to the write-ahead log in one piece.
 *
 * SQLite writes each page with two calls, one for the header of its frame. Frames follow each other, and nobody but
 * the writing connection may know of them before the commit, which syncs the log first (synchronous=FULL): so they wait
 * here until the sync, or until this connection reads them.
 *
 * SQLite counts a frame as written once xWrite took it, so a late write that fails may leave a hole below frames that
 * it knows. Two rules keep such a hole out of every commit. While the transaction lasts nothing more is written, synced
 * or read behind the hole. And where SQLite does not expect a write to fail it hears of an I/O error, for which it
 * rolls back everything; for a full disk it may take back one statement only. What waits when a transaction is rolled
 * back is dropped: by then its place in the log may be another connection's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/db_int.h"

#include <stdlib.h>

#define PIECE_MAX (128 << 10)

struct log_file {
	sqlite3_file base;
	uint8_t *waiting; /* PIECE_MAX octets; NULL until the first write */
	int n;            /* how many of them wait */
	sqlite3_int64 at; /* where they belong */
	int failed;       /* what a write of this transaction ended with */
	/* the system's file follows */
};

static struct log_file *ours(sqlite3_file *f)
{
	return (struct log_file *)(void *)f;
}

static sqlite3_file *real(sqlite3_file *f)
{
	return (sqlite3_file *)(void *)((char *)f + sizeof(struct log_file));
}

static int write_out(struct log_file *log, const void *data, int n, sqlite3_int64 at)
{
	log->failed = real(&log->base)->pMethods->xWrite(real(&log->base), data, n, at);
	return log->failed;
}

/* What could not be written stays, to say where the hole begins. */
static int flush(struct log_file *log)
{
	if (log->failed || !log->n)
		return log->failed;
	if (write_out(log, log->waiting, log->n, log->at) == SQLITE_OK)
		log->n = 0;
	return log->failed;
}

/* For calls that do not write. */
static int flush_aside(struct log_file *log)
{
	return flush(log) == SQLITE_OK ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

static int log_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	struct log_file *log = ours(f);
	int code = log->failed;

	if (log->n && (at != log->at + log->n || n > PIECE_MAX - log->n))
		code = flush(log);
	if (code != SQLITE_OK)
		return code;
	if (!log->waiting)
		log->waiting = malloc(PIECE_MAX);
	if (!log->waiting || n > PIECE_MAX)
		return write_out(log, data, n, at);
	if (!log->n)
		log->at = at;
	memcpy(log->waiting + log->n, data, (size_t)n);
	log->n += n;
	return SQLITE_OK;
}

static int log_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	struct log_file *log = ours(f);
	int code = log->n && at + n > log->at ? flush_aside(log) : SQLITE_OK;

	return code == SQLITE_OK ? real(f)->pMethods->xRead(real(f), out, n, at) : code;
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int code = flush_aside(ours(f));

	return code == SQLITE_OK ? real(f)->pMethods->xTruncate(real(f), size) : code;
}

static int log_sync(sqlite3_file *f, int flags)
{
	int code = flush(ours(f));

	return code == SQLITE_OK ? real(f)->pMethods->xSync(real(f), flags) : code;
}

static int log_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	int code = flush_aside(ours(f));

	return code == SQLITE_OK ? real(f)->pMethods->xFileSize(real(f), size) : code;
}

/* What waits belongs to no commit: that would have synced it. */
static int log_close(sqlite3_file *f)
{
	free(ours(f)->waiting);
	return real(f)->pMethods->xClose(real(f));
}

/* The locks of a log are those of its database; nobody asks for these. */

static int log_lock(sqlite3_file *f, int kind)
{
	return real(f)->pMethods->xLock(real(f), kind);
}

static int log_unlock(sqlite3_file *f, int kind)
{
	return real(f)->pMethods->xUnlock(real(f), kind);
}

static int log_check_reserved_lock(sqlite3_file *f, int *out)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int log_file_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int log_sector_size(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int log_device_characteristics(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

/* Version 1: memory-mapped indexes and pages belong to the database file. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_file_size,
	.xLock = log_lock,
	.xUnlock = log_unlock,
	.xCheckReservedLock = log_check_reserved_lock,
	.xFileControl = log_file_control,
	.xSectorSize = log_sector_size,
	.xDeviceCharacteristics = log_device_characteristics,
};

static sqlite3_vfs *system_vfs;
static sqlite3_vfs log_vfs;

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	int code;

	if (!(flags & SQLITE_OPEN_WAL))
		return system_vfs->xOpen(system_vfs, name, f, flags, out_flags);
	*ours(f) = (struct log_file){ 0 };
	code = system_vfs->xOpen(system_vfs, name, real(f), flags, out_flags);
	f->pMethods = real(f)->pMethods ? &methods : NULL;
	return code;
}

static void make_vfs(void)
{
	system_vfs = sqlite3_vfs_find(NULL);
	if (!system_vfs)
		return;
	log_vfs = *system_vfs;
	log_vfs.pNext = NULL;
	log_vfs.zName = "gatehouse";
	log_vfs.szOsFile += (int)sizeof(struct log_file);
	log_vfs.xOpen = vfs_open;
	(void)sqlite3_vfs_register(&log_vfs, 0);
}

const char *db_log_vfs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_vfs);
	return "gatehouse";
}

/* The transaction is over, however it came to that: by ROLLBACK, an error, or a COMMIT that failed. */
static void forget_transaction(void *arg)
{
	sqlite3_file *f = NULL;

	if (sqlite3_file_control(arg, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f) || !f || f->pMethods != &methods)
		return;
	ours(f)->n = 0;
	ours(f)->failed = SQLITE_OK;
}

void db_log_watch(sqlite3 *handle)
{
	sqlite3_rollback_hook(handle, forget_transaction, handle);
}
