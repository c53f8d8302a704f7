/* A connection: reads requests, hands them to workers, writes replies. Lives on one loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/loop_int.h"

/* A client came: take it from the listening socket. Failures are counted and logged, nothing is left behind. */
void gw_connection_accept(struct gw_accept *from);

/* On its loop: the reply of a worker is there. */
void gw_connection_reply(struct gw_connection *connection);

/* On its loop: no request after the one that is being read or handled; idle ones close at once. */
void gw_connection_finish(struct gw_connection *connection);

/* On its loop: close now. A reply that comes later is dropped. */
void gw_connection_cut(struct gw_connection *connection);

/* The next in the loop's list, and in its queue of finished ones (under the loop's lock). */
struct gw_connection *gw_connection_get_next(struct gw_connection *connection);
struct gw_connection **gw_connection_queue_link(struct gw_connection *connection);

/* The loop ends once it stops and its last connection is gone: called when either happened. */
void gw_connection_end_loop(struct gw_loop *loop);
