/* A request in memory: what was asked, what is decided, what will be written.
 *
 * It lives in one arena and belongs to one thread at a time. The store reads and writes it whole (core/store.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/digest.h"
#include "core/issue.h"
#include "core/policy.h"
#include "core/state.h"
#include "core/x509/csr.h"

#define REQUEST_EXTENSIONS_MAX 48
#define REQUEST_SUBJECT_MAX 16

/* One stored line of the timeline. */
struct timeline_line {
	int64_t at_ms;
	const char *actor; /* "core", "acme:7", "unix:alice" */
	const char *text;  /* "verify cause=new verdict=pend rule=hold" */
	struct timeline_line *next;
};

/* A key pair that the intermediary makes for a call and keeps nowhere: what waits for a person waits without one, and
 * gets it in the call that collects. */
enum request_server_key {
	SERVER_KEY_NONE = 0,    /* the requester has his own */
	SERVER_KEY_WAITING = 1,
	SERVER_KEY_READY = 2,   /* approved: the next call brings the key that is certified */
};

struct ca_request {
	struct arena *arena;
	int64_t id;
	int64_t version;          /* of the row as read; grows with every write */
	enum ca_state state;
	const char *ca;
	const struct binding *by; /* who submitted it just now; NULL for a row */
	const char *protocol, *endpoint, *profile, *requester, *intermediary, *source_address;
	enum ca_evidence_kind evidence;
	int64_t credential_id;    /* that proved the names; 0: none, or a certificate that proves its own */
	const char *credential_text; /* "challenge 12" */
	int64_t also_id;          /* a second one, the same way */
	const char *also_text;    /* NULL: there is none */
	const char *credential_about, *also_about; /* further words of theirs; not of a row */
	int64_t certificate_id;   /* the request by which a certificate was issued that proves this one; 0: none */
	enum name_change {
		NAMES_AS_ASKED,   /* those of the PKCS#10 */
		NAMES_CHANGED,    /* of a ChangeSubjectName, and proven */
		NAMES_UNPROVEN,   /* of one, and some wait for officers */
	} name_change;
	int64_t limit_id;         /* a credential that proves nothing, but whose scope has the names, too; 0: none */
	const char *limit_text;   /* "eab kid" */
	bool is_any_scope;        /* it proves every name */
	bool is_credential_over;  /* it is good only for asking about the request that used it */
	int64_t received_ms, submitted_ms, first_seen_ms, resolved_ms;
	unsigned retry_after_s;
	int64_t collect_ms;       /* how long a repeat after issuing is a query */
	bool is_repeat_exact;     /* and only with the same octets; not of a row */
	uint8_t asked_hash[SHA256_SIZE]; /* of the octets as they came: `csr` has no challenge; not of a row */
	enum request_server_key server_key;
	bool is_key_to_come;      /* and not made before it is certain that it is certified: `csr` stands for it */
	bool has_new_key;         /* `csr` is that of the call that collects; written with the next change */
	struct csr csr;
	struct ca_name *names;    /* proven */
	size_t n_names;
	uint8_t names_key[SHA256_SIZE]; /* digest of the sorted names */
	uint8_t spki_hash[SHA256_SIZE];
	uint8_t transaction_key[CA_TRANSACTION_KEY_SIZE];
	bool has_poll_key;
	uint8_t poll_key[CA_POLL_KEY_SIZE]; /* written with a new row and not read again */
	const char *raw_attributes; /* as submitted, one "name:value" a line; never changed */
	struct ca_attribute attributes[CA_ATTRIBUTES_MAX]; /* parsed, and as officers changed them */
	size_t n_attributes;
	struct ca_extension extensions[REQUEST_EXTENSIONS_MAX];
	size_t n_extensions;

	/* What will be issued; made anew before each verify. */
	struct subject_part subject[REQUEST_SUBJECT_MAX];
	size_t n_subject;
	const char *subject_text; /* of a row that was read; NULL once the parts above are made anew */
	int64_t not_before_s, not_after_s;
	int64_t template_s;       /* intended seconds of validity, before the CA's own end cuts it: constant in time */
	const char *const *key_usage, *const *ext_key_usage; /* of the profile, for this key */
	const char *officer;      /* who acts on it now; NULL: nobody does */
	int64_t officer_lifetime_s; /* an officer shortened it to this; 0: nobody did */
	int64_t officer_not_after_s; /* an officer lets it end then; 0: nobody does */
	bool is_edited;           /* an officer changed it: a grant would not bring his changes back */

