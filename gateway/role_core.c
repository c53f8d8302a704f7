/* The process `core`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/role.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "core/core.h"
#include "core/signer/signer.h"
#include "core/wire/control.h"
#include "core/wire/link.h"
#include "core/wire/verdict.h"

struct core_process {
	struct conf *conf;
	struct ca_core_env env;
	int sockets[CA_SOCKETS_];
	struct ca_core *core;
	int gateway_fd; /* until there is a core that can serve it */
	uint8_t verdict_key[VERDICT_KEY_SIZE];
};

static int take_config(void *arg, const char *text, int take_fd)
{
	return role_take_config(&((struct core_process *)arg)->conf, text, take_fd);
}

static int take_socket(void *arg, const char *text, int take_fd)
{
	struct core_process *p = arg;

	if (take_fd < 0)
		return -EBADF;
	for (int i = 0; i < CA_SOCKETS_; i++)
		if (strcmp(ca_core_socket_name((enum ca_core_socket)i), text) == 0 && p->sockets[i] < 0) {
			p->sockets[i] = take_fd;
			return 0;
		}
	close(take_fd);
	return -EINVAL;
}

static int take_others(void *arg, const char *text, int take_fd)
{
	struct ca_core_env *env = &((struct core_process *)arg)->env;
	unsigned uids[CA_CORE_OTHERS];

	if (sscanf(text, "%u %u %u", &uids[0], &uids[1], &uids[2]) != CA_CORE_OTHERS)
		return -EINVAL;
	for (int i = 0; i < CA_CORE_OTHERS; i++)
		env->others[i] = (uid_t)uids[i];
	env->is_separated = true;
	return 0;
}

static int take_verdict_key(void *arg, const char *text, int take_fd)
{
	struct core_process *p = arg;

	p->env.verdict_key = p->verdict_key;
	return control_take_secret(take_fd, p->verdict_key, sizeof(p->verdict_key));
}

static int take_link(void *arg, const char *text, int take_fd)
{
	struct core_process *p = arg;

	if (take_fd < 0)
		return -EBADF;
	if (strcmp(text, "signer") == 0) {
		link_attach(p->env.signer, take_fd);
	} else if (strcmp(text, "gateway") == 0 && p->core) {
		return ca_core_attach(p->core, take_fd);
	} else if (strcmp(text, "gateway") == 0) {
		if (p->gateway_fd >= 0)
			close(p->gateway_fd);
		p->gateway_fd = take_fd;
	} else {
		close(take_fd);
		return -EINVAL;
	}
	return 0;
}

static const struct control_word words[] = {
	{ "config", take_config }, { "socket", take_socket }, { "others", take_others }, { "link", take_link },
	{ "verdict-key", take_verdict_key }, { 0 },
};

/* To look at a password takes 16 MiB. They go back to the kernel at once, whichever thread it was; by itself malloc
 * would keep as much in the arena of each. */
#define KEPT_OCTETS_MAX (1 << 20)

static void give_up(void)
{
	_exit(1);
}

int role_core(void)
{
	struct core_process p = { .sockets = { -1, -1, -1 }, .gateway_fd = -1 };
	struct link_options signer = { .window = SIGNER_WINDOW };
	struct conf_error error = { 0 };
	int e;

	role_ignore_signals();
	mallopt(M_MMAP_THRESHOLD, KEPT_OCTETS_MAX);
	p.env.sockets = p.sockets;
	p.env.give_up = give_up;
	e = link_new(&p.env.signer, &signer);
	if (!e)
		e = control_begin(words, &p);
	if (!e)
		e = ca_core_start(&p.core, conf_root(p.conf), &p.env, &error);
	if (!e && p.gateway_fd >= 0)
		e = ca_core_attach(p.core, p.gateway_fd);
	if (e)
		role_fail(&error, e);
	control_ready();
	/* Without a supervisor nobody waits for an orderly end: what was acknowledged is durable. */
	if (!control_serve(words, &p))
		_exit(1);
	ca_core_drop(&p.core);
	link_drop(&p.env.signer);
	conf_drop(&p.conf);
	return 0;
}
