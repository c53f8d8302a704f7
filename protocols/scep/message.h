/* A pkiMessage (RFC 8894 3): SignedData around an envelope, read and checked before any key of ours is used.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "protocols/scep/algorithms.h"

#define SCEP_MESSAGE_MAX ((size_t)64 << 10)
#define SCEP_CERTIFICATES_MAX 8
#define SCEP_TRANSACTION_ID_MAX 128
#define SCEP_NONCE_MAX 64

enum scep_type {
	SCEP_CERT_REP = 3,
	SCEP_RENEWAL_REQ = 17,
	SCEP_UPDATE_REQ = 18,  /* an old draft's word for a renewal */
	SCEP_PKCS_REQ = 19,
	SCEP_CERT_POLL = 20,
	SCEP_GET_CERT = 21,
	SCEP_GET_CRL = 22,
};

enum scep_status { SCEP_SUCCESS = 0, SCEP_FAILURE = 2, SCEP_PENDING = 3 };

enum scep_fail {
	SCEP_BAD_ALG = 0,
	SCEP_BAD_MESSAGE_CHECK = 1,
	SCEP_BAD_REQUEST = 2,
	SCEP_BAD_TIME = 3,
	SCEP_BAD_CERT_ID = 4,
};

/* Everything points into the octets that were read, or into the arena. */
struct scep_message {
	struct bytes transaction_id;      /* 1 to SCEP_TRANSACTION_ID_MAX octets, as they are echoed */
	struct bytes sender_nonce;        /* empty: none */
	int type;                         /* 0 to 255, whether an enum scep_type or not */
	struct bytes content;             /* the pkcsPKIEnvelope; empty: none */
	struct bytes signer;              /* the certificate that its signer names; DER */
	struct bytes signer_spki;         /* whole element */
	struct bytes others;              /* the other certificates of the message, one after the other */
	/* For scep_message_check(). */
	struct bytes digest_algorithm, signature_algorithm; /* contents of AlgorithmIdentifiers */
	struct bytes message_digest, attributes, signature;
	/* After scep_message_check(). */
	const struct scep_digest *digest;
	EVP_PKEY *key;                    /* of the signer */
};

/* Read a message of at most SCEP_MESSAGE_MAX octets. 0: there is a transaction to answer in; -EINVAL: it is none,
 * with a sentence in `why`; -ENOMEM. */
int scep_message_read(struct scep_message *out, struct bytes octets, struct arena *arena, const char **why);

/* Algorithms, then the signature under the key of the certificate: it proves that the sender has that key, and nothing
 * else of him. 0; -EKEYREJECTED with the failInfo and a sentence; -ENOMEM. Whatever it came to, scep_message_fini()
 * follows. */
int scep_message_check(struct scep_message *m, enum scep_legacy legacy, enum scep_fail *fail, const char **why);
void scep_message_fini(struct scep_message *m);
