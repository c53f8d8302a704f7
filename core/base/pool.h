/* Threads for jobs that are straight-line blocking code.
 *
 * Threads start on demand and stay. The queue is bounded: a job that does not fit is refused at once, so that whoever
 * asked hears "try again" while he still listens. At most a quarter of the threads may wait for something slow at once
 * (`pool_enter_wait`), so that slow work of one kind leaves the others their threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pool;

/* Embedded in what the job is about; `run` is called once, on a thread of the pool. */
struct pool_job {
	void (*run)(struct pool_job *job);
	struct pool_job *next;
};

struct pool_options {
	unsigned threads;      /* 0: 128 */
	unsigned queue;        /* jobs that may wait for a thread; 0: 256 */
	bool starts_all;       /* all threads at once: later none can be made */
	int (*begin)(void *arg); /* run first by each thread of such a pool; not 0: the pool does not start */
	void *arg;
	size_t stack_size;     /* of each thread; 0: 256 KiB. With sanitizers larger in any case */
};

struct pool_stats {
	unsigned threads, busy, queued, waiting, threads_max, waiting_max;
	unsigned long long refused;
};

/* 0 or -errno; with `starts_all` after `begin` was run by all threads. */
int pool_new(struct pool **out, const struct pool_options *options);

/* Runs what is queued, then joins the threads. Nobody may submit any more. */
void pool_drop(struct pool **pool);

/* 0; POOL_FULL: the queue is full, or there is no thread and none can be started. */
enum { POOL_FULL = 1 };
int pool_submit(struct pool *pool, struct pool_job *job);

/* May one more thread wait for something slow? If true, pool_leave_wait() follows. Of type `void *` so that the pair
 * can stand in tables of calls. */
bool pool_enter_wait(void *pool);
void pool_leave_wait(void *pool);

void pool_count(struct pool *pool, struct pool_stats *out);
