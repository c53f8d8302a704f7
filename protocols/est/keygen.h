/* Key pairs that are made for clients (RFC 7030 4.4).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

struct est_key; /* a private key; overwritten when it is dropped */

enum est_keygen {
	EST_KEYGEN_NONE, /* none are made */
	EST_KEYGEN_RSA_2048,
	EST_KEYGEN_RSA_3072,
	EST_KEYGEN_RSA_4096,
	EST_KEYGEN_EC_P256,
	EST_KEYGEN_EC_P384,
	EST_KEYGEN_ED25519,
};
#define EST_KEYGEN_WORDS "none|rsa-2048|rsa-3072|rsa-4096|ec-p256|ec-p384|ed25519"

const char *est_keygen_word(enum est_keygen type);
enum est_keygen est_keygen_parse(const char *word); /* one of those words */

/* Does a profile that demands this of a request take such keys? */
bool est_keygen_fits(enum est_keygen type, const struct ca_request_form *form);

/* Make one; RSA takes a tenth of a second or more. 0; -EIO. */
int est_key_new(struct est_key **out, enum est_keygen type);
void est_key_drop(struct est_key **key);

/* The client's PKCS#10 with this key in the place of his own, and without what was said to the server alone: the
 * challengePassword, and how the key is to be encrypted. Signed with at least this digest ("sha384"; NULL: any). 0;
 * -EINVAL: libcrypto does not read the request; -EIO; -EMSGSIZE; -ENOMEM. */
int est_key_request(const struct est_key *key, struct bytes request, const char *digest, struct buf *out);

/* Append the PrivateKeyInfo (RFC 5208 5, RFC 5958 2). 0; -EIO; -EMSGSIZE; -ENOMEM. */
int est_key_write(const struct est_key *key, struct buf *out);

/* Is this certificate (DER) for this key? */
bool est_key_is_of(const struct est_key *key, struct bytes certificate);
