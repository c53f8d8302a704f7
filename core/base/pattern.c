/* Patterns of names and words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/pattern.h"

#include <errno.h>

static const struct {
	const char *prefix;
	enum pattern_kind kind;
} kinds[] = {
	{ "dns:", PATTERN_DNS },
	{ "ip:", PATTERN_IP },
	{ "email:", PATTERN_EMAIL },
	{ "uri:", PATTERN_URI },
	{ "upn:", PATTERN_UPN },
};

/* Locale-free: names are ASCII. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* `?.example.com` would let "*.example.com" in, which is a name for all of them. */
static bool fits(char pattern, char c)
{
	return pattern == '?' ? c != '*' : lower(pattern) == lower(c);
}

/* Going back to the last '*' alone is enough: what an earlier one takes more, the last one could take too. */
bool pattern_matches_text(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern && fits(*pattern, *text)) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

int pattern_parse(struct pattern *out, struct arena *arena, const char *text)
{
	struct pattern p = { 0 };
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !p.kind; i++) {
		if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
			continue;
		p.kind = kinds[i].kind;
		text += strlen(kinds[i].prefix);
	}
	if (!*text)
		return -EINVAL;
	/* An address has several spellings, so it is compared as octets. */
	p.is_range = p.kind == PATTERN_IP && !strpbrk(text, "*?");
	if (p.is_range && ip_range_parse(&p.range, text))
		return -EINVAL;
	p.text = arena_strdup(arena, text);
	if (!p.text)
		return -ENOMEM;
	*out = p;
	return 0;
}

bool pattern_matches_name(const struct pattern *p, enum pattern_kind kind, const char *value)
{
	struct ip_address a;

	if (p->kind ? p->kind != kind : kind == PATTERN_UPN)
		return false;
	if (!p->is_range)
		return pattern_matches_text(p->text, value);
	return ip_address_parse(&a, value) == 0 && ip_range_contains(&p->range, &a);
}
