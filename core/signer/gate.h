/* The floor of what a key signs, whoever asks: what no policy, no profile and no mistake above can lower.
 *
 * A TBSCertificate is read strictly (DER, known structure) and held against the certificate of its issuer:
 *
 *   version 3 · a positive serial of 8 to 20 octets · the one signature algorithm of the key · begins before it ends ·
 *   no extension twice · the issuer is the key's own · no authority: basicConstraints that are empty, neither
 *   keyCertSign nor cRLSign · an extKeyUsage neither for any purpose nor for OCSP signing, nor of a registration
 *   authority (id-kp-cmcRA with clientAuth) · valid only while its issuer is · not the issuer's own key, and no weak
 *   one · an authorityKeyIdentifier names the issuer's key · of the extensions of PKIX only known ones are critical
 *
 * Two kinds of certificates are measured otherwise, because the signer itself has their keys: that of a delegated
 * OCSP responder, whose extKeyUsage is OCSP signing and nothing else, with id-pkix-ocsp-nocheck; and a cross
 * certificate, for another key of the same CA and subject (RFC 4210 4.4). A key whose CA is being created signs one
 * certificate only: its own, self-issued, of an authority.
 *
 * A CertificationRequestInfo is for the key itself. What is signed in pieces: core/signer/gate_stream.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#include <stdbool.h>

#define GATE_TIME_SIZE 15 /* "20260101000000" */
#define GATE_HASH_SIZE 20
#define GATE_CHAIN_MAX 8

/* What a key signs for. */
struct gate {
	struct bytes algorithm; /* the AlgorithmIdentifier of its signatures */
	struct bytes spki;      /* its public key */
	uint8_t key_hash[GATE_HASH_SIZE]; /* SHA-1 of its BIT STRING: RFC 6960's KeyHash */
	/* From the certificate of its CA; issuer empty: the CA is being created. */
	struct bytes issuer, key_identifier;
	char not_before[GATE_TIME_SIZE], not_after[GATE_TIME_SIZE];
};

/* Fill key_hash from spki. 0 or -EINVAL. */
int gate_hash_key(struct gate *gate);

/* Which keys the signer has besides: of the same CA, loaded for a purpose. */
struct gate_neighbours {
	bool (*has_responder)(const void *arg, struct bytes spki);
	bool (*has_authority)(const void *arg, struct bytes spki, struct bytes subject);
	const void *arg;
};

/* A signature in the chain of a CA's certificate, for the caller to verify. */
struct gate_signature {
	struct bytes tbs, algorithm, signature;
	struct bytes spki; /* of who made it */
};

/* Fill the part of the CA's certificate, in whose octets `gate` and the signatures point from then on. `certificates`
 * (DER) is a root, signed by itself; or one that another authority signed, with that authority's certificate behind
 * it, and so on. NULL, or why it is none. */
const char *gate_read_issuer(struct gate *gate, struct bytes certificates, struct gate_signature *signatures,
			     size_t *n_signatures);

/* May this be signed? NULL, or why not. */
const char *gate_refuses(const struct gate *gate, const struct gate_neighbours *neighbours, struct bytes tbs);
const char *gate_refuses_request(const struct gate *gate, struct bytes info);

/* A Time of RFC 5280 as 14 digits that compare like the time. 0 or -EINVAL. */
int gate_read_time(struct bytes *in, char out[static GATE_TIME_SIZE]);
