/* The questions that the adapter has about a PKCS#10 request (RFC 2986): what makes a repeat the same request, and what
 * its client put in for the server alone. What a request is good for, the core says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/digest.h"

/* Everything points into the octets that were read. */
struct proto_csr {
	struct bytes der;
	struct bytes subject, spki; /* whole elements */
	struct bytes signed_part, algorithm, signature; /* as in struct signed_der */
	struct bytes alt_names;     /* the content of the SAN that it asks for; empty: none */
	struct bytes challenge;     /* challengePassword (RFC 2985 5.4.1), as it stands there; .ptr NULL: none */
	unsigned challenge_tag;
	struct bytes link;          /* estIdentityLinking (RFC 7894 3.3); .ptr NULL: none */
	/* For keys that the server makes (RFC 7030 4.4.1); .ptr NULL: none. */
	struct bytes shared_key;    /* DecryptKeyIdentifier (RFC 4108 2.2.5): with which shared key it is encrypted */
	struct bytes public_key;    /* AsymmetricDecryptKeyIdentifier: or with which public key */
	struct bytes capabilities;  /* SMIMECapabilities (RFC 8551 2.5.2), the content of the list */
};

/* 0; -EINVAL: these octets have not the parts of PKCS#10 in DER, or say one of those things twice. */
int proto_csr_read(struct proto_csr *out, struct bytes der);

/* The challengePassword as UTF-8, in whatever kind of string it stands; in the arena or in the octets that were read.
 * 0; -EINVAL: no string of RFC 2985, or it has a NUL or what is no character; -ENOMEM. */
int proto_csr_challenge(const struct proto_csr *csr, struct arena *arena, struct bytes *out);

/* The digest of the names of the SAN, in whatever order, and however often each stands there. 0; -ENOMEM; -EIO. */
int proto_csr_names(const struct proto_csr *csr, struct arena *arena, uint8_t out[static SHA256_SIZE]);
