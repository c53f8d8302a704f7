/* The log in one piece: whichever of its writes fails, a commit that was answered is whole and nothing else is there.
 *
 * SQLite's pwrite is replaced, so that its own handling of errors and short writes is part of what is tested. The
 * connections have a cache of a few pages: a transaction spills into the log, and reads back what it spilled.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/db_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS 300
#define PLAIN 50  /* updates of the first member; in a release campaign one more again and again, */
#define PLAINS 12 /* so that the second begins in so many places of a piece */
#define NESTED 5  /* statements of the second, each of which may be undone alone */
#define STRIDE 4
#define BAND 80   /* each writes every STRIDE-th row of so many, twice; backwards, so some of them wait */
#define WRITES_MAX 500

static char folder[64], path[96], copy[96];
static int gen[ROWS + 1]; /* what was committed last, for each row */

/* ---- a disk that is full for one write ---- */

static int writes_until_full; /* counts down; the write that makes it 0 fails */
static bool is_cut;           /* half of that write's octets still find room */
static bool has_failed;

static bool is_log(int fd)
{
	char link[64], name[256] = "";
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	return n > 4 && memcmp(name + n - 4, "-wal", 4) == 0;
}

static ssize_t write_until_full(int fd, const void *data, size_t n, off_t at)
{
	static bool is_cutting; /* SQLite comes again with what found no room */

	if (!is_cutting && (!writes_until_full || !is_log(fd) || --writes_until_full))
		return pwrite(fd, data, n, at);
	has_failed = true;
	is_cutting = is_cut && !is_cutting && n > 1;
	if (is_cutting)
		return pwrite(fd, data, n / 2, at);
	errno = ENOSPC;
	return -1;
}

static void fill_disk_at(int write)
{
	writes_until_full = write;
	has_failed = false;
}

/* ---- fixtures ---- */

#define CONTENT "replace(hex(zeroblob(375)), '00', printf('%08d', gen))"

static const char schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
	"CREATE TABLE t(id INTEGER PRIMARY KEY, gen INTEGER NOT NULL, data TEXT);"
	"CREATE TABLE u(id INTEGER, gen INTEGER);"
	"CREATE TRIGGER tr AFTER INSERT ON u BEGIN"
	" UPDATE t SET gen=NEW.gen WHERE id>=NEW.id AND id<NEW.id+80 AND id%4=0;"
	" UPDATE t SET data=" CONTENT " WHERE id>=NEW.id AND id<NEW.id+80 AND id%4=0;"
	" SELECT RAISE(ABORT, 'no') WHERE NEW.id<0; END;"
	"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<300)"
	" INSERT INTO t SELECT i, 0, '' FROM c;"
	"UPDATE t SET data=" CONTENT ";"
	"PRAGMA wal_checkpoint(TRUNCATE);";

static int run(sqlite3 *handle, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int run(sqlite3 *handle, const char *format, ...)
{
	char sql[512];
	va_list args;

	va_start(args, format);
	vsnprintf(sql, sizeof(sql), format, args);
	va_end(args);
	return sqlite3_exec(handle, sql, NULL, NULL, NULL);
}

static int set_up(void **state)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
	sqlite3 *handle;

	memset(gen, 0, sizeof(gen));
	snprintf(folder, sizeof(folder), "/tmp/test-db-log-XXXXXX");
	if (!vfs || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/t.db", folder);
	snprintf(copy, sizeof(copy), "%s/copy.db", folder);
	vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)write_until_full);
	vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)write_until_full);
	fill_disk_at(0);
	is_cut = false;
	if (sqlite3_open(path, &handle) || sqlite3_exec(handle, schema, NULL, NULL, NULL))
		return -1;
	return sqlite3_close(handle);
}

static int tear_down(void **state)
{
	static const char *const ends[] = { "t.db", "t.db-wal", "t.db-shm", "copy.db", "copy.db-wal", "copy.db-shm" };
	char name[128];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(name, sizeof(name), "%s/%s", folder, ends[i]);
		unlink(name);
	}
	return rmdir(folder);
}

/* A connection as the layer makes it, but one that spills. */
static struct db_conn *open_spilling(struct db *db)
{
	struct db_conn *conn = NULL;

