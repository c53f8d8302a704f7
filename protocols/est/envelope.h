/* A private key that travels encrypted (RFC 7030 4.4.2): an EnvelopedData around a SignedData around an
 * AsymmetricKeyPackage (RFC 5958).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

/* What a client can decrypt, out of its SMIMECapabilities (RFC 8551 2.5.2): AES in the three sizes of keys, a bit for
 * each. */
enum { EST_AES_128 = 1 << 0, EST_AES_192 = 1 << 1, EST_AES_256 = 1 << 2 };

struct est_capabilities {
	unsigned content; /* AES-CBC (RFC 3565) */
	unsigned wrap;    /* AES key wrap (RFC 3565 2.3.2) */
	bool has_oaep;    /* RSAES-OAEP (RFC 3560) */
};

/* The content of the list; what is unknown is passed over. 0; -EINVAL: malformed. */
int est_capabilities_read(struct bytes list, struct est_capabilities *out);

/* The strongest of these, as octets of a key (0: there is none), and the bit for so many octets. */
unsigned est_aes_strongest(unsigned sizes);
unsigned est_aes_size(size_t octets);

/* For whom. Either a certificate (DER) or a shared key. */
struct est_recipient {
	struct bytes certificate;
	struct bytes key, identifier;    /* the key has 16, 24 or 32 octets */
	unsigned content, wrap;          /* octets of the AES keys; the wrap is for key agreement and shared keys */
	bool uses_oaep;                  /* for key transport */
};

/* What a certificate's key is identified by: its SubjectKeyIdentifier, or where it has none the SHA-1 of its key
 * (RFC 5280 4.2.1.2 (1)). 0; -EINVAL: it is no certificate; -EMSGSIZE; -ENOMEM. */
int est_certificate_identifier(struct bytes certificate, struct buf *out);

/* May its key be used to encrypt another one (RFC 7030 4.4.1.2): RSA for key transport, EC for key agreement? */
bool est_certificate_encrypts(struct bytes certificate);

/* The envelope of one PrivateKeyInfo, signed with a key (PKCS#8) whose certificate is the first of the chain (DER, one
 * after the other). 0; -EIO: with this signer or for this recipient it cannot be made; -EMSGSIZE; -ENOMEM. */
int est_envelope_write(struct bytes pkcs8, const struct est_recipient *recipient, struct bytes signer_chain,
		       struct bytes signer_key, struct buf *out);
