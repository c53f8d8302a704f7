/* Ownership of heap objects: cleanup at the end of the block, and handing on.
 *
 * A type `struct x` that can be owned has `void x_drop(struct x **)`, which frees, sets NULL and accepts NULL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdlib.h>

/* A local that lets go of its object at the end of the block. */
#define OWNED(type) __attribute__((cleanup(type##_drop))) struct type *

/* A local string that is freed at the end of the block. */
#define OWNED_STR __attribute__((cleanup(own_free_str))) char *

/* Hand an owned pointer on; the local is left NULL. */
#define MOVE(p) \
	__extension__({ \
		__typeof__(p) moved_ = (p); \
		(p) = NULL; \
		moved_; \
	})

static inline void own_free_str(char **s)
{
	free(*s);
	*s = NULL;
}
