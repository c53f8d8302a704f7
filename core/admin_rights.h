/* Which role may do what at the administrator's door: one table, that of the documented roles.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/admin.h"

/* What a call needs. A new kind of call takes one of these, or adds a row to the table. */
enum admin_right {
	ADMIN_RIGHT_STATUS,     /* health, and who the caller is: every role */
	ADMIN_RIGHT_READ,       /* requests, certificates, CRLs, CAs */
	ADMIN_RIGHT_DECIDE,     /* approve, resubmit, deny, edit, revoke, import */
	ADMIN_RIGHT_ADMINISTER, /* publish a CRL, set up a CA, make credentials */
	ADMIN_RIGHT_PURGE,      /* remove rows for ever: two roles */
	ADMIN_RIGHT_OPERATE,    /* back up and restore */
	ADMIN_RIGHT_AUDIT,      /* read the audit trail */
	ADMIN_RIGHT_COUNT_
};

bool admin_has_right(const struct ca_admin_caller *who, enum admin_right right);

/* May the caller decide about what this requester asked for under this profile? 0; CA_ADMIN_NOT_PERMITTED;
 * CA_ADMIN_RESTRICTED; `why` gets a sentence that lives for ever. Whoever asked for a certificate does not decide about
 * it, by whatever name he comes. */
int admin_check_officer(const struct ca_admin_caller *who, const char *profile, const char *requester,
			const char **why);

/* Who has the right, as a sentence names him: "an officer". */
const char *admin_right_holder(enum admin_right right);

/* The roles by their words, in one order; NULL after the last. */
const char *admin_role_word(size_t i, unsigned *role);
