/* Messages on a stream: a length of 4 octets, big endian, then so many octets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#define FRAME_MAX (256u * 1024)

/* Read one message into `out`, replacing what it held. 0; -EPIPE at the end of the stream; -EMSGSIZE for a length of
 * 0 or over FRAME_MAX; -ETIMEDOUT; -errno. */
int frame_read(int fd, struct buf *out);
int frame_write(int fd, struct bytes message);
