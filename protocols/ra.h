/* What an adapter that is a registration authority sees of its keys (RFC 8894 2.1.2).
 *
 * The keys lie in a process of their own and are used by number. Each has a certificate of the endpoint's CA. The first
 * is the one for new messages; an older one answers what was encrypted to it until its certificate has ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/buf.h"

struct proto_ra_key {
	unsigned number;          /* names it for the calls below, for as long as the gateway runs */
	struct bytes certificate; /* DER */
	struct bytes chain;       /* DER certificates one after the other, its issuer first */
	int64_t not_before_s, not_after_s;
};

/* How the key of content was wrapped (RFC 8017): the numbers of the signer. */
enum proto_ra_wrapping { PROTO_RA_PKCS1 = 0, PROTO_RA_OAEP_SHA1 = 1, PROTO_RA_OAEP_SHA256 = 2 };

#define PROTO_RA_UNWRAPPED_MIN 8
#define PROTO_RA_UNWRAPPED_MAX 32

struct proto_ra {
	/* Those in force, into the arena, that for new messages first. 0; -ENOENT: there is none yet; -ENOMEM. */
	int (*list)(void *state, struct arena *arena, struct proto_ra_key **keys, size_t *n);

	/* Unwrap a key of content of `n` octets. There always are so many: random ones when nothing or something else
	 * was wrapped, and nobody learns which. 0; -ENOENT: no such key; -EAGAIN: the signer is away; negative. */
	int (*unwrap)(void *state, unsigned number, enum proto_ra_wrapping wrapping, struct bytes wrapped,
		      uint8_t *out, size_t n);

	/* Sign a SET of signed attributes (RFC 5652 5.4) by RSASSA-PKCS1-v1_5 with "SHA1", "SHA256", "SHA384" or
	 * "SHA512"; appends the signature value. As above. */
	int (*sign)(void *state, unsigned number, const char *digest, struct bytes attributes, struct buf *signature);
	void *state;
};
