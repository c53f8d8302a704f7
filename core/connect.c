/* Connections to a core in another process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/connect.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/registry.h"
#include "core/wire/tls_relay.h"

#define CONNECT_S 1 /* a Unix socket whose queue is full makes connect() wait too */

int connect_unix(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval patience = { CONNECT_S, 0 };
	int fd, e = 0;

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to))) {
		e = -errno;
		close(fd);
	}
	return e ? e : fd;
}

/* ---- TLS ---- */

/* Set before the first connection, then left alone. */
static struct {
	struct tls_relay *relay;
	uint8_t core_certificate[SHA256_SIZE];
} identity;

static bool is_pinned_core(void *arg, const uint8_t fingerprint[static SHA256_SIZE])
{
	return memcmp(identity.core_certificate, fingerprint, SHA256_SIZE) == 0;
}

int ca_link_use_tls(const struct ca_link_tls *tls, char *why, size_t why_size)
{
	struct tls_relay_options options = { .is_known = is_pinned_core };
	char said[TLS_RELAY_WHY_SIZE];
	int e;

	tls_relay_drop(&identity.relay);
	if (!tls)
		return 0;
	options.certificate = tls->certificate;
	options.key = tls->key;
	if (hex_parse_fingerprint(tls->core_certificate, identity.core_certificate)) {
		snprintf(why, why_size, "'%s' is not a SHA-256 fingerprint of 64 hex digits", tls->core_certificate);
		return -EINVAL;
	}
	e = tls_relay_new(&identity.relay, &options, said);
	if (e)
		snprintf(why, why_size, "%s", said);
	return e;
}

/* "HOST:PORT" or "[ADDRESS]:PORT". 0 or -EINVAL. */
static int split_host(const char *text, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(text, ':'), *begin = text, *end = colon;

	if (colon && *text == '[' && colon > text && colon[-1] == ']') {
		begin++;
		end--;
	}
	if (!colon || !colon[1] || end <= begin || (size_t)(end - begin) >= size)
		return -EINVAL;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	*port = colon + 1;
	return 0;
}

static int connect_within(int fd, const struct addrinfo *to, int wait_ms)
{
	struct pollfd p = { fd, POLLOUT, 0 };
	socklen_t n = sizeof(int);
	int error = 0;

	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, wait_ms) <= 0)
		return -ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) ? -errno : -error;
}

static int connect_tcp(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *all, *a;
	int fd, e = -EHOSTUNREACH;

	if (getaddrinfo(host, port, &hints, &all))
		return -EHOSTUNREACH;
	for (a = all; a && e; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		e = fd < 0 ? -errno : connect_within(fd, a, CONNECT_S * 1000);
		if (e && fd >= 0)
			close(fd);
	}
	freeaddrinfo(all);
	return e ? e : fd;
}

int connect_tls(const char *host_port)
{
	uint8_t fingerprint[SHA256_SIZE];
	char host[256], why[TLS_RELAY_WHY_SIZE];
	const char *port;
	int plain = -1, fd, e;

	if (!identity.relay || split_host(host_port, host, sizeof(host), &port))
		return -EINVAL;
	fd = connect_tcp(host, port);
	if (fd < 0)
		return fd;
	e = tls_relay_join(identity.relay, fd, TLS_RELAY_CLIENT, &plain, fingerprint, why);
	if (e)
		log_warn("core.unreachable", "core", host_port, "why", why);
	return e ? e : plain;
}
