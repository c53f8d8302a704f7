/* The one writer: whatever waits becomes a batch, one COMMIT for all of it.
 *
 * A member that fails takes only its own writes back. A savepoint for each would do that, but SQLite then copies every
 * page that a member touches; nearly all members succeed, or say no before they wrote. So a batch runs without
 * savepoints first, and only when a member failed after it wrote is it rolled back and run again with them.
 *
 * Some failures (disk full, I/O error, no memory, RAISE(ROLLBACK)) make SQLite roll back everything; then ROLLBACK TO
 * fails, and the next SAVEPOINT would silently open a transaction of its own. Others of that kind leave it open. So
 * after every member the writer looks whether the transaction is still there and sound, and if it is not runs the
 * members again, each in a transaction of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/db_int.h"

#include "core/base/log.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define BATCH_MAX 512
#define JOIN_ROUNDS 4

static void count(atomic_uint_least64_t *which)
{
	atomic_fetch_add_explicit(which, 1, memory_order_relaxed);
}

/* One member in a transaction of its own. */
static void run_alone(struct db *db, struct db_member *m)
{
	struct db_conn *conn = db->writer.conn;
	int r = db_conn_begin(conn, "BEGIN IMMEDIATE");

	if (!r) {
		r = db_conn_call(conn, m->fn, m->arg);
		if (r)
			db_conn_rollback(conn);
		else
			r = db_conn_commit(conn);
		if (!r)
			count(&db->batches);
	}
	m->result = r;
}

/* The member met what SQLite rolls back everything for, sooner or later. What others wrote is not built on that. */
static bool is_sound(const struct db_conn *conn, const struct db_member *m)
{
	return db_conn_is_intact(conn) && m->result != -ENOSPC && m->result != -EIO && m->result != -ENOMEM;
}

/* Runs one member inside the batch. False: the batch cannot go on. */
typedef bool run_member(struct db_conn *conn, struct db_member *m);

/* A statement that failed has undone itself: who changed no row has nothing to take back. */
static bool run_bare(struct db_conn *conn, struct db_member *m)
{
	int64_t before = sqlite3_total_changes64(conn->handle);

	m->result = db_conn_call(conn, m->fn, m->arg);
	return is_sound(conn, m) && (!m->result || sqlite3_total_changes64(conn->handle) == before);
}

static bool run_guarded(struct db_conn *conn, struct db_member *m)
{
	if (db_conn_run(conn, "SAVEPOINT member"))
		return false;
	m->result = db_conn_call(conn, m->fn, m->arg);
	if (!is_sound(conn, m))
		return false;
	if (m->result && db_conn_run(conn, "ROLLBACK TO member"))
		return false;
	return db_conn_run(conn, "RELEASE member") == 0 && db_conn_is_intact(conn);
}

static void answer_all(struct db_member *first, int result)
{
	struct db_member *m;

	for (m = first; m; m = m->next)
		m->result = result;
}

enum outcome {
	ANSWERED,  /* everybody has a result */
	STUCK,     /* a member has to be taken back alone: nothing was committed, nobody has a result */
	UNDONE,    /* the transaction was lost, or its COMMIT failed: the same, and no batch will do better */
};

static enum outcome run_together(struct db *db, struct db_member *first, run_member *run)
{
	struct db_conn *conn = db->writer.conn;
	enum outcome stop;
	struct db_member *m;
	int r = db_conn_begin(conn, "BEGIN IMMEDIATE");

	if (r) {
		answer_all(first, r);
		return ANSWERED;
	}
	for (m = first; m; m = m->next) {
		if (!run(conn, m)) {
			stop = is_sound(conn, m) ? STUCK : UNDONE;
			db_conn_rollback(conn);
			return stop;
		}
	}
	r = db_conn_commit(conn);
	if (!r) {
		count(&db->batches);
		return ANSWERED;
	}
	/* A refusal of one member may have rested on what an earlier one wrote, which is gone: no result stands. After
	 * an I/O error the same writes would go to the same disk; any other failure may belong to one member only. */
	if (r == -EIO) {
		answer_all(first, r);
		return ANSWERED;
	}
	return UNDONE;
}

