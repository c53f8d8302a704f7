/* The door for intermediaries (protocol adapters): submit a request to a CA, ask what became of it.
 *
 * One request, told from start to end. An adapter has located its CA once (core/registry.h). A client's message
 * arrives; the adapter proves what its protocol can prove and fills a `struct ca_submission`: who asks, for which
 * endpoint and profile, the PKCS#10 octets, the names with the evidence for each, and a transaction key that is the
 * same whenever the same client repeats the same request. `ca_submit()` asks the core, which parses the PKCS#10 and its
 * proof of possession, asks the policy module, and answers in `struct ca_outcome`: issued with the certificate, under
 * submission (held for a person; poll later with `ca_peek()` and the id), or denied with a reason. The reply may be
 * written as soon as the call returned: what it says is durable. A repeated submission with the same transaction key
 * is a query: policy is not asked again, no second row is made. When the adapter sees in `ca_peek()` that the request
 * left the queue, it collects the result with `ca_retrieve()`, which tells exit modules that asked for that event.
 *
 * Everything here is plain data: no OpenSSL object, no pointer into another layer. Calls block (policy may be slow)
 * and may run on any number of threads at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/buf.h"

#include <stdbool.h>

struct ca_door; /* a located CA, from ca_locate() */

/* States of a request: the numbers of the documented database. */
enum ca_state {
	CA_STATE_ACTIVE = 8,
	CA_STATE_PENDING = 9,
	CA_STATE_FOREIGN = 12,
	CA_STATE_ISSUED = 20,
	CA_STATE_REVOKED = 21,
	CA_STATE_ERROR = 30,
	CA_STATE_DENIED = 31,
};

/* What the requester is told: the documented CR_DISP numbers. */
enum ca_disposition {
	CA_INCOMPLETE = 0, /* being processed right now */
	CA_ERROR = 1,
	CA_DENIED = 2,
	CA_ISSUED = 3,
	CA_UNDER_SUBMISSION = 5, /* held for a person */
	CA_REVOKED = 6,
};

/* Why a request failed or was denied; 0 when it did not. Stored and shown as the word. */
enum ca_status {
	CA_STATUS_NONE = 0,
	CA_STATUS_BAD_REQUEST,       /* not PKCS#10, or a shape the CSR gate refuses */
	CA_STATUS_BAD_SIGNATURE,     /* proof of possession failed */
	CA_STATUS_BAD_KEY,           /* key type, size or parameters the profile does not take */
	CA_STATUS_BAD_NAME,          /* a name of the CSR that was not proven, or a proven one it lacks */
	CA_STATUS_POLICY_DENIED,     /* the policy module answered deny */
	CA_STATUS_ADMIN_DENIED,      /* an officer denied (0x80094014) */
	CA_STATUS_EXPIRED,           /* pending-ttl passed */
	CA_STATUS_SUPERSEDED,        /* a newer request for the same names took its place */
	CA_STATUS_POLICY_FAILURE,    /* the policy module failed or gave no valid answer */
	CA_STATUS_SIGNER_FAILURE,    /* the signer said no, or its signature does not verify */
	CA_STATUS_BUILD_FAILURE,     /* the certificate could not be built (no subject and no names, limits) */
	CA_STATUS_WITHDRAWN,         /* its requester is no more */
};

const char *ca_status_word(enum ca_status status); /* "policy-denied"; "" for NONE */
const char *ca_state_word(enum ca_state state);    /* "pending"; "?" for an unknown number */

/* The last one is the user principal name of Microsoft's directories, an otherName ([MS-WCCE] 2.2.2.7.7.1). */
enum ca_name_kind { CA_NAME_DNS = 1, CA_NAME_IP, CA_NAME_EMAIL, CA_NAME_URI, CA_NAME_UPN };
#define CA_NAME_KINDS CA_NAME_UPN                      /* of 1 to this */
const char *ca_name_kind_word(enum ca_name_kind kind); /* "dns", "ip", "email", "uri", "upn" */

