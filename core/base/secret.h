/* What works on secrets: keyed digests, slow hashes of passwords, comparing without telling where two differ.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"
#include "core/base/digest.h"

#include <stdbool.h>

/* HMAC-SHA256 (RFC 2104). 0 or -EIO. */
int secret_mac(struct bytes key, struct bytes data, uint8_t out[static SHA256_SIZE]);

#define PASSWORD_SALT_SIZE 16
#define PASSWORD_HASH_SIZE 32

/* What a guess costs with scrypt (RFC 7914): 128 * r * n octets, and a time that grows with all three. */
struct secret_cost {
	uint64_t n;
	uint32_t r, p;
};
#define SECRET_MEMORY_MAX ((uint64_t)1 << 30)

/* -EIO also when it would take more memory than SECRET_MEMORY_MAX. 0 or -EIO. */
int secret_derive(struct bytes password, const struct secret_cost *cost,
		  const uint8_t salt[static PASSWORD_SALT_SIZE], uint8_t out[static PASSWORD_HASH_SIZE]);

/* The same with N 2^14, r 8, p 1: 16 MiB and some 50 ms. 0 or -EIO. */
int secret_hash_password(struct bytes password, const uint8_t salt[static PASSWORD_SALT_SIZE],
			 uint8_t out[static PASSWORD_HASH_SIZE]);

/* Takes as long for equal octets as for others. */
bool secret_equal(const void *a, const void *b, size_t n);

/* From now on whatever libcrypto frees is overwritten: it forgets to, where it copies private keys to write them. For a
 * process that has not used it yet. 0; -EIO: it has. */
int secret_wipe_freed(void);
