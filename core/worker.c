/* A background thread with one job.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/clock.h"

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_kicked, is_stopping;
	uint64_t started, finished; /* runs */
	unsigned interval_ms;
	bool (*job)(void *arg);
	void *arg;
};

static void *run(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->is_stopping) {
		struct timespec deadline = clock_deadline_after(w->interval_ms);
		bool again;

		while (!w->is_kicked && !w->is_stopping)
			if (pthread_cond_timedwait(&w->changed, &w->lock, &deadline))
				break;
		if (w->is_stopping)
			break;
		w->is_kicked = false;
		w->started++;
		pthread_mutex_unlock(&w->lock);
		again = w->job(w->arg);
		pthread_mutex_lock(&w->lock);
		w->finished++;
		w->is_kicked |= again;
		pthread_cond_broadcast(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int worker_start(struct worker **out, const char *name, unsigned interval_ms, bool (*job)(void *arg), void *arg)
{
	struct worker *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	int e;

	if (!w)
		return -ENOMEM;
	w->interval_ms = interval_ms;
	w->job = job;
	w->arg = arg;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	e = pthread_create(&w->thread, NULL, run, w);
	if (e) {
		free(w);
		return -e;
	}
	pthread_setname_np(w->thread, name);
	*out = w;
	return 0;
}

void worker_kick(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->is_kicked = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

bool worker_settle(struct worker *w, unsigned wait_ms)
{
	struct timespec deadline = clock_deadline_after(wait_ms);
	uint64_t wanted;
	bool done;

	pthread_mutex_lock(&w->lock);
	wanted = w->started + 1;
	w->is_kicked = true;
	pthread_cond_broadcast(&w->changed);
	while (w->finished < wanted && !w->is_stopping)
		if (pthread_cond_timedwait(&w->changed, &w->lock, &deadline))
			break;
	done = w->finished >= wanted;
	pthread_mutex_unlock(&w->lock);
	return done;
}

void worker_stop(struct worker **wp)
{
	struct worker *w = *wp;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->is_stopping = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
	*wp = NULL;
}
