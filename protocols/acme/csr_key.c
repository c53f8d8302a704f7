/* The SubjectPublicKeyInfo of a request and of a certificate, taken out and compared.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/csr_key.h"

#include <errno.h>

#include "core/base/der.h"
#include "protocols/acme/certificate.h"
#include "protocols/signed_der.h"

static int spki_of_csr(struct bytes csr, struct bytes *spki)
{
	static const uint8_t before[] = { DER_INTEGER, DER_SEQUENCE }; /* version, subject */
	struct bytes info;

	return signed_der_open(csr, &info) ? -EINVAL : signed_der_key(&info, before, sizeof(before), spki);
}

int acme_csr_key(struct bytes csr, struct bytes account)
{
	struct bytes spki;

	if (spki_of_csr(csr, &spki))
		return CSR_KEY_NO_CSR;
	return bytes_equal(spki, account) ? CSR_KEY_OF_ACCOUNT : 0;
}

bool acme_csr_is_for(struct bytes csr, struct bytes certificate)
{
	struct bytes of_csr, of_certificate;

	return !spki_of_csr(csr, &of_csr) && !acme_certificate_spki(certificate, &of_certificate) &&
	       bytes_equal(of_csr, of_certificate);
}
