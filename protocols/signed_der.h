/* Requests (RFC 2986 4.2) and certificates (RFC 5280 4.1) alike: something, an algorithm, and a signature over it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

/* The content of what is signed. 0 or -EINVAL. */
int signed_der_open(struct bytes der, struct bytes *info);

/* The same, and what stands around it: what is signed as a whole element, the content of the AlgorithmIdentifier, and
 * that of the BIT STRING with the signature. 0 or -EINVAL. */
struct signed_der {
	struct bytes info, signed_part, algorithm, signature;
};
int signed_der_split(struct bytes der, struct signed_der *out);

/* Of a certificate: the content of its serial number; issuer, subject and key as whole elements. 0 or -EINVAL. */
struct signed_certificate {
	struct bytes serial, issuer, subject, spki;
};
int signed_der_certificate(struct bytes der, struct signed_certificate *out);

/* Take elements of these tags from the front of `info`, and then the key as a whole element. 0 or -EINVAL. */
int signed_der_key(struct bytes *info, const uint8_t *before, size_t n, struct bytes *spki);
