/* Identifiers of an order: which text names a host that this server may prove and certify.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

#define ACME_IDENTIFIER_SIZE 254 /* 253 octets (RFC 1035 2.3.4) and the NUL */

struct acme_identifier {
	enum ca_name_kind kind;           /* CA_NAME_DNS or CA_NAME_IP */
	char value[ACME_IDENTIFIER_SIZE]; /* lower-case A-label name without trailing dot, or canonical address */
};

enum {
	ACME_IDENTIFIER_MALFORMED = 1,        /* not what its type says */
	ACME_IDENTIFIER_REJECTED = 2,         /* well formed, but not certified here */
	ACME_IDENTIFIER_UNSUPPORTED_TYPE = 3, /* neither dns nor ip */
};

/* Read `type` and `value` (RFC 8555 9.7.7, RFC 8738). 0, or an outcome with a sentence in `*why` (static text). */
int acme_identifier_read(struct acme_identifier *out, const char *type, const char *value, const char **why);

/* "dns" or "ip". */
const char *acme_identifier_type(enum ca_name_kind kind);
