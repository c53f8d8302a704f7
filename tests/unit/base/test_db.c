/* The SQLite layer: what was acknowledged is in the file, whatever happens to the others of a batch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/db.h"
#include "core/base/db_int.h"
#include "core/base/log.h"
#include "core/base/own.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define APPLICATION 0x47485445
#define BATCH 8
#define GUILTY 4

static char folder[64], path[96], why[256];

static const char *const migrations[] = {
	"CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB) STRICT;"
	"CREATE TRIGGER poison BEFORE INSERT ON t WHEN NEW.name='poison'"
	" BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END;",
	NULL,
};

static int ignore_fatal_calls;

static void ignore_fatal(int error)
{
	ignore_fatal_calls++;
}

static const struct db_options options = {
	.path = path,
	.application_id = APPLICATION,
	.migrations = migrations,
	.fatal = ignore_fatal,
};

/* A VFS over the real one: it fails writes or syncs of the write-ahead log, or writes of the file, when a test says
 * so. */

static atomic_int fail_log_writes, fail_log_syncs, fill_disk, log_writes;
static sqlite3_vfs *real_vfs;

struct shim_file {
	sqlite3_file base;
	bool is_log;
	/* the real file follows */
};

static sqlite3_file *real_file(sqlite3_file *f)
{
	return (sqlite3_file *)(void *)((char *)f + sizeof(struct shim_file));
}

