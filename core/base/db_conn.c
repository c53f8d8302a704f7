/* One connection: its settings, its statements, its transaction, and SQLite's results in our three classes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/db_int.h"

#include "core/base/log.h"
#include "core/base/own.h"

#include <errno.h>
#include <stdlib.h>

#define BUSY_TIMEOUT_MS 5000

/* SQLite's primary result codes; what is not listed is a bug of ours. */
static const struct {
	int code, result;
} results[] = {
	{ SQLITE_OK, 0 },
	{ SQLITE_DONE, 0 },
	{ SQLITE_ROW, DB_ROW },
	{ SQLITE_CONSTRAINT, DB_CONFLICT },
	{ SQLITE_FULL, -ENOSPC },
	{ SQLITE_IOERR, -EIO },
	{ SQLITE_NOMEM, -ENOMEM },
	{ SQLITE_BUSY, -EBUSY },
	{ SQLITE_LOCKED, -EBUSY },
	{ SQLITE_PROTOCOL, -EBUSY },
	{ SQLITE_CORRUPT, -EBADMSG },
	{ SQLITE_NOTADB, -EBADMSG },
	{ SQLITE_INTERRUPT, -ECANCELED },
	{ SQLITE_ABORT, -ECANCELED },
	{ SQLITE_CANTOPEN, -EACCES },
	{ SQLITE_PERM, -EACCES },
	{ SQLITE_READONLY, -EROFS },
};

static void fsync_failed(struct db *db)
{
	if (db->fatal) {
		db->fatal(EIO);
		return;
	}
	log_error("db.fsync.failed", "file", db->path, "reason", "what was written is unknown");
	abort();
}

int db_conn_result(struct db_conn *conn, int code)
{
	size_t i;

	/* After a failed fsync the kernel may have dropped the pages: trying again would lie. */
	if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)
		fsync_failed(conn->db);
	if (code == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	for (i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].code == (code & 0xff))
			return results[i].result;
	return -EINVAL;
}

/* Wrong SQL is a bug: say which, because the caller only learns -EINVAL. */
static int bug(struct db_conn *conn, const char *sql, const char *reason)
{
	log_error("db.bug", "file", conn->db->path, "sql", sql, "reason", reason);
	return -EINVAL;
}

static int set_up(struct db_conn *conn)
{
	static const char *const pragmas[] = {
		"PRAGMA synchronous=FULL",
		"PRAGMA foreign_keys=ON",
		"PRAGMA trusted_schema=OFF",
		"PRAGMA wal_autocheckpoint=0",
	};
	size_t i;
	int r = 0;

	sqlite3_busy_timeout(conn->handle, BUSY_TIMEOUT_MS);
	sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	for (i = 0; !r && i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
		r = db_conn_run(conn, pragmas[i]);
	return r;
}

int db_conn_new(struct db_conn **out, struct db *db)
{
	OWNED(db_conn) conn = calloc(1, sizeof(*conn));
	int code, r;

	if (!conn)
		return -ENOMEM;
	conn->db = db;
	/* NOMUTEX: one thread at a time uses a connection. */
	code = sqlite3_open_v2(db->path, &conn->handle,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			       db_log_vfs());
	if (code != SQLITE_OK)
		return db_conn_result(conn, code);
	db_log_watch(conn->handle);
	r = set_up(conn);
	if (r)
		return r;
	*out = MOVE(conn);
	return 0;
}

void db_conn_drop(struct db_conn **conn)
{
	size_t i;

	if (!*conn)
		return;
	for (i = 0; i < DB_STATEMENTS; i++) {
		if ((*conn)->statements[i])
			sqlite3_finalize((*conn)->statements[i]->stmt);
		free((*conn)->statements[i]);
	}
	sqlite3_close_v2((*conn)->handle);
	free(*conn);
	*conn = NULL;
}

/* FNV-1a. */
static size_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return (size_t)(h ^ h >> 32);
}

/* The slot of `sql`: its statement or the free slot where it belongs. The cache is never full, so the walk ends. */
static struct db_rows **find_slot(struct db_conn *conn, const char *sql)
{
	size_t i = hash(sql) & (DB_STATEMENTS - 1);

	while (conn->statements[i] && strcmp(sqlite3_sql(conn->statements[i]->stmt), sql) != 0)
		i = (i + 1) & (DB_STATEMENTS - 1);
	return &conn->statements[i];
}

