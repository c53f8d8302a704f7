/* Opening, migrating and closing one SQLite file; the readers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/db_int.h"

#include "core/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_READERS 4

/* Where db_open() explains a failure. */
struct reason {
	char *text;
	size_t size;
};

__attribute__((format(printf, 3, 4))) static int refuse(const struct reason *why, int r, const char *format, ...)
{
	va_list args;

	if (why->size) {
		va_start(args, format);
		vsnprintf(why->text, why->size, format, args);
		va_end(args);
	}
	return r;
}

/* A failed step of opening: SQLite's own words where a connection has some. */
static int refuse_step(const struct reason *why, const struct db *db, int r, const char *step)
{
	const struct db_conn *conn = db->writer.conn;

	if (r > 0)
		r = -EINVAL; /* a constraint: only a migration can meet one */
	return refuse(why, r, "%s: %s: %s", db->path, step, conn ? sqlite3_errmsg(conn->handle) : strerror(-r));
}

/* SQLite would make the file with the umask's mode, and its -wal and -shm follow the mode of the file. The entry in the
 * folder becomes durable with the first commit, which syncs the folder because it makes the log. */
static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = 0;

	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	if (fchmod(fd, 0600) < 0 || fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* Before anything is written: whose file is it? An empty one becomes ours. */
static int check_owner(struct db_conn *conn, const struct db_options *o, int64_t newest, bool *is_new,
		       const struct reason *why)
{
	int64_t id = 0, version = 0, tables = 0;
	int r;

	r = db_conn_get_number(conn, "PRAGMA application_id", &id);
	if (!r)
		r = db_conn_get_number(conn, "PRAGMA user_version", &version);
	if (!r)
		r = db_conn_get_number(conn, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r)
		return refuse_step(why, conn->db, r, "cannot read the file");
	*is_new = id == 0 && version == 0 && tables == 0;
	if (id != o->application_id && !*is_new)
		return refuse(why, -EBADMSG, "%s: is a file of another application (application_id %lld, not %lld)",
			      o->path, (long long)id, (long long)o->application_id);
	if (version < 0 || version > newest)
		return refuse(why, -EBADMSG, "%s: has schema version %lld, newer than this program's %lld", o->path,
			      (long long)version, (long long)newest);
	return 0;
}

static int check_text(struct db_conn *conn, const char *sql, const char *want)
{
	OWNED(db_rows) rows = NULL;
	const char *text;
	int r = db_select(conn, &rows, sql);

	if (r)
		return r;
	r = db_next(rows);
	if (r != DB_ROW)
		return r ? r : -EBADMSG;
	text = db_col_text(rows, 0);
	return text && strcmp(text, want) == 0 ? 0 : -EBADMSG;
}

/* What a commit promises rests on these two: ask the file, do not believe the request. */
static int check_settings(struct db *db, const struct reason *why)
{
	struct db_conn *conn = db->writer.conn;
	int64_t synchronous = -1, foreign_keys = -1;
	int r;

	r = check_text(conn, "PRAGMA journal_mode=WAL", "wal");
	if (r)
		return refuse_step(why, db, r, "cannot use a write-ahead log");
	r = db_conn_get_number(conn, "PRAGMA synchronous", &synchronous);
	if (!r)
		r = db_conn_get_number(conn, "PRAGMA foreign_keys", &foreign_keys);
	if (r)
		return refuse_step(why, db, r, "cannot read the settings back");
	if (synchronous != 2 || foreign_keys != 1)
		return refuse(why, -EIO, "%s: synchronous=FULL or foreign_keys=ON does not hold", db->path);
	db->synchronous = (int)synchronous;
	r = check_text(conn, "PRAGMA quick_check(1)", "ok");
	if (r)
		return refuse(why, r < 0 ? r : -EBADMSG, "%s: is damaged (quick_check)", db->path);
	return 0;
}

/* PRAGMA takes no `?`. */
static int set_number(struct db_conn *conn, const char *pragma, int64_t value)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "PRAGMA %s=%lld", pragma, (long long)value);
	return db_conn_result(conn, sqlite3_exec(conn->handle, sql, NULL, NULL, NULL));
}

