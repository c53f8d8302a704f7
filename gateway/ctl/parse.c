/* The command line against the table of commands.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Edit distance. Both are short words of the command line. */
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

const char *parse_nearest(const char *typed, const char *const *words)
{
	const char *best = NULL;
	unsigned least = strlen(typed) > 4 ? 3 : 2;

	for (; *words; words++) {
		unsigned d = distance(typed, *words);

		if (d < least) {
			least = d;
			best = *words;
		}
	}
	return best;
}

static const struct option_row *common_option(const char *name, char letter)
{
	const struct option_row *o;

	for (size_t i = 0; (o = common_option_at(i)); i++)
		if (name ? strcmp(o->name, name) == 0 : o->letter == letter)
			return o;
	return NULL;
}

static const struct option_row *command_option(const struct command *c, const char *name, char letter)
{
	const struct option_row *o;

	for (size_t i = 0; (o = command_option_at(c, i)); i++)
		if (name ? strcmp(o->name, name) == 0 : o->letter == letter)
			return o;
	return NULL;
}

/* An option of any command: before the command is known, only whether it takes a value matters. */
static const struct option_row *any_option(const char *name, char letter)
{
	const struct option_row *o = common_option(name, letter);
	const struct command *c;

	for (size_t i = 0; !o && (c = command_at(i)); i++)
		o = command_option(c, name, letter);
	return o;
}

const struct option_row *parse_option(const char *word)
{
	if (word[0] != '-' || !word[1])
		return NULL;
	return word[1] == '-' ? any_option(word + 2, 0) : any_option(NULL, word[1]);
}

#define NAMES_MAX 512

static void add_name(const char **names, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(names[i], name) == 0)
			return;
	if (*n < NAMES_MAX)
		names[(*n)++] = name;
}

static int unknown_option(const char *typed, const struct command *c)
{
	const char *names[NAMES_MAX + 1] = { NULL }, *near;
	const struct option_row *o;
	char what[128], next[160];
	size_t n = 0;

	for (size_t i = 0; (o = common_option_at(i)); i++)
		add_name(names, &n, o->name);
	for (size_t i = 0; c && (o = command_option_at(c, i)); i++)
		add_name(names, &n, o->name);
	for (size_t j = 0; !c && command_at(j); j++)
		for (size_t i = 0; (o = command_option_at(command_at(j), i)); i++)
			add_name(names, &n, o->name);
	near = parse_nearest(typed, names);
	snprintf(what, sizeof(what), "%s%.100s", typed[0] && typed[1] ? "--" : "-", typed);
	if (near)
		snprintf(next, sizeof(next), "did you mean: --%s", near);
	else if (c)
		snprintf(next, sizeof(next), "gatehouse %s%s%s --help", c->noun, *c->noun ? " " : "", c->verb);
	else
		snprintf(next, sizeof(next), "gatehouse --help");
	return ctl_fail(CTL_USAGE, what, c ? "this command has no such option" : "there is no such option", next);
}

