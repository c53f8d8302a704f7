/* Listeners: sockets and what belongs to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/listener.h"

#include "core/base/log.h"
#include "gateway/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

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

/* Each loop needs a socket of its own, if only a copy: the kernel then wakes all loops for a client. */
static int copy_sockets(struct gw_listener *l, char *why, size_t why_size)
{
	const struct gw_listener_options *o = &l->options;
	unsigned i;

	for (i = 0; i < l->n_sockets; i++) {
		l->sockets[i] = fcntl(o->sockets[i % o->n_sockets], F_DUPFD_CLOEXEC, 0);
		if (l->sockets[i] < 0) {
			snprintf(why, why_size, "listener '%s': %s", o->name, strerror(errno));
			return -errno;
		}
	}
	l->port = gw_bound_port(l->sockets[0]);
	return 0;
}

static int get_sockets(struct gw_listener *l, char *why, size_t why_size)
{
	const struct gw_listener_options *o = &l->options;
	int r;

	if (o->n_sockets)
		return copy_sockets(l, why, why_size);
	r = gw_bind(o->name, o->address, &l->port, false, l->sockets, l->n_sockets, why, why_size);
	for (unsigned i = 0; r && i < l->n_sockets; i++)
		l->sockets[i] = -1;
	return r;
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
	l->port = options->port;
	l->sockets = calloc(n_sockets, sizeof(*l->sockets));
	l->n_sockets = l->sockets ? n_sockets : 0;
	for (i = 0; i < l->n_sockets; i++)
		l->sockets[i] = -1;
	r = l->sockets ? get_sockets(l, why, why_size) : -ENOMEM;
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
	if (l->options.asks_certificate && gw_tls_context_ask(context, l->options.ca_names))
		log_error("listener.ask.failed", "listener", l->options.name, "result",
			  "clients are not asked for a certificate until the listener's own is renewed");
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
