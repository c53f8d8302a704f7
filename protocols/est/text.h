/* DER as text, in both directions (RFC 8951 3).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

/* The octets of a request body: base64 (RFC 4648 4) with CR, LF, SP and TAB anywhere, and nothing else. 0; -EINVAL: no
 * base64; -EMSGSIZE; -ENOMEM. */
int est_base64_read(struct bytes body, struct buf *der);

/* Append base64, on one line or in lines of 64. 0; -EMSGSIZE; -ENOMEM. */
int est_text_write(struct bytes der, bool in_lines, struct buf *out);
