/* Requests that targets have allowed and that are not at their end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <errno.h>
#include <pthread.h>

#define CASES 1024

struct one {
	uint8_t key[CA_POLL_KEY_SIZE];
	struct buf request; /* empty: none; it holds a challenge */
};

struct scep_cases {
	pthread_mutex_t lock; /* guards all below */
	struct one all[CASES];
	size_t next;          /* where the next one goes, whoever is there */
};

int scep_cases_new(struct scep_cases **out)
{
	struct scep_cases *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return 0;
}

void scep_cases_drop(struct scep_cases **cp)
{
	struct scep_cases *c = *cp;

	if (!c)
		return;
	for (size_t i = 0; i < CASES; i++)
		buf_fini(&c->all[i].request);
	pthread_mutex_destroy(&c->lock);
	free(c);
	*cp = NULL;
}

/* With the lock. */
static struct one *find(struct scep_cases *c, const uint8_t *key)
{
	for (size_t i = 0; i < CASES; i++)
		if (c->all[i].request.len && memcmp(c->all[i].key, key, CA_POLL_KEY_SIZE) == 0)
			return &c->all[i];
	return NULL;
}

void scep_cases_keep(struct scep_cases *c, const uint8_t key[static CA_POLL_KEY_SIZE], struct bytes request)
{
	struct one *o;

	if (!request.len)
		return;
	pthread_mutex_lock(&c->lock);
	o = find(c, key);
	if (!o) {
		o = &c->all[c->next];
		c->next = (c->next + 1) % CASES;
	}
	buf_fini(&o->request);
	o->request = BUF_INIT(CA_REQUEST_MAX);
	memcpy(o->key, key, CA_POLL_KEY_SIZE);
	/* Without memory it is not there, as after a restart. */
	if (buf_append(&o->request, request))
		buf_fini(&o->request);
	pthread_mutex_unlock(&c->lock);
}

void scep_cases_find(struct scep_cases *c, const uint8_t key[static CA_POLL_KEY_SIZE], struct buf *request)
{
	const struct one *o;

	pthread_mutex_lock(&c->lock);
	o = find(c, key);
	if (o)
		buf_append(request, buf_bytes(&o->request));
	pthread_mutex_unlock(&c->lock);
}

void scep_cases_forget(struct scep_cases *c, const uint8_t key[static CA_POLL_KEY_SIZE])
{
	struct one *o;

	pthread_mutex_lock(&c->lock);
	o = find(c, key);
	if (o)
		buf_fini(&o->request);
	pthread_mutex_unlock(&c->lock);
}