static int migrate_once(struct db_conn *conn, const char *sql, int64_t version)
{
	int r = db_conn_begin(conn, "BEGIN IMMEDIATE");

	if (r)
		return r;
	r = db_conn_result(conn, sqlite3_exec(conn->handle, sql, NULL, NULL, NULL));
	if (!r)
		r = set_number(conn, "user_version", version);
	return r ? r : db_conn_commit(conn);
}

static int migrate(struct db_conn *conn, const struct db_options *o, int64_t newest, bool is_new,
		   const struct reason *why)
{
	char step[64];
	int64_t version;
	int r = is_new ? set_number(conn, "application_id", o->application_id) : 0;

	if (!r)
		r = db_conn_get_number(conn, "PRAGMA user_version", &version);
	if (r)
		return refuse_step(why, conn->db, r, "cannot make the file ours");
	for (; version < newest; version++) {
		r = migrate_once(conn, o->migrations[version], version + 1);
		if (r) {
			snprintf(step, sizeof(step), "migration to schema %lld", (long long)version + 1);
			r = refuse_step(why, conn->db, r, step);
			db_conn_rollback(conn);
			return r;
		}
	}
	return 0;
}

static int open_readers(struct db *db, unsigned n)
{
	struct db_conn *conn;
	int r;

	db->readers = calloc(n, sizeof(*db->readers));
	if (!db->readers)
		return -ENOMEM;
	for (; db->reader_count < n; db->reader_count++) {
		r = db_conn_new(&db->readers[db->reader_count], db);
		if (r)
			return r;
		conn = db->readers[db->reader_count];
		r = db_conn_run(conn, "PRAGMA query_only=ON");
		if (r) {
			db_conn_drop(&db->readers[db->reader_count]);
			return r;
		}
		conn->next_free = db->free_readers;
		db->free_readers = conn;
	}
	return 0;
}

/* A batch is small, so its pages wait in memory, and the disk can fail at its COMMIT only. A migration may be large. */
static int keep_until_commit(struct db *db, const struct reason *why)
{
	int r = db_conn_run(db->writer.conn, "PRAGMA cache_spill=OFF");

	return r ? refuse_step(why, db, r, "cannot keep a batch in memory") : 0;
}

static int open_checked(struct db *db, const struct db_options *o, const struct reason *why)
{
	int64_t newest = 0;
	bool is_new;
	int r;

	while (o->migrations && o->migrations[newest])
		newest++;
	r = make_file(o->path);
	if (!r)
		r = db_conn_new(&db->writer.conn, db);
	if (r)
		return refuse(why, r, "%s: cannot be opened: %s", o->path, strerror(-r));
	r = check_owner(db->writer.conn, o, newest, &is_new, why);
	if (!r)
		r = check_settings(db, why);
	if (!r)
		r = migrate(db->writer.conn, o, newest, is_new, why);
	return r ? r : keep_until_commit(db, why);
}

static int start_threads(struct db *db, const struct db_options *o)
{
	int r = open_readers(db, o->readers ? o->readers : DEFAULT_READERS);

	if (!r)
		r = db_checkpoint_start(db);
	if (!r)
		r = db_writer_start(db);
	return r;
}

