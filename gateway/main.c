/* gatehoused: start, wait for a signal, stop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/core.h"
#include "core/exit.h"
#include "core/policy.h"
#include "gateway/config.h"
#include "gateway/gateway.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

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

/* Every connection is a descriptor: take what the system gives without asking. */
static void raise_descriptor_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* Keys are in memory: no part of it ever reaches a file. */
static void forbid_core_files(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

/* Before any thread starts: all of them leave the signals to sigwait(). */
static void block_signals(sigset_t *set)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
}

static void run_until_signal(const sigset_t *set)
{
	int number = 0;

	log_info("server.ready", "version", GATEHOUSE_VERSION);
	while (sigwait(set, &number) != 0 || number == SIGHUP)
		if (number == SIGHUP)
			log_warn("server.hangup", "why", "the configuration is read at the start only");
	log_info("server.stopping", "signal", number == SIGINT ? "SIGINT" : "SIGTERM");
}

static int serve(const struct conf_section *root)
{
	struct gateway_env env = { .core = "direct:" };
	struct conf_error error = { 0 };
	struct gateway *gateway = NULL;
	struct ca_core *core = NULL;
	sigset_t signals;
	int r;

	block_signals(&signals);
	raise_descriptor_limit();
	forbid_core_files();
	r = ca_core_start(&core, root, NULL, &error);
	if (r)
		return complain(&error, r);
	r = gateway_start(&gateway, root, &env, &error);
	if (!r) {
		run_until_signal(&signals);
		gateway_drop(&gateway);
	}
	ca_core_drop(&core);
	if (r)
		return complain(&error, r);
	log_info("server.stopped");
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .config = DEFAULT_CONFIG };
	struct conf_error error = { 0 };
	OWNED(conf) conf = NULL;
	OWNED_BUF text = BUF_INIT((size_t)1 << 20);
	int r = read_arguments(argc, argv, &arguments);

	if (r)
		return r;
	if (arguments.instead)
		return arguments.instead();
	r = conf_read_file(arguments.config, &text, &error);
	if (!r)
		r = conf_parse(&conf, buf_bytes(&text), arguments.config, gw_config_rows(), &error);
	if (!r)
		r = gw_config_check(conf_root(conf), &error);
	if (!r && arguments.checks)
		r = ca_core_check(conf_root(conf), &error);
	if (r)
		return complain(&error, r);
	if (arguments.checks) {
		printf("%s: ok\n", arguments.config);
		return 0;
	}
	gw_config_set_up_log(conf_root(conf));
	return serve(conf_root(conf));
}