#define PASS(name, arguments, ...) \
	static int shim_##name arguments \
	{ \
		return real_file(f)->pMethods->name(real_file(f), ##__VA_ARGS__); \
	}

PASS(xClose, (sqlite3_file *f))
PASS(xRead, (sqlite3_file *f, void *p, int n, sqlite3_int64 at), p, n, at)
PASS(xTruncate, (sqlite3_file *f, sqlite3_int64 size), size)
PASS(xFileSize, (sqlite3_file *f, sqlite3_int64 *size), size)
PASS(xLock, (sqlite3_file *f, int kind), kind)
PASS(xUnlock, (sqlite3_file *f, int kind), kind)
PASS(xCheckReservedLock, (sqlite3_file *f, int *out), out)
PASS(xFileControl, (sqlite3_file *f, int op, void *arg), op, arg)
PASS(xSectorSize, (sqlite3_file *f))
PASS(xDeviceCharacteristics, (sqlite3_file *f))
PASS(xShmMap, (sqlite3_file *f, int page, int size, int extend, void volatile **out), page, size, extend, out)
PASS(xShmLock, (sqlite3_file *f, int at, int n, int flags), at, n, flags)
PASS(xShmUnmap, (sqlite3_file *f, int remove_it), remove_it)

static void shim_xShmBarrier(sqlite3_file *f)
{
	real_file(f)->pMethods->xShmBarrier(real_file(f));
}

static int shim_xWrite(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	if (((struct shim_file *)(void *)f)->is_log && atomic_load(&fail_log_writes))
		return SQLITE_IOERR_WRITE;
	if (!((struct shim_file *)(void *)f)->is_log && atomic_load(&fill_disk))
		return SQLITE_FULL;
	if (((struct shim_file *)(void *)f)->is_log)
		atomic_fetch_add(&log_writes, 1);
	return real_file(f)->pMethods->xWrite(real_file(f), p, n, at);
}

static int shim_xSync(sqlite3_file *f, int flags)
{
	if (((struct shim_file *)(void *)f)->is_log && atomic_load(&fail_log_syncs))
		return SQLITE_IOERR_FSYNC;
	return real_file(f)->pMethods->xSync(real_file(f), flags);
}

static const sqlite3_io_methods shim_methods = {
	.iVersion = 2,
	.xClose = shim_xClose,
	.xRead = shim_xRead,
	.xWrite = shim_xWrite,
	.xTruncate = shim_xTruncate,
	.xSync = shim_xSync,
	.xFileSize = shim_xFileSize,
	.xLock = shim_xLock,
	.xUnlock = shim_xUnlock,
	.xCheckReservedLock = shim_xCheckReservedLock,
	.xFileControl = shim_xFileControl,
	.xSectorSize = shim_xSectorSize,
	.xDeviceCharacteristics = shim_xDeviceCharacteristics,
	.xShmMap = shim_xShmMap,
	.xShmLock = shim_xShmLock,
	.xShmBarrier = shim_xShmBarrier,
	.xShmUnmap = shim_xShmUnmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	struct shim_file *s = (struct shim_file *)(void *)f;
	int code = real_vfs->xOpen(real_vfs, name, real_file(f), flags, out_flags);

	s->is_log = (flags & SQLITE_OPEN_WAL) != 0;
	s->base.pMethods = real_file(f)->pMethods ? &shim_methods : NULL;
	return code;
}

static int register_shim(void **state)
{
	static sqlite3_vfs shim;

	real_vfs = sqlite3_vfs_find(NULL);
	shim = *real_vfs;
	shim.pNext = NULL;
	shim.zName = "shim";
	shim.szOsFile = real_vfs->szOsFile + (int)sizeof(struct shim_file);
	shim.xOpen = shim_open;
	return sqlite3_vfs_register(&shim, 1);
}

/* Fixtures. */

static int set_up(void **state)
{
	atomic_store(&fail_log_writes, 0);
	atomic_store(&fail_log_syncs, 0);
	atomic_store(&fill_disk, 0);
	ignore_fatal_calls = 0;
	why[0] = 0;
	snprintf(folder, sizeof(folder), "/tmp/test-db-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/t.db", folder);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
	char name[128];
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct db *open_db(void)
{
	struct db *db = NULL;
	int r = db_open(&db, &options, why, sizeof(why));

	if (r)
		print_error("%s\n", why);
	assert_int_equal(r, 0);
	return db;
}

static void quiet(void *arg, const char *line)
{
}

/* Members. */

struct member {
	struct db *db;
	const char *name;
	size_t size;       /* of the blob */
	bool breaks_disk;  /* log writes fail from here on while it runs */
	bool in_vain;      /* the disk is full for its statement, which is undone alone */
	bool swallows;     /* goes on after its error and says that all is well */
	int regrets;       /* what it returns after it wrote */
	sem_t *entered, *go; /* a blocker */
	int result;
	pthread_t thread;
};

static int insert(struct db_conn *conn, void *arg)
{
	struct member *m = arg;
	uint8_t *data = m->size ? calloc(1, m->size) : NULL;
	int r;

	if (m->breaks_disk)
		atomic_store(&fail_log_writes, 1);
	r = db_run(conn, "INSERT INTO t(name, data) VALUES(?, ?)", DB_TEXT(m->name), DB_BLOB(bytes_of(data, m->size)));
	if (m->breaks_disk)
		atomic_store(&fail_log_writes, 0);
	free(data);
	if (r && m->swallows)
		return db_run(conn, "INSERT INTO t(name) VALUES('orphan')") == -ECANCELED ? 0 : -EFAULT;
	return r ? r : m->regrets;
}

/* Several rows in one statement: SQLite keeps a journal for it, and what it undoes counts no change. */
static int insert_in_vain(struct db_conn *conn, void *arg)
{
	struct member *m = arg;

	return db_run(conn, "INSERT INTO t(name, data) SELECT ? || value, zeroblob(40000) FROM json_each('[1,2,3,4]')",
		      DB_TEXT(m->name));
}

static int block(struct db_conn *conn, void *arg)
{
	struct member *m = arg;

	sem_post(m->entered);
	while (sem_wait(m->go) < 0)
		;
	return 0;
}

static void *write_member(void *arg)
{
	struct member *m = arg;

	m->result = db_write(m->db, m->go ? block : m->in_vain ? insert_in_vain : insert, m);
	return NULL;
}

static void wait_until_queued(struct db *db, unsigned n)
{
	unsigned now;
	int tries;

	for (tries = 0; tries < 5000; tries++) {
		pthread_mutex_lock(&db->writer.lock);
		now = db->writer.waiting;
		pthread_mutex_unlock(&db->writer.lock);
		if (now == n)
			return;
		usleep(1000);
	}
	fail_msg("never queued");
}

/* Run the members as one batch, in order: a first one blocks the writer until all of them are queued. */
static void run_batch_of(struct db *db, struct member *members, unsigned n, void (*meanwhile)(void))
{
	sem_t entered, go;
	struct member blocker = { .db = db, .entered = &entered, .go = &go };
	unsigned i;

	sem_init(&entered, 0, 0);
	sem_init(&go, 0, 0);
	assert_int_equal(pthread_create(&blocker.thread, NULL, write_member, &blocker), 0);
	while (sem_wait(&entered) < 0)
		;
	for (i = 0; i < n; i++) {
		members[i].db = db;
		assert_int_equal(pthread_create(&members[i].thread, NULL, write_member, &members[i]), 0);
		wait_until_queued(db, i + 1);
	}
	if (meanwhile)
		meanwhile();
	sem_post(&go);
	for (i = 0; i < n; i++)
		pthread_join(members[i].thread, NULL);
	pthread_join(blocker.thread, NULL);
	assert_int_equal(blocker.result, 0);
	sem_destroy(&entered);
	sem_destroy(&go);
}

static const char *const names[BATCH] = { "n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7" };

static void fill(struct member members[static BATCH])
{
	int i;

	memset(members, 0, BATCH * sizeof(*members));
	for (i = 0; i < BATCH; i++)
		members[i].name = names[i];
}

/* What a connection of another program finds in the file. */
static int count_in_file(const char *name)
{
	sqlite3 *handle;
	sqlite3_stmt *stmt;
	int n;

	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(handle, "SELECT count(*) FROM t WHERE name=?1 OR ?1 IS NULL", -1, &stmt,
					    NULL), SQLITE_OK);
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(handle);
	return n;
}

static void expect_only_the_guilty_failed(const struct member *members, int error)
{
	int i;

	for (i = 0; i < BATCH; i++) {
		assert_int_equal(members[i].result, i == GUILTY ? error : 0);
		assert_int_equal(count_in_file(members[i].name), i == GUILTY ? 0 : 1);
	}
}

static void expect_it_works(struct db *db)
{
	struct member m = { .name = "afterwards" };

	assert_int_equal(db_write(db, insert, &m), 0);
	assert_int_equal(count_in_file("afterwards"), 1);
}

static int run_sql(struct db_conn *conn, void *arg)
{
	return db_run(conn, arg);
}

static void write_sql(struct db *db, const char *sql)
{
	assert_int_equal(db_write(db, run_sql, (void *)(uintptr_t)sql), 0);
}

/* Pages go to the log before the COMMIT. */
static void spill_early(struct db *db)
{
	static const char sql[] = "PRAGMA cache_size=10; PRAGMA cache_spill=10";

	assert_int_equal(sqlite3_exec(db->writer.conn->handle, sql, NULL, NULL, NULL), SQLITE_OK);
}

static uint64_t get_reruns(struct db *db)
{
	struct db_stats stats;

	db_get_stats(db, &stats);
	return stats.reruns;
}

/* Tests. */

static void makes_a_private_file_with_full_synchronous(void **state)
{
	OWNED(db) db = open_db();
	struct stat st;

	assert_int_equal(db_get_synchronous(db), 2);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static int select_back(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) rows = NULL;
	int r;

	r = db_select(conn, &rows, "SELECT id, name, data FROM t ORDER BY id");
	if (r)
		return r;
	assert_int_equal(db_next(rows), DB_ROW);
	assert_int_equal(db_col_int(rows, 0), 1);
	assert_string_equal(db_col_text(rows, 1), "a");
	assert_true(bytes_equal(db_col_blob(rows, 2), bytes_of("\0\1", 2)));
	assert_int_equal(db_next(rows), DB_ROW);
	assert_true(db_col_is_null(rows, 1));
	assert_null(db_col_text(rows, 1));
	assert_int_equal(db_next(rows), 0);
	assert_int_equal(db_next(rows), 0);
	return 0;
}

static int write_two(struct db_conn *conn, void *arg)
{
	static const char sql[] = "INSERT INTO t(id, name, data) VALUES(?, ?, ?)";
	int r = db_run(conn, sql, DB_INT(1), DB_TEXT("a"), DB_BLOB(bytes_of("\0\1", 2)));

	if (!r)
		r = db_run(conn, sql, DB_INT(2), DB_TEXT(NULL), DB_NULL);
	assert_int_equal(db_changes(conn), 1);
	assert_int_equal(db_last_id(conn), 2);
	assert_int_equal(db_run(conn, sql, DB_INT(3), DB_TEXT("a"), DB_NULL), DB_CONFLICT);
	return r;
}

static int write_on_reader(struct db_conn *conn, void *arg)
{
	return db_run(conn, "DELETE FROM t");
}

static void reads_what_was_written_and_readers_cannot_write(void **state)
{
	OWNED(db) db = open_db();

	assert_int_equal(db_write(db, write_two, NULL), 0);
	assert_int_equal(db_read(db, select_back, NULL), 0);
	assert_true(db_read(db, write_on_reader, NULL) < 0);
	assert_true(db_read_one(db, write_on_reader, NULL) < 0);
	assert_int_equal(count_in_file(NULL), 2);
}

static int nest(struct db_conn *conn, void *arg)
{
	OWNED(db_rows) outer = NULL;
	OWNED(db_rows) inner = NULL;
	static const char sql[] = "SELECT id FROM t WHERE id>=? ORDER BY id";

	assert_int_equal(db_select(conn, &outer, sql, DB_INT(1)), 0);
	assert_int_equal(db_next(outer), DB_ROW);
	assert_int_equal(db_select(conn, &inner, sql, DB_INT(2)), 0);
	assert_int_equal(db_next(inner), DB_ROW);
	assert_int_equal(db_col_int(inner, 0), 2);
	assert_int_equal(db_next(outer), DB_ROW);
	assert_int_equal(db_next(outer), 0);
	return 0;
}

static void runs_one_statement_twice_at_a_time(void **state)
{
	OWNED(db) db = open_db();

	assert_int_equal(db_write(db, write_two, NULL), 0);
	assert_int_equal(db_read(db, nest, NULL), 0);
	assert_int_equal(db_write(db, nest, NULL), 0);
}

static int forget_rows(struct db_conn *conn, void *arg)
{
	struct db_rows *rows;

	assert_int_equal(db_select(conn, &rows, "SELECT id FROM t"), 0);
	return db_next(rows) == DB_ROW ? 0 : -EFAULT;
}

static int wrong_sql(struct db_conn *conn, void *arg)
{
	assert_int_equal(db_run(conn, "SELEKT"), -EINVAL);
	assert_int_equal(db_run(conn, "DELETE FROM t; DELETE FROM t"), -EINVAL);
	return db_run(conn, "DELETE FROM t WHERE id=?");
}

static void survives_bugs_of_its_callers(void **state)
{
	OWNED(db) db = open_db();

	log_capture(quiet, NULL);
	assert_int_equal(db_write(db, write_two, NULL), 0);
	assert_int_equal(db_read(db, forget_rows, NULL), 0);
	assert_int_equal(db_write(db, forget_rows, NULL), 0);
	assert_int_equal(db_write(db, wrong_sql, NULL), -EINVAL);
	log_capture(NULL, NULL);
	assert_int_equal(db_read(db, select_back, NULL), 0);
	assert_int_equal(db_read_one(db, select_back, NULL), 0);
	expect_it_works(db);
}

static void commits_in_groups(void **state)
{
	enum { THREADS = 32, EACH = 10 };
	OWNED(db) db = open_db();
	struct member members[THREADS] = { 0 };
	struct db_stats stats;
	int i, n;

	for (n = 0; n < EACH; n++) {
		for (i = 0; i < THREADS; i++) {
			members[i] = (struct member){ .db = db };
			assert_int_equal(pthread_create(&members[i].thread, NULL, write_member, &members[i]), 0);
		}
		for (i = 0; i < THREADS; i++) {
			pthread_join(members[i].thread, NULL);
			assert_int_equal(members[i].result, 0);
		}
	}
	db_get_stats(db, &stats);
	assert_int_equal(stats.writes, THREADS * EACH);
	assert_true(stats.batches < stats.writes);
	assert_int_equal(count_in_file(NULL), THREADS * EACH);
}

static void loses_only_the_member_that_reached_the_page_limit(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];

	fill(members);
	members[GUILTY].size = 400000;
	write_sql(db, "PRAGMA max_page_count=20");
	run_batch_of(db, members, BATCH, NULL);
	expect_only_the_guilty_failed(members, -ENOSPC);
	write_sql(db, "PRAGMA max_page_count=100000");
	assert_int_equal(db_write(db, insert, &members[GUILTY]), 0);
	expect_it_works(db);
}

