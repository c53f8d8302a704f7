/* The door to the validator: the only part that opens outgoing connections on behalf of a client.
 *
 * A validation is a job with a key. `check` starts the job unless one with that key is running or has a result that
 * nobody collected, waits a little, and says what came of it. So a handler never blocks for long: it asks again when
 * the client polls. Jobs do not survive a restart; asking again starts them anew.
 *
 * A judgement is a question to a target that the administrator named (`validator: targets:`), about a request whose
 * challenge nobody here can check. It is asked once, and the caller waits for the answer: clients of SCEP know no "not
 * yet" before there is a request. How long, the target's `timeout` says, and its `calls` how many may.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

#include "core/base/buf.h"

enum validation_kind { VALIDATION_HTTP_01 = 1 };

struct validation {
	uint64_t key;                  /* the challenge: unique for one gateway */
	uint64_t owner;                /* who wants it (the account): each gets its share, and no more */
	enum validation_kind kind;
	const char *dns_name;          /* A-label DNS name without trailing dot; NULL for an address */
	const char *ip_address;        /* canonical text; NULL for a DNS name */
	const char *token;             /* http-01: last path segment (RFC 8555 8.3) */
	const char *key_authorization; /* the body that is expected */
};

/* What went wrong; the ACME error type of the same name (RFC 8555 6.7). */
enum validation_problem {
	VALIDATION_PROBLEM_NONE = 0,
	VALIDATION_PROBLEM_DNS,
	VALIDATION_PROBLEM_CONNECTION,
	VALIDATION_PROBLEM_INCORRECT_RESPONSE,
	VALIDATION_PROBLEM_TLS,
	VALIDATION_PROBLEM_FORBIDDEN_ADDRESS, /* told as `connection`; the detail names the option to set */
};

struct validation_result {
	enum validation_problem problem; /* NONE: validated */
	char detail[256];                /* for the client; never echoes what the other side sent */
	char address[64];                /* the address that answered; "" when none did */
};

enum {
	VALIDATION_RUNNING = 1, /* not finished within wait_ms: ask again */
	VALIDATION_BUSY = 2,    /* too many jobs, of all or of this owner: ask again */
};

struct judgement {
	const char *endpoint;       /* whose configuration says which target judges */
	struct bytes request;       /* PKCS#10, DER, as its client sent it */
	struct bytes challenge;
	const char *transaction_id; /* the client's name for it: printable ASCII */
	const uint8_t *transaction_key; /* that of the submission, 32 octets */
};

enum {
	JUDGEMENT_DENIED = 1,       /* the target said no; the validator's log has its reason */
	JUDGEMENT_NONE = 2,         /* it cannot be asked, or what it answered is no answer */
	JUDGEMENT_BUSY = 3,         /* it is asked about as many as it may be at once */
};

/* What became of a request that a target has allowed. */
struct notification {
	const char *endpoint;
	struct bytes request;       /* PKCS#10, as it was judged; empty: it is not known any more */
	const char *transaction_id;
	bool is_issued;
	const char *thumbprint;     /* issued: SHA-1 of the certificate, in hex */
	const char *serial;         /* in hex */
	const char *not_after;      /* "2027-01-15T08:00:00.000Z" */
	const char *issuer;
	struct bytes certificate;   /* issued: DER */
	const char *description;    /* not issued: why */
	unsigned fail;              /* not issued: failInfo of the answer (RFC 8894 3.2.1.4) */
};

enum {
	NOTIFICATION_LOST = 4,      /* the target wants to be told with the request, which came without */
};

#define JUDGEMENT_TIMEOUT_MAX_MS 10000
#define JUDGEMENT_GOOD_MS 60000 /* how long the core takes the statement */

struct validator {
	/* 0 with `out` filled (the result is forgotten once returned), VALIDATION_RUNNING, VALIDATION_BUSY, negative.
	 */
	int (*check)(void *state, const struct validation *what, unsigned wait_ms, struct validation_result *out);
	/* 0: allowed, and the statement of it for the core is appended (CA_EVIDENCE_EXTERNAL); one of the above;
	 * negative.
	 */
	int (*judge)(void *state, const struct judgement *what, struct buf *statement);
	/* 0: the target knows, or does not want to; NOTIFICATION_LOST; JUDGEMENT_NONE, JUDGEMENT_BUSY: it has not
	 * been told; negative. */
	int (*notify)(void *state, const struct notification *what);
	void *state;
};
