/* Which names a credential proves.
 *
 * A scope is written one pattern a line. "dns:*.example.com", "ip:10.0.0.0/8", "email:*@example.com",
 * "upn:*@example.com" and "uri:https://example.com*" are for names of a kind; what has no kind is a DNS name.
 * "O=Example" or "CN=printer-*" are for a component of the subject (core/issue.h has their words). The one line "any"
 * is for every name. An empty scope proves nothing.
 *
 * A wildcard name is one certificate for all the names below, so it is proven only by a pattern that writes it:
 * "\*.example.com" or "dns:\*.example.com"; what stands behind "\*." is a pattern of its own. No other one, but
 * "any", proves a name with '*' in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/pattern.h"
#include "core/submit.h"

#define SCOPE_PATTERNS_MAX 200
#define SCOPE_PATTERN_SIZE 256
#define SCOPE_TEXT_MAX (SCOPE_PATTERNS_MAX * SCOPE_PATTERN_SIZE)

/* What stands for a value in the scope of who asks for others: "{serialNumber}", and what it is of this device. */
#define SCOPE_SERIAL_NUMBER "{serialNumber}"

struct scope_word {
	const char *word;
	const char *value; /* NULL: not known */
};

struct name_scope {
	bool is_any;
	struct scope_name {
		struct pattern pattern;
		bool is_wildcard; /* the pattern is of what stands behind "*." */
	} *names;
	size_t n_names;
	struct scope_part {
		const char *component, *pattern;
	} *parts;
	size_t n_parts;
};

/* In the arena. 0; -EINVAL with a sentence in `why`; -ENOMEM. */
int name_scope_parse(struct name_scope *out, struct arena *arena, const char *text, char why[static CA_REASON_SIZE]);

/* The scope for one device: each word is its value. Patterns with a word whose value is not known, or is anything but
 * letters, digits and "-._", are left out. In the arena. 0; -EMSGSIZE: with the values it is too long; -ENOMEM. */
int name_scope_fill(struct arena *arena, const char *text, const struct scope_word *words, size_t n_words,
		    const char **out);

bool name_scope_has(const struct name_scope *scope, enum ca_name_kind kind, const char *value);
bool name_scope_has_part(const struct name_scope *scope, const char *component, const char *value);
