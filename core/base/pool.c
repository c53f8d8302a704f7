/* Threads for jobs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/sanitized.h"

#define DEFAULT_THREADS 128
#define DEFAULT_QUEUE 256

#define DEFAULT_STACK ((size_t)256 << 10)
#define SANITIZED_STACK ((size_t)2 << 20) /* red zones around every local, and calls of the sanitizer's own */

struct pool {
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t some;  /* a job came, or the end */
	struct pool_job *first, **last;
	unsigned queued, queue_max;
	pthread_t *threads;
	unsigned n_threads, threads_max, idle;
	size_t stack_size;
	unsigned waiting, waiting_max;
	unsigned long long refused;
	bool ends;
	int (*begin)(void *arg);
	void *arg;
	unsigned n_begun;
	int begin_error;
	pthread_cond_t begun; /* a thread has run `begin` */
};

/* With the lock held: the next job; NULL at the end. */
static struct pool_job *take_job(struct pool *p)
{
	struct pool_job *job;

	while (!p->first && !p->ends) {
		p->idle++;
		pthread_cond_wait(&p->some, &p->lock);
		p->idle--;
	}
	job = p->first;
	if (job) {
		p->first = job->next;
		if (!p->first)
			p->last = &p->first;
		p->queued--;
	}
	return job;
}

static void *work(void *arg)
{
	struct pool *p = arg;
	int e = p->begin ? p->begin(p->arg) : 0;
	struct pool_job *job;

	pthread_mutex_lock(&p->lock);
	p->n_begun++;
	p->begin_error = e ? e : p->begin_error;
	pthread_cond_signal(&p->begun);
	while ((job = take_job(p)) != NULL) {
		pthread_mutex_unlock(&p->lock);
		job->run(job);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* With the lock held. Not being able to start one more is no failure while others run. */
static void start_thread(struct pool *p)
{
	pthread_attr_t attributes;

	if (p->n_threads == p->threads_max || pthread_attr_init(&attributes) != 0)
		return;
	if (pthread_attr_setstacksize(&attributes, p->stack_size) == 0 &&
	    pthread_create(&p->threads[p->n_threads], &attributes, work, p) == 0)
		p->n_threads++;
	pthread_attr_destroy(&attributes);
}

int pool_submit(struct pool *p, struct pool_job *job)
{
	bool fits;

	pthread_mutex_lock(&p->lock);
	/* A woken thread counts as idle until it runs: compare with what is queued, not with zero. */
	if (p->idle <= p->queued)
		start_thread(p);
	fits = p->n_threads > 0 && !p->ends && p->queued < p->queue_max;
	if (fits) {
		job->next = NULL;
		*p->last = job;
		p->last = &job->next;
		p->queued++;
	} else {
		p->refused++;
	}
	pthread_mutex_unlock(&p->lock);
	/* Not before: who is woken wants the lock. */
	if (fits)
		pthread_cond_signal(&p->some);
	return fits ? 0 : POOL_FULL;
}

bool pool_enter_wait(void *pool)
{
	struct pool *p = pool;
	bool may;

	pthread_mutex_lock(&p->lock);
	may = p->waiting < p->waiting_max;
	p->waiting += may;
	pthread_mutex_unlock(&p->lock);
	return may;
}

void pool_leave_wait(void *pool)
{
	struct pool *p = pool;

	pthread_mutex_lock(&p->lock);
	p->waiting--;
	pthread_mutex_unlock(&p->lock);
}

/* Returns when each thread has begun: what it does first is over for all of them. */
static int start_all(struct pool *p)
{
	int e;

	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < p->threads_max; i++)
		start_thread(p);
	while (p->n_begun < p->n_threads)
		pthread_cond_wait(&p->begun, &p->lock);
	e = p->n_threads < p->threads_max ? -EAGAIN : p->begin_error;
	pthread_mutex_unlock(&p->lock);
	return e;
}

int pool_new(struct pool **out, const struct pool_options *options)
{
	struct pool *p = calloc(1, sizeof(*p));
	int e = 0;

	if (!p)
		return -ENOMEM;
	p->threads_max = options->threads ? options->threads : DEFAULT_THREADS;
	p->stack_size = IS_SANITIZED ? SANITIZED_STACK : options->stack_size ? options->stack_size : DEFAULT_STACK;
	p->queue_max = options->queue ? options->queue : DEFAULT_QUEUE;
	p->waiting_max = p->threads_max >= 4 ? p->threads_max / 4 : 1;
	p->last = &p->first;
	p->threads = calloc(p->threads_max, sizeof(*p->threads));
	if (!p->threads) {
		free(p);
		return -ENOMEM;
	}
	/* It is held for moments only: a look again costs less than to sleep. */
	p->lock = (pthread_mutex_t)PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
	pthread_cond_init(&p->some, NULL);
	pthread_cond_init(&p->begun, NULL);
	if (options->starts_all) {
		p->begin = options->begin;
		p->arg = options->arg;
		e = start_all(p);
	}
	if (e)
		pool_drop(&p);
	else
		*out = p;
	return e;
}

void pool_drop(struct pool **pool)
{
	struct pool *p = *pool;
	unsigned i;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ends = true;
	pthread_cond_broadcast(&p->some);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->some);
	pthread_cond_destroy(&p->begun);
	pthread_mutex_destroy(&p->lock);
	free(p->threads);
	free(p);
	*pool = NULL;
}

void pool_count(struct pool *p, struct pool_stats *out)
{
	pthread_mutex_lock(&p->lock);
	*out = (struct pool_stats){
		.threads = p->n_threads,
		.busy = p->n_threads - p->idle,
		.queued = p->queued,
		.waiting = p->waiting,
		.threads_max = p->threads_max,
		.waiting_max = p->waiting_max,
		.refused = p->refused,
	};
	pthread_mutex_unlock(&p->lock);
}
