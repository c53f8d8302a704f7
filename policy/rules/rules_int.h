/* The rule list as it is kept in memory. For policy/rules only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/policy.h"
#include "core/base/pattern.h"

/* Words of the configuration, copied. */
struct texts {
	const char **items;
	size_t n;
};

struct patterns {
	struct pattern *items;
	size_t n;
};

struct pair {
	const char *name, *value;
};

struct pairs {
	struct pair *items;
	size_t n;
};

/* Each condition that is given must hold. An empty list: not given. */
struct when {
	struct texts endpoint, protocol, profile, requester, subject, key;
	struct ip_range *source;
	size_t n_source;
	struct patterns names, any_name;
	struct pairs attribute;
	enum { RENEWAL_ANY, RENEWAL_YES, RENEWAL_NO } renewal;
};

struct set {
	int64_t lifetime_s; /* 0: not given */
	struct texts enable, disable;
	struct pairs subject;
};

struct rule {
	const char *name;
	struct when when;
	enum ca_verdict_kind then;
	const char *reason;    /* NULL: none given */
	unsigned approvals;    /* of a pend rule */
	bool frees_renewals;   /* of a pend rule */
	bool keeps_approvals;  /* of a pend rule */
	struct set set;
};

struct rules {
	struct arena *arena;
	struct rule *items; /* the last one is the default, which has no conditions */
	size_t n;
};

extern const struct conf_option rules_rows[];

/* 0; -EINVAL with `error` filled; -ENOMEM. */
int rules_new(struct rules **out, const struct conf_section *conf, struct conf_error *error);
void rules_drop(struct rules **r);

/* The value of the subject's CN that stands for the first proven DNS name. */
#define RULES_FIRST_NAME "first-name"
#define RULES_CN_MAX 64 /* RFC 5280 A.1 */
