/* The messages of OCSP (RFC 6960), octets in and octets out.
 *
 * A request is read strictly: DER, known structure, within the limits below. Who asked, and a signature of his, are
 * passed over, as RFC 6960 lets a responder do that answers everybody. A response is written octet by octet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/digest.h"

#define OCSP_REQUEST_MAX 16384
#define OCSP_RESPONSE_MAX 65536
#define OCSP_CERTS_MAX 16  /* of one request */
#define OCSP_NONCE_MAX 128 /* RFC 9654 2.1 */

/* RFC 6960 4.2.1. */
enum ocsp_outcome {
	OCSP_OUTCOME_SUCCESSFUL = 0,
	OCSP_OUTCOME_MALFORMED_REQUEST = 1,
	OCSP_OUTCOME_INTERNAL_ERROR = 2,
	OCSP_OUTCOME_TRY_LATER = 3,
	OCSP_OUTCOME_UNAUTHORIZED = 6,
};

/* Which certificate is asked about. Points into the request. */
struct ocsp_cert_id {
	struct bytes whole;                /* DER: what the answer repeats octet for octet */
	enum digest_kind digest;           /* DIGEST_KINDS_: one that is not known here */
	struct bytes name_hash, key_hash;  /* of its issuer */
	struct bytes serial;               /* content of the INTEGER */
};

struct ocsp_request {
	struct ocsp_cert_id ids[OCSP_CERTS_MAX];
	size_t n_ids;
	struct bytes nonce; /* empty: there is none */
};

/* 0; OCSP_OUTCOME_MALFORMED_REQUEST with a sentence in `why`. */
int ocsp_request_read(struct ocsp_request *out, struct bytes der, const char **why);

enum ocsp_status { OCSP_STATUS_GOOD, OCSP_STATUS_REVOKED, OCSP_STATUS_UNKNOWN };

/* What is said of one certificate. */
struct ocsp_single {
	struct bytes cert_id; /* DER */
	enum ocsp_status status;
	int64_t revoked_s;
	int reason;           /* RFC 5280 5.3.1; 0 is not written */
};

struct ocsp_response {
	struct bytes key_hash; /* SHA-1 of the responder's key */
	int64_t this_update_s, next_update_s;
	const struct ocsp_single *singles;
	size_t n_singles;
	struct bytes nonce;    /* empty: there is none */
};

/* Append ResponseData, which is what is signed. 0; -EINVAL (a time beyond the calendar); -EMSGSIZE; -ENOMEM. */
int ocsp_data_write(const struct ocsp_response *r, struct buf *out);

/* Append the OCSPResponse: the data, the AlgorithmIdentifier and value of its signature, the responder's certificate.
 * 0, -EMSGSIZE, -ENOMEM. */
int ocsp_response_write(struct bytes data, struct bytes algorithm, struct bytes signature, struct bytes certificate,
			struct buf *out);

/* Append a response that is an outcome and nothing else. 0, -EMSGSIZE, -ENOMEM. */
int ocsp_failure_write(enum ocsp_outcome outcome, struct buf *out);