static void ends_a_batch_at_a_full_disk_though_nothing_changed(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];

	fill(members);
	members[GUILTY].in_vain = true;
	write_sql(db, "PRAGMA max_page_count=20");
	run_batch_of(db, members, BATCH, NULL);
	expect_only_the_guilty_failed(members, -ENOSPC);
	assert_int_equal(get_reruns(db), 1);
	expect_it_works(db);
}

static void loses_only_the_member_that_rolled_back_from_below(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];

	fill(members);
	members[GUILTY].name = "poison";
	run_batch_of(db, members, BATCH, NULL);
	expect_only_the_guilty_failed(members, -ECANCELED);
	assert_int_equal(get_reruns(db), 1);
	expect_it_works(db);
}

static void loses_only_the_member_that_met_an_io_error(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];

	fill(members);
	members[GUILTY].size = 400000;
	members[GUILTY].breaks_disk = true;
	spill_early(db);
	run_batch_of(db, members, BATCH, NULL);
	expect_only_the_guilty_failed(members, -EIO);
	assert_int_equal(get_reruns(db), 1);
	expect_it_works(db);
}

static void runs_nothing_after_a_rollback_that_a_member_overlooked(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];

	fill(members);
	members[GUILTY].name = "poison";
	members[GUILTY].swallows = true;
	run_batch_of(db, members, BATCH, NULL);
	expect_only_the_guilty_failed(members, -ECANCELED);
	assert_int_equal(count_in_file("orphan"), 0);
	expect_it_works(db);
}

