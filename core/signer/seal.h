/* Sealing of private keys at rest: AES-256-GCM under the key-encryption key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* Append version ‖ nonce ‖ ciphertext ‖ tag; `bound` is authenticated, not stored. 0, -EIO, -ENOMEM. */
int seal_close(const uint8_t kek[static 32], struct bytes bound, struct bytes secret, struct buf *sealed);

/* Write the secret where the caller keeps secrets: `secret` has room for `sealed.len` octets, of which `*n` are used.
 * All that was written is the caller's to wipe, whatever the answer. 0; -EBADMSG when it was not sealed under this key
 * and `bound`; -ENOMEM. */
int seal_open(const uint8_t kek[static 32], struct bytes bound, struct bytes sealed, uint8_t *secret, size_t *n);
