/* Revocation lists: one for each key of a CA, or for each part of its certificates, read once from the core and sent to
 * all from where they are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/status_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/own.h"

#define CRL_MAX ((size_t)1 << 30)
#define LISTS_MAX 4096
#define LOOK_EVERY_MS 1000
#define MAX_AGE_S 60    /* how old a list may be in caches: the time in which the core publishes a revocation */

/* A list that was read. */
struct list {
	struct list *next;
	unsigned key, partition;
	pthread_mutex_t turn;        /* held while the core is asked: one asks, the others wait for what he gets */
	int64_t looked_ms;           /* monotonic */
	struct ca_crl info;
	struct http_octets *octets;  /* NULL: none yet */
};

struct lists {
	pthread_mutex_t lock;        /* guards the list of lists, which only grows */
	struct list *first;
	size_t n;
};

int status_lists_new(struct lists **out)
{
	struct lists *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	pthread_mutex_init(&all->lock, NULL);
	*out = all;
	return 0;
}

static void drop_list(struct list *l)
{
	http_octets_drop(&l->octets);
	pthread_mutex_destroy(&l->turn);
	free(l);
}

void status_lists_drop(struct lists **ap)
{
	struct lists *all = *ap;
	struct list *next;

	if (!all)
		return;
	for (struct list *l = all->first; l; l = next) {
		next = l->next;
		drop_list(l);
	}
	pthread_mutex_destroy(&all->lock);
	free(all);
	*ap = NULL;
}

/* "0.crl", "0-3.crl": numbers without leading zeros; of a part, which counts from 1. */
static int read_number(const char **text, unsigned *number)
{
	size_t digits = strspn(*text, "0123456789");

	if (digits == 0 || digits > 9 || (**text == '0' && digits > 1))
		return -EINVAL;
	*number = (unsigned)strtoul(*text, NULL, 10);
	*text += digits;
	return 0;
}

static int read_name(const char *name, unsigned *key, unsigned *partition)
{
	*partition = 0;
	if (read_number(&name, key))
		return -EINVAL;
	if (*name == '-' && (name++, read_number(&name, partition) || *partition == 0))
		return -EINVAL;
	return strcmp(name, ".crl") == 0 ? 0 : -EINVAL;
}

/* A place for it when `adds`. NULL: there is none, too many, or no memory. */
static struct list *find_list(struct lists *all, unsigned key, unsigned partition, bool adds)
{
	struct list *l;

	pthread_mutex_lock(&all->lock);
	for (l = all->first; l && (l->key != key || l->partition != partition); l = l->next)
		;
	if (!l && adds && all->n < LISTS_MAX && (l = calloc(1, sizeof(*l))) != NULL) {
		l->key = key;
		l->partition = partition;
		pthread_mutex_init(&l->turn, NULL);
		l->next = all->first;
		all->first = l;
		all->n++;
	}
	pthread_mutex_unlock(&all->lock);
	return l;
}

/* Only what the core knows takes a place. 0; CA_CALL_NOT_FOUND; CA_CALL_BUSY; negative. */
static int look_up(struct status *s, const char *name, struct list **out)
{
	unsigned key, partition;
	struct ca_crl info;
	int e;

	if (read_name(name, &key, &partition))
		return CA_CALL_NOT_FOUND;
	*out = find_list(s->lists, key, partition, false);
	if (*out)
		return 0;
	e = ca_get_crl_page(s->ca, key, partition, 0, 0, NULL, &info);
	if (!e)
		*out = find_list(s->lists, key, partition, true);
	return !e && !*out ? -ENOMEM : e;
}

static int fetch(struct status *s, struct list *l)
{
	struct buf der = BUF_INIT(CRL_MAX);
	struct http_octets *octets = NULL;
	struct ca_crl info = { 0 };
	int e = ca_get_crl(s->ca, l->key, l->partition, &der, &info);

	if (!e)
		e = http_octets_new(&octets, &der);
	buf_fini(&der);
	if (e)
		return e;
	http_octets_drop(&l->octets);
	l->octets = octets;
	l->info = info;
	return 0;
}

/* With the turn: is it still the one in force? A core that does not answer leaves it in force until its end. */
static int refresh(struct status *s, struct list *l)
{
	int64_t now_ms = clock_mono_ms();
	struct ca_crl info = { 0 };
	int e;

	if (l->octets && now_ms - l->looked_ms < LOOK_EVERY_MS)
		return 0;
	e = ca_get_crl_page(s->ca, l->key, l->partition, 0, 0, NULL, &info);
	if (!e && (!l->octets || info.number != l->info.number))
		e = fetch(s, l);
	if (e && e != CA_CALL_NOT_FOUND && l->octets && clock_wall_s() < l->info.next_update_s)
		e = 0;
	if (!e)
		l->looked_ms = now_ms;
	return e;
}

static int reply_list(struct status *s, struct list *l, const struct http_request *q, struct http_reply *r)
{
	struct status_document d = {
		.type = "application/pkix-crl",
		.large = l->octets,
		.modified_s = l->info.this_update_s,
		.expires_s = l->info.next_update_s,
		.max_age_s = MAX_AGE_S,
	};

	atomic_fetch_add(&s->crls, 1);
	snprintf(d.etag, sizeof(d.etag), "\"%u-%u-%llu\"", l->key, l->partition, (unsigned long long)l->info.number);
	return status_document_reply(&d, q, r);
}

int status_crl_get(void *state, const struct http_request *q, struct http_reply *r)
{
	struct status *s = state;
	struct list *l = NULL;
	int e = look_up(s, q->params[0], &l);

	if (!e) {
		pthread_mutex_lock(&l->turn);
		e = refresh(s, l);
		if (!e)
			e = reply_list(s, l, q, r);
		pthread_mutex_unlock(&l->turn);
	}
	if (e == CA_CALL_NOT_FOUND)
		return http_reply_text(r, 404, "this CA has no such revocation list");
	if (e > 0) {
		e = http_reply_retry_after(r, 2);
		return e ? e : http_reply_text(r, 503, "the CA does not answer at the moment");
	}
	return e;
}
