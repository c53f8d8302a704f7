/* gatehouse-validator: the process that contacts clients' machines, and nothing else.
 *
 * It is given everything by the supervisor (core/wire/control.h), in this order:
 *
 *   user UID GID       optional: who it becomes
 *   config PATH + fd   the configuration; the section `validator:` is looked at, and which endpoint has which of its
 *                      targets; PATH stands in errors
 *   verdict-key + fd   under which it states what targets say (core/wire/verdict.h)
 *   link gateway + fd  its connection to the gateway
 *   go
 *
 * It is over when its connection or its supervisor is: jobs do not survive it, and the client's next poll starts them
 * again. Signals of a terminal or of a service manager are for the supervisor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/answer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/pool.h"
#include "core/wire/control.h"
#include "core/wire/server.h"

enum { EXIT_USAGE = 2 };

static const struct conf_option endpoint_rows[] = {
	{ .name = "name", .type = CONF_STRING, .fallback = CONF_NEEDED },
	{ .name = "challenge-target", .type = CONF_STRING },
	{ .name = CONF_OTHERS },
	{ 0 },
};

static const struct conf_option rows[] = {
	{ .name = "endpoints", .type = CONF_SECTIONS, .rows = endpoint_rows },
	{ .name = "validator", .type = CONF_SECTION, .rows = validator_options },
	{ .name = CONF_OTHERS },
	{ 0 },
};

/* What the supervisor gave. */
struct given {
	struct conf *conf;
	int link_fd;
	uint8_t verdict_key[VERDICT_KEY_SIZE];
	bool has_verdict_key;
	struct conf_error error;
};

static int take_config(void *arg, const char *text, int fd)
{
	struct given *g = arg;
	int e = fd < 0 || g->conf ? -EINVAL : conf_load_fd(&g->conf, fd, text, rows, &g->error);

	if (fd >= 0)
		close(fd);
	return e;
}

static int take_verdict_key(void *arg, const char *text, int fd)
{
	struct given *g = arg;
	int e = control_take_secret(fd, g->verdict_key, sizeof(g->verdict_key));

	g->has_verdict_key = !e;
	return e;
}

static int take_link(void *arg, const char *text, int fd)
{
	struct given *g = arg;

	if (fd >= 0 && g->link_fd < 0 && strcmp(text, "gateway") == 0) {
		g->link_fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return -EINVAL;
}

static int answer(void *peer_arg, struct bytes message, struct buf *reply)
{
	return validator_answer(peer_arg, message, reply);
}

/* The gateway is gone, and with it everybody who wants to know. */
static void end(void *peer_arg)
{
	_exit(0);
}

static int start(struct given *g)
{
	struct validator *validator;
	struct wire_server *server;
	struct pool *pool;
	int e;

	if (!g->conf || g->link_fd < 0)
		return -EINVAL;
	e = validator_new(&validator, conf_section(conf_root(g->conf), "validator"), &g->error);
	if (!e && g->has_verdict_key)
		e = validator_set_targets(validator, conf_root(g->conf), g->verdict_key, &g->error);
	explicit_bzero(g->verdict_key, sizeof(g->verdict_key));
	if (!e)
		e = pool_new(&pool, &(struct pool_options){ .threads = VALIDATOR_WINDOW, .queue = VALIDATOR_WINDOW });
	if (!e)
		e = wire_server_new(&server, &(struct wire_server_options){
			.name = "validator", .pool = pool, .window = VALIDATOR_WINDOW, .answer = answer, .gone = end });
	return e ? e : wire_server_add(server, g->link_fd, validator);
}

static void complain(const struct given *g, int e)
{
	char why[CONTROL_TEXT_SIZE];

	snprintf(why, sizeof(why), "the validator cannot start: %s",
		 g->error.text[0] ? g->error.text :
		 e == -EINVAL     ? "it was given no configuration or no connection to the gateway" :
				    strerror(-e));
	control_failed(why);
}

int main(int argc, char **argv)
{
	static const struct control_word words[] = { { "config", take_config }, { "link", take_link },
						       { "verdict-key", take_verdict_key }, { 0 } };
	static const struct control_word none[] = { { 0 } };
	static const int ignored[] = { SIGPIPE, SIGTERM, SIGINT, SIGHUP };
	struct given given = { .link_fd = -1 };
	int e;

	if (argc > 1 || !control_is_there()) {
		fputs("gatehouse-validator is started by gatehoused; it has no options\n", stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	e = control_begin(words, &given);
	if (!e)
		e = start(&given);
	if (e) {
		complain(&given, e);
		conf_drop(&given.conf);
		return CONTROL_EXIT_FAILED;
	}
	control_ready();
	control_serve(none, NULL);
	_exit(0);
}
