/* The door for policy modules: verify one request, decide, and change what will be issued.
 *
 * A CA has exactly one policy module. The core calls `init` once when it starts and does not start without it. For
 * each new request, and again whenever an officer resubmits a pending one, it calls `verify` with a view of the
 * request. The module reads what it needs, may stage changes (subject, shorter validity, extensions), and answers
 * DENY, PEND or ISSUE. Staged changes take effect only with the answer; a failure throws them away.
 *
 * What counts as a failure, and ends a new request as ERROR (a resubmitted one goes back to PENDING), never as issued:
 * a negative return, a verdict that was not set, a verdict of another number.
 *
 * The view is valid during the call only. Kept and used later it answers -EINVAL and nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"
#include "core/module.h"

#define CA_POLICY_ABI 1

enum ca_verify_cause {
	CA_VERIFY_NEW = 1,  /* first submission */
	CA_VERIFY_RESUBMIT, /* an officer asked again */
	CA_VERIFY_CONTINUE, /* the requester continued a pending request */
	CA_VERIFY_RECOVERY, /* the core was interrupted while policy decided */
};

enum ca_verdict_kind {
	CA_VERDICT_DENY = 0, /* the safe one: a zeroed answer denies */
	CA_VERDICT_PEND = 1,
	CA_VERDICT_ISSUE = 2,
};

#define CA_RULE_SIZE 64

struct ca_verdict {
	int kind;                      /* enum ca_verdict_kind; not set: a failure */
	char rule[CA_RULE_SIZE];       /* name of the rule that decided; "" when the module has none */
	char reason[CA_REASON_SIZE];   /* for the client and the queue */
	unsigned approvals;            /* with PEND: distinct officers whose approval lets it pass; 0: unknown */
	bool keeps_approvals;          /* with PEND: approvals for this rule go on to a newer request that takes the
					* place of this one, when it differs in its key alone */
	char trace[1024];              /* how it came about, stored with the request */
};

struct ca_policy_view;

/* Properties (core/module.h). Text is NULL, octets are empty, a number is 0 when absent or not to be seen here. */
const char *ca_policy_get_text(const struct ca_policy_view *v, enum ca_property p);
int64_t ca_policy_get_number(const struct ca_policy_view *v, enum ca_property p);
struct bytes ca_policy_get_octets(const struct ca_policy_view *v, enum ca_property p);

/* The proven names, with their evidence. */
size_t ca_policy_count_names(const struct ca_policy_view *v);
const struct ca_name *ca_policy_get_name(const struct ca_policy_view *v, size_t i);

/* Request attributes, also those an officer changed. Names are compared without case, blanks and '-'. NULL: absent. */
const char *ca_policy_get_attribute(const struct ca_policy_view *v, const char *name);
size_t ca_policy_count_attributes(const struct ca_policy_view *v);
const struct ca_attribute *ca_policy_get_attribute_at(const struct ca_policy_view *v, size_t i);

/* Extension rows, the disabled ones too. False: no such OID, or index past the end. */
size_t ca_policy_count_extensions(const struct ca_policy_view *v);
bool ca_policy_get_extension_at(const struct ca_policy_view *v, size_t i, struct ca_extension *out);
bool ca_policy_get_extension(const struct ca_policy_view *v, const char *oid, struct ca_extension *out);

/* Distinct officers who approved this request, as it stands now, for this rule. */
unsigned ca_policy_count_approvals(const struct ca_policy_view *v, const char *rule);

/* The same requester holds a certificate for exactly these names and this profile that is valid now. */
bool ca_policy_is_renewal(const struct ca_policy_view *v);

/* Changes. 0; -EPERM when the change is not allowed (nothing changed); -EINVAL for a malformed value or a view that is
 * no longer valid; -ENOMEM. */

/* Set a subject component: "CN", "O", "OU", "C", "ST", "L", "serialNumber", "emailAddress", "DC", "UID",
 * "unstructuredName", "unstructuredAddress". UTF-8 within the upper bounds of RFC 5280 A.1; a CN must be one of the
 * proven names. Of a component that stands there more than once it is the first; an empty value removes all. */
int ca_policy_set_subject(struct ca_policy_view *v, const char *component, const char *value);

/* Validity only narrows: not later than what is set, the profile's lifetime and the CA's own end; and the mirror. */
int ca_policy_set_not_after(struct ca_policy_view *v, int64_t seconds);
int ca_policy_set_not_before(struct ca_policy_view *v, int64_t seconds);

/* Switch on an extension that the requester sent: only on a new request and only an OID of the profile's list. */
int ca_policy_enable_extension(struct ca_policy_view *v, const char *oid);
int ca_policy_disable_extension(struct ca_policy_view *v, const char *oid);

/* Add or replace an extension, origin POLICY. Those that the core writes itself (SAN, basicConstraints, KU, EKU, AKI,
 * SKI, CDP, AIA) are refused. */
int ca_policy_set_extension(struct ca_policy_view *v, const char *oid, struct bytes der, unsigned flags);

enum {
	CA_POLICY_THREADSAFE = 1 << 0, /* verify may run for several requests at once; else the core takes turns */
};

struct ca_policy_module {
	unsigned abi;
	const char *name;
	const char *summary;
	unsigned flags;
	const struct conf_option *options; /* ends with {0} */
	/* 0, or negative with the reason in `error` (conf_refuse). */
	int (*init)(void **state, const struct ca_module_env *env, const struct conf_section *conf,
		    struct conf_error *error);
	int (*verify)(void *state, struct ca_policy_view *v, enum ca_verify_cause cause, struct ca_verdict *out);
	void (*fini)(void *state); /* after the last verify */
};

/* Built-in modules, made by the build; ends with NULL. */
extern const struct ca_policy_module *const policy_modules[];
