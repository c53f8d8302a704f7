/* Revocation lists as this gateway has them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/lists.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define LISTS_MAX 4096
#define LOOK_EVERY_MS 1000
#define FETCH_TRIES 3

struct list {
	struct list *next;
	unsigned key, partition;
	bool is_asked;               /* a thread asks the core about it */
	int64_t looked_ms;           /* monotonic */
	struct ca_crl info;
	struct http_octets *octets;  /* NULL: none yet */
};

struct lists {
	struct ca_door *ca;
	struct asks *asks;
	char *path;                  /* of a file that is being made, before it loses its name */
	pthread_mutex_t file_lock;   /* guards that name */
	pthread_mutex_t lock;        /* guards all below; never held while the core or the disk is asked */
	struct list *first;          /* the list of lists only grows */
	size_t n;
	struct http_octets *superseded[LISTS_SUPERSEDED_MAX]; /* oldest first */
	size_t n_superseded;
};

int lists_new(struct lists **out, struct ca_door *ca, struct asks *asks, const char *folder, const char *name)
{
	struct lists *all = calloc(1, sizeof(*all));

	if (!all || asprintf(&all->path, "%s/status-%s.crl", folder, name) < 0) {
		free(all);
		return -ENOMEM;
	}
	all->ca = ca;
	all->asks = asks;
	pthread_mutex_init(&all->file_lock, NULL);
	pthread_mutex_init(&all->lock, NULL);
	*out = all;
	return 0;
}

void lists_drop(struct lists **ap)
{
	struct lists *all = *ap;
	struct list *next;

	if (!all)
		return;
	for (struct list *l = all->first; l; l = next) {
		next = l->next;
		http_octets_drop(&l->octets);
		free(l);
	}
	for (size_t i = 0; i < all->n_superseded; i++)
		http_octets_drop(&all->superseded[i]);
	pthread_mutex_destroy(&all->file_lock);
	pthread_mutex_destroy(&all->lock);
	free(all->path);
	free(all);
	*ap = NULL;
}

/* ---- what was replaced ---- */

/* All of these with the lock held. */

static void forget_superseded(struct lists *all, size_t i)
{
	http_octets_drop(&all->superseded[i]);
	all->n_superseded--;
	memmove(&all->superseded[i], &all->superseded[i + 1], (all->n_superseded - i) * sizeof(*all->superseded));
}

/* Whoever holds one alone could not send it to anybody: it is not in force. */
static uint64_t sweep_superseded(struct lists *all)
{
	uint64_t octets = 0;

	for (size_t i = all->n_superseded; i-- > 0;)
		if (http_octets_is_alone(all->superseded[i]))
			forget_superseded(all, i);
		else
			octets += http_octets_size(all->superseded[i]);
	return octets;
}

static void supersede(struct lists *all, struct http_octets *take)
{
	uint64_t octets = sweep_superseded(all);

	if (!take || http_octets_is_alone(take)) {
		http_octets_drop(&take);
		return;
	}
	octets += http_octets_size(take);
	while (all->n_superseded &&
	       (all->n_superseded == LISTS_SUPERSEDED_MAX || octets > LISTS_SUPERSEDED_OCTETS_MAX)) {
		octets -= http_octets_size(all->superseded[0]);
		http_octets_withdraw(all->superseded[0]);
		forget_superseded(all, 0);
	}
	all->superseded[all->n_superseded++] = take;
}

/* ---- asking the core ---- */

