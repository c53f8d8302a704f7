/* The trace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"

struct trace {
	pthread_mutex_t lock;
	pthread_rwlock_t changes; /* read: a change and its line are under way */
	int fd;
	uint64_t sequence;
	void (*sink)(void *arg, const char *line);
	void *arg;
	_Atomic bool is_on;
};

int trace_new(struct trace **out, const char *path)
{
	struct trace *t = calloc(1, sizeof(*t));
	pthread_rwlockattr_t attr;

	if (!t)
		return -ENOMEM;
	t->fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (path && t->fd < 0) {
		int e = -errno;

		free(t);
		return e;
	}
	pthread_mutex_init(&t->lock, NULL);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&t->changes, &attr);
	pthread_rwlockattr_destroy(&attr);
	t->is_on = t->fd >= 0;
	*out = t;
	return 0;
}

void trace_drop(struct trace **tp)
{
	if (!*tp)
		return;
	if ((*tp)->fd >= 0)
		close((*tp)->fd);
	pthread_rwlock_destroy(&(*tp)->changes);
	pthread_mutex_destroy(&(*tp)->lock);
	free(*tp);
	*tp = NULL;
}

void trace_capture(struct trace *t, void (*sink)(void *arg, const char *line), void *arg)
{
	pthread_mutex_lock(&t->lock);
	t->sink = sink;
	t->arg = arg;
	t->is_on = sink || t->fd >= 0;
	pthread_mutex_unlock(&t->lock);
}

static void write_line(struct trace *t, const char *event, int64_t id, const char *more)
{
	char line[1024];
	int n;

	pthread_mutex_lock(&t->lock);
	n = snprintf(line, sizeof(line), "{\"seq\":%llu,\"ms\":%lld,\"event\":\"%s\",\"id\":%lld%s%s}\n",
		     (unsigned long long)++t->sequence, (long long)clock_wall_ms(), event, (long long)id,
		     more[0] ? "," : "", more);
	/* One write a line: a process that is killed leaves whole lines. A trace that cannot be written is no reason
	 * to refuse a certificate. */
	if (t->fd >= 0 && n > 0 && write(t->fd, line, (size_t)n) < 0)
		t->is_on = t->sink != NULL;
	if (t->sink) {
		line[n - 1] = '\0';
		t->sink(t->arg, line);
	}
	pthread_mutex_unlock(&t->lock);
}

void trace_step(struct trace *t, const char *event, int64_t id)
{
	if (t->is_on)
		write_line(t, event, id, "");
}

void trace_event(struct trace *t, const char *event, int64_t id, const char *format, ...)
{
	char more[800];
	va_list args;

	if (!t->is_on)
		return;
	va_start(args, format);
	vsnprintf(more, sizeof(more), format, args);
	va_end(args);
	write_line(t, event, id, more);
}

void trace_hold(struct trace *t)
{
	pthread_rwlock_rdlock(&t->changes);
}

void trace_release(struct trace *t)
{
	pthread_rwlock_unlock(&t->changes);
}

void trace_barrier(struct trace *t)
{
	/* Without a reader of the lines nobody needs to wait. */
	if (!t->is_on)
		return;
	pthread_rwlock_wrlock(&t->changes);
	pthread_rwlock_unlock(&t->changes);
}
