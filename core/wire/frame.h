/* Messages on a stream: a length of 4 octets, big endian, then so many octets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#define FRAME_MAX (256u * 1024)
#define FRAME_OVERHEAD (4 + 1 + 10) /* length and id */
#define FRAME_CONTENT_MAX (FRAME_MAX - 11) /* of a message without its id */

/* Read one message into `out`, replacing what it held. 0; -EPIPE at the end of the stream; -EMSGSIZE for a length of
 * 0 or over FRAME_MAX; -ETIMEDOUT; -errno. */
int frame_read(int fd, struct buf *out);
int frame_write(int fd, struct bytes message);

/* What was read of a stream and is not taken yet. */
struct frame_in {
	struct buf octets;
	size_t taken;
};

#define FRAME_IN_INIT ((struct frame_in){ .octets = BUF_INIT(2 * (FRAME_MAX + 4)) })

enum { FRAME_MORE = 1 };

/* Read what is there, without waiting. 0; FRAME_MORE when nothing is there; -EPIPE at the end; -errno. Messages taken
 * before are gone. */
int frame_in_fill(struct frame_in *in, int fd);

/* The next message, borrowed until the next fill. 0; FRAME_MORE when it is not whole yet; -EMSGSIZE as above. */
int frame_in_take(struct frame_in *in, struct bytes *message);
void frame_in_fini(struct frame_in *in);

/* What waits to be written. Messages of several threads leave together. */
struct frame_out {
	struct buf octets;
	size_t gone;
};

#define FRAME_OUT_INIT(limit) ((struct frame_out){ .octets = BUF_INIT(limit) })

/* Add the message of `id` and these octets: field 1 of every message of ours is a varint `id`, which is written here,
 * so that whoever packs the rest leaves it out. 0, -EMSGSIZE, -ENOMEM. */
int frame_out_add(struct frame_out *out, uint64_t id, struct bytes rest);

/* Is there room for a message of so many octets besides the id? A buffer that was asked for more fails for good. */
bool frame_out_fits(const struct frame_out *out, size_t rest);

/* Write without waiting. 0 when nothing is left; FRAME_MORE when the stream takes no more now; -errno. */
int frame_out_flush(struct frame_out *out, int fd);
static inline bool frame_out_is_empty(const struct frame_out *out)
{
	return out->octets.len == out->gone;
}
void frame_out_fini(struct frame_out *out);

/* One field of a message of protobuf, whatever its schema is. */
struct frame_field {
	uint64_t field;
	bool is_number, is_octets; /* neither: 4 or 8 octets of fixed size */
	uint64_t number;
	struct bytes octets;
};

/* Take it from the front of `message`. -EBADMSG: there is none. */
int frame_field_take(struct bytes *message, struct frame_field *out);

/* The varint in field `field` of a message, 0 when it has none. -EBADMSG when the octets up to it are no fields of
 * protobuf, or it is no varint. */
int frame_number(struct bytes message, unsigned field, uint64_t *value);

/* The `id` of a message. */
static inline int frame_id(struct bytes message, uint64_t *id)
{
	return frame_number(message, 1, id);
}
