/* Messages on a stream.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/wire/frame.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

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
	n = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
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
	uint8_t head[4] = { (uint8_t)(message.len >> 24), (uint8_t)(message.len >> 16), (uint8_t)(message.len >> 8),
			    (uint8_t)message.len };
	OWNED_BUF whole = BUF_INIT(FRAME_MAX + 4);

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
