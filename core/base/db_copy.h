/* A copy of a SQLite file that others write at the same time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* Copy what was committed when it began into a new file of mode 0600, by SQLite's online backup inside one read
 * transaction, and sync it. 0; negative with a sentence in `why`, and no file then. */
int db_copy(const char *from, const char *to, char *why, size_t why_size);
