/* The questions the adapter has about a PKCS#10 request: whose key is in it. Everything else is the core's.
 *
 * Keys are compared octet for octet as SubjectPublicKeyInfo (RFC 5280 4.1.2.7), and nothing is decoded: the core takes
 * a key in its one usual spelling only and writes it into the certificate as it stood in the request.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

enum {
	CSR_KEY_OF_ACCOUNT = 1, /* the very key of the account */
	CSR_KEY_NO_CSR = 2,     /* has not the parts of PKCS#10 in DER */
};

/* 0: some other key than the one whose SubjectPublicKeyInfo is `account`; an outcome above. */
int acme_csr_key(struct bytes csr, struct bytes account);

/* The certificate (DER) is for the key of the request. */
bool acme_csr_is_for(struct bytes csr, struct bytes certificate);
