/* A file of its own because <openssl/x509.h> and the rows of our configuration both say CONF_VARIANT.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/csr_key.h"

#include <openssl/err.h>
#include <openssl/x509.h>

int acme_csr_key(struct bytes csr, const EVP_PKEY *account)
{
	const uint8_t *p = csr.ptr;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)csr.len);
	EVP_PKEY *key = req ? X509_REQ_get0_pubkey(req) : NULL;
	int outcome = 0;

	if (!req)
		outcome = CSR_KEY_NO_CSR;
	else if (!key)
		outcome = CSR_KEY_UNKNOWN;
	else if (EVP_PKEY_eq(key, account) == 1)
		outcome = CSR_KEY_OF_ACCOUNT;
	X509_REQ_free(req);
	ERR_clear_error();
	return outcome;
}

bool acme_csr_is_for(struct bytes csr, struct bytes certificate)
{
	const uint8_t *p = csr.ptr, *q = certificate.ptr;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)csr.len);
	X509 *cert = d2i_X509(NULL, &q, (long)certificate.len);
	bool same = req && cert && EVP_PKEY_eq(X509_get0_pubkey(cert), X509_REQ_get0_pubkey(req)) == 1;

	X509_REQ_free(req);
	X509_free(cert);
	ERR_clear_error();
	return same;
}
