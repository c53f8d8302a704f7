/* The inside of the database layer: connections, the writer, the checkpointer. For core/base/db*.c and their tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/db.h"

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>

#define DB_STATEMENTS 256 /* slots of a connection's cache; a power of two */

/* A prepared statement; while it runs it is what callers know as their rows. */
struct db_rows {
	struct db_conn *conn;
	sqlite3_stmt *stmt;
	int status;     /* of the last step; DB_ROW while there may be more */
	bool is_busy;   /* handed out and not dropped yet */
	bool is_cached; /* false: made for one use, because the cached one was busy or the cache was full */
};

struct db_conn {
	struct db *db;
	sqlite3 *handle;
	bool is_inside; /* inside a transaction that the layer began: no statement may run without it */
	unsigned statement_count;
	unsigned busy_count; /* statements handed out */
	struct db_rows *statements[DB_STATEMENTS];
	struct db_conn *next_free;
};

/* A db_write() that waits; lives on the stack of its caller until `done` is posted. */
struct db_member {
	db_fn *fn;
	void *arg;
	int result;
	sem_t done;
	struct db_member *next;
};

struct db_writer {
	pthread_t thread;
	bool is_running; /* the thread was started */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct db_member *first, **last; /* the queue, under `lock` */
	unsigned waiting;
	bool is_stopping;
	struct db_conn *conn;
};

struct db_checkpointer {
	pthread_t thread;
	bool is_running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int frames;    /* in the write-ahead log after the last commit, under `lock` */
	int next_at;   /* how many frames call for the next checkpoint */
	int restart_at; /* how many frames call for one that makes the log start again */
	bool is_stopping;
	struct db_conn *conn;
};

struct db {
	char *path;
	unsigned commit_delay_ms;
	void (*fatal)(int error);
	int synchronous;
	struct db_writer writer;
	struct db_checkpointer checkpointer;

	pthread_mutex_t readers_lock;
	pthread_cond_t reader_free;
	struct db_conn *free_readers;
	struct db_conn **readers;
	unsigned reader_count;

	pthread_mutex_t watch_lock;
	pthread_cond_t watch; /* a batch was committed */
	bool is_woken;        /* under `watch_lock` */
	atomic_uint_least64_t writes, batches, failures, reruns, checkpoints;
};

/* db_conn.c */

/* Open a connection with every setting that is not stored in the file. */
int db_conn_new(struct db_conn **out, struct db *db);
void db_conn_drop(struct db_conn **conn);

/* Our result for SQLite's; calls `fatal` when an fsync failed. */
int db_conn_result(struct db_conn *conn, int code);

/* Run one of the layer's own statements (BEGIN, COMMIT, …), inside a transaction or not. */
int db_conn_run(struct db_conn *conn, const char *sql);

/* The one number a PRAGMA answers. */
int db_conn_get_number(struct db_conn *conn, const char *sql, int64_t *out);

/* BEGIN; and its end, whatever state it is in: afterwards no transaction is open. */
int db_conn_begin(struct db_conn *conn, const char *sql);
int db_conn_commit(struct db_conn *conn);
void db_conn_rollback(struct db_conn *conn);

/* The transaction that db_conn_begin() opened is still there. */
bool db_conn_is_intact(const struct db_conn *conn);

/* Call `fn`, then end what it left running. */
int db_conn_call(struct db_conn *conn, db_fn *fn, void *arg);

/* db_log.c: the name of the VFS that every connection is opened with. Each must be watched before it begins a
 * transaction: the VFS has to know when one was rolled back. */
const char *db_log_vfs(void);
void db_log_watch(sqlite3 *handle);

/* db_writer.c */
int db_writer_start(struct db *db);
void db_writer_stop(struct db *db);

/* db_checkpoint.c */
int db_checkpoint_start(struct db *db);
void db_checkpoint_stop(struct db *db);