	/* What was decided. */
	struct ca_verdict verdict;
	bool is_undecided;        /* the policy module failed: there is no verdict */
	enum ca_status status;
	char reason[CA_REASON_SIZE];
	uint8_t digest[SHA256_SIZE]; /* of what an officer sees and approves */
	uint8_t template_hash[SHA256_SIZE]; /* of what the certificate says, whatever its key */
	uint8_t keyless_digest[SHA256_SIZE]; /* of what an officer sees but for the key */
	uint8_t serial[SERIAL_SIZE];
	unsigned crl_partition;   /* of the CRLs of that key, as the certificate names it; 0: the one about all */
	struct buf tbs;
	int64_t key_id;           /* ca_keys.id of the key that signs, or signed, the TBS */
	struct buf certificate;
	int64_t collected_ms;     /* of a row that was read; 0: not collected */
	int64_t revoked_ms;       /* the same; 0: not revoked */
	int revoked_reason;       /* enum ca_revocation_reason */

	/* What the next write adds. */
	struct timeline_line *lines, **lines_end;
	unsigned events;          /* bits of enum ca_event to notify */

	/* Approvals that count for the verify under way. */
	struct approval {
		const char *officer, *rule;
		struct approval *next;
	} *approvals;
	bool is_renewal;
	int64_t renews_from_s;    /* by a certificate alone, which does so from then on; 0: at any time; not of a row */
	int64_t grant_id;         /* the grant whose approvals these are; 0: none */
	int64_t grant_request_id; /* the request that was approved for it */
	uint8_t grant_template[SHA256_SIZE]; /* what was approved for it */
	int64_t supersedes;       /* a pending request that this one takes the place of; 0: none */
	bool over_quota;          /* this requester has too many pending requests to add one */

	/* What an officer was shown, kept while policy is asked again. */
	struct {
		const char *subject_text;
		int64_t not_before_s, not_after_s, template_s;
		uint8_t digest[SHA256_SIZE], keyless_digest[SHA256_SIZE];
		struct ca_verdict verdict;
	} shown;
	bool has_failed;          /* policy answered, but no certificate could be made: the request is pending again */
	bool has_changed;         /* policy said issue, but not what was shown and approved */
};

int ca_request_new(struct ca_request **out);
void ca_request_drop(struct ca_request **r); /* works with OWNED(ca_request) */

/* Add a line to the timeline, written with the next change. */
void request_note(struct ca_request *r, const char *actor, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Attribute names: `Cert-Type` and `cert type` are one name. Compare and find without case, blanks and '-'. */
bool attribute_name_equal(const char *a, const char *b);

/* Bounds of names and values. 0 or -EINVAL. */
int attribute_check(const char *name, const char *value);

/* Add or, when `replace`, put in the place of the attribute with that name. 0; -EINVAL (bounds); -EEXIST (there and not
 * `replace`); -ENOSPC (too many); -ENOMEM. An empty value with `replace` removes it. */
int request_set_attribute(struct ca_request *r, const char *name, const char *value, bool replace);
const char *request_get_attribute(const struct ca_request *r, const char *name);

struct ca_extension *request_find_extension(struct ca_request *r, const char *oid);

/* Add or replace by OID; `flags` with origin. 0, -EINVAL (OID or DER malformed), -ENOSPC, -ENOMEM. */
int request_set_extension(struct ca_request *r, const char *oid, struct bytes der, unsigned flags);

/* What was approved without a key is held again: the next call brings none that is certified. */
static inline void request_await_key(struct ca_request *r)
{
	if (r->server_key)
		r->server_key = SERVER_KEY_WAITING;
}

/* Go to the next state of the table. 0 or -EPERM; nothing changed then. */
int request_move(struct ca_request *r, enum ca_action action);

/* Text from outside as one quoted word of a timeline line: no quote, no control character gets through. */
const char *request_quote(const struct ca_request *r, const char *text);

/* The names of a ChangeSubjectName take the place of the others. 0; -EINVAL: there is none. */
int request_take_wanted(struct ca_request *r);

/* Fill names_key from the names, whatever their order; an officer's edit leaves it that of what was asked for. */
int request_hash_names(struct ca_request *r);

/* The digest of what will be issued: everything an approval is for, without serial and absolute dates; of a key that is
 * made later, that it is. And the same
 * without key and attributes, for a grant: a client that comes back has another key, but must get what was approved. */
int request_hash_template(struct ca_request *r);

/* The subject as text ("CN=a.example,O=Example"), as stored or made from its parts, in the arena; "" when empty. */
const char *request_subject_text(const struct ca_request *r);
