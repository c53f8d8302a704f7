/* A VFS over the system's that writes what a commit adds to the write-ahead log in one piece.
 *
 * SQLite writes each page with two calls, one for the header of its frame. Frames follow each other, and nobody but the
 * writing connection may know of them before the commit, which syncs the log first: so they wait here until the sync,
 * or until this connection reads. An error of the late write is that of the sync, which SQLite takes as it takes one of
 * a write: the transaction ends, its frames count as never written.
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

static int flush(sqlite3_file *f)
{
	struct log_file *log = ours(f);
	int n = log->n;

	log->n = 0;
	return n ? real(f)->pMethods->xWrite(real(f), log->waiting, n, log->at) : SQLITE_OK;
}

static int log_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	struct log_file *log = ours(f);
	int code = SQLITE_OK;

	if (log->n && (at != log->at + log->n || n > PIECE_MAX - log->n))
		code = flush(f);
	if (code != SQLITE_OK)
		return code;
	if (!log->waiting)
		log->waiting = malloc(PIECE_MAX);
	if (!log->waiting || n > PIECE_MAX)
		return real(f)->pMethods->xWrite(real(f), data, n, at);
	if (!log->n)
		log->at = at;
	memcpy(log->waiting + log->n, data, (size_t)n);
	log->n += n;
	return SQLITE_OK;
}

static int log_close(sqlite3_file *f)
{
	(void)flush(f); /* nothing that was committed: that was synced */
	free(ours(f)->waiting);
	return real(f)->pMethods->xClose(real(f));
}

/* The rest is the system's, once it has all that was written. */
#define FLUSHED(name, arguments, ...) \
	static int log_##name arguments \
	{ \
		int code = flush(f); \
\
		return code == SQLITE_OK ? real(f)->pMethods->name(real(f), ##__VA_ARGS__) : code; \
	}

FLUSHED(xRead, (sqlite3_file *f, void *p, int n, sqlite3_int64 at), p, n, at)
FLUSHED(xTruncate, (sqlite3_file *f, sqlite3_int64 size), size)
FLUSHED(xSync, (sqlite3_file *f, int flags), flags)
FLUSHED(xFileSize, (sqlite3_file *f, sqlite3_int64 *size), size)
FLUSHED(xLock, (sqlite3_file *f, int kind), kind)
FLUSHED(xUnlock, (sqlite3_file *f, int kind), kind)
FLUSHED(xCheckReservedLock, (sqlite3_file *f, int *out), out)
FLUSHED(xFileControl, (sqlite3_file *f, int op, void *arg), op, arg)

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
	.xRead = log_xRead,
	.xWrite = log_write,
	.xTruncate = log_xTruncate,
	.xSync = log_xSync,
	.xFileSize = log_xFileSize,
	.xLock = log_xLock,
	.xUnlock = log_xUnlock,
	.xCheckReservedLock = log_xCheckReservedLock,
	.xFileControl = log_xFileControl,
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
