/* The listening sockets of the whole daemon.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/supervisor/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/wire/control.h"
#include "gateway/bind.h"
#include "gateway/config.h"

#define FIRST_GIVEN 3
#define LOOPS_MAX 256

/* All sockets of one address and port. */
struct bound {
	struct bound *next;
	char address[INET6_ADDRSTRLEN];
	uint16_t port;
	bool is_new;   /* of the call of sockets_open() under way */
	bool is_given; /* by the service manager, and no configuration was asked yet whether it wants them */
	unsigned n;
	int fds[];
};

struct sockets {
	struct bound *all;
};

/* What a configuration wants: its listeners, then the one for metrics. */
struct wanted {
	const char *name;
	char address[INET6_ADDRSTRLEN]; /* in the one text that the kernel's answers are printed in */
	uint16_t port;
	const struct conf_section *conf;
};

int sockets_new(struct sockets **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void bound_drop(struct bound *b)
{
	for (unsigned i = 0; i < b->n; i++)
		close(b->fds[i]);
	free(b);
}

void sockets_drop(struct sockets **s)
{
	struct bound *b, *next;

	for (b = *s ? (*s)->all : NULL; b; b = next) {
		next = b->next;
		bound_drop(b);
	}
	free(*s);
	*s = NULL;
}

/* Where in the list the sockets of this address are, or would be. */
static struct bound **place_of(struct bound **link, const char *address, uint16_t port)
{
	while (*link && ((*link)->port != port || strcmp((*link)->address, address) != 0))
		link = &(*link)->next;
	return link;
}

static struct bound *find(const struct sockets *s, const struct wanted *w)
{
	struct bound *all = s->all;

	return *place_of(&all, w->address, w->port);
}

static void copy_address(struct wanted *w, const char *text)
{
	unsigned char octets[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, octets) != 1 || !inet_ntop(family, octets, w->address, sizeof(w->address)))
		snprintf(w->address, sizeof(w->address), "%s", text);
}

/* True with the i-th wanted socket; false after the last. */
static bool wanted_at(const struct conf_section *root, size_t i, struct wanted *w)
{
	const struct conf_section *metrics = conf_section(root, "metrics");
	size_t n = conf_count(root, "listeners");

	if (i > n || (i == n && !conf_int(metrics, "port")))
		return false;
	w->conf = i < n ? conf_section_at(root, "listeners", i) : metrics;
	w->name = i < n ? conf_str(w->conf, "name") : GW_METRICS_LISTENER;
	copy_address(w, conf_str(w->conf, "address"));
	w->port = (uint16_t)conf_int(w->conf, "port");
	return true;
}

static bool is_wanted(const struct bound *b, const struct conf_section *root)
{
	struct wanted w;

	for (size_t i = 0; wanted_at(root, i, &w); i++)
		if (w.port == b->port && strcmp(w.address, b->address) == 0)
			return true;
	return false;
}

static struct bound *bound_new(const char *address, uint16_t port, unsigned n)
{
	struct bound *b = calloc(1, sizeof(*b) + n * sizeof(b->fds[0]));

	if (!b)
		return NULL;
	snprintf(b->address, sizeof(b->address), "%s", address);
	b->port = port;
	b->n = n;
	return b;
}

/* ---- from a service manager: sd_listen_fds(3) ---- */

/* One more socket of an address: a service manager may give several that share it (ReusePort=yes). */
static int add_given(struct sockets *s, const char *address, uint16_t port, int fd)
{
	struct bound **link = place_of(&s->all, address, port), *old = *link;
	unsigned n = old ? old->n : 0;
	struct bound *b = bound_new(address, port, n + 1);

	if (!b)
		return -ENOMEM;
	if (old) {
		memcpy(b->fds, old->fds, n * sizeof(b->fds[0]));
		b->next = old->next;
		free(old);
	}
	b->fds[n] = fd;
	b->is_given = true;
	*link = b;
	return 0;
}

static int adopt(struct sockets *s, int fd)
{
	struct sockaddr_storage space;
	socklen_t size = sizeof(space);
	char address[INET6_ADDRSTRLEN];
	const void *octets;

	if (getsockname(fd, (struct sockaddr *)&space, &size))
		return -errno;
	if (space.ss_family != AF_INET && space.ss_family != AF_INET6)
		return -EAFNOSUPPORT;
	octets = space.ss_family == AF_INET ? (const void *)&((struct sockaddr_in *)&space)->sin_addr :
					      (const void *)&((struct sockaddr_in6 *)&space)->sin6_addr;
	inet_ntop(space.ss_family, octets, address, sizeof(address));
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return add_given(s, address, gw_bound_port(fd), fd);
}

