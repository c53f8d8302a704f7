/* The types of options: what a scalar must look like, and how an option is described.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/conf_int.h"

#include "core/base/log.h"

#include <stdlib.h>

const char conf_needed_[] = "needed";

struct unit {
	const char *suffix;
	int64_t factor;
};

static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };
static const struct unit duration_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 86400 * 1000 }, { NULL, 0 },
};
static const struct unit size_units[] = {
	{ "", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 }, { NULL, 0 },
};

static const struct {
	const char *name;         /* in the list of options */
	const struct unit *units; /* of numbers */
	const char *shape;        /* what a value that is none of this type gets to hear */
} types[] = {
	[CONF_STRING] = { "string", NULL, NULL },
	[CONF_BOOL] = { "true or false", NULL, "is neither true nor false" },
	[CONF_INTEGER] = { "number", no_units, "is not a whole decimal number" },
	[CONF_DURATION] = { "duration", duration_units, "is not a duration such as 90d, 12h, 10m, 5s or 500ms" },
	[CONF_SIZE] = { "size", size_units, "is not a size such as 512, 64KiB or 1MiB" },
	[CONF_CHOICE] = { "one of", NULL, NULL },
	[CONF_STRINGS] = { "list of strings", NULL, NULL },
	[CONF_SECTION] = { "section", NULL, NULL },
	[CONF_SECTIONS] = { "list of sections", NULL, NULL },
	[CONF_VARIANT] = { "module", NULL, NULL },
	[CONF_VARIANTS] = { "list of modules", NULL, NULL },
	[CONF_MAP] = { "names and strings", NULL, NULL },
};

_Noreturn void conf_bug(const char *name, const char *reason)
{
	log_error("conf.bug", "option", name, "reason", reason);
	abort();
}

enum number_result { NUMBER_OK, NUMBER_SHAPE, NUMBER_OVERFLOW };

static enum number_result parse_number(const char *text, size_t len, const struct unit *units, int64_t *out)
{
	bool is_over = false;
	int64_t n = 0;
	size_t i;

	for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
		is_over |= __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, text[i] - '0', &n);
	/* 010 is eight to some readers of YAML. */
	if (i == 0 || (i > 1 && text[0] == '0'))
		return NUMBER_SHAPE;
	for (; units->suffix; units++)
		if (bytes_equal_str(bytes_of(text + i, len - i), units->suffix))
			break;
	if (!units->suffix)
		return NUMBER_SHAPE;
	is_over |= __builtin_mul_overflow(n, units->factor, &n);
	*out = n;
	return is_over ? NUMBER_OVERFLOW : NUMBER_OK;
}

/* One end of a range; an empty one leaves `out` alone. */
static void parse_bound(const struct conf_option *row, const char *text, size_t len, int64_t *out)
{
	if (len && parse_number(text, len, types[row->type].units, out) != NUMBER_OK)
		conf_bug(row->name, "the range of its row is wrong");
}

static bool is_in_range(const struct conf_option *row, int64_t n)
{
	int64_t least = 0, most = INT64_MAX;
	const char *dots;

	if (!row->range)
		return true;
	dots = strstr(row->range, "..");
	if (!dots)
		conf_bug(row->name, "the range of its row is wrong");
	parse_bound(row, row->range, (size_t)(dots - row->range), &least);
	parse_bound(row, dots + 2, strlen(dots + 2), &most);
	return n >= least && n <= most;
}

static const char *parse_in_range(const struct conf_option *row, const char *text, int64_t *number, char *why,
				  size_t why_size)
{
	switch (parse_number(text, strlen(text), types[row->type].units, number)) {
	case NUMBER_SHAPE:
		return types[row->type].shape;
	case NUMBER_OVERFLOW:
		return "is too large";
	case NUMBER_OK:
		break;
	}
	if (is_in_range(row, *number))
		return NULL;
	snprintf(why, why_size, "is outside %s", row->range);
	return why;
}

/* One of "a|b|c"; no words: any. */
static const char *parse_word(const char *words, const char *text, char *why, size_t why_size)
{
	const char *word = words;
	size_t len;

	while (word) {
		len = strcspn(word, "|");
		if (bytes_equal_str(bytes_of(word, len), text))
			return NULL;
		word = word[len] ? word + len + 1 : NULL;
	}
	if (!words)
		return NULL;
	snprintf(why, why_size, "is none of %s", words);
	return why;
}

const char *conf_scalar_parse(const struct conf_option *row, const char *text, int64_t *number, char *why,
			      size_t why_size)
{
	switch (row->type) {
	case CONF_INTEGER:
	case CONF_DURATION:
	case CONF_SIZE:
		return parse_in_range(row, text, number, why, why_size);
	case CONF_BOOL:
		*number = strcmp(text, "true") == 0;
		return *number || strcmp(text, "false") == 0 ? NULL : types[CONF_BOOL].shape;
	case CONF_CHOICE:
	case CONF_STRINGS:
		return parse_word(row->range, text, why, why_size);
	default:
		return NULL;
	}
}

int conf_scalar_print(enum conf_type type, int64_t number, struct buf *out)
{
	const struct unit *units = types[type].units, *best = units;

	if (type == CONF_BOOL)
		return buf_append_str(out, number ? "true" : "false");
	/* The largest unit of which it is a multiple; 0 has the smallest that a duration is written in. */
	for (const struct unit *u = units; u->suffix; u++)
		if (number ? number % u->factor == 0 : u->factor <= 1000)
			best = u;
	return buf_printf(out, "%lld%s", (long long)(number / best->factor), best->suffix);
}

static void print_option(FILE *to, const struct conf_option *row, const char *path)
{
	fprintf(to, "%s: %s", path, types[row->type].name);
	if (row->range)
		fprintf(to, " %s", row->range);
	if (row->fallback == CONF_NEEDED)
		fputs(", needed", to);
	else if (row->fallback)
		fprintf(to, ", default %s", *row->fallback ? row->fallback : "\"\"");
	fprintf(to, "\n    %s\n\n", row->summary ? row->summary : "");
}

void conf_print_options(FILE *to, const struct conf_option *rows, const char *prefix)
{
	bool is_list;
	char path[256];

	for (; rows && rows->name; rows++) {
		is_list = rows->type == CONF_SECTIONS || rows->type == CONF_VARIANTS;
		snprintf(path, sizeof(path), "%s%s%s%s", prefix ? prefix : "", prefix && *prefix ? "." : "", rows->name,
			 is_list ? "[]" : "");
		print_option(to, rows, path);
		conf_print_options(to, rows->rows, path);
	}
}
