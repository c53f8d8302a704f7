/* Verifies that do not end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/policy_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/policy.h"

struct policy_watch {
	pthread_mutex_t lock;
	struct policy_run *first;
};

int policy_watch_new(struct policy_watch **out)
{
	struct policy_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	*out = w;
	return 0;
}

void policy_watch_drop(struct policy_watch **wp)
{
	struct policy_watch *w = *wp;

	if (!w)
		return;
	pthread_mutex_destroy(&w->lock);
	free(w);
	*wp = NULL;
}

void policy_watch_begin(struct policy_watch *w, struct policy_run *run, const struct ca *ca, int64_t id)
{
	*run = (struct policy_run){ .ca = ca, .id = id, .began_ms = clock_mono_ms() };
	pthread_mutex_lock(&w->lock);
	run->next = w->first;
	w->first = run;
	pthread_mutex_unlock(&w->lock);
}

void policy_watch_end(struct policy_watch *w, struct policy_run *run)
{
	struct policy_run **at;

	pthread_mutex_lock(&w->lock);
	for (at = &w->first; *at != run; at = &(*at)->next)
		;
	*at = run->next;
	pthread_mutex_unlock(&w->lock);
}

bool policy_watch_is_stuck(struct policy_watch *w)
{
	int64_t now_ms = clock_mono_ms();
	bool is_stuck = false;

	pthread_mutex_lock(&w->lock);
	for (struct policy_run *run = w->first; run; run = run->next) {
		if (now_ms - run->began_ms < POLICY_PATIENCE_MS)
			continue;
		is_stuck = true;
		if (!run->is_told)
			log_error("policy.hangs", "ca", run->ca->name, "module", run->ca->policy->name, "request",
				  LOG_NUMBER(run->id), "seconds", LOG_NUMBER((now_ms - run->began_ms) / 1000),
				  "consequence", "the core is started again");
		run->is_told = true;
	}
	pthread_mutex_unlock(&w->lock);
	return is_stuck;
}