int sockets_adopt(struct sockets *s)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	int n = pid && count && atol(pid) == getpid() ? (int)strtol(count, NULL, 10) : 0, e = 0;

	for (int i = 0; !e && i < n && i < LOOPS_MAX; i++)
		e = adopt(s, FIRST_GIVEN + i);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return e;
}

/* ---- from the configuration ---- */

/* On any address of this family. */
static bool has_port(const struct sockets *s, const struct wanted *w)
{
	bool is_v6 = strchr(w->address, ':') != NULL;
	const struct bound *b = s->all;

	while (b && (b->port != w->port || (strchr(b->address, ':') != NULL) != is_v6))
		b = b->next;
	return b != NULL;
}

static int open_one(struct sockets *s, const struct wanted *w, unsigned n, struct conf_error *error)
{
	struct bound *b = bound_new(w->address, w->port, n);
	char why[512];
	int e = b ? gw_bind(w->name, w->address, &b->port, has_port(s, w), b->fds, n, why, sizeof(why)) : -ENOMEM;

	if (e) {
		free(b);
		if (e != -ENOMEM)
			conf_refuse(w->conf, e == -EADDRNOTAVAIL ? "address" : "port", error, "%s", why);
		return e;
	}
	b->is_new = true;
	b->next = s->all;
	s->all = b;
	return 0;
}

static void settle(struct sockets *s, bool keeps_new)
{
	struct bound **link = &s->all, *b;

	while ((b = *link) != NULL) {
		if (b->is_new && !keeps_new) {
			*link = b->next;
			bound_drop(b);
			continue;
		}
		b->is_new = false;
		link = &b->next;
	}
}

/* The kernel spreads connections over all sockets of an address, and each loop accepts from one. */
static int check_number(const struct bound *b, const struct wanted *w, unsigned loops, struct conf_error *error)
{
	if (b->n <= loops)
		return 0;
	return conf_refuse(w->conf, "port", error,
			   "the service manager gave %u sockets of this address, and only %u loops would accept their "
			   "connections; set gateway: loops to %u, or give fewer",
			   b->n, loops, b->n);
}

/* Clients of a socket that nobody accepts from would wait for ever, and nobody would know. */
static void drop_unused(struct sockets *s, const struct conf_section *root)
{
	struct bound **link = &s->all, *b;
	char port[8];

	while ((b = *link) != NULL) {
		bool is_unused = b->is_given && !is_wanted(b, root);

		b->is_given = false;
		if (!is_unused) {
			link = &b->next;
			continue;
		}
		snprintf(port, sizeof(port), "%u", b->port);
		log_warn("server.socket.unused", "address", b->address, "port", port, "why",
			 "the service manager gave it and no listener has this address; take it out of the socket "
			 "unit, or name it in the configuration and restart");
		*link = b->next;
		bound_drop(b);
	}
}

int sockets_open(struct sockets *s, const struct conf_section *root, struct conf_error *error)
{
	unsigned loops = gw_config_loops(root);
	struct wanted w;
	int e = 0;

	for (size_t i = 0; !e && wanted_at(root, i, &w); i++) {
		const struct bound *b = find(s, &w);

		e = b ? check_number(b, &w, loops, error) : open_one(s, &w, loops, error);
	}
	settle(s, e == 0);
	if (!e)
		drop_unused(s, root);
	return e;
}

void sockets_keep(struct sockets *s, const struct conf_section *root)
{
	struct bound **link = &s->all, *b;

	while ((b = *link) != NULL) {
		if (is_wanted(b, root)) {
			link = &b->next;
			continue;
		}
		*link = b->next;
		bound_drop(b);
	}
}

int sockets_give(const struct sockets *s, const struct conf_section *root, int channel)
{
	struct wanted w;
	int e = 0;

	for (size_t i = 0; !e && wanted_at(root, i, &w); i++) {
		const struct bound *b = find(s, &w);

		for (unsigned k = 0; !e && b && k < b->n; k++)
			e = control_send(channel, "listener", w.name, b->fds[k]);
	}
	return e;
}
