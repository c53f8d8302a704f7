/* What the roles have in common.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/role.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/wire/control.h"
#include "gateway/config.h"

int role_run(const char *name)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} roles[] = { { "core", role_core }, { "gateway", role_gateway } };

	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
		if (strcmp(roles[i].name, name) == 0 && control_is_there())
			return roles[i].run();
	fprintf(stderr, "gatehoused: the processes of the daemon are started by gatehoused itself; see --help\n");
	return 2;
}

int role_take_config(struct conf **out, const char *path, int take_fd)
{
	struct conf_error error;
	int e;

	conf_drop(out);
	e = conf_load_fd(out, take_fd, path, gw_config_rows(), &error);
	close(take_fd);
	if (!e)
		gw_config_set_up_log(conf_root(*out));
	return e;
}

void role_ignore_signals(void)
{
	static const int numbers[] = { SIGPIPE, SIGTERM, SIGINT, SIGHUP };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		signal(numbers[i], SIG_IGN);
}

int role_fail(const struct conf_error *error, int e)
{
	control_failed(*error->text ? error->text : strerror(e < 0 ? -e : EINVAL));
	return CONTROL_EXIT_FAILED;
}
