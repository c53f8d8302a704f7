/* When each pending request was last asked for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/polls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <uthash.h>

#include "core/base/clock.h"

struct poll {
	int64_t id, at_ms; /* monotonic */
	unsigned pause_s;
	UT_hash_handle hh;
};

struct polls {
	pthread_mutex_t lock;
	struct poll *all;
	int64_t started_ms;
};

/* A person who has not looked for an hour will not look within the next seconds. Some clients give up above 600. */
unsigned polls_pause_s(int64_t age_s, unsigned least_s)
{
	static const struct {
		int64_t age_s;
		unsigned pause_s;
	} steps[] = { { 60, 5 }, { 300, 15 }, { 3600, 60 }, { 6 * 3600, 300 }, { INT64_MAX, 600 } };
	size_t i = 0;

	while (age_s >= steps[i].age_s)
		i++;
	return steps[i].pause_s > least_s ? steps[i].pause_s : least_s;
}

int polls_new(struct polls **out)
{
	struct polls *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->started_ms = clock_mono_ms();
	*out = p;
	return 0;
}

void polls_drop(struct polls **pp)
{
	struct poll *each, *next;

	if (!*pp)
		return;
	HASH_ITER(hh, (*pp)->all, each, next) {
		HASH_DEL((*pp)->all, each);
		free(each);
	}
	pthread_mutex_destroy(&(*pp)->lock);
	free(*pp);
	*pp = NULL;
}

void polls_note(struct polls *p, int64_t id, unsigned pause_s)
{
	struct poll *found;

	pthread_mutex_lock(&p->lock);
	HASH_FIND(hh, p->all, &id, sizeof(id), found);
	if (!found && (found = calloc(1, sizeof(*found)))) {
		found->id = id;
		HASH_ADD(hh, p->all, id, sizeof(id), found);
	}
	if (found) {
		found->at_ms = clock_mono_ms();
		found->pause_s = pause_s;
	}
	pthread_mutex_unlock(&p->lock);
}

void polls_forget(struct polls *p, int64_t id)
{
	struct poll *found;

	pthread_mutex_lock(&p->lock);
	HASH_FIND(hh, p->all, &id, sizeof(id), found);
	if (found)
		HASH_DEL(p->all, found);
	pthread_mutex_unlock(&p->lock);
	free(found);
}

int64_t polls_patience_ms(struct polls *p, int64_t id, unsigned pause_s)
{
	struct poll *found;
	int64_t at;

	pthread_mutex_lock(&p->lock);
	HASH_FIND(hh, p->all, &id, sizeof(id), found);
	at = found ? found->at_ms : p->started_ms;
	if (found)
		pause_s = found->pause_s;
	pthread_mutex_unlock(&p->lock);
	return at + 2000 * (int64_t)pause_s - clock_mono_ms();
}