	assert_int_equal(db_conn_new(&conn, db), 0);
	assert_int_equal(run(conn->handle, "PRAGMA cache_size=10; PRAGMA cache_spill=10"), SQLITE_OK);
	return conn;
}

/* ---- what others find ---- */

static int64_t get_number(sqlite3 *handle, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

static void expect_in(const char *file)
{
	sqlite3 *handle;
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_open(file, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(handle, "PRAGMA integrity_check(1)", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
	sqlite3_finalize(stmt);
	assert_int_equal(get_number(handle, "SELECT count(*) FROM t WHERE data<>" CONTENT), 0);
	assert_int_equal(sqlite3_prepare_v2(handle, "SELECT gen FROM t ORDER BY id", -1, &stmt, NULL), SQLITE_OK);
	for (int i = 1; i <= ROWS; i++) {
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		assert_int_equal(sqlite3_column_int(stmt, 0), gen[i]);
	}
	sqlite3_finalize(stmt);
	sqlite3_close(handle);
}

static void copy_file(const char *end)
{
	static char octets[1 << 16];
	char from[128], to[128];
	ssize_t n;
	int in, out;

	snprintf(from, sizeof(from), "%s%s", path, end);
	snprintf(to, sizeof(to), "%s%s", copy, end);
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, octets, sizeof(octets))) > 0)
		assert_int_equal(write(out, octets, (size_t)n), n);
	close(in);
	close(out);
}

/* By the index that the writer published, and by the log alone, as after a loss of power. */
static void expect_everywhere(void)
{
	expect_in(path);
	copy_file("");
	copy_file("-wal");
	expect_in(copy);
}

/* ---- the probe ---- */

/* What the second member does about a statement that failed. */
enum answer {
	ROLLS_BACK_TO,
	GOES_ON,
};

/* Both members in one transaction. 0 or what failed first. */
static int write_generation(sqlite3 *handle, int number, int plain, enum answer answer)
{
	int now[ROWS + 1], before[ROWS + 1], code, first = 0;

	memcpy(now, gen, sizeof(now));
	assert_int_equal(run(handle, "BEGIN IMMEDIATE; SAVEPOINT one"), SQLITE_OK);
	for (int i = 1; i <= plain && !first; i++) {
		first = run(handle, "UPDATE t SET gen=%d, data=replace(hex(zeroblob(375)), '00', printf('%%08d', %d))"
				    " WHERE id=%d", number, number, i * STRIDE);
		if (!first)
			now[i * STRIDE] = number;
	}
	memcpy(before, now, sizeof(before));
	if (!sqlite3_get_autocommit(handle))
		run(handle, "RELEASE one; SAVEPOINT two");
	for (int i = 1; i <= NESTED && !sqlite3_get_autocommit(handle); i++) {
		int from = plain * STRIDE - i * BAND / 2;

		code = run(handle, "INSERT INTO u VALUES(%d, %d)", from, number);
		for (int id = from; !code && id < from + BAND; id += STRIDE)
			now[id] = number;
		first = first ? first : code;
		if (code && answer == ROLLS_BACK_TO && !sqlite3_get_autocommit(handle)) {
			run(handle, "ROLLBACK TO two");
			memcpy(now, before, sizeof(now));
			break;
		}
	}
	code = sqlite3_get_autocommit(handle) ? SQLITE_ABORT : run(handle, "RELEASE two; COMMIT");
	if (code && !sqlite3_get_autocommit(handle))
		run(handle, "ROLLBACK");
	if (!code)
		memcpy(gen, now, sizeof(now));
	return first ? first : code;
}

