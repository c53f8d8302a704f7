/* The worker pool.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define DEFAULT_THREADS 128
#define DEFAULT_QUEUE 256

/* Sanitizers put red zones around every local and shadow calls of their own on the stack. */
#if defined(__SANITIZE_ADDRESS__)
#define STACK_SIZE ((size_t)2 << 20)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define STACK_SIZE ((size_t)2 << 20)
#endif
#endif
#ifndef STACK_SIZE
#define STACK_SIZE ((size_t)256 << 10)
#endif

struct gw_workers {
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t some;  /* a job came, or the end */
	struct gw_job *first, **last;
	unsigned queued, queue_max;
	pthread_t *threads;
	unsigned n_threads, threads_max, idle;
	unsigned waiting, waiting_max;
	unsigned long long refused;
	bool ends;
	struct proto_waits waits;
};

/* With the lock held: the next job; NULL at the end. */
static struct gw_job *take_job(struct gw_workers *w)
{
	struct gw_job *job;

	while (!w->first && !w->ends) {
		w->idle++;
		pthread_cond_wait(&w->some, &w->lock);
		w->idle--;
	}
	job = w->first;
	if (job) {
		w->first = job->next;
		if (!w->first)
			w->last = &w->first;
		w->queued--;
	}
	return job;
}

static void *work(void *arg)
{
	struct gw_workers *w = arg;
	struct gw_job *job;

	pthread_mutex_lock(&w->lock);
	while ((job = take_job(w)) != NULL) {
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* With the lock held. Not being able to start one more is no failure while others run. */
static void start_thread(struct gw_workers *w)
{
	pthread_attr_t attributes;

	if (w->n_threads == w->threads_max || pthread_attr_init(&attributes) != 0)
		return;
	if (pthread_attr_setstacksize(&attributes, STACK_SIZE) == 0 &&
	    pthread_create(&w->threads[w->n_threads], &attributes, work, w) == 0)
		w->n_threads++;
	pthread_attr_destroy(&attributes);
}

int gw_workers_submit(struct gw_workers *w, struct gw_job *job)
{
	bool fits;

	pthread_mutex_lock(&w->lock);
	/* A woken thread counts as idle until it runs: compare with what is queued, not with zero. */
	if (w->idle <= w->queued)
		start_thread(w);
	fits = w->n_threads > 0 && !w->ends && w->queued < w->queue_max;
	if (fits) {
		job->next = NULL;
		*w->last = job;
		w->last = &job->next;
		w->queued++;
	} else {
		w->refused++;
	}
	pthread_mutex_unlock(&w->lock);
	/* Not before: who is woken wants the lock. */
	if (fits)
		pthread_cond_signal(&w->some);
	return fits ? 0 : GW_WORKERS_FULL;
}

static bool enter_wait(void *state)
{
	struct gw_workers *w = state;
	bool may;

	pthread_mutex_lock(&w->lock);
	may = w->waiting < w->waiting_max;
	w->waiting += may;
	pthread_mutex_unlock(&w->lock);
	return may;
}

static void leave_wait(void *state)
{
	struct gw_workers *w = state;

	pthread_mutex_lock(&w->lock);
	w->waiting--;
	pthread_mutex_unlock(&w->lock);
}

int gw_workers_new(struct gw_workers **out, const struct gw_workers_options *options)
{
	struct gw_workers *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->threads_max = options->threads ? options->threads : DEFAULT_THREADS;
	w->queue_max = options->queue ? options->queue : DEFAULT_QUEUE;
	w->waiting_max = w->threads_max >= 4 ? w->threads_max / 4 : 1;
	w->last = &w->first;
	w->waits = (struct proto_waits){ enter_wait, leave_wait, w };
	w->threads = calloc(w->threads_max, sizeof(*w->threads));
	if (!w->threads) {
		free(w);
		return -ENOMEM;
	}
	/* It is held for moments only: a look again costs less than to sleep. */
	w->lock = (pthread_mutex_t)PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
	pthread_cond_init(&w->some, NULL);
	*out = w;
	return 0;
}

void gw_workers_drop(struct gw_workers **workers)
{
	struct gw_workers *w = *workers;
	unsigned i;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ends = true;
	pthread_cond_broadcast(&w->some);
	pthread_mutex_unlock(&w->lock);
	for (i = 0; i < w->n_threads; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->some);
	pthread_mutex_destroy(&w->lock);
	free(w->threads);
	free(w);
	*workers = NULL;
}

const struct proto_waits *gw_workers_waits(struct gw_workers *w)
{
	return &w->waits;
}

void gw_workers_count(struct gw_workers *w, struct gw_workers_stats *out)
{
	pthread_mutex_lock(&w->lock);
	*out = (struct gw_workers_stats){
		.threads = w->n_threads,
		.busy = w->n_threads - w->idle,
		.queued = w->queued,
		.waiting = w->waiting,
		.threads_max = w->threads_max,
		.waiting_max = w->waiting_max,
		.refused = w->refused,
	};
	pthread_mutex_unlock(&w->lock);
}
