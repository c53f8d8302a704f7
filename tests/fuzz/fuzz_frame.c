/* A stream of octets, cut into two at a place that its first octet says, as one side of a connection reads it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take_all(struct frame_in *in)
{
	struct bytes message;
	uint64_t id;
	int e;

	while ((e = frame_in_take(in, &message)) == 0) {
		if (message.len == 0 || message.len > FRAME_MAX)
			abort();
		(void)frame_id(message, &id);
	}
	return e;
}

/* The whole must fit into the socket: nobody reads while it is written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_in in = FRAME_IN_INIT;
	size_t cut = size ? size * data[0] / 256 : 0;
	int ends[2], e = FRAME_MORE;

	if (size == 0 || size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return 0;
	for (int part = 0; e == FRAME_MORE && part < 2; part++) {
		struct bytes octets = part ? bytes_of(data + cut, size - cut) : bytes_of(data, cut);

		if (octets.len && send(ends[1], octets.ptr, octets.len, MSG_NOSIGNAL) != (ssize_t)octets.len)
			abort();
		while (e == FRAME_MORE && frame_in_fill(&in, ends[0]) == 0)
			e = take_all(&in);
	}
	frame_in_fini(&in);
	close(ends[0]);
	close(ends[1]);
	return 0;
}