static int db_new(struct db **out, const struct db_options *o)
{
	pthread_condattr_t monotonic;
	struct db *db = calloc(1, sizeof(*db));

	if (!db)
		return -ENOMEM;
	db->path = strdup(o->path);
	if (!db->path) {
		free(db);
		return -ENOMEM;
	}
	db->commit_delay_ms = o->commit_delay_ms;
	db->fatal = o->fatal;
	pthread_mutex_init(&db->writer.lock, NULL);
	pthread_cond_init(&db->writer.wake, NULL);
	pthread_mutex_init(&db->checkpointer.lock, NULL);
	pthread_cond_init(&db->checkpointer.wake, NULL);
	pthread_mutex_init(&db->readers_lock, NULL);
	pthread_cond_init(&db->reader_free, NULL);
	pthread_mutex_init(&db->watch_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&db->watch, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = db;
	return 0;
}

int db_open(struct db **out, const struct db_options *options, char *why, size_t why_size)
{
	const struct reason reason = { why, why_size };
	OWNED(db) db = NULL;
	int r;

	r = db_new(&db, options);
	if (r)
		return refuse(&reason, r, "%s: out of memory", options->path);
	r = open_checked(db, options, &reason);
	if (r)
		return r;
	r = start_threads(db, options);
	if (r)
		return refuse(&reason, r, "%s: cannot start: %s", options->path, strerror(-r));
	*out = MOVE(db);
	return 0;
}

void db_drop(struct db **dbp)
{
	struct db *db = *dbp;
	unsigned i;

	if (!db)
		return;
	db_writer_stop(db);
	db_checkpoint_stop(db);
	for (i = 0; i < db->reader_count; i++)
		db_conn_drop(&db->readers[i]);
	/* The last connection to close copies the log into the file and removes it. */
	db_conn_drop(&db->writer.conn);
	pthread_cond_destroy(&db->reader_free);
	pthread_cond_destroy(&db->watch);
	pthread_mutex_destroy(&db->watch_lock);
	pthread_mutex_destroy(&db->readers_lock);
	pthread_cond_destroy(&db->checkpointer.wake);
	pthread_mutex_destroy(&db->checkpointer.lock);
	pthread_cond_destroy(&db->writer.wake);
	pthread_mutex_destroy(&db->writer.lock);
	free(db->readers);
	free(db->path);
	free(db);
	*dbp = NULL;
}

static struct db_conn *take_reader(struct db *db)
{
	struct db_conn *conn;

	pthread_mutex_lock(&db->readers_lock);
	while (!db->free_readers)
		pthread_cond_wait(&db->reader_free, &db->readers_lock);
	conn = db->free_readers;
	db->free_readers = conn->next_free;
	pthread_mutex_unlock(&db->readers_lock);
	return conn;
}

static void give_reader(struct db *db, struct db_conn *conn)
{
	pthread_mutex_lock(&db->readers_lock);
	conn->next_free = db->free_readers;
	db->free_readers = conn;
	pthread_cond_signal(&db->reader_free);
	pthread_mutex_unlock(&db->readers_lock);
}

int db_read(struct db *db, db_fn *fn, void *arg)
{
	struct db_conn *conn = take_reader(db);
	int r = db_conn_begin(conn, "BEGIN");

	if (!r) {
		r = db_conn_call(conn, fn, arg);
		db_conn_rollback(conn); /* nothing was written: the same as COMMIT, and it cannot fail */
	}
	give_reader(db, conn);
	return r;
}

int db_read_one(struct db *db, db_fn *fn, void *arg)
{
	struct db_conn *conn = take_reader(db);
	int r = db_conn_call(conn, fn, arg);

	give_reader(db, conn);
	return r;
}

uint64_t db_wait(struct db *db, uint64_t seen, unsigned wait_ms)
{
	struct timespec until;
	int e = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&db->watch_lock);
	while (!e && !db->is_woken && atomic_load(&db->writes) <= seen)
		e = pthread_cond_timedwait(&db->watch, &db->watch_lock, &until);
	pthread_mutex_unlock(&db->watch_lock);
	return atomic_load(&db->writes);
}

void db_wake(struct db *db)
{
	pthread_mutex_lock(&db->watch_lock);
	db->is_woken = true;
	pthread_cond_broadcast(&db->watch);
	pthread_mutex_unlock(&db->watch_lock);
}

void db_get_stats(struct db *db, struct db_stats *out)
{
	*out = (struct db_stats){
		.writes = atomic_load(&db->writes),
		.batches = atomic_load(&db->batches),
		.failures = atomic_load(&db->failures),
		.reruns = atomic_load(&db->reruns),
		.checkpoints = atomic_load(&db->checkpoints),
	};
}

int db_get_synchronous(struct db *db)
{
	return db->synchronous;
}
