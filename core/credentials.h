/* Enrolment credentials: what the core gives to people so that their clients may ask for certificates.
 *
 * Six kinds, and each row says for which endpoints and profiles it is good, which names it proves (core/name_scope.h),
 * until when and how often:
 *
 *     EAB         a key identifier and a MAC key for an ACME account; the key is derived, nothing secret is stored
 *     CHALLENGE   a SCEP challenge, at first good for one request
 *     USER        a name and a password
 *     TOKEN       a secret that is a name and a password at once
 *     VENDOR      anchors of a maker of devices, whose own certificates may ask (core/shown.h)
 *     RA          a registration authority, by its certificate
 *
 * Challenges and tokens have 128 random bits or more and are stored as their SHA-256, passwords as scrypt. A secret is
 * given out once, when it is made. What is used up by a request is used up in the transaction that writes its row, and
 * comes back when the row ends as ERROR: of any number of requests with the same one-time challenge one gets it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/admin.h"
#include "core/core_int.h"
#include "core/name_scope.h"

#define CREDENTIAL_NAME_SIZE 65 /* a key identifier, a user */
#define CREDENTIAL_NOTE_SIZE 128
#define CREDENTIAL_SECRET_SIZE 128
#define CREDENTIAL_PLACES_MAX 32 /* endpoints, or profiles, of one credential */

const char *credential_kind_word(enum ca_evidence_kind kind); /* "eab", "challenge", "user", "token", "vendor", "ra" */
enum ca_evidence_kind credential_kind_of(const char *word);   /* CA_EVIDENCE_NONE: no such kind */

/* ---- made, changed and taken away by an administrator ---- */

struct credential_spec {
	enum ca_evidence_kind kind;
	const char *name;                /* USER, VENDOR, RA; NULL otherwise */
	const char *note;                /* for people: what it is for; NULL */
	const char *const *endpoints;    /* one at least */
	size_t n_endpoints;
	const char *const *profiles;     /* none: those that the endpoints have now */
	size_t n_profiles;
	const char *const *scope;        /* patterns; none: it proves no name */
	size_t n_scope;
	int64_t lifetime_ms;             /* 0: for EAB, USER and TOKEN without end, for CHALLENGE an hour */
	unsigned uses;                   /* accounts or requests; 0: for EAB and CHALLENGE one, else without end */
	bool is_endless, is_unlimited;   /* in place of those: without an end, and for any number of uses */
	const char *password;            /* USER; NULL: one is made */
	struct bytes certificates;       /* PEM or DER. VENDOR: anchors. RA: its own, and behind it, when by name and
					  * not of this core, those of its issuers */
	bool is_by_name;                 /* RA: any certificate with that issuer and subject; else with that key */
	unsigned delegates;              /* USER, TOKEN: how many challenges may wait at once that were made for it
					  * (core/delegate.h); 0: none is. {serialNumber} and {udid} in its scope
					  * stand for those of the device that one is for, and prove nothing without */
};

struct credential_made {
	int64_t id;
	char name[CREDENTIAL_NAME_SIZE];     /* EAB, USER, VENDOR, RA */
	char secret[CREDENTIAL_SECRET_SIZE]; /* "" for a password that was given; wipe it after use */
	int64_t until_ms;                    /* 0: without end */
};

/* Outcomes as in core/admin.h (0, NOT_FOUND, NOT_PERMITTED, INVALID, CA_ADMIN_BAD_STATE: already revoked), with one
 * sentence in `why`. */
int ca_admin_create_credential(struct ca_core *core, const struct ca_admin_caller *who,
			       const struct credential_spec *spec, struct credential_made *out,
			       char why[static CA_REASON_SIZE]);

/* Of an EAB key, user, vendor or RA its name, of a challenge or token its number. For ever: a name is not given
 * again. */
int ca_admin_revoke_credential(struct ca_core *core, const struct ca_admin_caller *who, enum ca_evidence_kind kind,
			       const char *name, char why[static CA_REASON_SIZE]);

/* `password` NULL: one is made. */
int ca_admin_set_password(struct ca_core *core, const struct ca_admin_caller *who, const char *user,
			  const char *password, struct credential_made *out, char why[static CA_REASON_SIZE]);