static enum outcome run_several(struct db *db, struct db_member *first)
{
	enum outcome done = run_together(db, first, run_bare);

	return done == STUCK ? run_together(db, first, run_guarded) : done;
}

static void run_batch(struct db *db, struct db_member *first)
{
	struct db_member *m, *next;

	if (!first->next) {
		run_alone(db, first);
	} else if (run_several(db, first) != ANSWERED) {
		count(&db->reruns);
		for (m = first; m; m = m->next)
			run_alone(db, m);
	}
	for (m = first; m; m = next) {
		next = m->next; /* the member is gone with the post */
		count(m->result ? &db->failures : &db->writes);
		sem_post(&m->done);
	}
	pthread_mutex_lock(&db->watch_lock);
	pthread_cond_broadcast(&db->watch);
	pthread_mutex_unlock(&db->watch_lock);
}

/* Up to BATCH_MAX members from the queue. */
static struct db_member *take_batch(struct db_writer *w)
{
	struct db_member *first = w->first, *last = first;
	unsigned n = 1;

	for (; last->next && n < BATCH_MAX; n++)
		last = last->next;
	w->first = last->next;
	if (!w->first)
		w->last = &w->first;
	last->next = NULL;
	w->waiting -= n;
	return first;
}

static void wait_for_company(const struct db *db)
{
	const struct timespec delay = { db->commit_delay_ms / 1000, (long)(db->commit_delay_ms % 1000) * 1000000 };

	nanosleep(&delay, NULL);
}

/* With the lock held. Whoever can run gets the processor first, and may join: nobody waits longer on a machine that is
 * idle, and on a busy one the batches grow. */
static void let_others_join(struct db_writer *w)
{
	unsigned before;

	for (int i = 0; i < JOIN_ROUNDS; i++) {
		before = w->waiting;
		pthread_mutex_unlock(&w->lock);
		sched_yield();
		pthread_mutex_lock(&w->lock);
		if (w->waiting == before)
			break;
	}
}

static void *writer_main(void *arg)
{
	struct db *db = arg;
	struct db_writer *w = &db->writer;
	struct db_member *batch;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->first && !w->is_stopping)
			pthread_cond_wait(&w->wake, &w->lock);
		if (!w->first)
			break;
		if (db->commit_delay_ms && !w->is_stopping) {
			pthread_mutex_unlock(&w->lock);
			wait_for_company(db);
			pthread_mutex_lock(&w->lock);
		}
		if (!w->is_stopping)
			let_others_join(w);
		batch = take_batch(w);
		pthread_mutex_unlock(&w->lock);
		run_batch(db, batch);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int db_write(struct db *db, db_fn *fn, void *arg)
{
	struct db_member m = { .fn = fn, .arg = arg };
	struct db_writer *w = &db->writer;
	bool is_first;

	if (pthread_equal(pthread_self(), w->thread)) {
		log_error("db.bug", "file", db->path, "reason", "db_write() inside db_write()");
		abort();
	}
	sem_init(&m.done, 0, 0);
	pthread_mutex_lock(&w->lock);
	*w->last = &m;
	w->last = &m.next;
	is_first = w->waiting++ == 0;
	pthread_mutex_unlock(&w->lock);
	/* Not before: who is woken wants the lock. */
	if (is_first)
		pthread_cond_signal(&w->wake);
	while (sem_wait(&m.done) < 0 && errno == EINTR)
		;
	sem_destroy(&m.done);
	return m.result;
}

int db_writer_start(struct db *db)
{
	struct db_writer *w = &db->writer;
	int r;

	w->last = &w->first;
	r = pthread_create(&w->thread, NULL, writer_main, db);
	if (r)
		return -r;
	w->is_running = true;
	return 0;
}

void db_writer_stop(struct db *db)
{
	struct db_writer *w = &db->writer;

	if (!w->is_running)
		return;
	pthread_mutex_lock(&w->lock);
	w->is_stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->is_running = false;
}
