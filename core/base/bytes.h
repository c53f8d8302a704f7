/* Borrowed octets.
 *
 * `struct bytes` is passed by value and owns nothing: it lives as long as what it points into. `ptr` may be NULL
 * only when `len` is 0. It is never assumed to end in a NUL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *ptr;
	size_t len;
};

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
	return (struct bytes){ ptr, len };
}

/* The octets of a NUL-terminated string, without the NUL; NULL gives no octets. */
static inline struct bytes bytes_of_str(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, s ? strlen(s) : 0 };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool bytes_equal_str(struct bytes a, const char *s)
{
	return bytes_equal(a, bytes_of_str(s));
}

/* Take `n` octets from the front of `in`. False, and nothing taken, when there are fewer. */
static inline bool bytes_take(struct bytes *in, size_t n, struct bytes *out)
{
	if (in->len < n)
		return false;
	*out = bytes_of(in->ptr, n);
	in->ptr += n;
	in->len -= n;
	return true;
}
