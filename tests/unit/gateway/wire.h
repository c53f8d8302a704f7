/* What a connection looks like on the wire; for tests, of connections over loopback.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

/* Segments with data that came in. Over loopback each small write of a socket without delay is one. */
unsigned wire_segments(int fd);

/* The other end, which is a socket of this process too, sends what it has at once (TCP_NODELAY). */
bool wire_is_undelayed(int fd);
