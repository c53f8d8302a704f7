/* Sealing of private keys at rest: AES-256-GCM under the key-encryption key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* Append version ‖ nonce ‖ ciphertext ‖ tag; `bound` is authenticated, not stored. 0, -EIO, -ENOMEM. */
int seal_close(const uint8_t kek[static 32], struct bytes bound, struct bytes secret, struct buf *sealed);

/* Append the secret. 0; -EBADMSG when it was not sealed under this key and `bound`; -ENOMEM. */
int seal_open(const uint8_t kek[static 32], struct bytes bound, struct bytes sealed, struct buf *secret);
