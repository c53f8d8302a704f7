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
 * A key whose CA is being created signs one certificate only: its own, self-issued, of an authority.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#define GATE_TIME_SIZE 15 /* "20260101000000" */

/* What a key signs for. */
struct gate {
	struct bytes algorithm; /* the AlgorithmIdentifier of its signatures */
	struct bytes spki;      /* its public key */
	/* From the certificate of its CA; issuer empty: the CA is being created. */
	struct bytes issuer, key_identifier;
	char not_before[GATE_TIME_SIZE], not_after[GATE_TIME_SIZE];
};

/* Fill the part of the CA's certificate (DER), in which `gate`, `*tbs` and `*signature` point from then on: it is a
 * root, signed by itself. That its signature is one of this key is for the caller to verify. NULL, or why it is none.
 * */
const char *gate_read_issuer(struct gate *gate, struct bytes certificate, struct bytes *tbs, struct bytes *signature);

/* May this be signed? NULL, or why not. */
const char *gate_refuses(const struct gate *gate, struct bytes tbs);
