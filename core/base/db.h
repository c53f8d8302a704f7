/* One SQLite file: a writer thread that commits in groups, reader connections, migrations.
 *
 * The file is opened in WAL mode with synchronous=FULL, read back and asserted: a commit that was acknowledged
 * survives power loss. All writing goes through `db_write()`: the function runs on the one writer thread inside the
 * transaction of a batch, and `db_write()` returns after the COMMIT of that batch returned, never before. Whatever the
 * function wrote into its argument may be used from then on, not earlier.
 *
 * A failed statement must be returned by the function as it came (`return r;`), so that the writer can tell a member
 * that failed alone from a batch whose transaction is gone.
 *
 * Results of statement calls, in the three classes: 0 it worked; DB_ROW/DB_CONFLICT outcomes; negative -ENOSPC (disk
 * full, page limit), -EIO, -ENOMEM, -EBUSY, -EBADMSG (corrupt), -EINVAL (wrong SQL: a bug), -ECANCELED (interrupted or
 * rolled back from below).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#include <stdbool.h>

struct db;      /* an open file */
struct db_conn; /* one connection, valid inside a db_write()/db_read() function only */
struct db_rows; /* a running SELECT */

enum {
	DB_ROW = 1,      /* db_next(): a row is there */
	DB_CONFLICT = 2, /* db_run(): a UNIQUE, CHECK, NOT NULL or foreign key constraint says no */
};

/* SQL that lifts the schema from version n-1 to n, where n is its place in the list, counted from 1
 * (PRAGMA user_version). Each runs in a transaction of its own. A file with a newer version is refused. */
struct db_options {
	const char *path;              /* made with mode 0600 when absent */
	int32_t application_id;        /* PRAGMA application_id; a file of another application is refused (-EBADMSG) */
	const char *const *migrations; /* ends with NULL */
	unsigned commit_delay_ms;      /* how long the writer may wait for company; 0: never */
	unsigned readers;              /* reader connections; 0: 4 */
	void (*fatal)(int error);      /* fsync failed: what was written is unknown. NULL: log and abort() */
};

/* Open, check (application id, quick_check), migrate, read the pragmas back, start the writer and checkpoint threads.
 * 0; -EBADMSG (not our file, newer schema, or corrupt); -EACCES; -errno. `why` gets a sentence on failure. */
int db_open(struct db **out, const struct db_options *options, char *why, size_t why_size);

/* Commit what waits, checkpoint, stop the threads, close. No db_write() may be running. */
void db_drop(struct db **db);

/* Runs `fn(conn, arg)` on the writer thread; blocks until its batch is committed.
 * `fn` does SQL only: no crypto, no IPC, no lock, no clock. It changes rows, not the schema. It may run several times,
 * so it must set every output each time.
 * `fn` returns 0: its writes are committed. Anything else: its writes are rolled back, the others' are not, and the
 * value is returned here. A failing COMMIT returns negative to every member. */
typedef int db_fn(struct db_conn *conn, void *arg);
int db_write(struct db *db, db_fn *fn, void *arg);

/* Runs `fn` on a reader connection inside one read transaction (one snapshot). Waits for a free connection. Keep it
 * under 250 ms: page long lists by key. Returns what `fn` returned. */
int db_read(struct db *db, db_fn *fn, void *arg);

/* The same for a function that runs one statement: that has a snapshot by itself, and needs no transaction around. */
int db_read_one(struct db *db, db_fn *fn, void *arg);

/* A value for a `?` of a statement, in order. */
struct db_value {
	enum { DB_VALUE_NONE, DB_VALUE_INT, DB_VALUE_TEXT, DB_VALUE_BLOB } kind;
	int64_t number;
	struct bytes data;
};

#define DB_INT(n) ((struct db_value){ DB_VALUE_INT, (int64_t)(n), { NULL, 0 } })
/* NULL becomes SQL NULL, for text as for blobs (`.ptr` NULL). The data must live until the call returns (db_run) or
 * until db_rows_drop (db_select). */
#define DB_TEXT(s) ((struct db_value){ DB_VALUE_TEXT, 0, bytes_of_str(s) })
#define DB_BLOB(b) ((struct db_value){ DB_VALUE_BLOB, 0, (b) })
#define DB_NULL ((struct db_value){ DB_VALUE_NONE, 0, { NULL, 0 } })

/* Run a statement that gives no rows: db_run(conn, "UPDATE t SET a=? WHERE id=?", DB_TEXT(a), DB_INT(id)).
 * `sql` must be a string literal or live as long as the connection (statements are cached by its text).
 * 0, DB_CONFLICT, negative. */
#define db_run(conn, sql, ...) \
	db_run_values(conn, sql, (const struct db_value[]){ DB_NULL, ##__VA_ARGS__ }, \
		      sizeof((const struct db_value[]){ DB_NULL, ##__VA_ARGS__ }) / sizeof(struct db_value) - 1)

/* Start a SELECT (or INSERT/UPDATE … RETURNING). 0 or negative. */
#define db_select(conn, rows, sql, ...) \
	db_select_values(conn, rows, sql, (const struct db_value[]){ DB_NULL, ##__VA_ARGS__ }, \
			 sizeof((const struct db_value[]){ DB_NULL, ##__VA_ARGS__ }) / sizeof(struct db_value) - 1)

/* The functions behind the macros; element 0 of `values` is not used, `n` does not count it. */
int db_run_values(struct db_conn *conn, const char *sql, const struct db_value *values, size_t n);
int db_select_values(struct db_conn *conn, struct db_rows **rows, const char *sql, const struct db_value *values,
		     size_t n);

/* The same for SQL that was put together for this call: it is not kept, and need not live longer than the call. */
int db_select_once(struct db_conn *conn, struct db_rows **rows, const char *sql, const struct db_value *values,
		   size_t n);

/* The next row: DB_ROW, 0 at the end, DB_CONFLICT (RETURNING only), negative. Columns live until the next call. */
int db_next(struct db_rows *rows);
int64_t db_col_int(struct db_rows *rows, int column);
const char *db_col_text(struct db_rows *rows, int column); /* NULL for SQL NULL */
struct bytes db_col_blob(struct db_rows *rows, int column);
bool db_col_is_null(struct db_rows *rows, int column);
void db_rows_drop(struct db_rows **rows); /* works with OWNED(db_rows) */

/* Rows changed by the last db_run() of this connection; the id of the last row inserted. */
int64_t db_changes(struct db_conn *conn);
int64_t db_last_id(struct db_conn *conn);

/* Wait up to `wait_ms` until more members were committed than `seen` (struct db_stats: writes), or db_wake() was
 * called. Returns how many were committed. */
uint64_t db_wait(struct db *db, uint64_t seen, unsigned wait_ms);

/* End every db_wait(), those that begin later too. */
void db_wake(struct db *db);

/* Figures for metrics: each only grows. */
struct db_stats {
	uint64_t writes;      /* members committed */
	uint64_t batches;     /* commits */
	uint64_t failures;    /* members that failed or were rolled back */
	uint64_t reruns;      /* batches that had to be run again one by one */
	uint64_t checkpoints;
};
void db_get_stats(struct db *db, struct db_stats *out);

/* What the file answers for PRAGMA synchronous, as read back at the start (2 = FULL). */
int db_get_synchronous(struct db *db);
