/* What a connection looks like on the wire.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/gateway/wire.h"

#include <linux/tcp.h> /* knows more of struct tcp_info than the C library's header */
#include <netinet/in.h>
#include <sys/socket.h>

#define FDS_MAX 1024

unsigned wire_segments(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_data_segs_in : 0;
}

static int find_other_end(int fd)
{
	struct sockaddr_in ours, peer;
	socklen_t size = sizeof(ours);
	int other;

	if (getsockname(fd, (struct sockaddr *)&ours, &size) < 0)
		return -1;
	for (other = 0; other < FDS_MAX; other++) {
		size = sizeof(peer);
		if (getpeername(other, (struct sockaddr *)&peer, &size) == 0 && size == sizeof(peer) &&
		    peer.sin_family == AF_INET && peer.sin_port == ours.sin_port)
			return other;
	}
	return -1;
}

bool wire_is_undelayed(int fd)
{
	int is = 0, other = find_other_end(fd);
	socklen_t size = sizeof(is);

	return other >= 0 && getsockopt(other, IPPROTO_TCP, TCP_NODELAY, &is, &size) == 0 && is;
}