/* How a name or a requester was proven. The zero value proves nothing and is refused. */
enum ca_evidence_kind {
	CA_EVIDENCE_NONE = 0,
	CA_EVIDENCE_ACME_AUTHORIZATION, /* the gateway's word: a valid authorization of that account */
	CA_EVIDENCE_LOCAL_CONFIG,       /* a name of the gateway's own listeners; inherited connection only */
	/* Credentials, which the core made and checks by itself (struct ca_credential_claim): */
	CA_EVIDENCE_EAB,                /* external account binding (RFC 8555 7.3.4): the account was bound to a key */
	CA_EVIDENCE_CHALLENGE,          /* a SCEP challenge (RFC 8894 2.4) */
	CA_EVIDENCE_USER,               /* a user with a password */
	CA_EVIDENCE_TOKEN,
	CA_EVIDENCE_OFFICER,            /* an officer set the name on a held request; no submission brings it */
	CA_EVIDENCE_CERTIFICATE,        /* a certificate whose private key the client has shown to have */
	/* What the core found such a certificate to be, when it is not one of those that it issues to clients: */
	CA_EVIDENCE_VENDOR,             /* of a device, under an anchor of its maker */
	CA_EVIDENCE_RA,                 /* of a registration authority */
	CA_EVIDENCE_EXTERNAL,           /* a challenge that a target outside has judged (core/wire/verdict.h) */
};

static inline bool ca_evidence_is_credential(enum ca_evidence_kind kind)
{
	return (kind >= CA_EVIDENCE_EAB && kind <= CA_EVIDENCE_TOKEN) || kind == CA_EVIDENCE_CERTIFICATE ||
	       kind == CA_EVIDENCE_EXTERNAL;
}

struct ca_name {
	enum ca_name_kind kind;
	const char *value;         /* lower-case A-label DNS name, IP in its canonical text */
	enum ca_evidence_kind evidence;
	const char *evidence_text; /* e.g. "authz 4711 http-01 192.0.2.7"; stored with the name */
};

/* A request attribute: data for policy, never for the certificate. Names are compared without case, blanks and '-'. */
struct ca_attribute {
	const char *name;  /* at most 127 octets */
	const char *value; /* at most 4096 octets */
};

/* Is it one by which the core or an adapter of the gateway says what was seen of a client? Nobody else sets those: no
 * officer and no configuration. Compared as policy compares names: without case, blanks and '-'. */
bool ca_attribute_is_observed(const char *name);

#define CA_NAMES_MAX 1000
#define CA_SECRET_MAX 4096 /* of a credential that is shown: MDM systems put whole documents into a challenge */

/* What for a certificate is shown. */
enum ca_certificate_use {
	CA_CERTIFICATE_ENROL = 0, /* for another one, with names of its own */
	CA_CERTIFICATE_RENEW,     /* for its successor: the same names (RFC 7030 4.2.2, RFC 8894 2.3) */
};

/* Whom a certificate was found to belong to. */
enum ca_trust {
	CA_TRUST_NONE = 0,
	CA_TRUST_OWN,    /* a client that this core issued it to */
	CA_TRUST_VENDOR, /* a device, under an anchor that an administrator listed for its maker */
	CA_TRUST_RA,     /* a registration authority, which asks for others */
};
const char *ca_trust_word(enum ca_trust trust); /* "own", "vendor", "ra"; "none" */

#define CA_CERTIFICATE_MAX 65536 /* octets of a certificate that is shown, or of those behind it */

/* What a client showed to prove that it may ask. Borrowed, as it came from the client. */
struct ca_credential_claim {
	enum ca_evidence_kind kind;  /* EAB, CHALLENGE, USER, TOKEN, CERTIFICATE or EXTERNAL */
	const char *name;            /* EAB: the key identifier; USER: the user; else NULL */
	struct bytes secret;         /* challenge, token or password; EAB: the MAC, none in a submission. HS256, HS384
					and HS512 are told apart by its length */
	struct bytes message;        /* EAB: what the MAC is over, the JWS signing input. EXTERNAL: the statement of the
					validator; empty: is there anything without one? */
	const char *account;         /* EAB: the account, by a text that stays the same for ever and names no other one
					(the thumbprint of its first key); else NULL */
	/* CERTIFICATE: DER, and those that came behind it, one after the other. The intermediary vouches that the
	 * client has the private key, which is all that it has to look at: who issued it, whether it is still good
	 * and what it is good for is for the core. */
	struct bytes certificate, chain;
	enum ca_certificate_use use; /* CERTIFICATE */
	const char *endpoint;        /* where it was shown; not in a submission, which has its own */
	const char *source_address;  /* by whom; NULL: unknown; not in a submission */
	const struct ca_name *names; /* EAB without a MAC: kind and value of what the account wants; not in a
					submission */
	size_t n_names;
};

