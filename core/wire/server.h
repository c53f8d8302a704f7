/* The side that answers calls: any number of connections, one thread that reads them all, a pool that runs the calls.
 *
 * A connection that sends what is no message is cut. Of one that has as many calls in flight as its window nothing more
 * is read until some of them are answered. Answers leave in the order in which they are ready. A peer that does not
 * read its answers is cut when they reach a limit: reading never stops for writing (core/wire/link.h is the other
 * side).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/pool.h"

struct wire_server;
struct wire_peer; /* one connection */

#define WIRE_GREET_MS 5000

struct wire_server_options {
	const char *name;    /* in the log; borrowed */
	struct pool *pool;   /* its queue must hold the windows of all connections */
	unsigned window;     /* calls of one connection in flight */
	bool is_quick;       /* `answer` never waits for anything: the reading thread answers a call itself when no
			      * other came with it, which wakes nobody */
	/* The field of a call (a varint) that says how many milliseconds the peer waits for the answer: a call that
	 * found no thread by then is dropped, nobody would read its answer. 0: there is none. */
	unsigned deadline_field;
	/* The first message of a connection, answered before any other is looked at, on the thread that reads for all:
	 * it must be quick. A peer that does not send one within WIRE_GREET_MS is cut. Not 0: refused, `reply` goes out
	 * and the connection is cut. NULL: connections begin with calls. */
	int (*greet)(void *peer_arg, struct bytes message, struct buf *reply);
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
