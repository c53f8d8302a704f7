/* A connection to another process, seen from the side that asks: many calls in flight, each with its deadline.
 *
 * A call packs its message without field 1 (`id`), hands it to link_call() and gets the octets of the answer; the link
 * numbers the messages (core/wire/frame.h). Who waits for an answer reads the stream for all others too, so that a
 * call that is alone wakes nobody; nobody ever waits in send(). When the connection breaks, what became of the calls in
 * flight is unknown: they come back with -ECONNRESET, and whoever can repeat them safely does so.
 *
 * Any number of threads may call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

struct link;

struct link_options {
	unsigned window;               /* calls in flight at most; more wait for their turn */
	struct bytes hello;            /* first message of every connection (borrowed); empty: none */
	/* Makes a connection when there is none: a descriptor or -errno. NULL: connections come by link_attach(). */
	int (*connect)(void *arg);
	/* A message that answers no call, such as the other side's hello; called under the link's lock. NULL: it is an
	 * error. Not 0: the connection is cut. */
	int (*unasked)(void *arg, struct bytes message);
	/* The connection broke and was not replaced by link_attach(); called under the link's lock. NULL: nobody wants
	 * to know. */
	void (*lost)(void *arg);
	void *arg;
};

int link_new(struct link **out, const struct link_options *options);

/* Nobody may be in a call. */
void link_drop(struct link **link);

/* From now on calls go over this stream socket; the one before is closed and its calls fail. Takes `fd`; -1: there is
 * no connection. */
void link_attach(struct link *link, int take_fd);

/* Send and wait for the answer, which replaces what `reply` held. `wait_ms` covers everything: a connection, a slot of
 * the window, the answer. 0; -ENOTCONN, -ETIMEDOUT: no connection, or no slot, in time: nothing was sent; -ECONNRESET,
 * -ETIME: sent, but the connection broke, or the answer did not come in time: what happened is unknown (a late answer
 * is dropped); -EMSGSIZE: the message is larger than one may be; -ENOMEM. */
int link_call(struct link *link, struct bytes message, unsigned wait_ms, struct buf *reply);

/* The last call that ended was answered, or there was none yet. */
bool link_is_well(struct link *link);
