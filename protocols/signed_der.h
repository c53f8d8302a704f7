/* Requests (RFC 2986 4.2) and certificates (RFC 5280 4.1) alike: something, an algorithm, and a signature over it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

/* The content of what is signed. 0 or -EINVAL. */
int signed_der_open(struct bytes der, struct bytes *info);

/* Take elements of these tags from the front of `info`, and then the key as a whole element. 0 or -EINVAL. */
int signed_der_key(struct bytes *info, const uint8_t *before, size_t n, struct bytes *spki);