static void refuses_the_later_of_two_in_one_batch(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];
	int i;

	fill(members);
	members[GUILTY].name = names[1];
	run_batch_of(db, members, BATCH, NULL);
	for (i = 0; i < BATCH; i++)
		assert_int_equal(members[i].result, i == GUILTY ? DB_CONFLICT : 0);
	assert_int_equal(count_in_file(NULL), BATCH - 1);
	assert_int_equal(get_reruns(db), 0);
}

static void takes_back_what_a_member_wrote_before_it_said_no(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];
	struct db_stats before, after;

	fill(members);
	members[GUILTY].regrets = 77;
	members[GUILTY + 1].name = names[GUILTY]; /* free again for who comes behind it */
	db_get_stats(db, &before);
	run_batch_of(db, members, BATCH, NULL);
	db_get_stats(db, &after);
	for (int i = 0; i < BATCH; i++)
		assert_int_equal(members[i].result, i == GUILTY ? 77 : 0);
	assert_int_equal(count_in_file(names[GUILTY]), 1);
	assert_int_equal(count_in_file(NULL), BATCH - 1);
	assert_int_equal(get_reruns(db), 0);
	assert_int_equal(after.batches - before.batches, 2); /* the blocker's, and one for all */
	expect_it_works(db);
}

static void writes_a_commit_to_the_log_in_one_piece(void **state)
{
	OWNED(db) db = open_db();
	struct member large = { .name = "large", .size = 60000 }, larger = { .name = "larger", .size = 1000000 };

	expect_it_works(db);
	atomic_store(&log_writes, 0);
	assert_int_equal(db_write(db, insert, &large), 0);
	assert_int_equal(atomic_load(&log_writes), 1);
	assert_int_equal(db_write(db, insert, &larger), 0);
	assert_in_range(atomic_load(&log_writes), 8, 16); /* a page and its frame need two without this: some 490 */
	assert_int_equal(count_in_file("larger"), 1);
}

