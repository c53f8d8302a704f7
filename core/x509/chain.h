/* A CA's certificate that came from elsewhere, with those of its issuers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

/* Is this (DER, one certificate after the other) the certificate of an authority with this key, and does each verify
 * under the next, at this time, with all that a path asks for (RFC 5280 6.1)? `*own` is the first one. NULL, or why
 * not, a sentence. */
const char *chain_check(struct bytes certificates, struct bytes spki, int64_t now_s, struct bytes *own);

/* Have two certificates the same subject? 0 or -EINVAL. */
int chain_same_subject(struct bytes a, struct bytes b, bool *same);

/* PEM, or DER one after the other, to DER one after the other. 0; -EINVAL: it is neither; -EMSGSIZE, -ENOMEM. */
int chain_read(struct bytes text, struct buf *der);
