/* The worker pool.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/pool.h"
#include "core/base/sanitized.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

struct gated_job {
	struct pool_job job;
	struct gate *gate;
};

/* Jobs that stop here until the gate opens. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_open;
	unsigned inside, done;
};

static void pass(struct pool_job *job)
{
	struct gate *g = ((struct gated_job *)job)->gate;

	pthread_mutex_lock(&g->lock);
	g->inside++;
	pthread_cond_broadcast(&g->changed);
	while (!g->is_open)
		pthread_cond_wait(&g->changed, &g->lock);
	g->done++;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static void wait_inside(struct gate *g, unsigned n)
{
	pthread_mutex_lock(&g->lock);
	while (g->inside < n)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->is_open = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

#define GATE_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0 }

static void runs_every_job_once(void **state)
{
	struct gate gate = GATE_INIT;
	struct gated_job jobs[500];
	struct pool *w;
	size_t i;

	open_gate(&gate);
	assert_int_equal(pool_new(&w, &(struct pool_options){ .threads = 8, .queue = 500 }), 0);
	for (i = 0; i < 500; i++) {
		jobs[i] = (struct gated_job){ { .run = pass }, &gate };
		assert_int_equal(pool_submit(w, &jobs[i].job), 0);
	}
	pool_drop(&w);
	assert_null(w);
	assert_int_equal(gate.done, 500);
}

static void starts_threads_only_on_demand(void **state)
{
	struct pool_stats stats;
	struct gate gate = GATE_INIT;
	struct gated_job jobs[3];
	struct pool *w;
	unsigned i;

	assert_int_equal(pool_new(&w, &(struct pool_options){ 0 }), 0);
	pool_count(w, &stats);
	assert_int_equal(stats.threads, 0);
	assert_int_equal(stats.threads_max, 128);
	assert_int_equal(stats.waiting_max, 32);
	for (i = 0; i < 3; i++) {
		jobs[i] = (struct gated_job){ { .run = pass }, &gate };
		assert_int_equal(pool_submit(w, &jobs[i].job), 0);
		wait_inside(&gate, i + 1);
	}
	pool_count(w, &stats);
	assert_int_equal(stats.threads, 3);
	assert_int_equal(stats.busy, 3);
	open_gate(&gate);
	pool_drop(&w);
}

static void refuses_what_does_not_fit_into_the_queue(void **state)
{
	struct pool_stats stats;
	struct gate gate = GATE_INIT;
	struct gated_job jobs[5];
	struct pool *w;
	unsigned i;

	assert_int_equal(pool_new(&w, &(struct pool_options){ .threads = 2, .queue = 2 }), 0);
	for (i = 0; i < 5; i++)
		jobs[i] = (struct gated_job){ { .run = pass }, &gate };
	for (i = 0; i < 2; i++) {
		assert_int_equal(pool_submit(w, &jobs[i].job), 0);
		wait_inside(&gate, i + 1);
	}
	assert_int_equal(pool_submit(w, &jobs[2].job), 0);
	assert_int_equal(pool_submit(w, &jobs[3].job), 0);
	assert_int_equal(pool_submit(w, &jobs[4].job), POOL_FULL);
	pool_count(w, &stats);
	assert_int_equal(stats.queued, 2);
	assert_int_equal(stats.refused, 1);
	open_gate(&gate);
	pool_drop(&w);
	assert_int_equal(gate.done, 4);
}

static void lets_a_quarter_of_the_threads_wait(void **state)
{
	struct pool *w;
	unsigned i;

	assert_int_equal(pool_new(&w, &(struct pool_options){ .threads = 16 }), 0);
	for (i = 0; i < 4; i++)
		assert_true(pool_enter_wait(w));
	assert_false(pool_enter_wait(w));
	pool_leave_wait(w);
	assert_true(pool_enter_wait(w));
	assert_false(pool_enter_wait(w));
	pool_drop(&w);
}

static void lets_one_wait_in_a_tiny_pool(void **state)
{
	struct pool *w;

	assert_int_equal(pool_new(&w, &(struct pool_options){ .threads = 2 }), 0);
	assert_true(pool_enter_wait(w));
	assert_false(pool_enter_wait(w));
	pool_drop(&w);
}

static atomic_uint begun;

static int begin(void *arg)
{
	begun++;
	return *(int *)arg;
}

static void starts_all_when_told_to(void **state)
{
	struct pool_stats stats;
	struct pool *w;
	int answer = 0;

	begun = 0;
	assert_int_equal(pool_new(&w, &(struct pool_options){ 4, 4, true, begin, &answer, 0 }), 0);
	assert_int_equal(begun, 4);
	pool_count(w, &stats);
	assert_int_equal(stats.threads, 4);
	pool_drop(&w);
}

static size_t seen_stack;

static int look_at_stack(void *arg)
{
	pthread_attr_t attributes;

	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstacksize(&attributes, &seen_stack);
	pthread_attr_destroy(&attributes);
	return 0;
}

static void gives_threads_the_stack_that_was_asked_for(void **state)
{
	struct pool *w;

	assert_int_equal(pool_new(&w, &(struct pool_options){ 1, 1, true, look_at_stack, NULL, 128 << 10 }), 0);
	pool_drop(&w);
	if (IS_SANITIZED)
		assert_true(seen_stack >= 1 << 20);
	else
		assert_in_range(seen_stack, 100 << 10, 160 << 10);
}

static void does_not_start_when_a_thread_cannot_begin(void **state)
{
	struct pool *w = NULL;
	int answer = -5;

	assert_int_equal(pool_new(&w, &(struct pool_options){ 4, 4, true, begin, &answer, 0 }), -5);
	assert_null(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the C library gives a larger stack again that an earlier thread left. */
		cmocka_unit_test(gives_threads_the_stack_that_was_asked_for),
		cmocka_unit_test(runs_every_job_once),
		cmocka_unit_test(starts_threads_only_on_demand),
		cmocka_unit_test(refuses_what_does_not_fit_into_the_queue),
		cmocka_unit_test(lets_a_quarter_of_the_threads_wait),
		cmocka_unit_test(lets_one_wait_in_a_tiny_pool),
		cmocka_unit_test(starts_all_when_told_to),
		cmocka_unit_test(does_not_start_when_a_thread_cannot_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
