/* What can be read off a certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* Dates, for the CA certificate's limits. Seconds; `not_after_s` inclusive. 0 or -EINVAL. */
int certificate_dates(struct bytes certificate, int64_t *not_before_s, int64_t *not_after_s);

/* The serial number as a span of `certificate`: its octets without leading zeros. 0; -EINVAL for one that is negative,
 * zero or longer than SERIAL_OCTETS_MAX. */
#define SERIAL_OCTETS_MAX 20 /* RFC 5280 4.1.2.2 */
int certificate_serial(struct bytes certificate, struct bytes *serial);

/* The issuer's Name as a span of `certificate`, DER. 0 or -EINVAL. */
int certificate_issuer(struct bytes certificate, struct bytes *issuer);

/* The subject in RFC 4514, cut to `size`. 0 or -EINVAL. */
int certificate_subject(struct bytes certificate, char *out, size_t size);
