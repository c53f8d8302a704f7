/* A SCEP client for the tests: its messages as libcrypto's CMS writes them, and octet by octet, with what is wrong.
 *
 * Failures are failures of the test: every function asserts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <openssl/types.h>

#define SCEP_RIG_MAX ((size_t)1 << 20)

struct scep_client {
	EVP_PKEY *key;
	X509 *certificate;       /* made by its own key, with a subjectKeyIdentifier */
	struct buf der;          /* the same */
};

/* `kind`: "P-256" or another curve, or the bits of an RSA key; "explicit": P-256 with its parameters in place of its
 * name; "exponent": RSA with a long one. */
void scep_client_make(struct scep_client *c, const char *kind, const char *name);
void scep_client_fini(struct scep_client *c);

/* An element of a text's OID, appended. */
void scep_put_oid(struct buf *out, const char *oid);

/* A SEQUENCE of OID and SET of the values, appended. */
void scep_put_attribute(struct buf *out, const char *oid, struct bytes values);

#define SCEP_OID_TYPE "2.16.840.1.113733.1.9.2"
#define SCEP_OID_STATUS "2.16.840.1.113733.1.9.3"
#define SCEP_OID_FAIL "2.16.840.1.113733.1.9.4"
#define SCEP_OID_SENDER_NONCE "2.16.840.1.113733.1.9.5"
#define SCEP_OID_RECIPIENT_NONCE "2.16.840.1.113733.1.9.6"
#define SCEP_OID_TRANSACTION_ID "2.16.840.1.113733.1.9.7"
#define SCEP_OID_FAIL_TEXT "1.3.6.1.5.5.7.24.1"
#define SCEP_OID_CONTENT_TYPE "1.2.840.113549.1.9.3"
#define SCEP_OID_MESSAGE_DIGEST "1.2.840.113549.1.9.4"
#define SCEP_OID_DATA "1.2.840.113549.1.7.1"

/* A message as clients have libcrypto make it. `flags`: CMS_USE_KEYID, or CMS_STREAM, which writes it in BER with
 * indefinite lengths and strings in pieces. */
void scep_cms_message(const struct scep_client *c, const EVP_MD *digest, unsigned flags, struct bytes content,
		      struct buf *out);

/* What is wrong with a message; what is right goes without saying. */
enum scep_wrong {
	SCEP_NOTHING_WRONG,
	SCEP_NO_SIGNER,
	SCEP_TWO_SIGNERS,
	SCEP_NO_ATTRIBUTES,          /* signed ones */
	SCEP_UNSIGNED_ALONE,         /* all attributes are unsigned */
	SCEP_NO_TYPE,
	SCEP_NO_TRANSACTION_ID,
	SCEP_NO_CONTENT_TYPE,
	SCEP_NO_DIGEST,
	SCEP_TYPE_TWICE,
	SCEP_TRANSACTION_ID_TWICE,
	SCEP_NONCE_TWICE,
	SCEP_TYPE_OF_TWO_VALUES,
	SCEP_TYPE_OF_NO_VALUE,
	SCEP_TYPE_AS_OCTETS,
	SCEP_ATTRIBUTE_OF_OTHER_TYPE, /* content type is no data */
	SCEP_CONTENT_OF_OTHER_TYPE,
	SCEP_CONTENT_TWICE,
	SCEP_OTHER_CONTENT_INFO,     /* EnvelopedData, it says */
	SCEP_NO_CERTIFICATE,
	SCEP_CERTIFICATE_OF_ANOTHER,
	SCEP_NINE_CERTIFICATES,
	SCEP_GARBAGE_CERTIFICATE,
	SCEP_TRAILING_OCTETS,
	SCEP_SIGNATURE_BENT,
	SCEP_CONTENT_BENT,
	SCEP_WRONGS_,
};

/* A message octet by octet. */
struct scep_shape {
	const struct scep_client *by, *other; /* `other`: of whom else there is something */
	enum scep_wrong wrong;
	const char *type;                     /* "19" */
	struct bytes transaction_id, nonce;   /* .ptr NULL: "transaction", no nonce */
	struct bytes content;
	const char *digest;                   /* libcrypto's name; NULL: SHA256 */
	const char *digest_oid;               /* what the message says of it */
	const char *signature_oid;            /* NULL: RSA with SHA-256 or ECDSA with SHA-256 */
	unsigned text_tag;                    /* 0: PrintableString */
};
void scep_write_message(const struct scep_shape *shape, struct buf *out);
