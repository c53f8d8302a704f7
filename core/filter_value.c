/* Reading the value of a term of a filter.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/filter_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/utf8.h"
#include "core/submit.h"

#define VALUE_MAX 300
#define YEAR_S (366ll * 86400)

static int wrong(char why[static FILTER_WHY_SIZE], const char *should)
{
	snprintf(why, FILTER_WHY_SIZE, "%s", should);
	return FILTER_WRONG;
}

static int read_text(struct filter *term, struct arena *arena, const char *text, char why[static FILTER_WHY_SIZE])
{
	unsigned stars = 0;

	for (const char *p = text; term->op == FILTER_LIKE && *p; p++)
		stars += *p == '*';
	if (stars > FILTER_PATTERN_STARS_MAX)
		return wrong(why, "a pattern has at most 8 '*'");
	if (strlen(text) > VALUE_MAX)
		return wrong(why, "a value has at most 300 characters");
	term->value.text = arena_strdup(arena, text);
	return term->value.text ? 0 : -ENOMEM;
}

static int read_name(struct filter *term, struct arena *arena, const char *text, char why[static FILTER_WHY_SIZE])
{
	const char *colon = strchr(text, ':');

	for (int kind = CA_NAME_DNS; colon && kind <= CA_NAME_KINDS; kind++) {
		const char *word = ca_name_kind_word((enum ca_name_kind)kind);

		if (strlen(word) == (size_t)(colon - text) && strncmp(word, text, (size_t)(colon - text)) == 0) {
			term->value.number = kind;
			text = colon + 1;
			break;
		}
	}
	return read_text(term, arena, text, why);
}

static int read_word(struct filter *term, const char *text, char why[static FILTER_WHY_SIZE])
{
	if (filter_find_word(term->field, text, &term->value.number))
		return 0;
	snprintf(why, FILTER_WHY_SIZE, "'%.*s' is none of %s", utf8_fit(text, 32), text, term->field->summary);
	return FILTER_WRONG;
}

static int read_number(struct filter *term, const char *text, char why[static FILTER_WHY_SIZE])
{
	char *end;

	errno = 0;
	term->value.number = strtoll(text, &end, 10);
	return errno || *end || !isdigit((unsigned char)*text) ? wrong(why, "that should be a number") : 0;
}

/* "2026-11-26" or RFC 3339; what is equal to a day lies within it. */
static int read_time(struct filter *term, struct arena *arena, const char *text, char why[static FILTER_WHY_SIZE])
{
	bool is_day = strlen(text) == 10;
	const char *full = is_day ? arena_printf(arena, "%sT00:00:00Z", text) : text;

	if (!full)
		return -ENOMEM;
	if (clock_parse_s(full, &term->value.number))
		return wrong(why, "that should be a date as 2026-11-26, or a time as 2026-11-26T12:00:00Z");
	term->value.until = term->value.number + (is_day ? 86400 : 1);
	return 0;
}

static int read_span(const char *text, int64_t *seconds, char why[static FILTER_WHY_SIZE])
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = { { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 }, { "w", 7 * 86400 } };
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	for (size_t i = 0; !errno && isdigit((unsigned char)*text) && i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].unit) != 0 || n > 1000 * YEAR_S / units[i].seconds)
			continue;
		*seconds = n * units[i].seconds;
		return 0;
	}
	return wrong(why, "that should be a span of time as 30m, 2h, 7d, 4w");
}

/* "age>2h" was submitted before now - 2h: the comparison turns round. */
static int read_age(struct filter *term, const char *text, int64_t now_s, char why[static FILTER_WHY_SIZE])
{
	static const enum filter_op turned[] = {
		[FILTER_EQ] = FILTER_EQ, [FILTER_LIKE] = FILTER_LIKE, [FILTER_LT] = FILTER_GT,
		[FILTER_LE] = FILTER_GE, [FILTER_GT] = FILTER_LT,     [FILTER_GE] = FILTER_LE,
	};
	int64_t span;
	int e = read_span(text, &span, why);

	if (e)
		return e;
	term->value.number = now_s - span;
	term->op = turned[term->op];
	return 0;
}

static int read_ahead(struct filter *term, const char *text, int64_t now_s, char why[static FILTER_WHY_SIZE])
{
	int64_t span;
	int e = read_span(text, &span, why);

	term->value.number = e ? 0 : now_s + span;
	return e;
}

/* Digits in pairs, colons between them or not; '*' at the end for what begins so. */
static int read_hex(struct filter *term, struct arena *arena, const char *text, char why[static FILTER_WHY_SIZE])
{
	size_t n = strlen(text), digits = 0;
	char *plain = arena_alloc(arena, n + 1);
	uint8_t *octets = arena_alloc(arena, n + 1);

	if (!plain || !octets)
		return -ENOMEM;
	term->value.is_prefix = n > 0 && text[n - 1] == '*';
	for (const char *p = text; *p && (*p != '*' || p[1]); p++)
		if (*p != ':')
			plain[digits++] = *p;
	if (digits == 0 || digits % 2 || digits > 128 || hex_parse(plain, octets, digits / 2))
		return wrong(why, "that should be hexadecimal digits in pairs, with * at the end for what begins so");
	if (term->value.is_prefix && term->op != FILTER_EQ)
		return wrong(why, "a beginning with * can be compared by = and != only");
	term->value.octets = bytes_of(octets, digits / 2);
	return 0;
}

int filter_read_value(struct filter *term, struct arena *arena, const char *text, int64_t now_s,
		      char why[static FILTER_WHY_SIZE])
{
	switch (term->field->kind) {
	case FILTER_TEXT:
		return read_text(term, arena, text, why);
	case FILTER_NAME:
		return read_name(term, arena, text, why);
	case FILTER_WORD:
		return read_word(term, text, why);
	case FILTER_NUMBER:
		return read_number(term, text, why);
	case FILTER_TIME:
		return read_time(term, arena, text, why);
	case FILTER_AGE:
		return read_age(term, text, now_s, why);
	case FILTER_AHEAD:
		return read_ahead(term, text, now_s, why);
	case FILTER_HEX:
		return read_hex(term, arena, text, why);
	case FILTER_FLAG:
	case FILTER_STANDS_FOR:
		break;
	}
	return wrong(why, "this field takes no value");
}

char *filter_like(struct arena *arena, const char *pattern)
{
	char *like = arena_alloc(arena, 2 * strlen(pattern) + 1), *out = like;

	for (; like && *pattern; pattern++) {
		if (*pattern == '%' || *pattern == '_' || *pattern == '\\')
			*out++ = '\\';
		*out++ = *pattern == '*' ? '%' : *pattern == '?' ? '_' : *pattern;
	}
	return like;
}
