/* The core's door for intermediaries in other processes (core/wire/core.proto): connections, who they are, calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/conf.h"
#include "core/binding.h"

#include "core.pb-c.h"

struct ca_core;
struct intermediaries;

/* Serve these listening sockets (-1: none), which stay the caller's, and what intermediaries_inherit() brings. 0;
 * negative with `error`. */
int intermediaries_start(struct intermediaries **out, struct ca_core *core, int unix_fd, int remote_fd,
			 struct conf_error *error);

/* Cuts all connections and waits for their calls. */
void intermediaries_stop(struct intermediaries **i);

/* Serve the gateway of this daemon on this socket. Takes the descriptor. 0 or -errno. */
int intermediaries_inherit(struct intermediaries *i, int take_fd);

/* Answer one call of a bound intermediary: octets of a message to octets of a message. 0; -EBADMSG for what is no
 * call: the connection ends. */
int intermediaries_answer(struct ca_core *core, const struct binding *by, struct bytes octets, struct buf *reply);