static bool is_among(const char *value, const char *choices)
{
	size_t n = strlen(value);

	for (const char *at = choices; n && (at = strstr(at, value)); at++)
		if ((at == choices || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

static int check_choice(const struct option_row *o, const char *value)
{
	char what[128], why[256];

	if (!o->choices || is_among(value, o->choices))
		return CTL_DONE;
	snprintf(what, sizeof(what), "--%s %.60s", o->name, value);
	snprintf(why, sizeof(why), "it is one of: %s", o->choices);
	return ctl_fail(CTL_USAGE, what, why, NULL);
}

static int keep_given(struct ctl *ctl, const struct option_row *row, const char *value)
{
	if (ctl->n_given == CTL_GIVEN_MAX)
		return ctl_fail(CTL_USAGE, "too many options", "one command line takes 64",
				"do the rest with a second one");
	ctl->given[ctl->n_given].row = row;
	ctl->given[ctl->n_given++].value = value;
	return CTL_DONE;
}

/* One word that begins with '-'; `*next` is the word after it, taken when it is the option's value. */
static int take_option(struct ctl *ctl, const char *word, char ***next)
{
	bool is_long = word[1] == '-';
	const char *equals = is_long ? strchr(word, '=') : NULL, *value = equals ? equals + 1 : NULL;
	const struct option_row *row;
	char name[64], what[80];

	snprintf(name, sizeof(name), "%.*s", is_long ? (int)strcspn(word + 2, "=") : 1, word + 1 + is_long);
	if (!is_long && word[2])
		value = word + 2;
	row = any_option(is_long ? name : NULL, is_long ? 0 : word[1]);
	if (!row)
		return unknown_option(name, NULL);
	snprintf(what, sizeof(what), "--%s", row->name);
	if (!row->value && value)
		return ctl_fail(CTL_USAGE, what, "this option takes no value", NULL);
	if (row->value && !value)
		value = **next ? *(*next)++ : NULL;
	if (row->value && !value)
		return ctl_fail(CTL_USAGE, what, "its value is missing", NULL);
	return keep_given(ctl, row, value);
}

/* Words and options apart. */
static int sort_words(struct ctl *ctl, char **argv, int *n_words)
{
	char **next = argv;
	bool are_over = false;
	int code = CTL_DONE;

	while (!code && *next) {
		char *word = *next++;

		if (!are_over && strcmp(word, "--") == 0)
			are_over = true;
		else if (!are_over && word[0] == '-' && word[1])
			code = take_option(ctl, word, &next);
		else if (*n_words < CTL_WORDS_MAX)
			ctl->words[(*n_words)++] = word;
		else
			code = ctl_fail(CTL_USAGE, "too many arguments", "one command line takes 1024",
					"do the rest with a second one, or take a filter");
	}
	return code;
}

static int unknown_noun(const char *typed)
{
	const char *names[NAMES_MAX + 1] = { NULL }, *near;
	const struct command *c;
	const struct noun_row *noun;
	char next[128];
	size_t n = 0;

	for (size_t i = 0; (noun = noun_at(i)); i++)
		add_name(names, &n, noun->name);
	for (size_t i = 0; (c = command_at(i)); i++) {
		if (c->alias)
			add_name(names, &n, c->alias);
		if (!*c->noun && !c->is_hidden)
			add_name(names, &n, c->verb);
	}
	near = parse_nearest(typed, names);
	snprintf(next, sizeof(next), "did you mean: gatehouse %s", near ? near : "");
	return ctl_fail(CTL_USAGE, typed, "there is no such command", near ? next : "gatehouse --help");
}

static int unknown_verb(const struct noun_row *noun, const char *typed)
{
	const char *names[NAMES_MAX + 1] = { NULL }, *near;
	const struct command *c;
	char what[128], next[128];
	size_t n = 0;

	for (size_t i = 0; (c = command_at(i)); i++)
		if (strcmp(c->noun, noun->name) == 0 && !c->is_hidden)
			add_name(names, &n, c->verb);
	near = parse_nearest(typed, names);
	snprintf(what, sizeof(what), "%s %.60s", noun->name, typed);
	if (near)
		snprintf(next, sizeof(next), "did you mean: gatehouse %s %s", noun->name, near);
	else
		snprintf(next, sizeof(next), "gatehouse %s --help", noun->name);
	return ctl_fail(CTL_USAGE, what, "there is no such command", next);
}

/* Which command the words begin with. A noun wins over an alias, so that `gatehouse request list` is never anything
 * else; `*used` is how many words that were. */
static int choose_command(struct ctl *ctl, int n_words, int *used)
{
	const struct noun_row *noun = noun_find(ctl->words[0]);

	*used = noun && n_words > 1 ? 2 : 1;
	ctl->noun = noun ? noun->name : NULL;
	if (!noun)
		ctl->command = command_find(ctl->words[0], NULL);
	else if (n_words > 1)
		ctl->command = command_find(noun->name, ctl->words[1]);
	if (ctl->command || (noun && n_words == 1))
		return CTL_DONE;
	return noun ? unknown_verb(noun, ctl->words[1]) : unknown_noun(ctl->words[0]);
}

static int check_arguments(const struct command *c, int n)
{
	char usage[160], words[64];
	int least = 0, most = 0;

	for (const char *at = c->arguments; *at; at += strcspn(at, " "), at += *at == ' ') {
		size_t length = strcspn(at, " ");

		least += *at != '[';
		most += memmem(at, length, "...", 3) ? CTL_WORDS_MAX : 1;
	}
	if (n >= least && n <= most)
		return CTL_DONE;
	snprintf(words, sizeof(words), "%s%s%s", c->noun, *c->noun ? " " : "", c->verb);
	snprintf(usage, sizeof(usage), "gatehouse %s %s", words, c->arguments);
	return ctl_fail(CTL_USAGE, words, n > most ? "too many arguments" : "an argument is missing", usage);
}

/* The row of the command itself for each option that was found in the table of all. */
static int check_options(struct ctl *ctl)
{
	for (int i = 0; i < ctl->n_given; i++) {
		const char *name = ctl->given[i].row->name;
		const struct option_row *row = common_option(name, 0);
		char what[64];

		if (!row)
			row = command_option(ctl->command, name, 0);
		if (!row)
			return unknown_option(name, ctl->command);
		for (int j = 0; !row->repeats && j < i; j++)
			if (ctl->given[j].row == row) {
				snprintf(what, sizeof(what), "--%s", name);
				return ctl_fail(CTL_USAGE, what, "it stands there twice", NULL);
			}
		ctl->given[i].row = row;
		if (check_choice(row, ctl->given[i].value))
			return CTL_USAGE;
	}
	return CTL_DONE;
}

static int set_format(struct ctl *ctl, const char *word)
{
	static const struct {
		const char *word;
		enum ctl_format format;
		unsigned prints; /* bits: for which commands */
	} formats[] = {
		{ "table", CTL_TABLE, ~0u },
		{ "wide", CTL_WIDE, 1u << PRINTS_LIST },
		{ "json", CTL_JSON, 1u << PRINTS_DOCUMENT | 1u << PRINTS_LIST },
		{ "jsonl", CTL_JSONL, 1u << PRINTS_DOCUMENT | 1u << PRINTS_LIST | 1u << PRINTS_STREAM },
		{ "csv", CTL_CSV, 1u << PRINTS_LIST },
		{ "id", CTL_ID, 1u << PRINTS_LIST },
	};
	char what[64];

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(formats[i].word, word) != 0)
			continue;
		ctl->format = formats[i].format;
		if (formats[i].prints & 1u << ctl->command->prints)
			return CTL_DONE;
	}
	snprintf(what, sizeof(what), "-o %.40s", word);
	return ctl_fail(CTL_USAGE, what, "this command does not print that format", "gatehouse --help");
}

static bool wants_color(const char *when)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when && strcmp(when, "auto") != 0)
		return strcmp(when, "always") == 0;
	return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

