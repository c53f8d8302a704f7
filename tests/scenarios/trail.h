/* The audit trail held against the rows of a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include <sqlite3.h>

/* Is the chain whole; and, when only the core wrote the rows, does it tell of each request how it came to its state?
 * False: the first place that is wrong was printed. */
bool trail_check(sqlite3 *db, bool has_own_rows);