#define CA_REASON_SIZE 256
#define CA_REQUESTER_SIZE 256

struct ca_credential_answer {
	char requester[CA_REQUESTER_SIZE]; /* USER, TOKEN: what submissions call the requester: "est:user:alice".
					      CERTIFICATE: who asked for it, when that was by the protocol of the
					      endpoint, so that who renews is who asked first; else
					      "est:cert:" and its request, "est:vendor:NAME:…", "est:ra:NAME" */
	enum ca_trust trust;               /* CERTIFICATE */
	bool is_over;                      /* good only to ask again about what it asked for: used up, expired */
	char reason[CA_REASON_SIZE];       /* not 0: one sentence for the client */
	unsigned retry_after_s;            /* CA_CALL_BUSY */
	bool is_limited;                   /* CA_CALL_BUSY: because too many wrong ones were shown from there */
	uint8_t outside[(CA_NAMES_MAX + 7) / 8]; /* a bit for each name of the claim: the credential has it not */
};

/* The credential has not the name at this place of the claim. */
static inline bool ca_answer_is_outside(const struct ca_credential_answer *a, size_t place)
{
	return place >= CA_NAMES_MAX || (a->outside[place / 8] & 1 << place % 8);
}

#define CA_TRANSACTION_KEY_SIZE 32
#define CA_POLL_KEY_SIZE 32
#define CA_REQUEST_MAX 65536 /* octets of a PKCS#10 */
#define CA_ATTRIBUTES_MAX 64

struct ca_submission {
	const char *protocol;       /* "acme", "est", "scep", "internal" */
	const char *endpoint;       /* name of the endpoint in the configuration */
	const char *profile;        /* from the configuration of the endpoint, never from the client */
	const char *requester;      /* who asks, proven: "acme:7"; stable over time and unique at this endpoint */
	enum ca_evidence_kind evidence; /* how the requester was proven */
	const char *source_address; /* text of the peer's address without port; NULL when there is none */
	int64_t received_ms;        /* wall time at which the message arrived */
	struct bytes request;       /* PKCS#10, DER */
	const struct ca_name *names; /* none with a credential: what the request asks for is held against its scope */
	size_t n_names;
	/* Of the kind `evidence`; NULL for other evidence. Or an EAB with ACME_AUTHORIZATION: the names, which are
	 * proven otherwise, must be in its scope too. */
	const struct ca_credential_claim *credential;
	/* Of another kind, and just as good: a certificate beside a user or token. A name is proven when one of the two
	 * proves it; the requester is that of `credential`. NULL: none. */
	const struct ca_credential_claim *also;
	const struct ca_attribute *attributes;
	size_t n_attributes;
	uint8_t transaction_key[CA_TRANSACTION_KEY_SIZE]; /* SHA-256 of what makes this request the same request */
	/* For protocols whose clients ask again without their request: SHA-256 of what they bring then, of which
	 * something must be proven that only the requester has. See ca_poll(). */
	bool has_poll_key;
	uint8_t poll_key[CA_POLL_KEY_SIZE];
	bool is_server_key;         /* the key pair was made by the intermediary, for this call alone (RFC 7030 4.4):
				     * while the request is held nobody keeps it, and each repeat brings another */
	bool is_key_to_come;        /* with is_server_key: the key is not made yet, and that of `request` stands for it.
				     * What would not be issued is answered as ever, and what would be with
				     * CA_CALL_KEY_WANTED: so only who gets a certificate costs a key */
	unsigned retry_after_s;     /* how often this client will poll; 0: the core's own idea */
	unsigned collect_s;         /* how long a repeat after issuing is still a query; 0: 24 h */
	bool is_repeat_exact;       /* after issuing only the same octets of `request` are a repeat; with others the
				     * transaction begins anew */
};

