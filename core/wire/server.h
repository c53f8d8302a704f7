/* The side that answers calls: any number of connections, one thread that reads them all, a pool that runs the calls.
 *
 * A connection that sends what is no message, or more calls at once than its window, is cut. Answers leave in the order
 * in which they are ready. A peer that does not read its answers is cut when they reach a limit: reading never stops
 * for writing (core/wire/link.h is the other side).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/pool.h"

struct wire_server;
struct wire_peer; /* one connection */

struct wire_server_options {
	const char *name;    /* in the log; borrowed */
	struct pool *pool;   /* its queue must hold the windows of all connections */
	unsigned window;     /* calls of one connection in flight */
	/* Answer one message, on a thread of the pool: the message without field 1 goes into `reply`. Not 0: this was
	 * no message that this peer may send, the connection is cut; `reply` still goes out. */
	int (*answer)(void *peer_arg, struct bytes message, struct buf *reply);
	/* The connection is over, and no call of it runs any more. NULL: nobody wants to know. */
	void (*gone)(void *peer_arg);
};

/* 0 or -errno; when its thread runs, so that what a thread does to start may be forbidden from then on. */
int wire_server_new(struct wire_server **out, const struct wire_server_options *options);

/* Cuts all connections, waits for their calls and `gone`s. The pool must still be there. */
void wire_server_drop(struct wire_server **server);

/* Serve this stream socket. Takes `fd`, and `peer_arg` until `gone`. 0 or -errno (then `gone` is not called). */
int wire_server_add(struct wire_server *server, int take_fd, void *peer_arg);

/* Wait until no connection is left. */
void wire_server_wait(struct wire_server *server);
