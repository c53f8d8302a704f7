/* A body of any size that many replies send at once: it lies in a file, and each reply reads the piece that it sends
 * next, so a client that reads slowly keeps nothing in memory. Any number of threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

struct http_octets;

/* Takes `fd`, also when it fails: a file of `size` octets that nobody changes any more. 0 or -ENOMEM. */
int http_octets_new(struct http_octets **out, int fd, uint64_t size);
struct http_octets *http_octets_hold(struct http_octets *o); /* another reference */
void http_octets_drop(struct http_octets **o);               /* gives one back */

uint64_t http_octets_size(const struct http_octets *o);

/* Nobody else has a reference. */
bool http_octets_is_alone(const struct http_octets *o);

/* Exactly `n` octets from `offset` on. 0; -ESTALE: they were withdrawn; -errno; -EIO: the file is shorter. */
int http_octets_read(struct http_octets *o, uint64_t offset, void *out, size_t n);

/* Append the next piece, `max` octets at most, and move `*offset` behind it; the last one gives the reference back. As
 * http_octets_read(); -EMSGSIZE, -ENOMEM. */
int http_octets_next(struct http_octets **o, uint64_t *offset, size_t max, struct buf *out);

/* The file is given back now, whoever still sends it: those replies end at their next piece, unfinished. */
void http_octets_withdraw(struct http_octets *o);
