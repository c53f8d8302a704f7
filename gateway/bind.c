/* Sockets bound to an address.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int parse_address(const char *text, uint16_t port, union address *out, socklen_t *size)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		*size = sizeof(out->v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(port);
		*size = sizeof(out->v6);
		return 0;
	}
	return -EINVAL;
}

uint16_t gw_bound_port(int fd)
{
	union address a;
	socklen_t size = sizeof(a);

	if (getsockname(fd, &a.any, &size) < 0)
		return 0;
	return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

/* A bound socket or -errno. `is_shared`: several sockets of one user may have the same address. */
static int bind_socket(const union address *a, socklen_t size, bool is_shared)
{
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (!is_shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
	    (a->any.sa_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
	    bind(fd, &a->any, size) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* SO_REUSEPORT would let a second gateway of the same user share the port without a word: a socket without it, bound
 * and listening for a moment, finds out. */
static int probe(const union address *a, socklen_t size)
{
	int fd = bind_socket(a, size, false), r = 0;

	if (fd < 0)
		return fd;
	if (listen(fd, 1) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int explain(const char *name, const char *address, uint16_t port, int error, char *why, size_t why_size)
{
	static const struct {
		int error;
		const char *words;
	} table[] = {
		{ -EADDRINUSE, "is in use by another program; stop it or choose another port" },
		{ -EACCES, "may not be used by this user; ports below 1024 need root or CAP_NET_BIND_SERVICE" },
		{ -EADDRNOTAVAIL, "is not an address of this machine" },
		{ -EINVAL, "is not an IPv4 or IPv6 address" },
	};
	const char *words = strerror(-error);
	bool is_v6 = strchr(address, ':') != NULL;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].error == error)
			words = table[i].words;
	snprintf(why, why_size, "listener '%s': %s%s%s:%u %s", name, is_v6 ? "[" : "", address,
		 is_v6 ? "]" : "", port, words);
	return error;
}

/* How many were bound; `*error` is set when not all were. */
static unsigned bind_all(const char *address, uint16_t *port, bool is_ours, int *fds, unsigned n, int *error)
{
	union address a;
	socklen_t size;
	unsigned i;

	*error = parse_address(address, *port, &a, &size);
	if (!*error && *port && !is_ours)
		*error = probe(&a, size);
	for (i = 0; !*error && i < n; i++) {
		fds[i] = bind_socket(&a, size, true);
		if (fds[i] < 0) {
			*error = fds[i];
			break;
		}
		*port = gw_bound_port(fds[i]);
		*error = parse_address(address, *port, &a, &size);
	}
	return i;
}

int gw_bind(const char *name, const char *address, uint16_t *port, bool is_ours, int *fds, unsigned n, char *why,
	    size_t why_size)
{
	uint16_t wanted = *port;
	unsigned bound;
	int e;

	bound = bind_all(address, port, is_ours, fds, n, &e);
	while (e && bound > 0)
		close(fds[--bound]);
	return e ? explain(name, address, wanted, e, why, why_size) : 0;
}
