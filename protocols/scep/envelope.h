/* EnvelopedData (RFC 5652 6) as SCEP has it: one recipient, a key of ours; and the one for a client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "protocols/ra.h"
#include "protocols/scep/algorithms.h"

/* Everything points into the octets that were read, or into the arena. */
struct scep_envelope {
	struct bytes issuer, serial;      /* of the recipient's certificate: whole Name, content of the INTEGER */
	struct bytes key_identifier;      /* or this; .ptr NULL: not this */
	enum proto_ra_wrapping wrapping;
	struct bytes wrapped;             /* the key of the content */
	const struct scep_cipher *cipher;
	struct bytes iv, content;
};

/* Outcomes of scep_envelope_read(). */
enum { SCEP_ENVELOPE_ALGORITHM = 1 }; /* it is one, with an algorithm that is not taken */

/* Its shape and its algorithms, without any key. 0; above; -EINVAL: it is no such envelope; -ENOMEM. */
int scep_envelope_read(struct scep_envelope *out, struct bytes octets, enum scep_legacy legacy, bool takes_oaep,
		       struct arena *arena);

/* Is it for whoever has this certificate (DER)? */
bool scep_envelope_is_for(const struct scep_envelope *envelope, struct bytes certificate);

/* Decrypt with the key of the content, `cipher->key_size` octets, and append. False: not with this key. */
bool scep_envelope_open(const struct scep_envelope *envelope, const uint8_t *key, struct buf *out);

/* For the owner of a certificate, whose key is RSA (key transport, as the request had it) or EC (key agreement, RFC
 * 5753): append an EnvelopedData in DER. `key` is the one of the certificate. 0; -EINVAL: for no such key or
 * certificate; -EIO, -ENOMEM, -EMSGSIZE. */
int scep_envelope_write(struct bytes certificate, EVP_PKEY *key, enum proto_ra_wrapping wrapping,
			const struct scep_cipher *cipher, struct bytes content, struct buf *out);
