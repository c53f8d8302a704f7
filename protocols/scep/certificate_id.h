/* IssuerAndSerialNumber (RFC 5652 10.2.4), by which clients name a certificate that they ask for, and messages that of
 * a signer or a recipient.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

#define SCEP_SERIAL_MAX 20 /* octets: RFC 5280 4.1.2.2 */

/* It and nothing else, in DER; `out` points into the octets. False: it is none, or its serial number is none that a CA
 * gives. */
bool scep_certificate_id_read(struct bytes octets, struct ca_certificate_id *out);

/* Append that of a certificate. 0; -EINVAL: it is none; -EMSGSIZE, -ENOMEM. */
int scep_certificate_id_write(struct bytes certificate, struct buf *out);
