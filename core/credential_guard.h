/* What stands between a password and whoever guesses it: a slow hash, a limit of wrong answers, and a memory of right
 * ones so that the slow hash is not paid for each request.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"
#include "core/base/secret.h"

#include <stdbool.h>

struct credential_guard;

int credential_guard_new(struct credential_guard **out);
void credential_guard_drop(struct credential_guard **g);

/* May somebody from `source` (NULL: unknown) try `name` (NULL: a secret that is its own name) now? Returns after how
 * many seconds he may; 0: now. Wrong answers are counted by address (of IPv6: by /64), by address and name, and by
 * name alone; each kind comes back with time, one wrong answer at a time, however many there were. When they come from
 * more addresses and names than there are counters, all of them share one limit besides. */
unsigned credential_guard_pause_s(struct credential_guard *g, const char *source, const char *name);

/* He answered wrong. True: the first one for some time, worth a record; others are only counted. */
bool credential_guard_failed(struct credential_guard *g, const char *source, const char *name);

/* Certificates, each by a digest, are counted by themselves: they are no secrets, and who shows wrong ones holds up
 * nobody who has a password or another certificate. After how many seconds may this one be shown again? 0: now. */
unsigned credential_guard_certificate_pause_s(struct credential_guard *g, const uint8_t digest[static SHA256_SIZE]);

/* It was refused. True: the first one from this address for some time, worth a record. */
bool credential_guard_certificate_failed(struct credential_guard *g, const char *source,
					 const uint8_t digest[static SHA256_SIZE]);

/* secret_hash_password(), two at a time at most; others wait up to 1 s for their turn. 0; -EAGAIN when it did not come;
 * -EIO. */
int credential_guard_hash(struct credential_guard *g, struct bytes password,
			  const uint8_t salt[static PASSWORD_SALT_SIZE], uint8_t hash[static PASSWORD_HASH_SIZE]);

/* A password as it was shown, and the hash that the store has of the user's. */
struct guarded_password {
	const char *source, *name; /* source NULL: unknown */
	struct bytes password;
	const uint8_t *hash;       /* PASSWORD_HASH_SIZE octets */
};

/* Was this password found right for this hash before, from the same address (of IPv6: /64)? Then no pause by address
 * or by name holds it up; while that address must wait for this name nothing is known. Remembered as an HMAC under a
 * key of this process. */
bool credential_guard_knows(struct credential_guard *g, const struct guarded_password *p);
void credential_guard_remember(struct credential_guard *g, const struct guarded_password *p);