static int prepare(struct db_conn *conn, struct db_rows **out, const char *sql, bool is_cached)
{
	struct db_rows *rows = calloc(1, sizeof(*rows));
	const char *tail;
	int code, r;

	if (!rows)
		return -ENOMEM;
	code = sqlite3_prepare_v3(conn->handle, sql, -1, is_cached ? SQLITE_PREPARE_PERSISTENT : 0, &rows->stmt, &tail);
	r = db_conn_result(conn, code);
	if (r == -EINVAL)
		bug(conn, sql, sqlite3_errmsg(conn->handle));
	else if (!r && (!rows->stmt || tail[strspn(tail, " \t\r\n;")]))
		r = bug(conn, sql, "not exactly one statement");
	if (r) {
		sqlite3_finalize(rows->stmt);
		free(rows);
		return r;
	}
	rows->conn = conn;
	rows->is_cached = is_cached;
	*out = rows;
	return 0;
}

/* A statement that nobody else is using, to be given back by db_rows_drop(). */
static int take_statement(struct db_conn *conn, struct db_rows **out, const char *sql)
{
	struct db_rows **slot = find_slot(conn, sql);
	int r = 0;

	if (*slot && !(*slot)->is_busy) {
		*out = *slot;
	} else if (!*slot && conn->statement_count < DB_STATEMENTS * 3 / 4) {
		r = prepare(conn, slot, sql, true);
		if (r)
			return r;
		conn->statement_count++;
		*out = *slot;
	} else {
		r = prepare(conn, out, sql, false);
		if (r)
			return r;
	}
	(*out)->is_busy = true;
	conn->busy_count++;
	(*out)->status = DB_ROW;
	return 0;
}

static int bind(sqlite3_stmt *stmt, int place, const struct db_value *v)
{
	if (v->kind == DB_VALUE_INT)
		return sqlite3_bind_int64(stmt, place, v->number);
	if (v->kind == DB_VALUE_NONE || !v->data.ptr)
		return sqlite3_bind_null(stmt, place);
	if (v->kind == DB_VALUE_TEXT)
		return sqlite3_bind_text64(stmt, place, (const char *)v->data.ptr, v->data.len, SQLITE_STATIC,
					   SQLITE_UTF8);
	return sqlite3_bind_blob64(stmt, place, v->data.ptr, v->data.len, SQLITE_STATIC);
}

static int bind_all(struct db_rows *rows, const char *sql, const struct db_value *values, size_t n)
{
	size_t i;
	int r;

	if (sqlite3_bind_parameter_count(rows->stmt) != (int)n)
		return bug(rows->conn, sql, "number of values");
	for (i = 1; i <= n; i++) {
		r = db_conn_result(rows->conn, bind(rows->stmt, (int)i, &values[i]));
		if (r)
			return r;
	}
	return 0;
}

static int start(struct db_conn *conn, struct db_rows **out, const char *sql, const struct db_value *values, size_t n)
{
	OWNED(db_rows) rows = NULL;
	int r;

	r = take_statement(conn, &rows, sql);
	if (!r)
		r = bind_all(rows, sql, values, n);
	if (r)
		return r;
	*out = MOVE(rows);
	return 0;
}

int db_select_values(struct db_conn *conn, struct db_rows **rows, const char *sql, const struct db_value *values,
		     size_t n)
{
	/* The transaction was rolled back from below and the caller went on: this would be committed on its own. */
	if (conn->is_inside && !db_conn_is_intact(conn))
		return -ECANCELED;
	return start(conn, rows, sql, values, n);
}

int db_select_once(struct db_conn *conn, struct db_rows **out, const char *sql, const struct db_value *values,
		   size_t n)
{
	OWNED(db_rows) rows = NULL;
	int r = conn->is_inside && !db_conn_is_intact(conn) ? -ECANCELED : prepare(conn, &rows, sql, false);

	if (r)
		return r;
	rows->is_busy = true;
	rows->status = DB_ROW;
	conn->busy_count++;
	r = bind_all(rows, sql, values, n);
	if (!r)
		*out = MOVE(rows);
	return r;
}

int db_next(struct db_rows *rows)
{
	struct db_conn *conn = rows->conn;

	/* A step after the end would start again from the first row. */
	if (rows->status != DB_ROW)
		return rows->status;
	rows->status = db_conn_result(conn, sqlite3_step(rows->stmt));
	if (rows->status == DB_CONFLICT && conn->is_inside && !db_conn_is_intact(conn))
		rows->status = -ECANCELED; /* RAISE(ROLLBACK), OR ROLLBACK */
	if (rows->status == -EINVAL)
		bug(conn, sqlite3_sql(rows->stmt), sqlite3_errmsg(conn->handle));
	return rows->status;
}