struct ca_outcome {
	int64_t id;                       /* request number; 0 when no row exists */
	enum ca_disposition disposition;
	enum ca_status status;
	char reason[CA_REASON_SIZE];      /* one sentence for the client; "" when there is nothing to say */
	unsigned retry_after_s;           /* when under submission: ask again after this many seconds */
	bool is_limited;                  /* CA_CALL_BUSY: because too many wrong credentials were shown from there */
	bool is_noted;                    /* CA_CALL_REFUSED: the log of the core tells of it; inside the core */
	struct buf certificate;           /* DER; empty unless issued */
	struct buf chain;                 /* DER certificates one after the other, issuer first; empty unless issued */
	bool to_collect;                  /* issued for an earlier call of his, and nobody has said that it arrived:
					     ca_retrieve() does */
};

#define CA_OUTCOME_INIT ((struct ca_outcome){ .certificate = BUF_INIT(65536), .chain = BUF_INIT(262144) })
#define OWNED_CA_OUTCOME __attribute__((cleanup(ca_outcome_fini))) struct ca_outcome
void ca_outcome_fini(struct ca_outcome *out);

/* Outcomes of the calls below besides 0 (the answer stands in `out`). */
enum {
	CA_CALL_BUSY = 1,      /* nothing was decided: try the same call again after out->retry_after_s */
	CA_CALL_REFUSED = 2,   /* this caller may not ask that; out->reason says why; no row was made */
	CA_CALL_NOT_FOUND = 3, /* no such request for this requester */
	/* 4: the core failed (core/wire/core.proto) */
	CA_CALL_ALREADY = 5,   /* ca_revoke: it is revoked; nothing changed */
	CA_CALL_KEY_WANTED = 6, /* ca_submit with is_key_to_come: submit it with the key; nothing was written */
	CA_CALL_NOT_PERMITTED = 7, /* ca_delegate_challenge: whoever asks is who he says, and may not */
	CA_CALL_FULL = 8,       /* ca_delegate_challenge: as many as he may have wait to be used */
	CA_CALL_VERDICT_WANTED = 9, /* ca_submit with EXTERNAL evidence and no statement: nothing is known of this
				     * transaction, and nothing speaks against it so far, so it must be judged;
				     * nothing was written */
	CA_CALL_TOO_EARLY = 10, /* ca_submit: a certificate is renewed by itself alone, and before it may be;
				 * out->reason says from when on; nothing was written */
};

/* Submit, or ask again with the same transaction key. A request that was refused for its octets (CSR, proof of
 * possession, names, key) answers 0 with CA_ERROR, its status and reason. Negative: a failure inside the core; what
 * happened to the request is unknown and the same call may be repeated. */
int ca_submit(struct ca_door *ca, const struct ca_submission *submission, struct ca_outcome *out);

/* Is this credential good here and now? For what a protocol asks before there is a request: who it is (RFC 7030 3.2.3),
 * and for EAB, whose key is bound to `account` from then on; asking again for the same account is harmless. What is
 * used up by a request (a challenge) is used up by ca_submit() alone. With names: is `account` still bound, and which
 * of them has the scope not? CA_CALL_REFUSED: one answer for unknown, wrong, used up, expired, revoked and for
 * another endpoint. CA_CALL_BUSY: too many wrong ones; come back later. */
int ca_check_credential(struct ca_door *ca, const struct ca_credential_claim *claim,
			struct ca_credential_answer *answer);

/* ---- challenges on demand ---- */

#define CA_DELEGATED_MAX_S 3600
#define CA_CHALLENGE_SIZE 33  /* 32 digits */
#define CA_DEVICE_SIZE 65     /* letters, digits and "-._" */

/* A serial number or UDID stands in a scope, in the log and in the trail, and is nothing but itself there. */
static inline bool ca_is_device_value(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

	return n > 0 && n < CA_DEVICE_SIZE && !text[n];
}

/* For one who enrols devices of others, as an MDM system does. */
struct ca_delegation {
	const struct ca_credential_claim *claim; /* of the kind USER or TOKEN, with the endpoint at which the challenge
						  * will be good, and the address of who asks */
	const char *serial_number, *udid;        /* of the device; NULL: not known */
	bool is_bound;                           /* a request by it must name the device by one of the two, if known */
	unsigned lifetime_s;                     /* 0: the longest, CA_DELEGATED_MAX_S; more is as much */
};