/* How many writes there were to fail. */
static int fails_each_write_in_turn(struct db_conn *conn, int plain, enum answer answer)
{
	static int number;
	int n = 0, code;

	do {
		n++;
		fill_disk_at(n);
		code = write_generation(conn->handle, ++number, plain, answer);
		assert_true(code || !has_failed);
		fill_disk_at(0);
		expect_everywhere();
		/* The next transaction knows nothing of it. */
		assert_int_equal(write_generation(conn->handle, ++number, PLAIN, answer), SQLITE_OK);
		expect_in(path);
		if (number % 4 == 0) /* so that some begin a log */
			assert_int_equal(run(conn->handle, "PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
	} while (code && n < WRITES_MAX);
	assert_in_range(n, 4, WRITES_MAX - 1);
	return n - 1;
}

static void loses_nothing(enum answer answer, bool cut)
{
	struct db db = { .path = path };
	struct db_conn *conn = open_spilling(&db);
	int failures = 0;

	is_cut = cut;
	for (int i = 0; i < (getenv("GATEHOUSE_LONG") ? PLAINS : 1); i++)
		failures += fails_each_write_in_turn(conn, PLAIN + i, answer);
	print_message("[          ] %d writes failed\n", failures);
	db_conn_drop(&conn);
	expect_in(path);
}

static void loses_nothing_when_a_write_fails_and_a_member_is_taken_back(void **state)
{
	loses_nothing(ROLLS_BACK_TO, false);
}

static void loses_nothing_when_a_write_fails_and_a_member_goes_on(void **state)
{
	loses_nothing(GOES_ON, false);
}

static void loses_nothing_when_a_write_is_cut_short(void **state)
{
	loses_nothing(ROLLS_BACK_TO, true);
	loses_nothing(GOES_ON, true);
}

/* Another program writes where the transaction that is gone would have written. */
static void writes_nothing_of_a_transaction_that_is_over(void **state)
{
	struct db db = { .path = path };
	struct db_conn *conn = open_spilling(&db);
	sqlite3 *other;

	assert_int_equal(run(conn->handle, "BEGIN IMMEDIATE"), SQLITE_OK);
	for (int i = 1; i <= PLAIN; i++)
		assert_int_equal(run(conn->handle, "UPDATE t SET gen=-1, data='lost' WHERE id=%d", i), SQLITE_OK);
	assert_int_equal(run(conn->handle, "ROLLBACK"), SQLITE_OK);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(write_generation(other, 7, PLAIN, GOES_ON), SQLITE_OK);
	assert_int_equal(get_number(conn->handle, "SELECT count(*) FROM t WHERE data<>" CONTENT), 0);
	assert_int_equal(write_generation(conn->handle, 8, PLAIN, GOES_ON), SQLITE_OK);
	assert_int_equal(run(conn->handle, "BEGIN IMMEDIATE; UPDATE t SET gen=-1, data='lost'"), SQLITE_OK);
	db_conn_drop(&conn);
	expect_everywhere();
	sqlite3_close(other);
}

static void is_checkpointed_while_octets_wait(void **state)
{
	struct db db = { .path = path };
	struct db_conn *conn = open_spilling(&db), *checkpointer = open_spilling(&db);

	assert_int_equal(write_generation(conn->handle, 1, PLAIN, GOES_ON), SQLITE_OK);
	assert_int_equal(run(conn->handle, "BEGIN IMMEDIATE"), SQLITE_OK);
	for (int i = 1; i <= ROWS; i++) {
		assert_int_equal(run(conn->handle, "UPDATE t SET gen=2, data=replace(hex(zeroblob(375)), '00',"
				     " '00000002') WHERE id=%d", i), SQLITE_OK);
		if (i % 10 == 0) {
			assert_int_equal(run(checkpointer->handle, "PRAGMA wal_checkpoint(PASSIVE)"), SQLITE_OK);
			assert_int_equal(run(checkpointer->handle, "SELECT count(*) FROM t"), SQLITE_OK);
		}
	}
	expect_everywhere();
	assert_int_equal(run(conn->handle, "COMMIT"), SQLITE_OK);
	for (int i = 1; i <= ROWS; i++)
		gen[i] = 2;
	expect_everywhere();
	assert_int_equal(run(checkpointer->handle, "PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
	assert_int_equal(write_generation(conn->handle, 3, PLAIN, GOES_ON), SQLITE_OK);
	expect_everywhere();
	db_conn_drop(&checkpointer);
	db_conn_drop(&conn);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loses_nothing_when_a_write_fails_and_a_member_is_taken_back),
		TEST(loses_nothing_when_a_write_fails_and_a_member_goes_on),
		TEST(loses_nothing_when_a_write_is_cut_short),
		TEST(writes_nothing_of_a_transaction_that_is_over),
		TEST(is_checkpointed_while_octets_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
