/* A view for policy modules that is plain data, and the helpers of their tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/policy.h"

struct ca_policy_view {
	const char *endpoint, *protocol, *profile, *requester, *source, *csr_subject, *key;
	int64_t not_before_s, not_after_s;
	struct ca_name names[4];
	size_t n_names;
	struct ca_attribute attributes[4];
	size_t n_attributes;
	struct ca_extension extensions[4];
	size_t n_extensions;
	const char *profile_oids[4]; /* what may be switched on */
	bool is_resubmit, is_renewal;
	const char *approved_rule;
	unsigned approvals;
	char subject[256];           /* "CN=a.example,O=…": what was set, in order */
	int fails;                   /* every change answers this instead */
};

/* A module with its state. */
struct fixture {
	const struct ca_policy_module *module;
	struct conf *conf;
	void *state;
};

/* `text` is the module's section. */
struct fixture fixture_start(const struct ca_policy_module *module, const char *text);
void fixture_stop(struct fixture *f);

/* The module must not start, and say so with exactly `message`. */
void fixture_refuse(const struct ca_policy_module *module, const char *text, const char *message);

/* What the module answers; it must not fail. */
struct ca_verdict fixture_ask(const struct fixture *f, struct ca_policy_view *v, enum ca_verify_cause cause);
