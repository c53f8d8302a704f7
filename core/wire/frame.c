/* Messages on a stream.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/wire/frame.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t get_length(const uint8_t head[static 4])
{
	return (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
}

static void put_length(size_t n, uint8_t head[static 4])
{
	head[0] = (uint8_t)(n >> 24);
	head[1] = (uint8_t)(n >> 16);
	head[2] = (uint8_t)(n >> 8);
	head[3] = (uint8_t)n;
}

static int read_all(int fd, uint8_t *to, size_t n)
{
	while (n) {
		ssize_t got = read(fd, to, n);

		if (got == 0)
			return -EPIPE;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		to += got;
		n -= (size_t)got;
	}
	return 0;
}

int frame_read(int fd, struct buf *out)
{
	uint8_t head[4];
	uint32_t n;
	uint8_t *room;
	int e = read_all(fd, head, sizeof(head));

	if (e)
		return e;
	n = get_length(head);
	if (n == 0 || n > FRAME_MAX)
		return -EMSGSIZE;
	buf_reset(out);
	room = buf_room(out, n);
	if (!room)
		return buf_status(out);
	e = read_all(fd, room, n);
	if (!e)
		buf_added(out, n);
	return e;
}

int frame_write(int fd, struct bytes message)
{
	uint8_t head[4];
	OWNED_BUF whole = BUF_INIT(FRAME_MAX + 4);

	put_length(message.len, head);
	buf_append(&whole, bytes_of(head, 4));
	if (message.len == 0 || buf_append(&whole, message))
		return -EMSGSIZE;
	for (size_t done = 0; done < whole.len;) {
		ssize_t n = send(fd, whole.ptr + done, whole.len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		done += (size_t)n;
	}
	return 0;
}

/* ---- many messages, without waiting ---- */

#define READ_SIZE 65536

int frame_in_fill(struct frame_in *in, int fd)
{
	uint8_t *room;
	ssize_t n;

	buf_consume(&in->octets, in->taken);
	in->taken = 0;
	room = buf_room(&in->octets, READ_SIZE);
	if (!room)
		return buf_status(&in->octets);
	do {
		n = recv(fd, room, READ_SIZE, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		buf_added(&in->octets, (size_t)n);
	return n > 0 ? 0 : n == 0 ? -EPIPE : errno == EAGAIN ? FRAME_MORE : -errno;
}

int frame_in_take(struct frame_in *in, struct bytes *message)
{
	size_t left = in->octets.len - in->taken;
	const uint8_t *at = in->octets.ptr + in->taken;
	uint32_t n;

	/* What was taken is done with: it may have been a password, and the next read may be long in coming. */
	if (left == 0) {
		buf_reset(&in->octets);
		in->taken = 0;
	}
	if (left < 4)
		return FRAME_MORE;
	n = get_length(at);
	if (n == 0 || n > FRAME_MAX)
		return -EMSGSIZE;
	if (left - 4 < n)
		return FRAME_MORE;
	*message = bytes_of(at + 4, n);
	in->taken += 4 + n;
	return 0;
}

void frame_in_fini(struct frame_in *in)
{
	buf_wipe(&in->octets);
}

static size_t put_varint(uint64_t value, uint8_t out[static 10])
{
	size_t n = 0;

	while (value >= 0x80) {
		out[n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	out[n++] = (uint8_t)value;
	return n;
}

int frame_out_add(struct frame_out *out, uint64_t id, struct bytes rest)
{
	uint8_t head[FRAME_OVERHEAD] = { 0, 0, 0, 0, 0x08 }; /* length; field 1, varint */
	size_t n = id ? 1 + put_varint(id, head + 5) : 0;
	uint8_t *room;

	if (n + rest.len == 0 || n + rest.len > FRAME_MAX)
		return -EMSGSIZE;
	put_length(n + rest.len, head);
	room = buf_room(&out->octets, 4 + n + rest.len);
	if (!room)
		return buf_status(&out->octets);
	memcpy(room, head, 4 + n);
	if (rest.len)
		memcpy(room + 4 + n, rest.ptr, rest.len);
	buf_added(&out->octets, 4 + n + rest.len);
	return 0;
}

bool frame_out_fits(const struct frame_out *out, size_t rest)
{
	return out->octets.len + FRAME_OVERHEAD + rest <= out->octets.max;
}

int frame_out_flush(struct frame_out *out, int fd)
{
	while (!frame_out_is_empty(out)) {
		ssize_t n = send(fd, out->octets.ptr + out->gone, out->octets.len - out->gone,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0)
			break;
		out->gone += (size_t)n;
	}
	/* The rest moves to the front only when it is small: a slow reader must not cost a copy of everything. */
	if (out->gone >= out->octets.len - out->gone) {
		buf_consume(&out->octets, out->gone);
		out->gone = 0;
	}
	return frame_out_is_empty(out) ? 0 : FRAME_MORE;
}

void frame_out_fini(struct frame_out *out)
{
	buf_wipe(&out->octets);
}

/* ---- the fields of a message ---- */

static bool take_varint(struct bytes *in, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 64 && in->len; shift += 7) {
		uint8_t octet = *in->ptr;

		in->ptr++;
		in->len--;
		*value |= (uint64_t)(octet & 0x7f) << shift;
		if (!(octet & 0x80))
			return true;
	}
	return false;
}

int frame_field_take(struct bytes *message, struct frame_field *out)
{
	enum { VARINT, FIXED64, OCTETS, FIXED32 = 5 };
	uint64_t tag, size;

	*out = (struct frame_field){ 0 };
	if (!take_varint(message, &tag))
		return -EBADMSG;
	out->field = tag >> 3;
	out->is_number = (tag & 7) == VARINT;
	out->is_octets = (tag & 7) == OCTETS;
	if (out->is_number)
		return take_varint(message, &out->number) ? 0 : -EBADMSG;
	if (out->is_octets ? !take_varint(message, &size) : (tag & 7) != FIXED64 && (tag & 7) != FIXED32)
		return -EBADMSG;
	if (!out->is_octets)
		size = (tag & 7) == FIXED64 ? 8 : 4;
	return size <= message->len && bytes_take(message, (size_t)size, &out->octets) ? 0 : -EBADMSG;
}

int frame_number(struct bytes message, unsigned field, uint64_t *value)
{
	struct frame_field f;

	*value = 0;
	while (message.len) {
		if (frame_field_take(&message, &f) || (f.field == field && !f.is_number))
			return -EBADMSG;
		if (f.field == field) {
			*value = f.number;
			return 0;
		}
	}
	return 0;
}
