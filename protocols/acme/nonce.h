/* Anti-replay nonces (RFC 8555 6.5) without a row in a database.
 *
 * A nonce is one AES-256 block over a 64-bit counter and 64 zero bits, in base64url: a permutation, so no nonce can
 * repeat under a key, and one that we did not make decrypts to the zero bits with probability 2^-64. A bitmap
 * remembers which of the last 2^24 counters are still good. The key is random at each start, except after a graceful
 * stop, when key, counter and bitmap come back from a file that is used once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#define NONCE_SIZE 23         /* 22 letters and the NUL */
#define NONCE_WINDOW (1 << 24)

struct nonces; /* may be used by any number of threads */

enum {
	NONCE_REFUSED = 1, /* well formed, but used before, not ours, or too old */
	NONCE_NO_NONCE = 2, /* not base64url (RFC 8555 6.5.2) */
};

/* Takes up what nonces_save() left at `path`, which is gone afterwards, or starts afresh when nothing is usable.
 * 0, -ENOMEM, -EIO (libcrypto), -errno when a file is there that can be neither read nor removed. */
int nonces_new(struct nonces **out, const char *path);
void nonces_drop(struct nonces **n);

int nonces_issue(struct nonces *n, char out[static NONCE_SIZE]); /* 0 or -EIO */

/* 0: it was good and is used up now. An outcome above; -EIO. */
int nonces_redeem(struct nonces *n, const char *text);

/* At a graceful stop, when no more requests are served: write the file (0600, synced). 0 or -errno. */
int nonces_save(struct nonces *n);

/* How many were given out and how many were refused. */
void nonces_count(struct nonces *n, uint64_t *issued, uint64_t *refused);
