/* What the adapter reads of a certificate that a client shows: whose key is in it, and which identifiers.
 *
 * It only says where to look: what a certificate is, and who may revoke it, the core holds against its own rows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"
#include "protocols/acme/identifier.h"

/* The SubjectPublicKeyInfo (RFC 5280 4.1.2.7) as a whole element, pointing into `certificate`. 0; -EINVAL: these
 * octets have not the parts of a certificate in DER. */
int acme_certificate_spki(struct bytes certificate, struct bytes *spki);

enum {
	ACME_CERTIFICATE_OTHER_NAMES = 1, /* none, more than `max`, or one that is no identifier of this server */
};

/* The names of its SAN as identifiers, in their order. 0; the outcome above; -EINVAL: no certificate in DER. */
int acme_certificate_names(struct bytes certificate, struct acme_identifier *out, size_t max, size_t *n);
