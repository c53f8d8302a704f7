/* Patterns of names and words.
 *
 * `*` stands for any run of characters, also none, and `?` for one that is no `*` itself, so that only `*` matches
 * the first label of a wildcard name. Letters are compared without case. A pattern of names may begin with a kind
 * ("dns:", "ip:", "email:", "uri:", "upn:") and then matches names of that kind only. Without one it matches every kind
 * but a user principal name, by which people log on: who writes a pattern of hosts does not mean it. "ip:" may be
 * followed by a range ("ip:10.0.0.0/8").
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/ip.h"

enum pattern_kind { PATTERN_DNS = 1, PATTERN_IP, PATTERN_EMAIL, PATTERN_URI, PATTERN_UPN };

struct pattern {
	enum pattern_kind kind; /* 0: any */
	const char *text;       /* in the arena */
	bool is_range;
	struct ip_range range;
};

/* 0; -EINVAL for an empty pattern or an "ip:" range that is none; -ENOMEM. */
int pattern_parse(struct pattern *out, struct arena *arena, const char *text);
bool pattern_matches_name(const struct pattern *p, enum pattern_kind kind, const char *value);

bool pattern_matches_text(const char *pattern, const char *text);