static int insert_much(struct db_conn *conn, void *arg)
{
	int r = 0;

	for (int i = 0; i < 100 && !r; i++)
		r = db_run(conn, "INSERT INTO t(name, data) VALUES(?, zeroblob(3000))", DB_INT(i));
	*(int *)arg = atomic_load(&log_writes);
	return r;
}

static void writes_nothing_to_the_log_before_the_commit(void **state)
{
	OWNED(db) db = open_db();
	int early = -1;

	expect_it_works(db);
	write_sql(db, "PRAGMA cache_size=10");
	atomic_store(&log_writes, 0);
	assert_int_equal(db_write(db, insert_much, &early), 0);
	assert_int_equal(early, 0);
	assert_true(atomic_load(&log_writes) > 0);
	assert_int_equal(count_in_file(NULL), 101);
}

static void break_log_writes(void)
{
	atomic_store(&fail_log_writes, 1);
}

static void break_log_syncs(void)
{
	atomic_store(&fail_log_syncs, 1);
}

static void makes_no_conflict_final_when_the_commit_failed(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];
	int i;

	fill(members);
	members[GUILTY].name = names[1];
	/* The blocker writes nothing, so the first write that fails is that of the batch's COMMIT. */
	run_batch_of(db, members, BATCH, break_log_writes);
	atomic_store(&fail_log_writes, 0);
	for (i = 0; i < BATCH; i++)
		assert_int_equal(members[i].result, -EIO);
	assert_int_equal(count_in_file(NULL), 0);
	assert_int_equal(ignore_fatal_calls, 0);
	expect_it_works(db);
}

