/* gatehouse, the tool that people type.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/ctl/help.h"
#include "gateway/ctl/pager.h"
#include "gateway/ctl/parse.h"
#include "gateway/ctl/print.h"

static int print_help(const struct ctl *ctl, FILE *to)
{
	if (ctl->command)
		help_print_command(to, ctl->command);
	else if (ctl->noun)
		help_print_noun(to, noun_find(ctl->noun));
	else
		help_print_all(to);
	return to == stdout ? CTL_DONE : CTL_USAGE;
}

static int run(struct ctl *ctl)
{
	int code;

	if (ctl->wants_version)
		return printf("gatehouse %s\n", GATEHOUSE_VERSION) < 0 ? CTL_FAILED : CTL_DONE;
	if (ctl->wants_help || !ctl->command)
		return print_help(ctl, ctl->wants_help ? stdout : stderr);
	pager_begin(ctl);
	code = ctl->command->run(ctl);
	pager_end();
	return code;
}

int main(int argc, char **argv)
{
	const char *socket_path = getenv("GATEHOUSE_SOCKET");
	struct ctl ctl = { .socket_path = socket_path ? socket_path : CTL_SOCKET_DEFAULT, .fd = -1 };
	int code;

	setlocale(LC_CTYPE, "C.UTF-8");
	code = parse_command_line(&ctl, argc, argv);
	if (!code)
		code = run(&ctl);
	if (ctl.fd >= 0)
		close(ctl.fd);
	print_forget();
	if (fflush(stdout) && code == CTL_DONE)
		code = ctl_fail(CTL_FAILED, "the output is not complete", "it could not be written", NULL);
	return code;
}
