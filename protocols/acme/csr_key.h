/* The questions the adapter has about a PKCS#10 request: whose key is in it. Everything else is the core's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#include <openssl/types.h>

enum {
	CSR_KEY_OF_ACCOUNT = 1, /* the very key of the account */
	CSR_KEY_UNKNOWN = 2,    /* a key type that libcrypto cannot read */
	CSR_KEY_NO_CSR = 3,     /* not PKCS#10 in DER */
};

/* 0: some other key than `account`; an outcome above. */
int acme_csr_key(struct bytes csr, const EVP_PKEY *account);

/* The certificate (DER) is for the key of the request. */
bool acme_csr_is_for(struct bytes csr, struct bytes certificate);