static void calls_fatal_when_fsync_fails(void **state)
{
	OWNED(db) db = open_db();
	struct member members[BATCH];
	int i;

	fill(members);
	run_batch_of(db, members, BATCH, break_log_syncs);
	atomic_store(&fail_log_syncs, 0);
	assert_true(ignore_fatal_calls > 0);
	for (i = 0; i < BATCH; i++)
		assert_int_equal(members[i].result, -EIO);
}

static int write_blob(struct db_conn *conn, void *arg)
{
	static const uint8_t zeros[40000];

	return db_run(conn, "INSERT INTO t(data) VALUES(?)", DB_BLOB(bytes_of(zeros, sizeof(zeros))));
}

static bool has_checkpointed(struct db *db, unsigned ms)
{
	struct db_stats stats;

	for (; ms; ms--) {
		db_get_stats(db, &stats);
		if (stats.checkpoints)
			return true;
		usleep(1000);
	}
	return false;
}

static void checkpoints_while_it_runs(void **state)
{
	OWNED(db) db = open_db();
	int i;

	for (i = 0; i < 150; i++)
		assert_int_equal(db_write(db, write_blob, NULL), 0);
	assert_true(has_checkpointed(db, 3000));
}

/* As if the log had already grown to where the next commit calls for a checkpoint. */
static void make_checkpoints_due(struct db *db, int restart_at)
{
	pthread_mutex_lock(&db->checkpointer.lock);
	db->checkpointer.next_at = 1;
	db->checkpointer.restart_at = restart_at;
	pthread_mutex_unlock(&db->checkpointer.lock);
}

static void starts_the_log_again_when_it_grew_too_long(void **state)
{
	OWNED(db) db = open_db();
	int before;

	assert_int_equal(db_write(db, write_blob, NULL), 0);
	make_checkpoints_due(db, 1);
	assert_int_equal(db_write(db, write_blob, NULL), 0);
	assert_true(has_checkpointed(db, 3000));
	before = db->checkpointer.frames;
	expect_it_works(db);
	assert_true(db->checkpointer.frames < before);
}

static void tries_a_checkpoint_again_when_the_disk_was_full(void **state)
{
	OWNED(db) db = open_db();

	log_capture(quiet, NULL);
	atomic_store(&fill_disk, 1);
	make_checkpoints_due(db, 1 << 20);
	assert_int_equal(db_write(db, write_blob, NULL), 0);
	assert_false(has_checkpointed(db, 100));
	expect_it_works(db);
	atomic_store(&fill_disk, 0);
	assert_true(has_checkpointed(db, 5000));
	log_capture(NULL, NULL);
}

static void refuses(const struct db_options *o, int want, const char *words)
{
	struct db *db = NULL;

	assert_int_equal(db_open(&db, o, why, sizeof(why)), want);
	assert_null(db);
	assert_non_null(strstr(why, words));
}

static void migrates_by_user_version(void **state)
{
	const char *const more[] = { migrations[0], "ALTER TABLE t ADD COLUMN extra INTEGER;"
					    "UPDATE t SET extra=7", NULL };
	const char *const broken[] = { migrations[0], more[1], "CREATE TABLE u(x); CREATE TABLE u(x)", NULL };
	struct db_options o = options;
	struct db *db = open_db();

	write_sql(db, "INSERT INTO t(name) VALUES('old')");
	db_drop(&db);
	o.migrations = more;
	assert_int_equal(db_open(&db, &o, why, sizeof(why)), 0);
	write_sql(db, "INSERT INTO t(name, extra) SELECT 'new', extra FROM t WHERE extra=7");
	db_drop(&db);
	assert_int_equal(count_in_file("new"), 1);
	o.migrations = broken;
	refuses(&o, -EINVAL, "migration to schema 3");
	o.migrations = more;
	assert_int_equal(db_open(&db, &o, why, sizeof(why)), 0);
	db_drop(&db);
	refuses(&options, -EBADMSG, "newer than this program");
}

