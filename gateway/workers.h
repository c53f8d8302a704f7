/* Threads for handlers, which are straight-line blocking code.
 *
 * Threads start on demand and stay. The queue is bounded: a job that does not fit is refused at once, so that a
 * client hears "try again" while it still listens. At most a quarter of the threads may wait for something slow at
 * once (struct proto_waits), so that slow work of one endpoint leaves the others their threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

struct gw_workers;

/* Embedded in what the job is about; `run` is called once, on a worker thread. */
struct gw_job {
	void (*run)(struct gw_job *job);
	struct gw_job *next;
};

struct gw_workers_options {
	unsigned threads; /* 0: 128 */
	unsigned queue;   /* jobs that may wait for a thread; 0: 256 */
};

struct gw_workers_stats {
	unsigned threads, busy, queued, waiting, threads_max, waiting_max;
	unsigned long long refused;
};

int gw_workers_new(struct gw_workers **out, const struct gw_workers_options *options);

/* Runs what is queued, then joins the threads. Nobody may submit any more. */
void gw_workers_drop(struct gw_workers **workers);

/* 0; GW_WORKERS_FULL: the queue is full, or there is no thread and none can be started. */
enum { GW_WORKERS_FULL = 1 };
int gw_workers_submit(struct gw_workers *workers, struct gw_job *job);

/* For struct proto_env. Lives as long as the workers. */
const struct proto_waits *gw_workers_waits(struct gw_workers *workers);

void gw_workers_count(struct gw_workers *workers, struct gw_workers_stats *out);
