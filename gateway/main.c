/* gatehoused: what the command line asks for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/own.h"
#include "core/exit.h"
#include "core/policy.h"
#include "gateway/config.h"
#include "gateway/role.h"
#include "gateway/supervisor/supervisor.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#define DEFAULT_CONFIG "/etc/gatehouse/gatehouse.yaml"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] = "Usage: gatehoused [--config FILE] [--check-config]\n"
			    "       gatehoused --list-options | --list-modules | --version | --help\n"
			    "\n"
			    "  --config FILE    configuration (default " DEFAULT_CONFIG ")\n"
			    "  --check-config   read and check it, start nothing\n"
			    "  --list-options   print every option of the configuration\n"
			    "  --list-modules   print the adapters and modules that are built in\n"
			    "  --version        print the version\n"
			    "  --help           print this\n";

struct arguments {
	const char *config;
	const char *role; /* started by the supervisor as this process */
	bool checks;
	int (*instead)(void); /* print something and end */
};

static int print_options(void)
{
	gw_config_print_options(stdout);
	return 0;
}

static int print_modules(void)
{
	size_t i;

	for (i = 0; proto_adapters[i]; i++)
		printf("protocol %-10s %s\n", proto_adapters[i]->name, proto_adapters[i]->summary);
	for (i = 0; policy_modules[i]; i++)
		printf("policy   %-10s %s\n", policy_modules[i]->name, policy_modules[i]->summary);
	for (i = 0; exit_modules[i]; i++)
		printf("exit     %-10s %s\n", exit_modules[i]->name, exit_modules[i]->summary);
	return 0;
}

static int print_version(void)
{
	printf("gatehoused %s\n", GATEHOUSE_VERSION);
	return 0;
}

static int print_usage(void)
{
	fputs(usage, stdout);
	return 0;
}

static int read_arguments(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },  { "check-config", no_argument, NULL, 'k' },
		{ "list-options", no_argument, NULL, 'o' },  { "list-modules", no_argument, NULL, 'm' },
		{ "version", no_argument, NULL, 'V' },       { "help", no_argument, NULL, 'h' },
		{ "role", required_argument, NULL, 'r' },
		{ 0 },
	};
	static int (*const prints[128])(void) = {
		['o'] = print_options, ['m'] = print_modules, ['V'] = print_version, ['h'] = print_usage,
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (c == '?')
			return EXIT_USAGE;
		if (c == 'c')
			out->config = optarg;
		else if (c == 'r')
			out->role = optarg;
		else if (c == 'k')
			out->checks = true;
		else
			out->instead = prints[c];
	}
	if (optind < argc) {
		fprintf(stderr, "gatehoused: unexpected argument '%s'; see --help\n", argv[optind]);
		return EXIT_USAGE;
	}
	return 0;
}

static int complain(const struct conf_error *error, int r)
{
	fprintf(stderr, "gatehoused: %s%s\n", *error->text ? error->text : strerror(r < 0 ? -r : EINVAL),
		r == -ENOENT ? "; gatehouse ca init writes a first configuration" : "");
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .config = DEFAULT_CONFIG };
	struct conf_error error = { 0 };
	OWNED(conf) conf = NULL;
	int r = read_arguments(argc, argv, &arguments);

	if (r)
		return r;
	if (arguments.instead)
		return arguments.instead();
	if (arguments.role)
		return role_run(arguments.role);
	if (!arguments.checks) {
		r = supervise(arguments.config, &error);
		return r ? complain(&error, r) : 0;
	}
	r = supervisor_read(arguments.config, NULL, &conf, &error);
	if (r)
		return complain(&error, r);
	printf("%s: ok\n", arguments.config);
	return 0;
}
