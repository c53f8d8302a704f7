/* How often each requester sent octets that had to be refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/rejects.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "core/base/clock.h"

#define AN_HOUR 60
#define WINDOW_MS (60 * 60 * 1000)
#define REQUESTERS_MAX 10000

struct rejected {
	char *requester;
	unsigned n;
	UT_hash_handle hh;
};

/* One window for all: simple, and a requester gets at most twice its share around its end. */
struct rejects {
	pthread_mutex_t lock;
	struct rejected *all;
	int64_t since_ms;
};

int rejects_new(struct rejects **out)
{
	struct rejects *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	r->since_ms = clock_mono_ms();
	*out = r;
	return 0;
}

static void forget_all(struct rejects *r)
{
	struct rejected *each, *next;

	HASH_ITER (hh, r->all, each, next) {
		HASH_DEL(r->all, each);
		free(each->requester);
		free(each);
	}
}

void rejects_drop(struct rejects **rp)
{
	if (!*rp)
		return;
	forget_all(*rp);
	pthread_mutex_destroy(&(*rp)->lock);
	free(*rp);
	*rp = NULL;
}

static struct rejected *find_or_add(struct rejects *r, const char *requester)
{
	struct rejected *found;

	HASH_FIND_STR(r->all, requester, found);
	if (found || HASH_COUNT(r->all) >= REQUESTERS_MAX)
		return found;
	found = calloc(1, sizeof(*found));
	if (found)
		found->requester = strdup(requester);
	if (!found || !found->requester) {
		free(found);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, r->all, found->requester, strlen(found->requester), found);
	return found;
}

bool rejects_allow(struct rejects *r, const char *requester)
{
	struct rejected *found;
	bool allowed;

	pthread_mutex_lock(&r->lock);
	if (clock_mono_ms() - r->since_ms > WINDOW_MS) {
		forget_all(r);
		r->since_ms = clock_mono_ms();
	}
	found = find_or_add(r, requester);
	allowed = found && found->n++ < AN_HOUR;
	pthread_mutex_unlock(&r->lock);
	return allowed;
}
