/* The door for people: what an administrator may do with requests.
 *
 * Resubmit asks policy again, with the original requester, and adds nothing. Approve records one officer's approval of
 * exactly what he was shown (the digest) and then resubmits: policy sees the approvals that count for its rule. Deny
 * and edit are legal while a request is pending, and never otherwise. Who may call what stands
 * in one table (core/admin_rights.c), and each call leaves a line in the request's timeline.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core.h"
#include "core/module.h"

/* What a role may do stands in core/admin_rights.h; each of them may look at requests and certificates, but for the
 * operator. */
enum {
	CA_ROLE_AUDITOR = 1 << 0,       /* reads the audit trail */
	CA_ROLE_OFFICER = 1 << 1,       /* decides about requests, revokes */
	CA_ROLE_ADMINISTRATOR = 1 << 2, /* sets up CAs, publishes CRLs, makes credentials */
	CA_ROLE_OPERATOR = 1 << 3,      /* backs up and restores */
	CA_ROLES_ALL = (1 << 4) - 1,
	CA_ROLES_ = 4
};

/* Who calls, proven by the transport. Made anew for each call (core/roles.h). */
struct ca_admin_caller {
	const char *name; /* "unix:alice" */
	unsigned roles;
	bool has_uid;
	uid_t uid;        /* the person behind the name */
	bool is_limited;  /* an officer who handles what his rows of `officer-rights` say, and nothing else */
	uint64_t rights;  /* his rows, a bit each */
	int64_t seen;     /* version of the row that he was shown: another one is CA_ADMIN_CHANGED; 0: any */
	const struct conf_section *conf; /* where they stand */
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
	CA_ADMIN_EXISTS = 9,        /* import: there is a certificate with this serial */
	CA_ADMIN_NO_MATCH = 10,     /* import: not exactly one pending request has this public key */
	CA_ADMIN_RESTRICTED = 8,    /* an officer, but not for this profile or requester (RESTRICTEDOFFICER) */
	CA_ADMIN_FORBIDDEN = 16,    /* the request's profile lets no officer do that; out->reason says what it lacks */
};

/* `digest` NULL: whatever stands there now. `not_after_s` not 0: of what was shown, but ending then, earlier than it
 * would; that is an edit, which voids the approvals given before, unless it ends then already, and what is approved is
 * the outcome of it. `out->disposition` is what came of it: issued, denied, or still under
 * submission. */
int ca_admin_approve(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const uint8_t *digest,
		     int64_t not_after_s, struct ca_outcome *out);
int ca_admin_resubmit(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, struct ca_outcome *out);
int ca_admin_deny(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *reason,
		  struct ca_outcome *out);

/* A certificate: by the request that it was issued for, or by its serial without leading zeros. */
struct ca_certificate_ref {
	int64_t request_id; /* 0: by serial */
	struct bytes serial;
};

/* Revoke it, also once more: another reason, or an earlier date. `reason` of enum ca_revocation_reason but hold;
 * `when_ms` 0: now, or as it stands. A date is never in the future, never later than the one that stands, never before
 * the certificate began. out->id is its request. CA_ADMIN_BAD_STATE: not issued, or nothing would change. */
int ca_admin_revoke(struct ca_core *core, const struct ca_admin_caller *who, const struct ca_certificate_ref *which,
		    int reason, int64_t when_ms, struct ca_outcome *out);

/* Revoke it until it is released or revoked for good. */
int ca_admin_hold(struct ca_core *core, const struct ca_admin_caller *who, const struct ca_certificate_ref *which,
		  struct ca_outcome *out);
int ca_admin_release(struct ca_core *core, const struct ca_admin_caller *who, const struct ca_certificate_ref *which,
		     struct ca_outcome *out);

struct ca_import {
	struct bytes certificate; /* DER */
	const char *ca;           /* NULL: whose it is, or the first for a foreign one */
	bool is_existing;         /* an offline signer's answer: into the one pending request with its public key */
	bool is_foreign;          /* one that no CA of this core has signed is taken too */
};

/* Take a certificate that was made elsewhere. out->id is its request. CA_ADMIN_EXISTS, CA_ADMIN_NO_MATCH. */
int ca_admin_import(struct ca_core *core, const struct ca_admin_caller *who, const struct ca_import *import,
		    struct ca_outcome *out);

enum ca_purge {
	CA_PURGE_CERTIFICATES = 1, /* that ended before, with their requests; never what a CRL must still say */
	CA_PURGE_REQUESTS = 2,     /* that were denied or failed before */
};

/* Remove rows for ever: who has two roles. `*n` were removed; `*more`: call again. */
int ca_admin_purge(struct ca_core *core, const struct ca_admin_caller *who, enum ca_purge what, int64_t before_ms,
		   uint64_t *n, bool *more, struct ca_outcome *out);

/* The documented CA_DISP numbers. */
enum ca_cert_status_number {
	CA_CERT_INCOMPLETE = 0,   /* foreign */
	CA_CERT_REVOKED = 2,
	CA_CERT_VALID = 3,        /* whether or not it has ended */
	CA_CERT_NEVER_ISSUED = 4,
};
struct ca_cert_status {
	enum ca_cert_status_number status;
	bool is_expired;
	int64_t request_id, not_after_s, revoked_ms;
	int reason;
};
int ca_admin_cert_status(struct ca_core *core, const struct ca_admin_caller *who, struct bytes serial,
			 struct ca_cert_status *status, struct ca_outcome *out);

/* Publish the CRLs of a CA now (NULL: of every CA); out->reason says under which numbers. An administrator's. */
int ca_admin_publish_crl(struct ca_core *core, const struct ca_admin_caller *who, const char *ca,
			 struct ca_outcome *out);

/* What an officer may change in a pending request. The numbers are those of the admin protocol. */
enum ca_edit_kind {
	CA_EDIT_SET_ATTRIBUTE = 1, /* name, value: "" removes it */
	CA_EDIT_SET_EXTENSION,    /* name: the OID; der, flags; only what the profile lists under officer-extensions */
	CA_EDIT_REMOVE_EXTENSION, /* name: the OID; what the request brought is switched off instead */
	CA_EDIT_SET_NAME,         /* name: "dns:a.example"; value: a name whose place it takes, or "". Only where the
				   * profile says `officer-names: allow`, and another officer must approve */
	CA_EDIT_REMOVE_NAME,      /* name; never the last one */
	CA_EDIT_SHORTEN,          /* lifetime_s: shorter than it would be */
	CA_EDIT_END,              /* not_after_s: it ends then, earlier than it would */
	CA_EDITS_                 /* how many kinds, and one */
};

struct ca_edit {
	enum ca_edit_kind kind;
	const char *name, *value;
	struct bytes der;
	unsigned flags;
	int64_t lifetime_s, not_after_s;
};

#define CA_EDITS_MAX 256 /* more are CA_ADMIN_INVALID, and only so many are looked at */

/* Make all of these changes, in their order, or none. Policy is not asked; the approvals given so far are void.
 * CA_ADMIN_FORBIDDEN: one that the profile has no room for, whoever asks. */
int ca_admin_edit(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const struct ca_edit *edits,
		  size_t n, struct ca_outcome *out);

/* A note for the officers who look next, in any state. 0; CA_ADMIN_NOT_FOUND, _NOT_PERMITTED, _INVALID. */
int ca_admin_note(struct ca_core *core, const struct ca_admin_caller *who, int64_t id, const char *text,
		  struct ca_outcome *out);
