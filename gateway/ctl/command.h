/* The commands of the tool as data: parsing, help, completion and the manual pages read these rows.
 *
 * A command is a noun and a verb; those of every day can be typed by one word too, their alias. What a command takes
 * stands in `arguments` as people read it: "REQUEST..." one or more, "[NAME]" perhaps one, "" none. The words in
 * capitals, of arguments and of options' values, say what completion offers (gateway/ctl/completion.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ctl;
struct list_shape; /* gateway/ctl/list.h */

struct option_row {
	const char *name;    /* "reason" for --reason; NULL ends a group */
	char letter;         /* 'y' for -y; 0: none */
	const char *value;   /* "TEXT"; NULL: takes none. An option takes a value in every command or in none */
	const char *summary; /* begins small, no full stop */
	const char *choices; /* "a b c": no other value; NULL: any */
	bool repeats;        /* may be given more than once */
};

enum command_output {
	PRINTS_TEXT,     /* for people alone */
	PRINTS_DOCUMENT, /* table, json, jsonl */
	PRINTS_LIST,     /* every format, by `list`; takes the options of lists */
	PRINTS_STREAM,   /* table, jsonl */
};

#define COMMAND_GROUPS_MAX 4

struct command {
	const char *noun;      /* "" for those about the tool itself */
	const char *verb;
	const char *alias;     /* the one word of every day, or NULL */
	const char *arguments;
	const char *summary;   /* begins small, no full stop */
	const char *text;      /* sentences for help and manual page, paragraphs parted by "\n\n"; or NULL */
	const char *example;   /* command lines, one a line; or NULL */
	enum command_output prints;
	bool is_paged;         /* goes through the pager on a terminal */
	bool is_hidden;        /* for programs: neither help nor manual page */
	const struct list_shape *list;
	const struct option_row *options[COMMAND_GROUPS_MAX]; /* groups, each ended by a row without name */
	int (*run)(struct ctl *ctl);
};

struct noun_row {
	const char *name, *summary;
	const char *also;  /* another word for it, or NULL */
	const char *known; /* the command line that says which there are, or NULL */
};

struct exit_row {
	int code;
	const char *meaning;
};

/* The rows by number; NULL after the last one. */
const struct command *command_at(size_t i);
const struct noun_row *noun_at(size_t i);
const struct exit_row *exit_row_at(size_t i);

/* The options of a command by number, those of lists with them; NULL after the last one. */
const struct option_row *command_option_at(const struct command *c, size_t i);

/* Options that every command takes. */
const struct option_row *common_option_at(size_t i);

/* Find a command by noun and verb, or by its alias (`verb` NULL); NULL when there is none. */
const struct command *command_find(const char *noun, const char *verb);
const struct noun_row *noun_find(const char *name);
