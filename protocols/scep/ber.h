/* BER (X.690 8) as some clients write it, to the strict framing that is read from then on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#define SCEP_BER_DEPTH 24
#define SCEP_BER_ELEMENTS 2048

/* Replace what `out` holds by the one element of `in`, its lengths definite and minimal, and each OCTET STRING that
 * came in pieces (8.7.3) put together. Octets of values stay as they are, and so does the order of sets: what was
 * signed is signed still. 0; -EINVAL: no BER, more than one element, high tag numbers, deeper or more elements than
 * the limits; -EMSGSIZE, -ENOMEM. */
int scep_ber_to_der(struct bytes in, struct buf *out);
