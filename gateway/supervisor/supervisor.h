/* The supervisor: the process that people start. It reads the configuration, opens all sockets, reads the
 * key-encryption key, starts the other processes and starts again what ended. It has one thread and reads no octet of
 * a client.
 *
 * Start order: signer and core; when the core is ready, validator and gateway. Stop order: gateway, then core; signer
 * and validator end with the connection of whoever used them. A process that ends by itself is started again after
 * 0.1 s to 5 s, whatever depended on its connection too; its sockets stay open meanwhile.
 *
 * On SIGHUP the configuration is read again. When it is in order, its sockets are opened, all processes are stopped in
 * order and started with it; new connections wait in the sockets for that moment. When anything is wrong with it, all
 * stays as it was, and the log says line and reason.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/conf.h"

/* Read and check a configuration file: everything that can be said of it without starting anything. `text`, NULL or
 * empty with a limit, gets what was read. 0; negative with `error`. */
int supervisor_read(const char *path, struct buf *text, struct conf **out, struct conf_error *error);

/* Run until a signal asks for the end and everything has ended. 0; negative with `error` when the start failed. */
int supervise(const char *path, struct conf_error *error);
