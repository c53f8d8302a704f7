/* Growing buffers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAPACITY ((size_t)256)

/* What a buffer held is not left in freed memory, nor behind what it still holds: nobody knows which of the many on the
 * way of a request had the password. buf_wipe() also erases what was written into room and never counted. */
void buf_fini(struct buf *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->len);
	free(b->ptr);
	b->ptr = NULL;
	b->len = b->capacity = 0;
}

void buf_wipe(struct buf *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->capacity);
	buf_fini(b);
}

void buf_reset(struct buf *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->len + 1);
	b->len = 0;
	b->status = 0;
}

static int fail(struct buf *b, int status)
{
	b->status = status;
	return status;
}

/* Old memory is wiped, which realloc() would not do: any buffer may hold a secret that buf_wipe() is to erase. */
static int grow(struct buf *b, size_t capacity)
{
	uint8_t *ptr = malloc(capacity);

	if (!ptr)
		return fail(b, -ENOMEM);
	if (b->ptr) {
		memcpy(ptr, b->ptr, b->len);
		explicit_bzero(b->ptr, b->len);
		free(b->ptr);
	}
	ptr[b->len] = 0;
	b->ptr = ptr;
	b->capacity = capacity;
	return 0;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	size_t need, capacity;

	if (b->status)
		return NULL;
	if (n > b->max - b->len || b->max == SIZE_MAX) {
		fail(b, -EMSGSIZE);
		return NULL;
	}
	need = b->len + n + 1;
	if (need > b->capacity) {
		capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
		while (capacity < need)
			capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
		if (capacity > b->max + 1)
			capacity = b->max + 1;
		if (grow(b, capacity))
			return NULL;
	}
	return b->ptr + b->len;
}

void buf_added(struct buf *b, size_t n)
{
	b->len += n;
	b->ptr[b->len] = 0;
}

int buf_append(struct buf *b, struct bytes data)
{
	uint8_t *room = buf_room(b, data.len);

	if (!room)
		return b->status;
	if (data.len)
		memcpy(room, data.ptr, data.len);
	buf_added(b, data.len);
	return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
	return buf_append(b, bytes_of_str(s));
}

int buf_append_char(struct buf *b, char c)
{
	uint8_t *room = buf_room(b, 1);

	if (!room)
		return b->status;
	*room = (uint8_t)c;
	buf_added(b, 1);
	return 0;
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	uint8_t *room;
	size_t rest;
	int n;

	if (b->status)
		return b->status;
	rest = b->capacity - b->len;
	va_copy(again, args);
	n = vsnprintf(b->ptr ? (char *)b->ptr + b->len : NULL, rest, format, again);
	va_end(again);
	if (b->ptr && ((size_t)n >= rest || n < 0))
		b->ptr[b->len] = 0;
	if (n < 0)
		return fail(b, -EMSGSIZE);
	room = buf_room(b, (size_t)n);
	if (!room)
		return b->status;
	/* It nearly always fitted into what was there. */
	if ((size_t)n >= rest)
		vsnprintf((char *)room, (size_t)n + 1, format, args);
	buf_added(b, (size_t)n);
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = buf_vprintf(b, format, args);
	va_end(args);
	return r;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	memmove(b->ptr, b->ptr + n, b->len - n);
	b->len -= n;
	explicit_bzero(b->ptr + b->len, n);
}

const char *buf_str(const struct buf *b)
{
	return b->ptr ? (const char *)b->ptr : "";
}

char *buf_take_str(struct buf *b)
{
	char *text = (char *)b->ptr;

	if (b->status) {
		buf_fini(b);
		return NULL;
	}
	b->ptr = NULL;
	b->len = b->capacity = 0;
	return text;
}
