/* The checkpointer: copies the write-ahead log into the file, on a thread and a connection of its own.
 *
 * SQLite would do it inside a COMMIT, whose callers wait. PASSIVE never makes anybody wait; only when the log grows
 * without end, because there was always a reader, RESTART stops writers for as long as the oldest reader needs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/db_int.h"

#include "core/base/log.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PASSIVE_FRAMES 1000
#define RESTART_OCTETS (64 << 20)
#define FRAME_HEADER 24

/* Readers promise 250 ms: more than this is not worth stopping the writer for. */
#define RESTART_TIMEOUT_MS 1000
#define RETRY_S 1

/* After each COMMIT, on the writer thread. */
static int count_frames(void *arg, sqlite3 *handle, const char *name, int frames)
{
	struct db_checkpointer *c = arg;

	pthread_mutex_lock(&c->lock);
	if (frames < c->frames)
		c->next_at = PASSIVE_FRAMES; /* the log began again */
	c->frames = frames;
	if (frames >= c->next_at)
		pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	return SQLITE_OK;
}

static int checkpoint(struct db *db, int frames)
{
	struct db_checkpointer *c = &db->checkpointer;
	int mode = frames >= c->restart_at ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
	int code = sqlite3_wal_checkpoint_v2(c->conn->handle, NULL, mode, NULL, NULL);
	int r = db_conn_result(c->conn, code);

	if (!r)
		atomic_fetch_add(&db->checkpoints, 1);
	return r;
}

static void wait_before_retry(struct db_checkpointer *c)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RETRY_S;
	while (!c->is_stopping && pthread_cond_timedwait(&c->wake, &c->lock, &until) == 0)
		;
}

static void *checkpointer_main(void *arg)
{
	struct db *db = arg;
	struct db_checkpointer *c = &db->checkpointer;
	bool was_failing = false;
	int frames, r;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (c->frames < c->next_at && !c->is_stopping)
			pthread_cond_wait(&c->wake, &c->lock);
		if (c->is_stopping)
			break;
		frames = c->frames;
		/* When a reader keeps the log from starting again, do not copy after every commit. */
		c->next_at = frames + PASSIVE_FRAMES;
		pthread_mutex_unlock(&c->lock);
		r = checkpoint(db, frames);
		if (r && !was_failing)
			log_warn("db.checkpoint.failed", "file", db->path, "error", strerror(-r));
		was_failing = r != 0;
		pthread_mutex_lock(&c->lock);
		if (r) {
			wait_before_retry(c);
			if (c->frames >= frames)
				c->next_at = c->frames; /* at once, whether anything more was written or not */
		}
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int db_checkpoint_start(struct db *db)
{
	struct db_checkpointer *c = &db->checkpointer;
	int64_t page_size;
	int r;

	r = db_conn_new(&c->conn, db);
	if (!r)
		r = db_conn_get_number(c->conn, "PRAGMA page_size", &page_size);
	if (r)
		return r;
	sqlite3_busy_timeout(c->conn->handle, RESTART_TIMEOUT_MS);
	c->next_at = PASSIVE_FRAMES;
	c->restart_at = RESTART_OCTETS / ((int)page_size + FRAME_HEADER);
	sqlite3_wal_hook(db->writer.conn->handle, count_frames, c);
	r = pthread_create(&c->thread, NULL, checkpointer_main, db);
	if (r)
		return -r;
	c->is_running = true;
	return 0;
}

void db_checkpoint_stop(struct db *db)
{
	struct db_checkpointer *c = &db->checkpointer;

	if (c->is_running) {
		pthread_mutex_lock(&c->lock);
		c->is_stopping = true;
		pthread_cond_signal(&c->wake);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
		c->is_running = false;
	}
	db_conn_drop(&c->conn);
}
