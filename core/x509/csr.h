/* The gate for PKCS#10 requests (RFC 2986): shape, proof of possession, key, and what was asked for.
 *
 * The octets are read by our own strict DER reader, because libcrypto accepts trailing octets, other versions, names
 * with an embedded NUL, and answers "no SAN" for two of them. libcrypto verifies the signature and knows the key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/module.h"

#define CSR_EXTENSIONS_MAX 32
#define CSR_SUBJECT_MAX 1024
#define CSR_PARTS_MAX 32

/* A name that the requester asked for; nothing is proven yet. */
struct csr_name {
	enum ca_name_kind kind;
	const char *value;   /* DNS in lower case, IP in canonical text */
};

/* One component of the subject that was asked for. */
struct csr_part {
	struct bytes oid;    /* content of the OID */
	const char *value;   /* UTF-8 without control characters */
};

/* Lives in the arena it was parsed into; spans point into a copy of the octets there. The value of a challengePassword
 * (RFC 2985 5.4.1) is blanked in that copy once the signature was verified: it is a secret between client and adapter,
 * and what is kept must not hold it. */
struct csr {
	struct bytes der;
	struct bytes subject;          /* Name, DER */
	const char *subject_text;      /* RFC 4514, at most CSR_SUBJECT_MAX octets, text from outside */
	const char *common_name;       /* the only CN; NULL without one */
	struct csr_part parts[CSR_PARTS_MAX]; /* of the subject, in its order */
	size_t n_parts;
	struct bytes spki;             /* SubjectPublicKeyInfo, DER */
	const char *key_type;          /* "rsa", "ec-p256", "ec-p384", "ed25519" */
	unsigned key_bits;
	struct csr_name *names;        /* of the SAN extension, duplicates removed */
	size_t n_names;
	struct bytes attributes;       /* content of its attributes */
	const char *digest;            /* "sha1", "sha256", …: of the signature; NULL: its algorithm hashes by itself */
	bool has_other_names;          /* a SAN form other than dNSName, iPAddress, rfc822Name, URI, UPN */
	struct ca_extension extensions[CSR_EXTENSIONS_MAX]; /* flags: critical bit only */
	size_t n_extensions;
	const struct csr *wanted;      /* names of a ChangeSubjectName (RFC 6402 2.8), which take the place of all those
					* above: subject, its parts, names of the SAN. NULL: there is none */
};

/* The type-id of the otherName that is a UPN: 1.3.6.1.4.1.311.20.2.3. */
#define UPN_TYPE_ID bytes_of("\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03", 10)

/* 0; positive `enum ca_status` (BAD_REQUEST, BAD_SIGNATURE, BAD_KEY) with one sentence in `why`; negative. */
int csr_parse(struct csr *out, struct arena *arena, struct bytes der, char why[static CA_REASON_SIZE]);

/* The spans, subject with its parts and common name of octets of the store, which passed the gate of their time:
 * nothing is judged again, so that a stricter gate does not shut out what is there. Names, extensions, key type
 * and digest are not filled; of what is wanted instead they are. */
int csr_reread(struct csr *out, struct arena *arena, struct bytes der, char why[static CA_REASON_SIZE]);

#define CSR_TYPE_SIZE 112

/* What a component is, as libcrypto calls it and as a dotted OID: "street (2.5.4.9)". */
void csr_print_type(const struct csr_part *part, char out[static CSR_TYPE_SIZE]);

/* Has it an attribute (RFC 2986 4.1) of this type, a dotted OID, whatever its values are? */
bool csr_has_attribute(const struct csr *csr, const char *oid);

/* The names of a certificate that this core has issued, and its key: subject with its parts, SAN, spki. 0; -EINVAL:
 * they are of a form that no request may have; -ENOMEM. */
int csr_read_certificate(struct csr *out, struct arena *arena, struct bytes certificate);

/* Values of a subject are compared as RFC 5280 7.1 has it: without case, and any number of blanks is one. */
bool csr_same_value(const char *a, const char *b);

/* The same components in the same order, with the same values. */
bool csr_same_subject(const struct csr *a, const struct csr *b);

bool csr_has_name(const struct csr *csr, enum ca_name_kind kind, const char *value); /* in the SAN; without case */

/* A DNS name as a certificate may carry it: lower case LDH labels of at most 63 octets, 253 in all, no trailing dot;
 * valid A-labels; a leading "*." only when `wildcard`. 0 or -EINVAL. `out` may equal `name`. */
#define DNS_NAME_SIZE 254
int dns_name_normalise(struct bytes name, bool wildcard, char out[static DNS_NAME_SIZE]);
