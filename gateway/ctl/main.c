/* gatehouse: one table of commands, from which parsing and help come.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/print.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ctl_command commands[] = {
	{"pending", "", "", "list the requests that wait for a person", ctl_pending},
	{"list", "", "", "list all requests", ctl_list},
	{"show", "ID", "t", "show one request: what was asked for and what will be issued", ctl_show},
	{"approve", "ID...", "yd", "approve what was shown, and ask policy again", ctl_approve},
	{"resubmit", "ID...", "", "ask policy again, without an approval", ctl_resubmit},
	{"deny", "ID...", "r", "deny, with a reason for the requester", ctl_deny},
	{"edit", "ID...", "AX", "change attributes of a pending request; policy sees them at the next resubmit",
	 ctl_edit},
	{"cert list", "", "", "list the certificates", ctl_cert_list},
	{"status", "", "", "health, queue, and who the core takes you for", ctl_status},
	{"ca init", "", "nDckolm", "create a CA, and a first configuration", ctl_ca_init},
	{"ca show", "[NAME]", "", "show the CA, its certificate and fingerprint", ctl_ca_show},
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

/* Options of single commands; the letter stands in the command's row. */
static const struct {
	char letter;
	const char *name, *value, *summary;
} options[] = {
	{ 't', "timeline", NULL, "with every step, its time and who did it" },
	{ 'y', "yes", NULL, "do not ask" },
	{ 'd', "digest", "HEX", "only what has this digest (from show or pending -o json)" },
	{ 'r', "reason", "TEXT", "told to the requester" },
	{ 'A', "set-attr", "NAME=VALUE", "set an attribute (may be repeated)" },
	{ 'X', "del-attr", "NAME", "remove an attribute (may be repeated)" },
	{ 'n', "name", "NAME", "name of the CA, also its common name" },
	{ 'D', "data", "FOLDER", "data folder; /var/lib/gatehouse" },
	{ 'c', "config", "FILE", "configuration to write unless it is there; " CTL_CONFIG_DEFAULT },
	{ 'k', "key-type", "TYPE", "ec-p256 (default), ec-p384, rsa-3072, rsa-4096" },
	{ 'o', "organization", "TEXT", "organization in the CA's subject" },
	{ 'l', "lifetime", "DAYS", "of the CA certificate; 3650" },
	{ 'm', "domain", "NAME", "DNS name under which clients reach this gateway; the host's own name" },
};
#define N_OPTIONS (sizeof(options) / sizeof(*options))

static void print_help(FILE *to)
{
	fputs("usage: gatehouse [--socket PATH] [-o table|json] [--utc] COMMAND\n\n", to);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		fprintf(to, "  %-10s %-8s %s\n", commands[i].words, commands[i].arguments, commands[i].summary);
		for (size_t j = 0; j < N_OPTIONS; j++)
			if (strchr(commands[i].options, options[j].letter))
				fprintf(to, "       --%s%s%s   %s\n", options[j].name, options[j].value ? " " : "",
					options[j].value ? options[j].value : "", options[j].summary);
	}
	fputs("\nThe socket is --socket, else GATEHOUSE_SOCKET, else " CTL_SOCKET_DEFAULT ".\n"
	      "Exit codes: 0 done, 1 failed, 2 usage or confirmation missing, 3 not found, 4 denied by policy,\n"
	      "5 still pending, 6 wrong state or changed since seen, 7 not permitted, 8 core unreachable,\n"
	      "9 partly done.\n",
	      to);
}

/* Edit distance, for "did you mean". Both are short words of the command line. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64], previous, next;
	size_t n = strlen(b);

	if (n >= 63)
		return 99;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a && i < 63; i++, a++) {
		previous = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			next = previous + (*a != b[j - 1]);
			previous = row[j];
			if (row[j - 1] + 1 < next)
				next = row[j - 1] + 1;
			if (row[j] + 1 < next)
				next = row[j] + 1;
			row[j] = next;
		}
	}
	return row[n];
}

/* The command whose words the arguments begin with; `*used` is how many words that were. */
static const struct ctl_command *find_command(char **arguments, int n, int *used)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char words[64], *rest = words, *word;
		int matched = 0;

		snprintf(words, sizeof(words), "%s", commands[i].words);
		while ((word = strsep(&rest, " ")) && matched < n && strcmp(word, arguments[matched]) == 0)
			matched++;
		if (!word) {
			*used = matched;
			return &commands[i];
		}
	}
	return NULL;
}

static int unknown_command(char **arguments, int n)
{
	const char *best = NULL;
	unsigned least = 3;
	char typed[64], next[96];

	snprintf(typed, sizeof(typed), "%s%s%s", arguments[0], n > 1 ? " " : "", n > 1 ? arguments[1] : "");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		unsigned d = distance(strchr(commands[i].words, ' ') ? typed : arguments[0], commands[i].words);

		if (d < least) {
			least = d;
			best = commands[i].words;
		}
	}
	if (best)
		snprintf(next, sizeof(next), "did you mean: gatehouse %s", best);
	return ctl_fail(CTL_USAGE, arguments[0], "there is no such command", best ? next : "gatehouse --help");
}

static int check_arguments(const struct ctl_command *c, int n)
{
	bool takes = c->arguments[0], needs = takes && c->arguments[0] != '[',
	     many = strstr(c->arguments, "...") != NULL;

	if ((needs && n == 0) || (!takes && n) || (takes && !many && n > 1)) {
		char usage[96];

		snprintf(usage, sizeof(usage), "gatehouse %s %s", c->words, c->arguments);
		return ctl_fail(CTL_USAGE, c->words, n ? "too many arguments" : "an argument is missing", usage);
	}
	return CTL_DONE;
}

