/* The life of a CA's keys: made, certified, replaced.
 *
 * A CA is a root, or an intermediate whose certificate another authority signs: then its key waits, with a
 * certification request, until the certificate is brought. A key is replaced by another one of the same subject: a
 * new root is certified by the old one and certifies it (RFC 4210 4.4: NewWithOld, OldWithNew), so that whoever
 * trusts either of them can verify what both signed; a new key of an intermediate waits like the first. The old key
 * stays: it speaks for what it issued, by CRLs and OCSP, and issues nothing more.
 *
 * Each function is one transaction with its record in the audit trail. They work on the store and a signer alone,
 * with a running core (core/admin_ca.c) or without (core/create.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/store_keys.h"

#define LIFE_WHY_SIZE 512

struct ca_life {
	struct db *db;
	struct signer *signer;
	const char *actor;     /* who does it, for the audit trail */
	char *why;             /* LIFE_WHY_SIZE: a sentence with every result but 0 */
};

/* Positive outcomes. */
enum {
	LIFE_EXISTS = 1,       /* the CA has a key already: nothing was changed */
	LIFE_NOT_FOUND = 2,    /* there is no such CA */
	LIFE_WRONG_STATE = 3,  /* nothing waits for a certificate, or something does already */
	LIFE_REFUSED = 4,      /* what was brought or asked for will not do */
};

struct ca_life_plan {
	const char *ca;           /* its name; of a new one also the common name */
	const char *organization; /* of a new one; NULL: none */
	const char *key_type;     /* "ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096" */
	int64_t lifetime_s;       /* of a root's certificate */
	bool is_intermediate;     /* of a new one */
};

/* What came of it: a root's certificate, or a PKCS#10 to be signed elsewhere. DER, appended. */
struct ca_life_result {
	struct buf certificate, request;
};
#define CA_LIFE_RESULT_INIT ((struct ca_life_result){ BUF_INIT(65536), BUF_INIT(65536) })
void ca_life_result_fini(struct ca_life_result *r);

/* A new CA. 0, LIFE_EXISTS, LIFE_REFUSED, negative. */
int life_create(const struct ca_life *life, const struct ca_life_plan *plan, struct ca_life_result *out);

/* The certificate of the key that waits, with its issuers' behind it, each signed by the next (DER). It must carry
 * the key, be that of an authority that may sign certificates and CRLs, be valid now and verify up to the last one;
 * for a key that replaces another one it must have the same subject. The key becomes the current one. 0,
 * LIFE_NOT_FOUND, LIFE_WRONG_STATE, LIFE_REFUSED, negative. */
int life_import(const struct ca_life *life, const char *ca, struct bytes certificates);

/* A new key for a CA. 0: a root's is current now, an intermediate's waits; LIFE_NOT_FOUND, LIFE_WRONG_STATE,
 * LIFE_REFUSED, negative. */
int life_rollover(const struct ca_life *life, const struct ca_life_plan *plan, struct ca_life_result *out);
