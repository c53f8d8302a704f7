/* Arenas: chunks in a list, handed out from the newest one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What most requests need fits into the first chunk or two. */
#define CHUNK_SIZE ((size_t)4096)

struct chunk {
	struct chunk *next;
	size_t size, used;
	alignas(max_align_t) uint8_t data[];
};

struct arena {
	struct chunk *newest;
	size_t left; /* of the limit */
};

int arena_new(struct arena **out, size_t limit)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->left = limit;
	*out = a;
	return 0;
}

void arena_drop(struct arena **a)
{
	struct chunk *c, *next;

	if (!*a)
		return;
	for (c = (*a)->newest; c; c = next) {
		next = c->next;
		explicit_bzero(c->data, c->used); /* it may have been a password */
		free(c);
	}
	free(*a);
	*a = NULL;
}

static struct chunk *add_chunk(struct arena *a, size_t at_least)
{
	size_t size = at_least > CHUNK_SIZE ? at_least : CHUNK_SIZE;
	struct chunk *c = calloc(1, sizeof(*c) + size);

	if (!c)
		return NULL;
	c->size = size;
	/* A chunk made to measure is full at once: the one before it may still have room, so keep that in front. */
	if (at_least >= CHUNK_SIZE && a->newest) {
		c->next = a->newest->next;
		a->newest->next = c;
	} else {
		c->next = a->newest;
		a->newest = c;
	}
	return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct chunk *c = a->newest;
	void *p;

	if (size == 0)
		size = 1;
	if (size > a->left)
		return NULL;
	/* Rounding up cannot overflow: no limit comes near SIZE_MAX without calloc() failing first. */
	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	if (!c || c->size - c->used < size)
		c = add_chunk(a, size);
	if (!c)
		return NULL;
	p = c->data + c->used;
	c->used += size;
	a->left -= size < a->left ? size : a->left;
	return p;
}

char *arena_strndup(struct arena *a, struct bytes s)
{
	char *copy = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;

	if (copy && s.len)
		memcpy(copy, s.ptr, s.len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, bytes_of_str(s));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return NULL;
	text = arena_alloc(a, (size_t)n + 1);
	if (!text)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)n + 1, format, args);
	va_end(args);
	return text;
}

struct bytes arena_copy(struct arena *a, struct bytes data)
{
	uint8_t *copy;

	if (!data.len)
		return bytes_of(NULL, 0);
	copy = arena_alloc(a, data.len);
	if (!copy)
		return bytes_of(NULL, 0);
	memcpy(copy, data.ptr, data.len);
	return bytes_of(copy, data.len);
}
