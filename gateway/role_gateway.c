/* The process `gateway`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/role.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/secret.h"
#include "core/registry.h"
#include "core/signer/signer.h"
#include "core/wire/control.h"
#include "core/wire/link.h"
#include "gateway/gateway.h"
#include "gateway/validator/validator.h"

#define SOCKETS_MAX 4096

struct gateway_process {
	struct conf *conf;
	struct gateway_env env;
	struct gateway_socket *sockets;
	struct link *validator, *ra_signer;
	pthread_t listener; /* to the supervisor */
};

static int take_config(void *arg, const char *text, int take_fd)
{
	return role_take_config(&((struct gateway_process *)arg)->conf, text, take_fd);
}

static int take_listener(void *arg, const char *text, int take_fd)
{
	struct gateway_process *p = arg;
	struct gateway_socket *s = realloc(p->sockets, (p->env.n_sockets + 1) * sizeof(*s));

	if (!s || p->env.n_sockets == SOCKETS_MAX || take_fd < 0) {
		close(take_fd);
		return -ENOMEM;
	}
	p->env.sockets = p->sockets = s;
	s += p->env.n_sockets++;
	snprintf(s->name, sizeof(s->name), "%s", text);
	s->fd = take_fd;
	return 0;
}

static int take_link(void *arg, const char *text, int take_fd)
{
	struct gateway_process *p = arg;

	if (take_fd < 0)
		return -EBADF;
	if (strcmp(text, "core") == 0)
		return ca_link_attach(take_fd);
	if (strcmp(text, "validator") == 0) {
		link_attach(p->validator, take_fd);
		return 0;
	}
	if (strcmp(text, "ra-signer") == 0) {
		link_attach(p->ra_signer, take_fd);
		return 0;
	}
	close(take_fd);
	return -EINVAL;
}

static const struct control_word words[] = {
	{ "config", take_config }, { "listener", take_listener }, { "link", take_link }, { 0 },
};

static void say_lost(void)
{
	(void)control_send(CONTROL_FD, "lost", "core", -1);
}

/* On a thread of its own, because a gateway that starts waits for a core, whose connection may be renewed meanwhile. */
static void *listen_to_supervisor(void *arg)
{
	/* Without a supervisor nobody waits for an orderly end: what was acknowledged is durable. */
	if (!control_serve(words, arg))
		_exit(1);
	return NULL;
}

static int start(struct gateway_process *p, struct gateway **gateway, struct conf_error *error)
{
	int e = control_begin(words, p);

	ca_link_when_lost(say_lost);
	if (!e)
		e = -pthread_create(&p->listener, NULL, listen_to_supervisor, p);
	if (!e)
		e = validator_connect(&p->env.validator, p->validator);
	if (!e)
		e = signer_connect(&p->env.ra_signer, p->ra_signer);
	if (!e)
		e = gateway_start(gateway, conf_root(p->conf), &p->env, error);
	/* The gateway has copies; the supervisor has the sockets themselves. */
	for (size_t i = 0; i < p->env.n_sockets; i++)
		close(p->sockets[i].fd);
	return e;
}

int role_gateway(void)
{
	struct gateway_process p = { .env = { .core = "link:" } };
	struct link_options validator = { .window = VALIDATOR_WINDOW }, ra_signer = { .window = SIGNER_WINDOW };
	struct conf_error error = { 0 };
	struct gateway *gateway = NULL;
	int e;

	role_ignore_signals();
	e = secret_wipe_freed();
	if (!e)
		e = link_new(&p.validator, &validator);
	if (!e)
		e = link_new(&p.ra_signer, &ra_signer);
	if (!e)
		e = start(&p, &gateway, &error);
	if (e)
		role_fail(&error, e);
	control_ready();
	pthread_join(p.listener, NULL);
	gateway_drop(&gateway);
	validator_drop(&p.env.validator);
	signer_drop(&p.env.ra_signer);
	ca_link_attach(-1);
	link_drop(&p.validator);
	link_drop(&p.ra_signer);
	conf_drop(&p.conf);
	free(p.sockets);
	return 0;
}
