/* Parts of the manual pages, in scdoc, from the table of commands; and whether a command line is one.
 *
 * The pages in docs/man have a line for each part; the build fills it in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "core/filter.h"
#include "gateway/ctl/list.h"
#include "gateway/ctl/parse.h"

/* Text without markup. */
static void print_plain(const char *text)
{
	for (; *text; text++) {
		if (strchr("\\*_<>#", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_capital(const char *text)
{
	putchar(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
	print_plain(text + 1);
	puts(".");
}

static void print_option(const char *indent, const struct option_row *o)
{
	printf("%s", indent);
	if (o->letter)
		printf("*-%c*, ", o->letter);
	printf("*--%s*", o->name);
	if (o->value) {
		fputs(" _", stdout);
		print_plain(o->value);
		putchar('_');
	}
	printf("\n%s\t", indent);
	print_capital(o->summary);
	if (o->repeats)
		printf("%s\tMay be given more than once.\n", indent);
	puts("");
}

static void print_columns(const struct list_shape *shape)
{
	fputs("\tColumns: ", stdout);
	for (const struct column *c = shape->columns; c->name; c++) {
		if (c != shape->columns)
			fputs(", ", stdout);
		print_plain(c->name);
	}
	puts(".\n");
}

static void print_example(const char *lines)
{
	puts("\tExamples:\n\n\t```");
	while (*lines) {
		int length = (int)strcspn(lines, "\n");

		printf("\t%.*s\n", length, lines);
		lines += length + (lines[length] == '\n');
	}
	puts("\t```\n");
}

static void print_text(const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		if (length) {
			char line[2048];

			snprintf(line, sizeof(line), "%.*s", (int)length, text);
			putchar('\t');
			print_plain(line);
			puts("\n");
		}
		text += length + (text[length] == '\n');
	}
}

static bool is_of_every_list(const struct command *c, const struct option_row *o)
{
	for (size_t group = 0; group < COMMAND_GROUPS_MAX && c->options[group]; group++)
		for (const struct option_row *own = c->options[group]; own->name; own++)
			if (own == o)
				return false;
	return true;
}

static void print_command(const struct command *c)
{
	const struct option_row *o;

	printf("*gatehouse %s%s%s*", c->noun, *c->noun ? " " : "", c->verb);
	if (*c->arguments) {
		fputs(" _", stdout);
		print_plain(c->arguments);
		putchar('_');
	}
	fputs("\n\t", stdout);
	print_capital(c->summary);
	if (c->alias)
		printf("\tAlso *gatehouse %s*.\n", c->alias);
	puts("");
	if (c->text)
		print_text(c->text);
	for (size_t i = 0; (o = command_option_at(c, i)); i++)
		if (!is_of_every_list(c, o))
			print_option("\t", o);
	if (c->list)
		print_columns(c->list);
	if (c->example)
		print_example(c->example);
}

static void print_noun(const char *noun)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++)
		if (strcmp(c->noun, noun) == 0 && !c->is_hidden)
			print_command(c);
}

static void print_common(void)
{
	const struct option_row *o;

	for (size_t i = 0; (o = common_option_at(i)); i++)
		print_option("", o);
}

static void print_of_lists(void)
{
	const struct command any = { .noun = "", .prints = PRINTS_LIST };
	const struct option_row *o;

	for (size_t i = 0; (o = command_option_at(&any, i)); i++)
		print_option("", o);
}

static void print_exit(void)
{
	const struct exit_row *row;

	for (size_t i = 0; (row = exit_row_at(i)); i++) {
		printf("*%d*\n\t", row->code);
		print_capital(row->meaning);
		puts("");
	}
}

static void print_daily(void)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++) {
		if (!c->alias)
			continue;
		printf("*%s*", c->alias);
		if (*c->arguments) {
			fputs(" _", stdout);
			print_plain(c->arguments);
			putchar('_');
		}
		printf("\n\t*gatehouse %s %s*: ", c->noun, c->verb);
		print_plain(c->summary);
		puts(".\n");
	}
}

static void print_nouns(void)
{
	const struct noun_row *noun;

	for (size_t i = 0; (noun = noun_at(i)); i++) {
		printf("*gatehouse-%s*(1)\n\t", noun->name);
		print_capital(noun->summary);
		puts("");
	}
}

/* Fields of the filter language; one that both lists have stands there once. */
static void print_filter(void)
{
	for (const struct filter_field *f = filter_fields; f->word; f++) {
		bool is_twice = f > filter_fields && strcmp(f[-1].word, f->word) == 0;
		bool is_of_both = strcmp(f[1].word ? f[1].word : "", f->word) == 0 ||
				  f->tables == (FILTER_REQUESTS | FILTER_CERTIFICATES);

		if (is_twice)
			continue;
		printf("*%s*%s\n\t", f->word,
		       is_of_both                     ? ""
		       : f->tables == FILTER_REQUESTS ? " (requests)"
						      : " (certificates)");
		print_capital(f->summary);
		puts("");
	}
}

int ctl_manual(struct ctl *ctl)
{
	static const struct {
		const char *part;
		void (*print)(void);
	} parts[] = {
		{ "common", print_common }, { "lists", print_of_lists }, { "exit", print_exit },
		{ "daily", print_daily },   { "nouns", print_nouns },	 { "filter", print_filter },
	};
	const char *part = ctl->arguments[0];

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (strcmp(parts[i].part, part) == 0) {
			parts[i].print();
			return CTL_DONE;
		}
	if (strcmp(part, "tool") != 0 && !noun_find(part))
		return ctl_fail(CTL_USAGE, part, "the manual has no such part", NULL);
	print_noun(strcmp(part, "tool") == 0 ? "" : part);
	return CTL_DONE;
}

int ctl_parse(struct ctl *ctl)
{
	char *words[CTL_WORDS_MAX + 2] = { NULL };
	struct ctl parsed = { .fd = -1 };

	words[0] = (char *)"gatehouse";
	for (int i = 0; i < ctl->n_arguments; i++)
		words[i + 1] = (char *)ctl->arguments[i];
	return parse_command_line(&parsed, ctl->n_arguments + 1, words);
}
