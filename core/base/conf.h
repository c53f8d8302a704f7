/* Configuration: YAML read by option rows.
 *
 * An option is a row: name, type, range, default, one sentence. The rows feed the parser, the checks, the list of
 * options and the manual page. Every value keeps the place it came from, so that every error says line and column.
 * Refused: unknown and duplicate keys, values outside type or range, aliases, anchors, tags, more than one document,
 * depth over 16, files over 1 MiB.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>
#include <stdio.h>

enum conf_type {
	CONF_STRING,
	CONF_BOOL,     /* true | false */
	CONF_INTEGER,  /* decimal only; range "1..65535" */
	CONF_DURATION, /* "90d", "12h", "10m", "5s", "500ms"; kept in milliseconds; range "1m..825d" */
	CONF_SIZE,     /* octets: "64KiB", "1MiB", "512"; range as CONF_INTEGER with units */
	CONF_CHOICE,   /* one word of the range "a|b|c" */
	CONF_STRINGS,  /* a list of strings; one scalar is a list of one. Range "a|b|c" limits the words */
	CONF_SECTION,  /* a mapping, read by `rows`; absent: every row at its default, unless needed */
	CONF_SECTIONS, /* a list of mappings, each read by `rows` */
	CONF_VARIANT,   /* a mapping whose key `module` (or the key that `range` names) chooses the rows by `rows_of` */
	CONF_VARIANTS,  /* a list of such */
	CONF_MAP,      /* a mapping of free names to strings, in the order of the file */
};

struct conf_option {
	const char *name;
	enum conf_type type;
	const char *range;    /* NULL: any */
	const char *fallback; /* as written in YAML; CONF_NEEDED: must be given; NULL: absent (NULL, 0, empty) */
	const char *summary;  /* one sentence */
	const struct conf_option *rows;                           /* CONF_SECTION, CONF_SECTIONS; ends with {0} */
	const struct conf_option *(*rows_of)(const char *module); /* CONF_VARIANT(S): NULL for an unknown module */
};

extern const char conf_needed_[];
#define CONF_NEEDED conf_needed_

/* As the name of a last row: options without a row are for somebody else, and are passed over. */
#define CONF_OTHERS "*"

struct conf;         /* a file that was read */
struct conf_section; /* one mapping of it; lives as long as the conf */

/* Where errors go: the first one wins. */
struct conf_error {
	unsigned line, column; /* counted from 1; 0: no place in the file */
	char text[512];        /* "gatehouse.yaml:12:5: unknown option 'portt'; did you mean 'port'?" */
};

/* Read text (named `name` in errors) by `rows`. 0; -EINVAL with `error` filled; -ENOMEM. */
int conf_parse(struct conf **out, struct bytes text, const char *name, const struct conf_option *rows,
	       struct conf_error *error);

/* Append the text of a file, for conf_parse(). 0; -EINVAL for more than 1 MiB; -EPERM: somebody else than root and who
 * calls may write to it; -errno; with `error` saying so. */
int conf_read_file(const char *path, struct buf *text, struct conf_error *error);

/* Read and parse a file that is open, from its beginning. `path` is its name in errors. */
int conf_load_fd(struct conf **out, int fd, const char *path, const struct conf_option *rows,
		 struct conf_error *error);
void conf_drop(struct conf **conf);
const struct conf_section *conf_root(const struct conf *conf);

/* SHA-256 of the text that the section was read from. */
const uint8_t *conf_digest(const struct conf_section *s);

/* Values by name. A name that has no row, or of another type, is a bug: abort(). Strings and sections are borrowed. */
const char *conf_str(const struct conf_section *s, const char *name); /* CONF_STRING, CONF_CHOICE; NULL when absent */
bool conf_bool(const struct conf_section *s, const char *name);
int64_t conf_int(const struct conf_section *s, const char *name);      /* CONF_INTEGER, CONF_SIZE */
int64_t conf_duration_ms(const struct conf_section *s, const char *name);
size_t conf_count(const struct conf_section *s, const char *name);     /* CONF_STRINGS/SECTIONS/MODULES/MAP */
const char *conf_str_at(const struct conf_section *s, const char *name, size_t i);
const struct conf_section *conf_section(const struct conf_section *s, const char *name); /* SECTION, MODULE */
const struct conf_section *conf_section_at(const struct conf_section *s, const char *name, size_t i);
const char *conf_map_name(const struct conf_section *s, const char *name, size_t i);
const char *conf_map_value(const struct conf_section *s, const char *name, size_t i);
bool conf_is_set(const struct conf_section *s, const char *name);      /* written in the file, not by default */
const char *conf_module(const struct conf_section *s); /* the value of that key, for CONF_VARIANT(S) */

/* Every option of a section in the order of its rows, with its value as it is written in YAML ("[a, b]", "90d"); NULL
 * for one that is absent. Sections inside come as "inner.option"; lists of sections are left out. 0 or what `each`
 * returned. */
int conf_each(const struct conf_section *s,
	      int (*each)(void *arg, const char *name, const char *value, bool is_set), void *arg);

/* Report a value that is well formed but cannot be used ("no such profile"), at its place. `name` NULL: the section
 * itself; `conf_refuse_at` takes the i-th element of a list. Always returns -EINVAL. */
int conf_refuse(const struct conf_section *s, const char *name, struct conf_error *error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int conf_refuse_at(const struct conf_section *s, const char *name, size_t i, struct conf_error *error,
		   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Print every option of `rows`, one paragraph each: path, type, range, default, sentence. */
void conf_print_options(FILE *to, const struct conf_option *rows, const char *prefix);
