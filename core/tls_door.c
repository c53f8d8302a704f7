/* Where intermediaries of other machines come in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/tls_door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/ip.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/base/pool.h"
#include "core/wire/tls_relay.h"

#define HANDSHAKES_MAX 8
#define WAITING_MAX 8
#define BACKLOG 16

const struct conf_option tls_door_rows[] = {
	{.name = "address",
	 .type = CONF_STRING,
	 .fallback = "0.0.0.0",
	 .summary = "IPv4 or IPv6 address; 0.0.0.0 or '::' for all."},
	{.name = "port",
	 .type = CONF_INTEGER,
	 .range = "1..65535",
	 .summary = "TCP port; absent: nobody comes in here."},
	{.name = "certificate",
	 .type = CONF_STRING,
	 .summary = "PEM file with the core's own certificate, which intermediaries pin, whoever issued it."},
	{.name = "key", .type = CONF_STRING, .summary = "PEM file with its key, mode 0600."},
	{0},
};

struct tls_door {
	const struct bindings *bindings;
	tls_door_enter *enter;
	void *arg;
	struct tls_relay *relay;
	struct pool *handshakes;
	int fd;
};

/* A connection that has not shown a certificate yet. */
struct knock {
	struct pool_job job;
	struct tls_door *door;
	int fd;
	char from[IP_TEXT_SIZE];
};

static void get_in(struct pool_job *job)
{
	struct knock *k = (struct knock *)job;
	struct tls_door *d = k->door;
	uint8_t fingerprint[SHA256_SIZE];
	char why[TLS_RELAY_WHY_SIZE], who[96];
	const struct binding *by;
	int plain;

	if (tls_relay_join(d->relay, k->fd, TLS_RELAY_SERVER, &plain, fingerprint, why)) {
		log_warn("intermediary.refused", "peer", k->from, "why", why);
	} else {
		by = bindings_find_certificate(d->bindings, fingerprint);
		snprintf(who, sizeof(who), "tls %s", k->from);
		d->enter(d->arg, plain, by, who);
	}
	free(k);
}

static void print_peer(const struct sockaddr_storage *peer, char out[static IP_TEXT_SIZE])
{
	const void *octets = &((const struct sockaddr_in *)peer)->sin_addr;

	if (peer->ss_family == AF_INET6)
		octets = &((const struct sockaddr_in6 *)peer)->sin6_addr;
	if (!inet_ntop(peer->ss_family, octets, out, IP_TEXT_SIZE))
		snprintf(out, IP_TEXT_SIZE, "?");
}

void tls_door_accept(struct tls_door *d)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t n = sizeof(peer);
	int fd = accept4(d->fd, (struct sockaddr *)&peer, &n, SOCK_CLOEXEC);
	struct knock *k = fd >= 0 ? calloc(1, sizeof(*k)) : NULL;

	if (!k) {
		if (fd >= 0)
			close(fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			usleep(100000);
		return;
	}
	*k = (struct knock){ .job.run = get_in, .door = d, .fd = fd };
	print_peer(&peer, k->from);
	if (pool_submit(d->handshakes, &k->job)) {
		log_warn("intermediary.refused", "peer", k->from, "why", "too many handshakes at once");
		close(fd);
		free(k);
	}
}

int tls_door_fd(const struct tls_door *d)
{
	return d->fd;
}

/* ---- start and stop ---- */

static int fill_address(const struct conf_section *listen, struct sockaddr_storage *out, socklen_t *n)
{
	struct ip_address a;
	uint16_t port = htons((uint16_t)conf_int(listen, "port"));

	*out = (struct sockaddr_storage){ 0 };
	if (ip_address_parse(&a, conf_str(listen, "address")))
		return -EINVAL;
	if (a.len == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
		memcpy(&in->sin_addr, a.octets, 4);
		*n = sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
		memcpy(&in6->sin6_addr, a.octets, 16);
		*n = sizeof(*in6);
	}
	return 0;
}

int tls_door_check(const struct conf_section *listen, struct conf_error *error)
{
	struct sockaddr_storage address;
	socklen_t n;

	if (!conf_int(listen, "port"))
		return 0;
	if (fill_address(listen, &address, &n))
		return conf_refuse(listen, "address", error, "'%s' is not an IPv4 or IPv6 address",
				   conf_str(listen, "address"));
	if (!conf_str(listen, "certificate") || !conf_str(listen, "key"))
		return conf_refuse(listen, NULL, error, "a core that listens needs 'certificate' and 'key'");
	return 0;
}

static int listen_tcp(const struct conf_section *section)
{
	struct sockaddr_storage address;
	socklen_t n;
	int one = 1, e = fill_address(section, &address, &n), fd;

	if (e)
		return e;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&address, n) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	e = -errno;
	close(fd);
	return e;
}

int tls_door_listen(int *fd, const struct conf_section *section, struct conf_error *error)
{
	int e = conf_int(section, "port") ? listen_tcp(section) : -1;

	*fd = e < 0 ? -1 : e;
	if (e >= 0 || !conf_int(section, "port"))
		return 0;
	conf_refuse(section, "port", error, "cannot listen on %s port %d: %s", conf_str(section, "address"),
		    (int)conf_int(section, "port"), strerror(-e));
	return e;
}

static bool is_known(void *arg, const uint8_t fingerprint[static SHA256_SIZE])
{
	return bindings_find_certificate(arg, fingerprint) != NULL;
}

static int start_relay(struct tls_door *d, const struct conf_section *listen, struct conf_error *error)
{
	struct tls_relay_options options = { conf_str(listen, "certificate"), conf_str(listen, "key"), is_known,
					     (void *)(uintptr_t)d->bindings };
	struct pool_options pool = { .threads = HANDSHAKES_MAX, .queue = WAITING_MAX };
	char why[TLS_RELAY_WHY_SIZE];
	int e = tls_relay_new(&d->relay, &options, why);

	if (e)
		return conf_refuse(listen, "certificate", error, "the core cannot speak TLS: %s", why);
	return pool_new(&d->handshakes, &pool);
}

int tls_door_start(struct tls_door **out, int fd, const struct conf_section *listen, const struct bindings *bindings,
		   tls_door_enter *enter, void *arg, struct conf_error *error)
{
	struct tls_door *d = calloc(1, sizeof(*d));
	int e;

	if (!d)
		return -ENOMEM;
	*d = (struct tls_door){ .bindings = bindings, .enter = enter, .arg = arg, .fd = fd };
	e = start_relay(d, listen, error);
	if (e)
		tls_door_stop(&d);
	else
		*out = d;
	return e;
}

void tls_door_stop(struct tls_door **dp)
{
	struct tls_door *d = *dp;

	if (!d)
		return;
	pool_drop(&d->handshakes);
	tls_relay_drop(&d->relay);
	free(d);
	*dp = NULL;
}
