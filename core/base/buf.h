/* A growing buffer with a maximum.
 *
 * A buffer cannot exist without its limit: the limit sits where the data enters. The content is always followed
 * by a NUL that is not counted in `len`. A buffer that failed once (limit, memory) stays failed: `buf_status()`
 * says why, further appends do nothing and return the same error, so a writer may append many pieces and check once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#include <stdarg.h>

struct buf {
	uint8_t *ptr;    /* NULL until the first append */
	size_t len;      /* octets of content */
	size_t capacity; /* octets allocated, the NUL included */
	size_t max;      /* largest `len` */
	int status;      /* 0, -ENOMEM or -EMSGSIZE */
};

#define BUF_INIT(limit) ((struct buf){ .max = (limit) })

/* A local `struct buf` that is freed at the end of the block. */
#define OWNED_BUF __attribute__((cleanup(buf_fini))) struct buf

/* Overwrite the content, then free. */
void buf_fini(struct buf *b);

/* The same, and overwrite what was written into buf_room() and never counted. */
void buf_wipe(struct buf *b);

/* Forget (and overwrite) the content, keep the memory and the limit; a failed buffer works again. */
void buf_reset(struct buf *b);

/* 0; -EMSGSIZE past the limit; -ENOMEM. */
int buf_append(struct buf *b, struct bytes data);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Make room for `n` more octets and return where to write them; NULL on failure. `buf_added()` counts them. */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);

/* Take `n` octets away from the front; `n` is at most `len`. What they were is overwritten. */
void buf_consume(struct buf *b, size_t n);

static inline int buf_status(const struct buf *b)
{
	return b->status;
}

static inline struct bytes buf_bytes(const struct buf *b)
{
	return bytes_of(b->ptr, b->len);
}

/* The content as a string; "" for an empty buffer. Lives until the next append. */
const char *buf_str(const struct buf *b);

/* Give the memory to the caller (free()); the buffer is empty afterwards. NULL when it failed or was never used. */
char *buf_take_str(struct buf *b);
