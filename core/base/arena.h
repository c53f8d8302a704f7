/* Memory that dies together: one arena an HTTP request or a submission.
 *
 * Nothing in an arena is freed by hand. An arena belongs to one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

struct arena;

/* `limit` octets in all; 0, -ENOMEM. */
int arena_new(struct arena **out, size_t limit);
void arena_drop(struct arena **a); /* overwrites what was in it */

/* Zeroed memory, aligned for any type; NULL when memory or the limit is reached. */
void *arena_alloc(struct arena *a, size_t size);

/* A NUL-terminated copy; NULL on failure. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, struct bytes s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A copy of octets. `.ptr` is NULL on failure (also for `len` 0, which is no failure). */
struct bytes arena_copy(struct arena *a, struct bytes data);
