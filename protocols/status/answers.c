/* OCSP answers that were given a moment ago.
 *
 * Each request has one place, which it shares with others: who comes later takes it. So memory has a bound, nothing is
 * searched or swept, and whoever asks for everything drives out no more than he asks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/answers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/own.h"

#define PLACES 1024
#define LOCKS 16
#define REQUEST_MAX 512 /* longer ones ask about many certificates, and are not asked twice */

struct place {
	struct buf request;
	struct ca_ocsp_answer answer;
	int64_t asked_ms;
};

struct answers {
	pthread_mutex_t locks[LOCKS]; /* each guards the places whose number has its remainder */
	struct place places[PLACES];
};

int answers_new(struct answers **out)
{
	struct answers *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&a->locks[i], NULL);
	for (size_t i = 0; i < PLACES; i++) {
		a->places[i].request = BUF_INIT(REQUEST_MAX);
		a->places[i].answer = CA_OCSP_ANSWER_INIT;
	}
	*out = a;
	return 0;
}

void answers_drop(struct answers **ap)
{
	struct answers *a = *ap;

	if (!a)
		return;
	for (size_t i = 0; i < PLACES; i++) {
		buf_fini(&a->places[i].request);
		buf_fini(&a->places[i].answer.der);
	}
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&a->locks[i]);
	free(a);
	*ap = NULL;
}

static size_t place_of(struct bytes request)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < request.len; i++)
		hash = (hash ^ request.ptr[i]) * 0x100000001b3u;
	return hash % PLACES;
}

bool answers_recall(struct answers *a, struct bytes request, int64_t now_ms, struct ca_ocsp_answer *out)
{
	size_t n = place_of(request);
	struct place *p = &a->places[n];
	bool is_there;

	if (request.len > REQUEST_MAX)
		return false;
	pthread_mutex_lock(&a->locks[n % LOCKS]);
	is_there = p->request.len && bytes_equal(buf_bytes(&p->request), request) &&
		   now_ms - p->asked_ms < ANSWERS_LIFETIME_MS &&
		   buf_append(&out->der, buf_bytes(&p->answer.der)) == 0;
	if (is_there) {
		out->this_update_s = p->answer.this_update_s;
		out->next_update_s = p->answer.next_update_s;
		out->is_cachable = true;
	}
	pthread_mutex_unlock(&a->locks[n % LOCKS]);
	return is_there;
}

void answers_remember(struct answers *a, struct bytes request, int64_t asked_ms, const struct ca_ocsp_answer *answer)
{
	size_t n = place_of(request);
	struct place *p = &a->places[n];

	if (request.len > REQUEST_MAX || !answer->is_cachable)
		return;
	pthread_mutex_lock(&a->locks[n % LOCKS]);
	/* Whoever asked later knows better, however long the answer took. */
	if (!p->request.len || p->asked_ms <= asked_ms) {
		buf_reset(&p->request);
		buf_reset(&p->answer.der);
		p->asked_ms = asked_ms;
		p->answer.this_update_s = answer->this_update_s;
		p->answer.next_update_s = answer->next_update_s;
		if (buf_append(&p->answer.der, buf_bytes(&answer->der)) || buf_append(&p->request, request))
			buf_reset(&p->request);
	}
	pthread_mutex_unlock(&a->locks[n % LOCKS]);
}
