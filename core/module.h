/* What policy and exit modules have in common.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

/* What a module is told when it starts. Borrowed, and valid for as long as the module runs. */
struct ca_module_env {
	const char *ca;          /* the CA's name, as the documented strConfig */
	const char *data_folder; /* the core's data folder */
};

/* Properties of a request, a certificate or the CA: who may read what stands in one table (core/property.c). A policy
 * module finds the properties that exist only after issuing empty; an exit module reads all of them. */
enum ca_property {
	CA_PROP_REQUEST_ID = 1,  /* number */
	CA_PROP_PROTOCOL,        /* text */
	CA_PROP_ENDPOINT,        /* text */
	CA_PROP_PROFILE,         /* text */
	CA_PROP_REQUESTER,       /* text */
	CA_PROP_INTERMEDIARY,    /* text */
	CA_PROP_SOURCE_ADDRESS,  /* text */
	CA_PROP_SUBMITTED_MS,    /* number */
	CA_PROP_CSR,             /* octets */
	CA_PROP_CSR_SUBJECT,     /* text, RFC 4514; what the requester asked for */
	CA_PROP_RAW_ATTRIBUTES,  /* text: the attributes as submitted, never changed afterwards */
	CA_PROP_PUBLIC_KEY,      /* octets: SubjectPublicKeyInfo */
	CA_PROP_KEY_TYPE,        /* text: "ec-p256", "rsa", … */
	CA_PROP_KEY_BITS,        /* number */
	CA_PROP_NOT_BEFORE,      /* number, seconds: what will be issued */
	CA_PROP_NOT_AFTER,       /* number, seconds; the last second of validity */
	/* Set by the core after policy: */
	CA_PROP_DISPOSITION,     /* number: enum ca_state */
	CA_PROP_STATUS,          /* text */
	CA_PROP_REASON,          /* text */
	CA_PROP_RESOLVED_MS,     /* number */
	CA_PROP_SERIAL,          /* text, hex */
	CA_PROP_CERTIFICATE,     /* octets */
	CA_PROP_SUBJECT,         /* text, RFC 4514, of the certificate */
	/* Of the event that is told: */
	CA_PROP_CA,              /* text: the CA's name */
	CA_PROP_REVOCATION_REASON, /* number: enum ca_revocation_reason; removeFromCRL when it was released from hold */
	CA_PROP_CRL_NUMBER,      /* number */
	CA_PROP_REVOKED_MS,      /* number: since when it is revoked; 0: it is not */
	CA_PROP_COUNT_
};

/* Flags of an extension row: the documented EXTENSION_ numbers. Bits 8-15 are the policy module's own: kept in the
 * row, never in the certificate. Bits 16-19, the origin, are written by the core alone. */
enum {
	CA_EXT_CRITICAL = 0x1,
	CA_EXT_DISABLED = 0x2,
	CA_EXT_PRIVATE_MASK = 0xff00,
	CA_EXT_POLICY_MASK = 0xffff,
	CA_EXT_ORIGIN_REQUEST = 0x10000,
	CA_EXT_ORIGIN_POLICY = 0x20000,
	CA_EXT_ORIGIN_ADMIN = 0x30000,
	CA_EXT_ORIGIN_SERVER = 0x40000,
	CA_EXT_ORIGIN_MASK = 0xf0000,
};

struct ca_extension {
	const char *oid;    /* dotted, at most 63 octets */
	unsigned flags;
	struct bytes value; /* DER of the extension's value (the content of extnValue) */
};

/* Is this an extension that only the core itself may write? (SAN, BC, KU, EKU, AKI, SKI, CDP, AIA, name constraints,
 * certificate policies' siblings that widen what a certificate may do.) */
bool extension_is_reserved(const char *oid);
