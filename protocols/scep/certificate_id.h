/* IssuerAndSerialNumber (RFC 5652 10.2.4), by which clients name a certificate that they ask for, and the names in
 * certificates.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

#define SCEP_SERIAL_MAX 20 /* octets: RFC 5280 4.1.2.2 */

/* It and nothing else, in DER; `out` points into the octets. False: it is none, or its serial number is none that a CA
 * gives. */
bool scep_certificate_id_read(struct bytes octets, struct ca_certificate_id *out);

/* The Names in a certificate, whole. False: it is none. */
bool scep_certificate_names(struct bytes certificate, struct bytes *issuer, struct bytes *subject);