static int take_common_options(struct ctl *ctl)
{
	const char *format = option_value(ctl, "output");

	if (option_value(ctl, "socket"))
		ctl->socket_path = option_value(ctl, "socket");
	ctl->has_color = wants_color(option_value(ctl, "color"));
	ctl->is_utc = option_given(ctl, "utc");
	return format ? set_format(ctl, format) : CTL_DONE;
}

int parse_command_line(struct ctl *ctl, int argc, char **argv)
{
	int n_words = 0, used = 0;
	int code = sort_words(ctl, argv + (argc > 0), &n_words);

	if (code)
		return code;
	ctl->wants_help = option_given(ctl, "help");
	ctl->wants_version = option_given(ctl, "version");
	if (n_words == 0 || ctl->wants_version)
		return CTL_DONE;
	code = choose_command(ctl, n_words, &used);
	if (code || ctl->wants_help || !ctl->command)
		return code;
	ctl->arguments = ctl->words + used;
	ctl->n_arguments = n_words - used;
	code = check_options(ctl);
	if (!code)
		code = take_common_options(ctl);
	return code ? code : check_arguments(ctl->command, ctl->n_arguments);
}

const char *option_nth(const struct ctl *ctl, const char *name, int i)
{
	for (int j = 0; j < ctl->n_given; j++)
		if (strcmp(ctl->given[j].row->name, name) == 0 && i-- == 0)
			return ctl->given[j].value;
	return NULL;
}

const char *option_value(const struct ctl *ctl, const char *name)
{
	return option_nth(ctl, name, 0);
}

bool option_given(const struct ctl *ctl, const char *name)
{
	for (int j = 0; j < ctl->n_given; j++)
		if (strcmp(ctl->given[j].row->name, name) == 0)
			return true;
	return false;
}

int option_number(const struct ctl *ctl, const char *name, int64_t least, int64_t most, int64_t *n)
{
	const char *text = option_value(ctl, name);
	char what[64], why[96], *end;
	long long number;

	if (!text)
		return CTL_DONE;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (!errno && *text && !*end && number >= least && number <= most) {
		*n = number;
		return CTL_DONE;
	}
	snprintf(what, sizeof(what), "--%s %.30s", name, text);
	snprintf(why, sizeof(why), "it takes a number from %lld to %lld", (long long)least, (long long)most);
	return ctl_fail(CTL_USAGE, what, why, NULL);
}

bool is_json(const struct ctl *ctl)
{
	return ctl->format == CTL_JSON || ctl->format == CTL_JSONL;
}

bool has_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool is_confirmed(const char *question)
{
	char answer[16] = "";

	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}
