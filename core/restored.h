/* The mark that a restore leaves in the core's folder until the next start has brought back what the backup did not
 * know.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

bool restored_is_marked(const char *folder);

/* Both are durable when they return 0; negative: -errno. */
int restored_mark(const char *folder);
int restored_unmark(const char *folder);