struct ca_delegated {
	int64_t id;
	int64_t until_ms;
	char challenge[CA_CHALLENGE_SIZE]; /* overwrite it after use */
	char reason[CA_REASON_SIZE];       /* not 0: one sentence */
	unsigned retry_after_s;            /* CA_CALL_BUSY */
};

/* Make a challenge, good for one request of this endpoint's profile. Its scope is that of the claim, with what it has
 * of the device in it: never more. CA_CALL_REFUSED: as by ca_check_credential(); CA_CALL_NOT_PERMITTED; CA_CALL_FULL;
 * CA_CALL_BUSY. A call whose answer was lost may be repeated: what the first one made ends by itself. */
int ca_delegate_challenge(struct ca_door *ca, const struct ca_delegation *delegation, struct ca_delegated *out);

/* What became of request `id`, asked by its `requester`. No event, for polling. */
int ca_peek(struct ca_door *ca, const char *requester, int64_t id, struct ca_outcome *out);

/* The same, and the exit modules that asked for it are told that the requester collected the result. */
int ca_retrieve(struct ca_door *ca, const char *requester, int64_t id, struct ca_outcome *out);

/* What became of the newest request that was submitted with this poll key at this endpoint. Whoever has the key counts
 * as its requester. Issued, and not collected before: as ca_retrieve(); otherwise as ca_peek(). CA_CALL_NOT_FOUND:
 * there is none, or it is not for this intermediary. */
int ca_poll(struct ca_door *ca, const char *endpoint, const uint8_t poll_key[static CA_POLL_KEY_SIZE],
	    struct ca_outcome *out);

/* This requester is no more: what is held for him at this endpoint becomes DENIED, with `reason`, and nobody is asked.
 * 0, also when nothing was; CA_CALL_BUSY: not all of it; ask again. CA_CALL_REFUSED. */
int ca_withdraw(struct ca_door *ca, const char *endpoint, const char *requester, const char *reason,
		struct ca_outcome *out);

/* ---- revocation ---- */

/* RFC 5280 5.3.1. */
enum ca_revocation_reason {
	CA_REASON_UNSPECIFIED = 0,
	CA_REASON_KEY_COMPROMISE = 1,
	CA_REASON_CA_COMPROMISE = 2,
	CA_REASON_AFFILIATION_CHANGED = 3,
	CA_REASON_SUPERSEDED = 4,
	CA_REASON_CESSATION = 5,
	CA_REASON_HOLD = 6,
	CA_REASON_REMOVE_FROM_CRL = 8, /* of events only: released from hold */
	CA_REASON_PRIVILEGE_WITHDRAWN = 9,
};
const char *ca_reason_word(int reason);       /* "keyCompromise"; "?" */
int ca_reason_parse(const char *word);        /* -EINVAL: no such word */
bool ca_reason_is_for_person(int reason);     /* may an officer give it? All but hold and removeFromCRL */
bool ca_reason_is_for_requester(int reason);  /* may whoever holds a certificate give it? 0, 1, 3, 4, 5 */

/* By what right somebody asks. The intermediary has proven it. */
enum ca_revoke_proof {
	CA_REVOKE_BY_NOTHING = 0,  /* refused */
	CA_REVOKE_BY_REQUESTER,    /* he is the requester who got it, at the same endpoint */
	CA_REVOKE_BY_KEY,          /* he has signed with the certificate's own private key */
	CA_REVOKE_BY_NAMES,        /* he is authorized now for every name of the certificate */
};

struct ca_revocation {
	const char *protocol;
	const char *endpoint;       /* where it was asked */
	const char *requester;      /* proven; NULL when only the certificate's key is */
	struct bytes certificate;   /* DER */
	int reason;                 /* one for requesters */
	enum ca_revoke_proof proof;
	const struct ca_name *names; /* BY_NAMES: those he is authorized for */
	size_t n_names;
	const char *source_address; /* NULL when there is none */
};

/* Revoke a certificate of this CA; as durable as the answer. The core itself holds requester, endpoint and names
 * against the row. 0; CA_CALL_ALREADY; CA_CALL_NOT_FOUND: this CA has not issued it, or not for this intermediary;
 * CA_CALL_REFUSED; CA_CALL_BUSY. */
int ca_revoke(struct ca_door *ca, const struct ca_revocation *revocation, struct ca_outcome *out);

