/* Help from the table of commands.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/help.h"

#include <string.h>

#include "gateway/ctl/ctl.h"
#include "gateway/ctl/list.h"

#define WIDTH 100

/* Text from `column` on, wrapped between words. `at` is where the line stands already. */
static void wrap(FILE *to, int at, int column, const char *text)
{
	for (; at < column; at++)
		fputc(' ', to);
	while (*text) {
		int length = (int)strcspn(text, " \n");

		if (at > column && at + 1 + length > WIDTH) {
			fprintf(to, "\n%*s", column, "");
			at = column;
		}
		at += fprintf(to, "%s%.*s", at > column ? " " : "", length, text);
		text += length;
		if (text[0] == '\n' && text[1] == '\n') {
			fprintf(to, "\n\n%*s", column, "");
			at = column;
		}
		text += strspn(text, " \n");
	}
	fputc('\n', to);
}

static void print_option(FILE *to, const struct option_row *o)
{
	int n = o->letter ? fprintf(to, "  -%c, ", o->letter) : fprintf(to, "      ");

	n += fprintf(to, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
	if (n > 30) {
		fputc('\n', to);
		n = 0;
	}
	wrap(to, n, 31, o->summary);
}

static void print_common_options(FILE *to)
{
	const struct option_row *o;

	fputs("\nOptions of every command:\n", to);
	for (size_t i = 0; (o = common_option_at(i)); i++)
		print_option(to, o);
}

static void print_exit_codes(FILE *to)
{
	const struct exit_row *row;

	fputs("\nExit codes:\n", to);
	for (size_t i = 0; (row = exit_row_at(i)); i++)
		fprintf(to, "  %d  %s\n", row->code, row->meaning);
}

/* "approve REQUEST...": how the command is typed. */
static void print_usage(FILE *to, const char *indent, const char *words, const struct command *c)
{
	int n = fprintf(to, "%s%s%s%s", indent, words, *c->arguments ? " " : "", c->arguments);

	if (n > 30) {
		fputc('\n', to);
		n = 0;
	}
	wrap(to, n, 31, c->summary);
}

void help_print_all(FILE *to)
{
	const struct command *c;
	const struct noun_row *noun;

	fputs("usage: gatehouse [OPTIONS] NOUN VERB [ARGUMENTS] [OPTIONS]\n\nEvery day:\n", to);
	for (size_t i = 0; (c = command_at(i)); i++)
		if (c->alias)
			print_usage(to, "  ", c->alias, c);
	fputs("\nEverything, by noun (gatehouse NOUN --help):\n", to);
	for (size_t j = 0; (noun = noun_at(j)); j++) {
		OWNED_BUF verbs = BUF_INIT(1024);

		for (size_t i = 0; (c = command_at(i)); i++)
			if (strcmp(c->noun, noun->name) == 0 && !c->is_hidden)
				buf_printf(&verbs, "%s%s", verbs.len ? ", " : "", c->verb);
		wrap(to, fprintf(to, "  %s", noun->name), 13, buf_str(&verbs));
	}
	fputs("\nThe tool itself:\n", to);
	for (size_t i = 0; (c = command_at(i)); i++)
		if (!*c->noun && !c->is_hidden)
			print_usage(to, "  ", c->verb, c);
	print_common_options(to);
	print_exit_codes(to);
}

void help_print_noun(FILE *to, const struct noun_row *noun)
{
	const struct command *c;

	fprintf(to, "gatehouse %s: %s\n", noun->name, noun->summary);
	if (noun->also)
		fprintf(to, "gatehouse %s is the same\n", noun->also);
	fputc('\n', to);
	for (size_t i = 0; (c = command_at(i)); i++)
		if (strcmp(c->noun, noun->name) == 0 && !c->is_hidden)
			print_usage(to, "  ", c->verb, c);
	fprintf(to, "\nMore about each: gatehouse %s VERB --help\n", noun->name);
}

static void print_columns(FILE *to, const struct list_shape *shape)
{
	OWNED_BUF names = BUF_INIT(4096);

	for (const struct column *column = shape->columns; column->name; column++)
		buf_printf(&names, "%s%s", names.len ? ", " : "", column->name);
	fputs("\nColumns:\n", to);
	wrap(to, 0, 2, buf_str(&names));
}

/* The lines of an example, each a command. */
static void print_example(FILE *to, const char *lines)
{
	fputs("\nExample:\n", to);
	while (*lines) {
		int length = (int)strcspn(lines, "\n");

		fprintf(to, "  %.*s\n", length, lines);
		lines += length + (lines[length] == '\n');
	}
}

void help_print_command(FILE *to, const struct command *c)
{
	const struct option_row *o;

	fprintf(to, "usage: gatehouse %s%s%s%s%s%s\n", c->noun, *c->noun ? " " : "", c->verb,
		command_option_at(c, 0) ? " [OPTIONS]" : "", *c->arguments ? " " : "", c->arguments);
	if (c->alias)
		fprintf(to, "       gatehouse %s …\n", c->alias);
	fputc('\n', to);
	fprintf(to, "%c%s.\n", c->summary[0] - ('a' <= c->summary[0] && c->summary[0] <= 'z' ? 'a' - 'A' : 0),
		c->summary + 1);
	if (c->text)
		wrap(to, 0, 0, c->text);
	if (command_option_at(c, 0))
		fputs("\nOptions:\n", to);
	for (size_t i = 0; (o = command_option_at(c, i)); i++)
		print_option(to, o);
	if (c->list)
		print_columns(to, c->list);
	if (c->example)
		print_example(to, c->example);
	print_common_options(to);
	print_exit_codes(to);
}

int ctl_help(struct ctl *ctl)
{
	const struct noun_row *noun = ctl->n_arguments ? noun_find(ctl->arguments[0]) : NULL;
	const struct command *c = NULL;

	if (ctl->n_arguments > 1 && noun)
		c = command_find(noun->name, ctl->arguments[1]);
	else if (ctl->n_arguments && !noun)
		c = command_find(ctl->arguments[0], NULL);
	if (c)
		help_print_command(stdout, c);
	else if (noun && ctl->n_arguments == 1)
		help_print_noun(stdout, noun);
	else if (ctl->n_arguments == 0)
		help_print_all(stdout);
	else
		return ctl_fail(CTL_USAGE, ctl->arguments[ctl->n_arguments - 1], "there is no such command",
				"gatehouse --help");
	return CTL_DONE;
}
