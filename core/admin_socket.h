/* The core's admin socket: a Unix socket, its peers known by their credentials (core/wire/admin.proto).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/admin.h"
#include "core/core_int.h"

struct admin_socket;

/* Serve the listening socket `fd`, which stays the caller's. 0 or negative. */
int admin_socket_start(struct admin_socket **out, struct ca_core *core, int fd);
void admin_socket_stop(struct admin_socket **s);
