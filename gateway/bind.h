/* Sockets bound to an address, one for each event loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bind `n` TCP sockets to one address, so that the kernel spreads connections over them (SO_REUSEPORT); none listens
 * yet. `*port` 0: any, the real one is written. A port that another program has is found out although sockets may
 * share it. `is_ours`: the caller has that port already, perhaps on another address, which would look like another
 * program's where the new one covers it (127.0.0.1 becomes 0.0.0.0); then nothing is found out. 0 with `fds`
 * (close-on-exec, non-blocking); -errno with a sentence in `why` that names `name` and the address, and no socket
 * left open. */
int gw_bind(const char *name, const char *address, uint16_t *port, bool is_ours, int *fds, unsigned n, char *why,
	    size_t why_size);

/* The port of a bound socket; 0 when there is none. */
uint16_t gw_bound_port(int fd);
