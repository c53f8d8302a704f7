/* Which names a credential proves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/name_scope.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/own.h"
#include "core/base/utf8.h"
#include "core/core.h"
#include "core/issue_int.h"

#define WILDCARD "\\*."

_Static_assert((int)PATTERN_DNS == CA_NAME_DNS && (int)PATTERN_UPN == CA_NAME_UPN, "the kinds are the same");

static int refuse(char why[static CA_REASON_SIZE], const char *line, const char *what)
{
	snprintf(why, CA_REASON_SIZE, "'%.*s' %s", utf8_fit(line, 120), line, what);
	return -EINVAL;
}

/* Printable: it is shown to people and stands in lines. */
static bool is_text(const char *line)
{
	for (const char *c = line; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			return false;
	return true;
}

static int add_part(struct name_scope *scope, struct arena *arena, const char *line, const char *equal,
		    char why[static CA_REASON_SIZE])
{
	struct scope_part *part = &scope->parts[scope->n_parts];
	OWNED_STR word = strndup(line, (size_t)(equal - line));
	const struct subject_component *component;

	if (!word)
		return -ENOMEM;
	component = issue_subject_component(word);
	if (!component)
		return refuse(why, line, "begins with no component of a subject; there are " SUBJECT_COMPONENTS);
	if (!equal[1])
		return refuse(why, line, "allows no value");
	*part = (struct scope_part){ component->word, arena_strdup(arena, equal + 1) };
	scope->n_parts++;
	return part->pattern ? 0 : -ENOMEM;
}

/* What stands for a wildcard name, and the pattern of what is behind it; NULL: another pattern. */
static const char *behind_wildcard(const char *line)
{
	const char *text = strncmp(line, "dns:", 4) == 0 ? line + 4 : line;

	return strncmp(text, WILDCARD, strlen(WILDCARD)) == 0 ? text + strlen(WILDCARD) : NULL;
}

static int add_name(struct name_scope *scope, struct arena *arena, const char *line, char why[static CA_REASON_SIZE])
{
	struct scope_name *name = &scope->names[scope->n_names];
	const char *behind = behind_wildcard(line);
	int e = pattern_parse(&name->pattern, arena, behind ? behind : line);

	if (e == -EINVAL || (!e && behind && name->pattern.kind))
		return refuse(why, line, "is not a pattern such as *.example.com, ip:10.0.0.0/8 or O=Example");
	name->is_wildcard = behind != NULL;
	if (!e && !name->pattern.kind)
		name->pattern.kind = PATTERN_DNS;
	scope->n_names += !e;
	return e;
}

static int add_line(struct name_scope *scope, struct arena *arena, const char *line, char why[static CA_REASON_SIZE])
{
	const char *equal = strchr(line, '='), *colon = strchr(line, ':');

	if (strlen(line) >= SCOPE_PATTERN_SIZE || !is_text(line))
		return refuse(why, line, "is longer than 255 octets or has control characters");
	if (strcmp(line, "any") == 0) {
		scope->is_any = true;
		return 0;
	}
	if (equal && (!colon || equal < colon))
		return add_part(scope, arena, line, equal, why);
	return add_name(scope, arena, line, why);
}

int name_scope_parse(struct name_scope *out, struct arena *arena, const char *text, char why[static CA_REASON_SIZE])
{
	OWNED_STR lines = strdup(text);
	char *rest = lines, *line;
	size_t n = 0;
	int e = 0;

	*out = (struct name_scope){ .names = arena_alloc(arena, SCOPE_PATTERNS_MAX * sizeof(*out->names)),
				    .parts = arena_alloc(arena, SCOPE_PATTERNS_MAX * sizeof(*out->parts)) };
	if (!lines || !out->names || !out->parts)
		return -ENOMEM;
	while (!e && (line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		if (++n > SCOPE_PATTERNS_MAX)
			return refuse(why, line, "is one pattern too many; a scope has at most 200");
		e = add_line(out, arena, line, why);
	}
	if (!e && out->is_any && n > 1)
		return refuse(why, "any", "stands alone: it is every name already");
	return e;
}

/* ---- for one device ---- */

static const struct scope_word *word_at(const char *at, const struct scope_word *words, size_t n_words)
{
	for (size_t i = 0; i < n_words; i++)
		if (strncmp(at, words[i].word, strlen(words[i].word)) == 0)
			return &words[i];
	return NULL;
}

/* A value of the device stands for itself: nothing in it may be a pattern, or another line. */
static bool is_plain(const char *value)
{
	return value && *value &&
	       !value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")];
}

/* One line; false: it names what the device has not. */
static bool fill_line(struct buf *out, const char *line, const struct scope_word *words, size_t n_words)
{
	const char *whole = line;

	while (*line) {
		const struct scope_word *w = word_at(line, words, n_words);

		if (w && !is_plain(w->value))
			return false;
		if (w)
			buf_append_str(out, w->value);
		else
			buf_append_char(out, *line);
		line += w ? strlen(w->word) : 1;
	}
	/* The word for every name is an administrator's alone. */
	return strcmp(buf_str(out), "any") != 0 || strcmp(whole, "any") == 0;
}

int name_scope_fill(struct arena *arena, const char *text, const struct scope_word *words, size_t n_words,
		    const char **out)
{
	OWNED_BUF all = BUF_INIT(2 * SCOPE_TEXT_MAX);
	OWNED_STR copy = strdup(text);
	char *rest = copy;
	int e = copy ? 0 : -ENOMEM;

	for (char *line; !e && (line = strsep(&rest, "\n"));) {
		OWNED_BUF one = BUF_INIT(2 * SCOPE_TEXT_MAX);
		bool fits = fill_line(&one, line, words, n_words);

		e = buf_status(&one);
		if (!e && fits)
			e = buf_printf(&all, "%s\n", buf_str(&one));
	}
	if (e)
		return e;
	*out = arena_strdup(arena, buf_str(&all));
	return *out ? 0 : -ENOMEM;
}

int ca_core_check_scope(const struct conf_section *conf, const char *option, struct conf_error *error)
{
	OWNED(arena) arena = NULL;
	char why[CA_REASON_SIZE];
	struct name_scope scope;
	int e = arena_new(&arena, 1u << 20);

	if (!e && conf_count(conf, option) > SCOPE_PATTERNS_MAX)
		return conf_refuse(conf, option, error, "there are more than %d patterns", SCOPE_PATTERNS_MAX);
	for (size_t i = 0; !e && i < conf_count(conf, option); i++) {
		const char *line = conf_str_at(conf, option, i);

		if (strchr(line, '\n'))
			return conf_refuse_at(conf, option, i, error, "a pattern is one line");
		e = name_scope_parse(&scope, arena, line, why);
		if (e == -EINVAL)
			return conf_refuse_at(conf, option, i, error, "%s", why);
	}
	return e;
}

/* ---- asking ---- */

static bool has_name(const struct scope_name *name, enum ca_name_kind kind, const char *value)
{
	bool is_wildcard = kind == CA_NAME_DNS && strchr(value, '*');

	if (is_wildcard != name->is_wildcard)
		return false;
	if (is_wildcard && strncmp(value, "*.", 2) != 0)
		return false;
	return pattern_matches_name(&name->pattern, (enum pattern_kind)kind, is_wildcard ? value + 2 : value);
}

bool name_scope_has(const struct name_scope *scope, enum ca_name_kind kind, const char *value)
{
	for (size_t i = 0; i < scope->n_names; i++)
		if (has_name(&scope->names[i], kind, value))
			return true;
	return scope->is_any;
}

bool name_scope_has_part(const struct name_scope *scope, const char *component, const char *value)
{
	for (size_t i = 0; i < scope->n_parts; i++)
		if (strcmp(scope->parts[i].component, component) == 0 &&
		    pattern_matches_text(scope->parts[i].pattern, value))
			return true;
	return scope->is_any;
}
