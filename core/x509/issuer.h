/* A CA certificate, read once: the pieces that every certificate below it repeats, and the key that verifies them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

#define KEY_IDENTIFIER_SIZE 20

struct issuer;

/* 0; -EINVAL when it is no certificate with a key that a CA here can have; -ENOMEM. */
int issuer_new(struct issuer **out, struct bytes certificate);
void issuer_drop(struct issuer **i);

struct bytes issuer_get_name(const struct issuer *i);           /* Name, DER */
struct bytes issuer_get_key_identifier(const struct issuer *i); /* content of its subjectKeyIdentifier */

struct bytes issuer_get_public_key(const struct issuer *i);     /* octets of its subjectPublicKey */
const char *issuer_get_key_type(const struct issuer *i);        /* a KEY_TYPE_… of core/x509/key.h */

/* The AlgorithmIdentifier of its signatures, DER. `spki` for a CA that has no certificate yet. NULL content: a key
 * that cannot sign certificates here. */
struct bytes issuer_get_algorithm(const struct issuer *i);
struct bytes signature_algorithm_of(struct bytes spki);

/* Does `signature` verify over `tbs`? Safe on any number of threads. */
bool issuer_verifies(const struct issuer *i, struct bytes tbs, struct bytes signature);

/* The same for a TBS that comes in pieces, by one thread. `issuer` lives longer. */
struct issuer_check;
int issuer_check_new(struct issuer_check **out, const struct issuer *issuer); /* 0; -ENOMEM; -EIO */
int issuer_check_add(struct issuer_check *c, struct bytes piece);             /* 0 or -EIO */
bool issuer_check_ends(struct issuer_check *c, struct bytes signature);       /* does it verify over them? once */
void issuer_check_drop(struct issuer_check **c);

/* The octets of the key itself: what RFC 6960 and RFC 5280 make key identifiers of. 0 or -EINVAL. */
int public_key_of(struct bytes spki, struct bytes *key);

/* RFC 7093 2 method 1: the leftmost 160 bits of SHA-256 over the key's BIT STRING. 0 or -EINVAL. */
int key_identifier(struct bytes spki, uint8_t out[static KEY_IDENTIFIER_SIZE]);