static void take_option(struct ctl *ctl, int letter, const char *value)
{
	const struct {
		char letter;
		const char **to;
	} texts[] = {
		{ 'd', &ctl->digest }, { 'r', &ctl->reason },   { 'n', &ctl->name },         { 'D', &ctl->data },
		{ 'c', &ctl->config }, { 'k', &ctl->key_type }, { 'o', &ctl->organization }, { 'l', &ctl->lifetime },
		{ 'm', &ctl->domain },
	};

	ctl->yes |= letter == 'y';
	ctl->timeline |= letter == 't';
	if (letter == 'A' && ctl->n_set_attributes++ < CTL_ATTRIBUTES_MAX)
		ctl->set_attributes[ctl->n_set_attributes - 1] = value;
	if (letter == 'X' && ctl->n_delete_attributes++ < CTL_ATTRIBUTES_MAX)
		ctl->delete_attributes[ctl->n_delete_attributes - 1] = value;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].letter == letter)
			*texts[i].to = value;
}

enum { OPTION_SOCKET = 1000, OPTION_UTC, OPTION_HELP, OPTION_VERSION, OPTION_OUTPUT, OPTION_OF_COMMAND };

/* 0 to go on, else the exit code plus one. `given` collects the letters of command options. */
static int parse_options(struct ctl *ctl, int argc, char **argv, char given[static 32])
{
	struct option longs[N_OPTIONS + 6] = {
		{ "socket", required_argument, NULL, OPTION_SOCKET }, { "utc", no_argument, NULL, OPTION_UTC },
		{ "help", no_argument, NULL, OPTION_HELP },           { "version", no_argument, NULL, OPTION_VERSION },
		{ "output", required_argument, NULL, OPTION_OUTPUT },
	};
	size_t n_given = 0;
	int c;

	for (size_t i = 0; i < N_OPTIONS; i++)
		longs[5 + i] = (struct option){options[i].name, options[i].value ? required_argument : no_argument,
					       NULL, OPTION_OF_COMMAND + (int)i};
	while ((c = getopt_long(argc, argv, "o:hy", longs, NULL)) != -1) {
		if (c == 'y')
			c = OPTION_OF_COMMAND + 1;
		switch (c) {
		case OPTION_SOCKET:
			ctl->socket_path = optarg;
			break;
		case OPTION_UTC:
			ctl->is_utc = true;
			break;
		case 'h':
		case OPTION_HELP:
			print_help(stdout);
			return 1 + CTL_DONE;
		case OPTION_VERSION:
			puts("gatehouse " GATEHOUSE_VERSION);
			return 1 + CTL_DONE;
		case 'o':
		case OPTION_OUTPUT:
			if (strcmp(optarg, "json") != 0 && strcmp(optarg, "table") != 0)
				return 1 + ctl_fail(CTL_USAGE, optarg, "the output formats are table and json", NULL);
			ctl->format = strcmp(optarg, "json") == 0 ? CTL_JSON : CTL_TABLE;
			break;
		case '?':
			return 1 + ctl_fail(CTL_USAGE, "the command line cannot be read", NULL, "gatehouse --help");
		default:
			take_option(ctl, options[c - OPTION_OF_COMMAND].letter, optarg);
			if (n_given < 31)
				given[n_given++] = options[c - OPTION_OF_COMMAND].letter;
		}
	}
	return 0;
}

static int check_counts(const struct ctl *ctl)
{
	if (ctl->n_set_attributes <= CTL_ATTRIBUTES_MAX && ctl->n_delete_attributes <= CTL_ATTRIBUTES_MAX)
		return CTL_DONE;
	return ctl_fail(CTL_USAGE, "too many attributes", "one command changes at most 16",
			"change the rest with a second one");
}

static int check_options(const struct ctl_command *c, const char *given)
{
	for (; *given; given++)
		for (size_t i = 0; i < N_OPTIONS; i++)
			if (options[i].letter == *given && !strchr(c->options, *given)) {
				char what[64];

				snprintf(what, sizeof(what), "--%s", options[i].name);
				return ctl_fail(CTL_USAGE, what, "this command has no such option", "gatehouse --help");
			}
	return CTL_DONE;
}

int main(int argc, char **argv)
{
	const char *socket_path = getenv("GATEHOUSE_SOCKET");
	struct ctl ctl = { .socket_path = socket_path ? socket_path : CTL_SOCKET_DEFAULT, .fd = -1 };
	const struct ctl_command *command;
	char given[32] = "";
	int used = 0, code;

	setlocale(LC_CTYPE, "C.UTF-8");
	code = parse_options(&ctl, argc, argv, given);
	if (code)
		return code - 1;
	if (optind == argc) {
		print_help(stderr);
		return CTL_USAGE;
	}
	command = find_command(argv + optind, argc - optind, &used);
	if (!command)
		return unknown_command(argv + optind, argc - optind);
	ctl.arguments = (const char *const *)(argv + optind + used);
	ctl.n_arguments = argc - optind - used;
	code = check_options(command, given);
	if (!code)
		code = check_counts(&ctl);
	if (!code)
		code = check_arguments(command, ctl.n_arguments);
	if (!code)
		code = command->run(&ctl);
	if (ctl.fd >= 0)
		close(ctl.fd);
	print_end();
	return code;
}
