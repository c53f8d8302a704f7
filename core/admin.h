/* The door for people: what an administrator may do with requests.
 *
 * Resubmit asks policy again, with the original requester, and adds nothing. Approve records one officer's approval of
 * exactly what he was shown (the digest) and then resubmits: policy sees the approvals that count for its rule. Deny,
 * set attributes and set extension are legal while a request is pending, and never otherwise. Who may call what stands
 * in one table (core/admin_rights.c), and each call leaves a line in the request's timeline.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core.h"
#include "core/module.h"

enum {
	CA_ROLE_AUDITOR = 1 << 0,       /* may look */
	CA_ROLE_OFFICER = 1 << 1,       /* may decide about pending requests */
	CA_ROLE_ADMINISTRATOR = 1 << 2, /* both */
	CA_ROLE_OPERATOR = 1 << 3,      /* may back up and restore */
	CA_ROLES_ = 4
};

/* Who calls, proven by the transport. */
struct ca_admin_caller {
	const char *name; /* "unix:alice" */
	unsigned roles;
};

/* Outcomes of the calls below besides 0. */
enum {
	CA_ADMIN_NOT_FOUND = 1,     /* no such request */
	CA_ADMIN_BAD_STATE = 2,     /* not pending (any more); out->disposition says what it is */
	CA_ADMIN_CHANGED = 3,       /* not what was shown or approved: look at it again */
	CA_ADMIN_NOT_PERMITTED = 4, /* the caller's roles do not allow it, or he is the requester */
	CA_ADMIN_INVALID = 5,       /* a value breaks its bounds; out->reason says which */
	CA_ADMIN_LATER = 7,         /* decided; the certificate comes when the signer is back */
	CA_ADMIN_NO_ANSWER = 6,     /* policy, signer or store gave no answer: the request is pending as before */
};

/* `digest` NULL: whatever stands there now. `out->disposition` is what came of it: issued, denied, or still under
 * submission. */
int ca_admin_approve(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const uint8_t *digest,
		     struct ca_outcome *out);
int ca_admin_resubmit(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, struct ca_outcome *out);
int ca_admin_deny(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *reason,
		  struct ca_outcome *out);

/* Policy is not asked; the approvals given so far are void. An empty value removes the attribute. */
int ca_admin_set_attribute(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *name,
			   const char *value, struct ca_outcome *out);

/* Only an OID of the profile's `officer-extensions`; origin ADMIN. `flags`: CA_EXT_CRITICAL, CA_EXT_DISABLED. */
int ca_admin_set_extension(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *oid,
			   struct bytes der, unsigned flags, struct ca_outcome *out);
