/* Listeners: sockets and what belongs to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"

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

static uint16_t port_of(int fd)
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

static int bind_all(struct gw_listener *l)
{
	union address a;
	socklen_t size;
	unsigned i;
	int r, fd;

	r = parse_address(l->options.address, l->options.port, &a, &size);
	if (!r && l->options.port)
		r = probe(&a, size);
	for (i = 0; !r && i < l->n_sockets; i++) {
		fd = bind_socket(&a, size, true);
		if (fd < 0)
			return fd;
		l->sockets[i] = fd;
		if (i > 0)
			continue;
		l->port = port_of(fd);
		r = parse_address(l->options.address, l->port, &a, &size);
	}
	return r;
}

static int explain(const struct gw_listener_options *o, int error, char *why, size_t why_size)
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
	bool is_v6 = strchr(o->address, ':') != NULL;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].error == error)
			words = table[i].words;
	snprintf(why, why_size, "listener '%s': %s%s%s:%u %s", o->name, is_v6 ? "[" : "", o->address,
		 is_v6 ? "]" : "", o->port, words);
	return error;
}

static bool is_wildcard(const char *address)
{
	return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

/* The first name that the listener answers to, with the port unless the scheme implies it. */
static char *make_default_url(const struct gw_listener *l)
{
	const struct gw_listener_options *o = &l->options;
	const char *host = o->n_names ? o->names[0] : is_wildcard(o->address) ? "localhost" : o->address;
	bool is_v6 = strchr(host, ':') != NULL;
	char port[8] = "";
	char *url;

	if (l->port != (o->is_tls ? 443 : 80))
		snprintf(port, sizeof(port), ":%u", l->port);
	if (asprintf(&url, "%s://%s%s%s%s", o->is_tls ? "https" : "http", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
		     port) < 0)
		return NULL;
	return url;
}

int gw_listener_new(struct gw_listener **out, const struct gw_listener_options *options, unsigned n_sockets,
		    char *why, size_t why_size)
{
	struct gw_listener *l = calloc(1, sizeof(*l));
	unsigned i;
	int r;

	snprintf(why, why_size, "no memory");
	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->tls_lock, NULL);
	l->options = *options;
	l->sockets = calloc(n_sockets, sizeof(*l->sockets));
	l->n_sockets = l->sockets ? n_sockets : 0;
	for (i = 0; i < l->n_sockets; i++)
		l->sockets[i] = -1;
	r = l->sockets ? bind_all(l) : -ENOMEM;
	if (r && r != -ENOMEM)
		explain(options, r, why, why_size);
	if (!r && !(l->default_url = make_default_url(l)))
		r = -ENOMEM;
	if (r)
		gw_listener_drop(&l);
	else
		*out = l;
	return r;
}

void gw_listener_drop(struct gw_listener **listener)
{
	struct gw_listener *l = *listener;
	unsigned i;

	if (!l)
		return;
	for (i = 0; i < l->n_sockets; i++)
		if (l->sockets[i] >= 0)
			close(l->sockets[i]);
	gw_tls_context_drop(&l->tls);
	pthread_mutex_destroy(&l->tls_lock);
	free(l->sockets);
	free(l->default_url);
	free(l);
	*listener = NULL;
}

void gw_listener_set_tls(struct gw_listener *l, struct ssl_ctx_st *context)
{
	struct ssl_ctx_st *old;

	if (gw_tls_context_share_tickets(context, l->tickets, l->options.name))
		log_error("listener.tickets.failed", "listener", l->options.name, "result",
			  "clients make a full handshake after each renewal of the certificate");
	gw_tls_context_ref(context);
	pthread_mutex_lock(&l->tls_lock);
	old = l->tls;
	l->tls = context;
	pthread_mutex_unlock(&l->tls_lock);
	gw_tls_context_drop(&old);
}

struct ssl_ctx_st *gw_listener_get_tls(struct gw_listener *l)
{
	struct ssl_ctx_st *context;

	pthread_mutex_lock(&l->tls_lock);
	context = gw_tls_context_ref(l->tls);
	pthread_mutex_unlock(&l->tls_lock);
	return context;
}

static bool is_port(const char *text)
{
	size_t n = strspn(text, "0123456789");
	unsigned long port = n >= 1 && n <= 5 ? strtoul(text, NULL, 10) : 0;

	return text[n] == '\0' && port >= 1 && port <= 65535;
}

/* HOST or HOST:PORT, an IPv6 address in brackets: the host without brackets; NULL for anything else. */
static const char *host_part(const char *host, size_t *len)
{
	bool has_brackets = *host == '[';
	const char *name = has_brackets ? host + 1 : host, *after;

	*len = strcspn(name, has_brackets ? "]" : ":");
	after = name + *len;
	if (has_brackets && (!memchr(name, ':', *len) || *after++ != ']'))
		return NULL;
	return !*after || (*after == ':' && is_port(after + 1)) ? name : NULL;
}

const char *gw_listener_base_url(const struct gw_listener *l, const char *host, struct arena *arena)
{
	const struct gw_listener_options *o = &l->options;
	size_t len, i;
	const char *name;
	char *url, *c;

	if (o->base_url)
		return o->base_url;
	name = host ? host_part(host, &len) : NULL;
	if (!name)
		return l->default_url;
	for (i = 0; i < o->n_names; i++)
		if (strlen(o->names[i]) == len && strncasecmp(o->names[i], name, len) == 0)
			break;
	if (i == o->n_names)
		return l->default_url;
	url = arena_printf(arena, "%s://%s", o->is_tls ? "https" : "http", host);
	for (c = url; c && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return url;
}
