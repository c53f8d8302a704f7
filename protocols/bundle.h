/* SignedData that nobody signed (RFC 5652 5.1): the envelope in which certificates or CRLs travel together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* Append one that holds these certificates, or CRLs, which follow one another in DER ("certs-only", "crls-only"), in
 * the order that DER has for sets. 0; -EBADMSG: they are no DER; -EMSGSIZE; -ENOMEM. */
int bundle_write_certificates(struct bytes certificates, struct buf *out);
int bundle_write_crls(struct bytes crls, struct buf *out);

/* Certificates as they come, for readers that take the first one for theirs (SCEP). */
int bundle_write_in_order(struct bytes certificates, struct buf *out);
