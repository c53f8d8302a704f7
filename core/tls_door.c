/* Where intermediaries of other machines come in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/tls_door.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/ip.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/base/pool.h"
#include "core/wire/tls_relay.h"

#define HANDSHAKES_MAX 8
#define WAITING_MAX 8
#define OF_ONE_ADDRESS 4
#define SILENT_S 2        /* so long the kernel keeps a connection that has sent nothing */
#define BACKLOG 512       /* the silent ones count here */
#define REFUSAL_PAUSE_MS 1000

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
	pthread_mutex_t lock; /* guards what follows */
	struct knock *knocks[HANDSHAKES_MAX + WAITING_MAX]; /* NULL: a free place */
	int64_t said_ms;      /* when the last refusal was logged, and how many have been since */
	unsigned unsaid;
};

/* A connection that has not shown a certificate yet. */
struct knock {
	struct pool_job job;
	struct tls_door *door;
	int fd;
	struct ip_address from;
};

/* Anybody can be refused as often as he likes: the log must not be his. */
static void refuse(struct tls_door *d, const struct ip_address *from, const char *why)
{
	int64_t now_ms = clock_mono_ms();
	char text[IP_TEXT_SIZE];
	unsigned unsaid;
	bool says;

	pthread_mutex_lock(&d->lock);
	says = now_ms - d->said_ms >= REFUSAL_PAUSE_MS;
	unsaid = d->unsaid;
	d->unsaid = says ? 0 : unsaid + 1;
	d->said_ms = says ? now_ms : d->said_ms;
	pthread_mutex_unlock(&d->lock);
	if (says)
		log_warn("intermediary.refused", "peer", ip_address_print(from, text), "why", why, "others-since",
			 unsaid ? LOG_NUMBER(unsaid) : NULL);
}

/* ---- places ---- */

/* Who has an IPv6 network has all its addresses. */
static bool is_same_peer(const struct ip_address *a, const struct ip_address *b)
{
	return a->len == b->len && memcmp(a->octets, b->octets, a->len == 16 ? 8 : a->len) == 0;
}

/* NULL, or why there is none. */
static const char *take_place(struct tls_door *d, struct knock *k)
{
	struct knock **place = NULL;
	unsigned same = 0;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < HANDSHAKES_MAX + WAITING_MAX; i++) {
		if (!d->knocks[i])
			place = &d->knocks[i];
		else
			same += is_same_peer(&d->knocks[i]->from, &k->from);
	}
	if (place && same < OF_ONE_ADDRESS)
		*place = k;
	pthread_mutex_unlock(&d->lock);
	if (same >= OF_ONE_ADDRESS)
		return "too many handshakes of this address at once";
	return place ? NULL : "too many handshakes at once";
}

static void leave_place(struct tls_door *d, struct knock *k)
{
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < HANDSHAKES_MAX + WAITING_MAX; i++)
		if (d->knocks[i] == k)
			d->knocks[i] = NULL;
	pthread_mutex_unlock(&d->lock);
}

/* ---- coming in ---- */

static void get_in(struct pool_job *job)
{
	struct knock *k = (struct knock *)job;
	struct tls_door *d = k->door;
	uint8_t fingerprint[SHA256_SIZE];
	char why[TLS_RELAY_WHY_SIZE], who[96], from[IP_TEXT_SIZE];
	const struct binding *by;
	int plain, e;

	e = tls_relay_join(d->relay, k->fd, TLS_RELAY_SERVER, &plain, fingerprint, why);
	leave_place(d, k);
	if (e) {
		refuse(d, &k->from, why);
	} else {
		by = bindings_find_certificate(d->bindings, fingerprint);
		snprintf(who, sizeof(who), "tls %s", ip_address_print(&k->from, from));
		d->enter(d->arg, plain, by, who);
	}
	free(k);
}

static struct ip_address address_of(const struct sockaddr_storage *peer)
{
	struct ip_address a = { .len = peer->ss_family == AF_INET6 ? 16 : 4 };

	memcpy(a.octets, peer->ss_family == AF_INET6 ?
				 (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr :
				 (const void *)&((const struct sockaddr_in *)peer)->sin_addr, a.len);
	return a;
}

/* Takes `k`. */
static void let_knock(struct tls_door *d, struct knock *k)
{
	const char *why = take_place(d, k);

	if (!why && pool_submit(d->handshakes, &k->job)) {
		leave_place(d, k);
		why = "too many handshakes at once";
	}
	if (!why)
		return;
	close(k->fd);
	refuse(d, &k->from, why);
	free(k);
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
	*k = (struct knock){ .job.run = get_in, .door = d, .fd = fd, .from = address_of(&peer) };
	let_knock(d, k);
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
	int one = 1, silent_s = SILENT_S, e = fill_address(section, &address, &n), fd;

	if (e)
		return e;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &silent_s, sizeof(silent_s));
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
	*d = (struct tls_door){ .bindings = bindings, .enter = enter, .arg = arg, .fd = fd,
				.said_ms = -REFUSAL_PAUSE_MS };
	pthread_mutex_init(&d->lock, NULL);
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
	pthread_mutex_destroy(&d->lock);
	free(d);
	*dp = NULL;
}