/* One row, as people see it. */
struct credential_row {
	int64_t id;
	enum ca_evidence_kind kind;
	const char *name, *note, *created_by;
	const char *endpoints, *profiles, *scope; /* one a line */
	int64_t created_ms, until_ms, last_used_ms, revoked_ms; /* 0: never, without end */
	int64_t uses_left;                        /* -1: without end */
	int64_t used;
	bool is_by_name;                          /* RA */
	unsigned delegates;
	const char *device;                       /* of a challenge for one: what a request must name, one a line */
};

/* EAB, USER, VENDOR and RA have one; of the others the number tells them apart. */
bool credential_has_name(enum ca_evidence_kind kind);

bool credential_is_line(const char *lines, const char *word); /* is `word` one of the lines? */

/* Rows of this kind (0: every kind) after `after`, into the arena. */
int credentials_list(struct ca_core *core, enum ca_evidence_kind kind, int64_t after, size_t max, struct arena *arena,
		     struct credential_row **rows, size_t *n);

/* How many live credentials prove any name: `gatehouse status` says so. */
struct credentials_any {
	int64_t n;
	int64_t n_unheld; /* of these: for a profile that does not hold what they ask for (`any-scope: pend`) */
};
int credentials_count_any(struct ca_core *core, struct credentials_any *out);

/* ---- shown by clients ---- */

#define DELEGATES_MAX 100000

/* The scope of a credential that may have challenges made, for one device (values NULL: none is known). As
 * name_scope_fill(). */
int credential_fill_scope(struct arena *arena, const char *scope, const char *serial_number, const char *udid,
			  const char **out);

/* A credential that was found and whose secret was right. In the arena of who asked. */
struct credential {
	int64_t id;              /* 0: a certificate that proves its own names, for which there is no row */
	enum ca_evidence_kind kind; /* of a certificate CERTIFICATE, VENDOR or RA */
	const char *text;        /* "user alice", "challenge 12": evidence, for timelines */
	const char *requester;   /* USER, TOKEN and certificates: what its submissions call the requester; NULL */
	struct name_scope scope;
	/* Of certificates: */
	enum ca_trust trust;
	unsigned delegates;      /* USER, TOKEN: challenges that it may have waiting at once */
	const char *scope_text;  /* USER, TOKEN: as it was written */
	const char *device;      /* CHALLENGE: a request must name one of these lines; "": there is none to name */
	const char *about;       /* further words for timelines; NULL: none */
	int64_t certificate_id;  /* of the request by which this core issued it; 0 */
	/* OWN: */
	const struct csr *own;   /* its names, which are what it proves; NULL */
	enum ca_certificate_use use;
	int64_t renews_from_s;   /* before that it renews nothing by itself; 0: at any time */
	const char *serial;      /* hex */
	const uint8_t *names_key; /* of that request */
	bool is_over;            /* expired or used up: good only for asking again about the request that used it */
};

/* Positive outcomes of credentials_find(). */
enum {
	CREDENTIAL_REFUSED = 1, /* whatever is wrong with it */
	CREDENTIAL_LATER = 2,   /* too many wrong ones: after `pause_s` */
};

/* One sentence for every reason: which CAs there are is nobody's business. */
#define CERTIFICATE_REFUSED_TEXT "the certificate is not one that may ask here"
#define CREDENTIAL_REFUSED_TEXT "the credential is unknown, wrong, used up or not for this endpoint"

/* Check the claim at this endpoint and profile (NULL: before there is a request). Wrong ones are counted, logged and
 * recorded. 0; the outcomes above; negative. */
int credentials_find(struct ca_core *core, const struct ca_credential_claim *claim, const char *endpoint,
		     const char *profile, const char *source, struct arena *arena, struct credential *out,
		     unsigned *pause_s);

/* ca_check_credential() of core/submit.h. */
int credentials_check(struct ca_core *core, const struct binding *by, const struct ca_credential_claim *claim,
		      struct ca_credential_answer *answer);

/* Remove what ended long ago; challenges and tokens only, since a user's name and a key identifier are for ever. */
void credentials_sweep(struct ca_core *core);
