/* Names to addresses: fixed answers first, then libunbound. The machine's hosts file is never asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"
#include "core/base/ip.h"

struct resolver;

/* By the options `hosts` and `resolver` of the section `validator:`. 0; -EINVAL with `error` filled; negative. */
int resolver_new(struct resolver **out, const struct conf_section *conf, struct conf_error *error);

/* Nobody may be in resolver_find() any more. */
void resolver_drop(struct resolver **r);

/* Everybody who waits in resolver_find() gets RESOLVE_TIMEOUT at once. */
void resolver_stop(struct resolver *r);

/* No answer of libunbound could be taken lately. */
bool resolver_is_failing(const struct resolver *r);

enum {
	RESOLVE_NOT_FOUND = 1, /* no such name, or a name without addresses */
	RESOLVE_FAILED = 2,    /* the servers gave no usable answer */
	RESOLVE_TIMEOUT = 3,
};

#define RESOLVE_MAX 16 /* addresses of one name; more are left out */

/* The addresses of `name`, IPv6 before IPv4. 0 with at least one, one of the above, or negative. */
int resolver_find(struct resolver *r, const char *name, int64_t timeout_ms, struct ip_address out[static RESOLVE_MAX],
		  size_t *n);
