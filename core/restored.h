/* The mark that a restore leaves in the core's folder until the next start has brought back what the backup did not
 * know.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "core/base/bytes.h"

bool restored_is_marked(const char *folder);

/* Both are durable when they return 0; negative: -errno. */
int restored_mark(const char *folder);
int restored_unmark(const char *folder);

/* What a restore could not bring back, a line for each record: a file for people, who remove it when it is settled.
 * More is put behind what is there. 0 or -errno. */
int restored_keep_left_out(const char *folder, struct bytes lines);

/* How many there are, 0 when there is no such file, with its path. */
size_t restored_count_left_out(const char *folder, char path[static PATH_MAX]);
