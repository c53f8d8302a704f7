/* Connections to a core in another process: a plain stream socket, however it was made.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* A descriptor, or -errno. They may block for some seconds. */
int connect_unix(const char *path);

/* "HOST:PORT" or "[ADDRESS]:PORT", as whom ca_link_use_tls() said (core/registry.h). */
int connect_tls(const char *host_port);