/* ---- CRLs ---- */

struct ca_crl {
	uint64_t number;
	int64_t this_update_s, next_update_s;
	uint64_t size; /* octets */
};

#define CA_CRL_PAGE_MAX (192u * 1024)

/* A piece of the CRL in force of the CA's key `key_index` (0, 1, … as in the names of its certificates), about all its
 * certificates (`partition` 0) or a part of them: appends up to CA_CRL_PAGE_MAX octets from `offset` on. `number` 0:
 * whichever is in force; otherwise that one, and CA_CALL_BUSY when it no longer is: begin again. `out` NULL: only what
 * it says about itself. 0; CA_CALL_BUSY; CA_CALL_NOT_FOUND. */
int ca_get_crl_page(struct ca_door *ca, unsigned key_index, unsigned partition, uint64_t number, uint64_t offset,
		    struct buf *out, struct ca_crl *info);

/* The same, whole: replaces what `der` held. */
int ca_get_crl(struct ca_door *ca, unsigned key_index, unsigned partition, struct buf *der, struct ca_crl *info);

/* ---- certificates ---- */

/* Which one: the issuer's Name in DER, and the serial number without octets that only make it positive. */
struct ca_certificate_id {
	struct bytes issuer, serial;
};

struct ca_certificate {
	struct buf der;
	unsigned key_index, partition; /* of the CRL that tells of it, or that its key signs: ca_get_crl() */
};

#define CA_CERTIFICATE_INIT ((struct ca_certificate){ .der = BUF_INIT(65536) })

/* One that this CA has issued, whatever became of it: revoked ones and those that have ended, too; or its own. 0;
 * CA_CALL_NOT_FOUND: none of that name, or not for this intermediary; CA_CALL_BUSY. */
int ca_get_certificate(struct ca_door *ca, const struct ca_certificate_id *id, struct ca_certificate *out);

/* ---- status ---- */

#define CA_OCSP_REQUEST_MAX 16384

struct ca_ocsp_answer {
	struct buf der;                       /* an OCSPResponse (RFC 6960 4.2.1) */
	int64_t this_update_s, next_update_s; /* 0: it is an outcome and says nothing of any certificate */
	bool is_cachable;                     /* good for everybody who asks the same, until next_update_s */
};

#define CA_OCSP_ANSWER_INIT ((struct ca_ocsp_answer){ .der = BUF_INIT(65536) })

/* Answer an OCSPRequest (DER). One door answers for all CAs of the core that this intermediary may use. 0: `out` holds
 * an answer, whatever it says; also that the core cannot be reached (tryLater). Negative: there is none. */
int ca_ocsp(struct ca_door *ca, struct bytes request, struct ca_ocsp_answer *out);

/* The certificate of the CA's key with this number, which certificates name in URLs (1, 2, … after 0), and those above
 * it; DER, one after the other. `out` is appended to. 0; CA_CALL_NOT_FOUND; CA_CALL_BUSY. */
int ca_get_key_chain(struct ca_door *ca, unsigned key_index, struct buf *out);

/* The CA's own certificates, DER, issuer of new certificates first. `out` is appended to. */
int ca_get_chain(struct ca_door *ca, struct buf *out);

/* ---- what a request must look like ---- */

/* A component that the subject must have. */
struct ca_form_part {
	const char *oid;   /* dotted */
	const char *value; /* NULL: any */
};

/* What a profile demands of a PKCS#10; each request is held against the same. In the arena of who asked. */
struct ca_request_form {
	const char *const *key_types; /* "rsa", "ec-p256", "ec-p384", "ed25519": one of them; ends with NULL */
	unsigned rsa_bits;            /* smallest RSA key */
	const char *digest;           /* "sha1", "sha256", …: weakest for its signature; NULL: from sha256 on */
	const struct ca_form_part *subject;
	size_t n_subject;
	const char *const *attributes; /* dotted types of attributes that it must have; ends with NULL */
};

/* For who tells clients beforehand (RFC 7030 4.5). 0; CA_CALL_NOT_FOUND: this intermediary may not use that profile at
 * that endpoint; CA_CALL_BUSY; negative. */
int ca_get_request_form(struct ca_door *ca, const char *endpoint, const char *profile, struct arena *arena,
			struct ca_request_form *out);
