/* Digests and random octets, from libcrypto.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#define SHA256_SIZE 32

/* 0 or -EIO when libcrypto fails. */
int digest_sha256(struct bytes data, uint8_t out[static SHA256_SIZE]);

/* Several pieces as one message; each piece is preceded by its length (8 octets, big endian), so that moving octets
 * from one piece to the next changes the digest. */
int digest_sha256_pieces(const struct bytes *pieces, size_t n, uint8_t out[static SHA256_SIZE]);

/* Other digests, where a protocol lets its client choose one to name a key by. */
enum digest_kind { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_KINDS_ };

#define DIGEST_MAX 48

size_t digest_size(enum digest_kind kind);

/* digest_size() octets. 0 or -EIO. */
int digest_of(enum digest_kind kind, struct bytes data, uint8_t out[static DIGEST_MAX]);

/* What old programs show as the fingerprint of a certificate, for people to compare; for nothing that must hold. 0 or
 * -EIO. */
#define MD5_SIZE 16
int digest_md5(struct bytes data, uint8_t out[static MD5_SIZE]);

/* Octets of the CSPRNG. 0 or -EIO; on failure `out` must not be used. */
int random_octets(void *out, size_t n);

/* The same for octets that come piece by piece. `digest_new()` begins; `digest_end()` ends and frees. */
struct digest;
struct digest *digest_new(void); /* NULL: libcrypto failed */
int digest_add(struct digest *d, struct bytes piece);
int digest_end(struct digest **d, uint8_t out[static SHA256_SIZE]);
void digest_drop(struct digest **d);
