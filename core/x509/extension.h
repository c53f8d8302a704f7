/* Extensions of certificates and CRLs, written (RFC 5280 4.2).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

/* Append an Extension: `oid` as dotted text, `value` the DER inside its OCTET STRING. 0; -EINVAL: no OID; -EMSGSIZE;
 * -ENOMEM. */
int extension_write(struct buf *out, const char *oid, bool is_critical, struct bytes value);