static void refuses_a_file_that_is_not_ours(void **state)
{
	struct db_options o = options;
	struct db *db = open_db();
	sqlite3 *handle;
	FILE *f;

	db_drop(&db);
	o.application_id = 99;
	refuses(&o, -EBADMSG, "another application");
	tear_down(state);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, "CREATE TABLE mine(x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(handle);
	refuses(&options, -EBADMSG, "another application");
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("this is a text file, not a database; it is long enough to be looked at as one, and then some more "
	      "of it, because a header has one hundred octets", f);
	fclose(f);
	refuses(&options, -EBADMSG, "cannot");
	o.path = "/nonexistent/folder/t.db";
	refuses(&o, -ENOENT, "cannot be opened");
}

/* A child that writes and says over a pipe what was acknowledged. */

static int pipe_end;

static int insert_number(struct db_conn *conn, void *arg)
{
	return db_run(conn, "INSERT INTO t(id) VALUES(?)", DB_INT(*(int *)arg));
}

static void *write_numbers(void *arg)
{
	static atomic_int next = 1;
	int n;

	for (;;) {
		n = atomic_fetch_add(&next, 1);
		if (db_write(arg, insert_number, &n) || write(pipe_end, &n, sizeof(n)) != sizeof(n))
			_exit(3);
	}
	return NULL;
}

static void child_main(void)
{
	pthread_t threads[4];
	struct db *db;
	size_t i;

	if (db_open(&db, &options, why, sizeof(why)))
		_exit(2);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_numbers, db);
	pause();
	_exit(4);
}

static void keeps_everything_acknowledged_through_kill_9(void **state)
{
	enum { ENOUGH = 300, MOST = 100000 };
	static int acknowledged[MOST];
	int ends[2], n = 0, i, status;
	sqlite3_stmt *stmt;
	sqlite3 *handle;
	struct db *db;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		pipe_end = ends[1];
		child_main();
	}
	close(ends[1]);
	while (n < MOST && read(ends[0], &acknowledged[n], sizeof(int)) == sizeof(int))
		if (++n == ENOUGH)
			kill(pid, SIGKILL);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(n >= ENOUGH);
	db = open_db();
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(handle, "SELECT 1 FROM t WHERE id=?", -1, &stmt, NULL), SQLITE_OK);
	for (i = 0; i < n; i++) {
		sqlite3_bind_int(stmt, 1, acknowledged[i]);
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	sqlite3_close(handle);
	expect_it_works(db);
	db_drop(&db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(makes_a_private_file_with_full_synchronous),
		TEST(reads_what_was_written_and_readers_cannot_write),
		TEST(runs_one_statement_twice_at_a_time),
		TEST(survives_bugs_of_its_callers),
		TEST(commits_in_groups),
		TEST(loses_only_the_member_that_reached_the_page_limit),
		TEST(ends_a_batch_at_a_full_disk_though_nothing_changed),
		TEST(loses_only_the_member_that_rolled_back_from_below),
		TEST(loses_only_the_member_that_met_an_io_error),
		TEST(runs_nothing_after_a_rollback_that_a_member_overlooked),
		TEST(refuses_the_later_of_two_in_one_batch),
		TEST(takes_back_what_a_member_wrote_before_it_said_no),
		TEST(writes_a_commit_to_the_log_in_one_piece),
		TEST(writes_nothing_to_the_log_before_the_commit),
		TEST(makes_no_conflict_final_when_the_commit_failed),
		TEST(calls_fatal_when_fsync_fails),
		TEST(checkpoints_while_it_runs),
		TEST(starts_the_log_again_when_it_grew_too_long),
		TEST(tries_a_checkpoint_again_when_the_disk_was_full),
		TEST(migrates_by_user_version),
		TEST(refuses_a_file_that_is_not_ours),
		TEST(keeps_everything_acknowledged_through_kill_9),
	};

	return cmocka_run_group_tests(tests, register_shim, NULL);
}