static int finish(struct db_rows *rows)
{
	int r;

	do
		r = db_next(rows);
	while (r == DB_ROW);
	return r;
}

int db_run_values(struct db_conn *conn, const char *sql, const struct db_value *values, size_t n)
{
	OWNED(db_rows) rows = NULL;
	int r = db_select_values(conn, &rows, sql, values, n);

	return r ? r : finish(rows);
}

int db_conn_run(struct db_conn *conn, const char *sql)
{
	OWNED(db_rows) rows = NULL;
	int r = start(conn, &rows, sql, NULL, 0);

	return r ? r : finish(rows);
}

int db_conn_get_number(struct db_conn *conn, const char *sql, int64_t *out)
{
	OWNED(db_rows) rows = NULL;
	int r = start(conn, &rows, sql, NULL, 0);

	if (r)
		return r;
	r = db_next(rows);
	if (r != DB_ROW)
		return r ? r : -EBADMSG;
	*out = db_col_int(rows, 0);
	return 0;
}

int64_t db_col_int(struct db_rows *rows, int column)
{
	return sqlite3_column_int64(rows->stmt, column);
}

const char *db_col_text(struct db_rows *rows, int column)
{
	return (const char *)sqlite3_column_text(rows->stmt, column);
}

struct bytes db_col_blob(struct db_rows *rows, int column)
{
	/* In this order: asking for the length first could give that of another encoding. */
	const void *ptr = sqlite3_column_blob(rows->stmt, column);

	return bytes_of(ptr, (size_t)sqlite3_column_bytes(rows->stmt, column));
}

bool db_col_is_null(struct db_rows *rows, int column)
{
	return sqlite3_column_type(rows->stmt, column) == SQLITE_NULL;
}

void db_rows_drop(struct db_rows **rows)
{
	struct db_rows *r = *rows;

	if (!r)
		return;
	*rows = NULL;
	r->conn->busy_count--;
	if (!r->is_cached) {
		sqlite3_finalize(r->stmt);
		free(r);
		return;
	}
	/* A reset returns the error of the last step again; db_next() has told it. */
	sqlite3_reset(r->stmt);
	sqlite3_clear_bindings(r->stmt);
	r->is_busy = false;
}

int64_t db_changes(struct db_conn *conn)
{
	return sqlite3_changes64(conn->handle);
}

int64_t db_last_id(struct db_conn *conn)
{
	return sqlite3_last_insert_rowid(conn->handle);
}

bool db_conn_is_intact(const struct db_conn *conn)
{
	return !sqlite3_get_autocommit(conn->handle);
}

int db_conn_begin(struct db_conn *conn, const char *sql)
{
	int r = db_conn_run(conn, sql);

	conn->is_inside = !r;
	return r;
}

int db_conn_commit(struct db_conn *conn)
{
	int r;

	if (!db_conn_is_intact(conn)) {
		conn->is_inside = false;
		return -ECANCELED;
	}
	r = db_conn_run(conn, "COMMIT");
	if (r)
		db_conn_rollback(conn);
	conn->is_inside = false;
	return r;
}

void db_conn_rollback(struct db_conn *conn)
{
	conn->is_inside = false;
	if (!db_conn_is_intact(conn))
		return;
	/* By its result a ROLLBACK may fail, by its effect it may not: the next BEGIN would join what is left. */
	if (db_conn_run(conn, "ROLLBACK") && db_conn_is_intact(conn)) {
		log_error("db.rollback.failed", "file", conn->db->path, "reason", sqlite3_errmsg(conn->handle));
		abort();
	}
}

/* Rows that `fn` forgot would hold the snapshot, or make the COMMIT fail, for everybody after it. */
static void end_forgotten_rows(struct db_conn *conn)
{
	struct db_rows *rows;
	sqlite3_stmt *stmt;
	size_t i;

	for (stmt = sqlite3_next_stmt(conn->handle, NULL); stmt; stmt = sqlite3_next_stmt(conn->handle, stmt)) {
		if (!sqlite3_stmt_busy(stmt))
			continue;
		log_error("db.bug", "file", conn->db->path, "sql", sqlite3_sql(stmt), "reason", "rows not dropped");
		sqlite3_reset(stmt);
	}
	for (i = 0; i < DB_STATEMENTS; i++) {
		rows = conn->statements[i];
		if (rows && rows->is_busy)
			db_rows_drop(&rows);
	}
	conn->busy_count = 0;
}

int db_conn_call(struct db_conn *conn, db_fn *fn, void *arg)
{
	int r = fn(conn, arg);

	if (conn->busy_count)
		end_forgotten_rows(conn);
	return r;
}