static int open_file(struct lists *all)
{
	int fd;

	pthread_mutex_lock(&all->file_lock);
	/* What a process left that was killed between the two. */
	(void)unlink(all->path);
	fd = open(all->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = -errno;
	else
		(void)unlink(all->path);
	pthread_mutex_unlock(&all->file_lock);
	return fd;
}

/* Page by page, so that no list is ever in memory. 0; CA_CALL_BUSY: it was replaced meanwhile; CA_CALL_NOT_FOUND;
 * negative. */
static int copy_pages(struct lists *all, const struct list *l, int fd, struct ca_crl *info)
{
	OWNED_BUF page = BUF_INIT(CA_CRL_PAGE_MAX);
	uint64_t number = 0, offset = 0;
	int e;

	do {
		buf_reset(&page);
		e = ca_get_crl_page(all->ca, l->key, l->partition, number, offset, &page, info);
		if (!e)
			e = page.len ? file_write_all(fd, buf_bytes(&page)) : -EIO;
		number = info->number;
		offset += page.len;
	} while (!e && offset < info->size);
	return e;
}

static int fetch(struct lists *all, const struct list *l, struct ca_crl *info, struct http_octets **out)
{
	int e = CA_CALL_BUSY;

	for (int i = 0; e == CA_CALL_BUSY && i < FETCH_TRIES; i++) {
		int fd = open_file(all);

		if (fd < 0) {
			log_error("status.crl", "file", all->path, "error", strerror(-fd));
			return fd;
		}
		e = copy_pages(all, l, fd, info);
		if (e)
			close(fd);
		else
			e = http_octets_new(out, fd, info->size);
	}
	return e;
}

/* Of a list whose asking is this thread's: is the one held still in force? Without the lock. */
static int ask(struct lists *all, const struct list *l, struct ca_crl *info, struct http_octets **out)
{
	int e = ca_get_crl_page(all->ca, l->key, l->partition, 0, 0, NULL, info);

	if (!e && (!l->octets || info->number != l->info.number))
		e = fetch(all, l, info, out);
	return e;
}

/* ---- lists ---- */

static struct list *find_list(struct lists *all, unsigned key, unsigned partition)
{
	struct list *l = all->first;

	while (l && (l->key != key || l->partition != partition))
		l = l->next;
	return l;
}

static struct list *add_list(struct lists *all, unsigned key, unsigned partition)
{
	struct list *l = all->n < LISTS_MAX ? calloc(1, sizeof(*l)) : NULL;

	if (l) {
		*l = (struct list){ .next = all->first, .key = key, .partition = partition };
		all->first = l;
		all->n++;
	}
	return l;
}

/* Only what the core knows takes a place. With the lock, which is given back meanwhile. */
static int meet_list(struct lists *all, unsigned key, unsigned partition, struct list **out)
{
	struct ca_crl info;
	int e = CA_CALL_BUSY;

	pthread_mutex_unlock(&all->lock);
	if (asks_enter(all->asks)) {
		e = ca_get_crl_page(all->ca, key, partition, 0, 0, NULL, &info);
		asks_leave(all->asks);
	}
	pthread_mutex_lock(&all->lock);
	*out = find_list(all, key, partition);
	if (!e && !*out)
		*out = add_list(all, key, partition);
	return !e && !*out ? -ENOMEM : e;
}

/* With the lock, which is given back while the core is asked. */
static int refresh(struct lists *all, struct list *l)
{
	struct http_octets *octets = NULL;
	struct ca_crl info = { 0 };
	int e = CA_CALL_BUSY;

	l->is_asked = true;
	pthread_mutex_unlock(&all->lock);
	if (asks_enter(all->asks)) {
		e = ask(all, l, &info, &octets);
		asks_leave(all->asks);
	}
	pthread_mutex_lock(&all->lock);
	l->is_asked = false;
	if (octets) {
		supersede(all, l->octets);
		l->octets = octets;
		l->info = info;
	}
	return e;
}

static bool is_in_force(const struct list *l)
{
	return l->octets && clock_wall_s() < l->info.next_update_s;
}

/* With the lock: see that it is the one in force. A core that does not answer leaves it in force until its end, and so
 * does whoever asks just now. */
static int look_after(struct lists *all, struct list *l)
{
	int64_t now_ms = clock_mono_ms();
	int e;

	if (l->octets && now_ms - l->looked_ms < LOOK_EVERY_MS)
		return 0;
	if (l->is_asked)
		return is_in_force(l) ? 0 : CA_CALL_BUSY;
	e = refresh(all, l);
	if (e && e != CA_CALL_NOT_FOUND && is_in_force(l))
		e = 0;
	if (!e)
		l->looked_ms = now_ms;
	return e;
}

int lists_get(struct lists *all, unsigned key, unsigned partition, struct ca_crl *info, struct http_octets **octets)
{
	struct list *l;
	int e = 0;

	pthread_mutex_lock(&all->lock);
	l = find_list(all, key, partition);
	if (!l)
		e = meet_list(all, key, partition, &l);
	if (!e)
		e = look_after(all, l);
	if (!e) {
		*info = l->info;
		*octets = http_octets_hold(l->octets);
	}
	pthread_mutex_unlock(&all->lock);
	return e;
}

size_t lists_count_superseded(struct lists *all)
{
	size_t n;

	pthread_mutex_lock(&all->lock);
	(void)sweep_superseded(all);
	n = all->n_superseded;
	pthread_mutex_unlock(&all->lock);
	return n;
}
