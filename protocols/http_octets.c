/* Bodies in files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/http_octets.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/own.h"

struct http_octets {
	_Atomic unsigned refs;
	uint64_t size;
	pthread_rwlock_t lock; /* guards `fd`: readers read from it */
	int fd;                /* -1: withdrawn */
};

int http_octets_new(struct http_octets **out, int fd, uint64_t size)
{
	struct http_octets *o = malloc(sizeof(*o));

	if (!o) {
		close(fd);
		return -ENOMEM;
	}
	*o = (struct http_octets){ .refs = 1, .size = size, .fd = fd };
	pthread_rwlock_init(&o->lock, NULL);
	*out = o;
	return 0;
}

struct http_octets *http_octets_hold(struct http_octets *o)
{
	atomic_fetch_add(&o->refs, 1);
	return o;
}

void http_octets_drop(struct http_octets **op)
{
	struct http_octets *o = MOVE(*op);

	if (!o || atomic_fetch_sub(&o->refs, 1) > 1)
		return;
	http_octets_withdraw(o);
	pthread_rwlock_destroy(&o->lock);
	free(o);
}

uint64_t http_octets_size(const struct http_octets *o)
{
	return o->size;
}

bool http_octets_is_alone(const struct http_octets *o)
{
	return atomic_load(&o->refs) == 1;
}

static int read_exactly(int fd, uint64_t offset, uint8_t *out, size_t n)
{
	while (n) {
		ssize_t got = pread(fd, out, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		out += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int http_octets_read(struct http_octets *o, uint64_t offset, void *out, size_t n)
{
	int e;

	pthread_rwlock_rdlock(&o->lock);
	e = o->fd < 0 ? -ESTALE : read_exactly(o->fd, offset, out, n);
	pthread_rwlock_unlock(&o->lock);
	return e;
}

int http_octets_next(struct http_octets **o, uint64_t *offset, size_t max, struct buf *out)
{
	uint64_t left = (*o)->size - *offset;
	size_t n = left < max ? (size_t)left : max;
	uint8_t *room = buf_room(out, n);
	int e = room ? http_octets_read(*o, *offset, room, n) : buf_status(out);

	if (e)
		return e;
	buf_added(out, n);
	*offset += n;
	if (n == left)
		http_octets_drop(o);
	return 0;
}

void http_octets_withdraw(struct http_octets *o)
{
	pthread_rwlock_wrlock(&o->lock);
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	pthread_rwlock_unlock(&o->lock);
}
