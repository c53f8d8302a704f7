/* How often each requester sent octets that had to be refused: a row for each would fill the disk.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

struct rejects;

int rejects_new(struct rejects **out);
void rejects_drop(struct rejects **r);

/* Count one; false when this requester had more than its share of the last hour. */
bool rejects_allow(struct rejects *r, const char *requester);
