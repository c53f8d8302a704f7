/* Object identifiers of messages, as the octets of their content.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

/* As a `struct bytes` where one is initialised, and where one is a value. */
#define OID_INIT(octets) { (const uint8_t *)(octets), sizeof(octets) - 1 }
#define OID(octets) ((struct bytes)OID_INIT(octets))

/* CMS (RFC 5652) */
#define OID_DATA "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define OID_SIGNED_DATA "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
#define OID_ENVELOPED_DATA "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
#define OID_CONTENT_TYPE "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
#define OID_MESSAGE_DIGEST "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"

/* PKCS #1 (RFC 8017) and SHA-2 */
#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define RSA_ENCRYPTION "\x30\x0d\x06\x09" OID_RSA "\x05\x00" /* the AlgorithmIdentifier, whole */
#define OID_OAEP "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"
#define OID_MGF1 "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
#define OID_SHA256 "\x60\x86\x48\x01\x65\x03\x04\x02\x01"

/* SCEP (RFC 8894 3.2.1) */
#define OID_SCEP_ "\x60\x86\x48\x01\x86\xf8\x45\x01\x09"
#define OID_MESSAGE_TYPE OID_SCEP_ "\x02"
#define OID_PKI_STATUS OID_SCEP_ "\x03"
#define OID_FAIL_INFO OID_SCEP_ "\x04"
#define OID_SENDER_NONCE OID_SCEP_ "\x05"
#define OID_RECIPIENT_NONCE OID_SCEP_ "\x06"
#define OID_TRANSACTION_ID OID_SCEP_ "\x07"
#define OID_FAIL_INFO_TEXT "\x2b\x06\x01\x05\x05\x07\x18\x01"
