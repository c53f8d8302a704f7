/* From what was decided to the octets that will be signed, and from a signature to a certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/module.h"
#include "core/x509/certificate.h"
#include "core/x509/issuer.h"

#define SERIAL_SIZE 16

/* One component of the subject, in the order of the certificate. */
struct subject_part {
	const char *component; /* "CN", "O", … (subject_part_check) */
	const char *value;     /* UTF-8 */
};

/* Everything a certificate is made of. Borrowed. */
struct issue_plan {
	const struct issuer *issuer;     /* the CA certificate that will verify it */
	const struct subject_part *subject;
	size_t n_subject;
	const struct ca_name *names;     /* the SAN, in this order */
	size_t n_names;
	struct bytes spki;
	int64_t not_before_s;
	int64_t not_after_s;             /* the last second of validity (RFC 5280 4.1.2.5: inclusive) */
	uint8_t serial[SERIAL_SIZE];
	const char *const *key_usage;    /* words of the profile, NULL-terminated: "digitalSignature", … */
	const char *const *ext_key_usage; /* words, or dotted OIDs */
	const struct ca_extension *extensions; /* enabled rows; the disabled flag is not looked at */
	size_t n_extensions;
	const char *public_url;          /* where the status of its certificates is served; NULL: nowhere */
	unsigned crl_partition;          /* of the CRLs of the issuer's key; 0: the one about all */
	unsigned key_index;              /* of the issuer's key, in the URLs below that one */
};

/* Where a CRL is served, below the public URL. */
int issue_crl_url(const char *public_url, unsigned key_index, unsigned partition, struct buf *out);

/* Write the TBSCertificate. 0; positive CA_STATUS_BUILD_FAILURE with a sentence; negative. */
int issue_build(const struct issue_plan *plan, struct buf *tbs, char why[static CA_REASON_SIZE]);

/* TBS and signature to a certificate, which replaces what `certificate` held; checks that it verifies under the
 * issuer's key. 0; 1 when it does not verify; negative. */
int issue_assemble(struct bytes tbs, struct bytes signature, const struct issuer *issuer, struct buf *certificate);

/* The same for a self-signed certificate, whose own key it must verify under. */
int issue_assemble_root(struct bytes tbs, struct bytes signature, struct buf *certificate);

/* 16 octets: a 47-bit millisecond clock, then 80 bits of the CSPRNG; positive, and never two alike. 0 or -EIO. */
int issue_serial(int64_t wall_ms, uint8_t serial[static SERIAL_SIZE]);

/* Subject components that may be set, and their upper bounds (RFC 5280 A.1). 0; -EINVAL: unknown component, empty,
 * not UTF-8, control characters, or too long. */
int subject_part_check(const char *component, const char *value);

/* The TBSCertificate of a delegated OCSP responder (RFC 6960 4.2.2.2): OCSP signing and nothing else, and no need to
 * ask whether it is revoked (4.2.2.2.1), since it is short-lived. As issue_build(). */
struct responder_plan {
	const struct issuer *issuer;
	const char *common_name;
	struct bytes spki;
	int64_t not_before_s, not_after_s;
	uint8_t serial[SERIAL_SIZE];
};
int issue_build_responder(const struct responder_plan *plan, struct buf *tbs, char why[static CA_REASON_SIZE]);

/* What to check profile words against. */
bool key_usage_known(const char *word);
bool ext_key_usage_known(const char *word_or_oid);

/* A self-signed CA certificate's TBS: subject = issuer = `common_name` (and `organization` unless NULL), critical
 * basicConstraints CA:TRUE with path length `path_len` (-1: none), keyCertSign and cRLSign. As issue_build(). */
int issue_build_root(struct bytes spki, const char *common_name, const char *organization, int64_t not_before_s,
		     int64_t not_after_s, const uint8_t serial[static SERIAL_SIZE], int path_len,
		     struct buf *tbs, char why[static CA_REASON_SIZE]);

/* The Name (DER) of a CA: organization, unless NULL, and common name. As issue_build(). */
int issue_write_ca_name(struct buf *out, const char *common_name, const char *organization,
			char why[static CA_REASON_SIZE]);

/* A CA certificate's TBS whose subject is its issuer: self-signed, or a cross certificate between two keys of a CA.
 */
struct issue_ca {
	const struct issuer *by;  /* whose key signs; NULL: the key itself */
	struct bytes name;        /* Name, DER */
	struct bytes spki;
	int64_t not_before_s, not_after_s;
	int path_len;             /* -1: none */
};
int issue_build_ca(const struct issue_ca *plan, const uint8_t serial[static SERIAL_SIZE], struct buf *tbs,
		   char why[static CA_REASON_SIZE]);

/* The CertificationRequestInfo of a CA whose certificate is signed elsewhere: for a new CA, or for a new key of one.
 * The first as issue_build(); the others 0 or negative. */
int issue_build_request(struct bytes spki, const char *common_name, const char *organization, struct buf *info,
			char why[static CA_REASON_SIZE]);
int issue_build_request_of(const struct issuer *subject, struct bytes spki, struct buf *info);

/* And with its signature, by the key that `spki` says, the PKCS#10. */
int issue_assemble_request(struct bytes info, struct bytes spki, struct bytes signature, struct buf *request);
