/* Listening Unix sockets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* Listen on `path`. Its folder is made when it is missing; a socket that nobody listens on any more is replaced.
 * Anybody may connect: who it is and what he may do is decided by whoever accepts. 0 with `*out`; -EADDRINUSE when
 * another process listens there; -ENAMETOOLONG; -errno. */
int unix_socket_listen(int *out, const char *path);
