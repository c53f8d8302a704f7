/* The SubjectPublicKeyInfo of a request and of a certificate, taken out and compared.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/csr_key.h"

#include <errno.h>

#include "core/base/der.h"

/* What is signed in a request (RFC 2986 4.2) and in a certificate (RFC 5280 4.1) alike: the content of the first of
 * three parts. */
static int take_signed(struct bytes der, struct bytes *info)
{
	struct bytes parts, algorithm, signature;

	if (der_expect(&der, DER_SEQUENCE, &parts) || der.len || der_expect(&parts, DER_SEQUENCE, info) ||
	    der_expect(&parts, DER_SEQUENCE, &algorithm) || der_expect(&parts, DER_BIT_STRING, &signature) || parts.len)
		return -EINVAL;
	return 0;
}

/* Elements of the given tags, and then the key as a whole element. */
static int take_spki(struct bytes info, const uint8_t *tags, size_t n, struct bytes *spki)
{
	struct bytes content;
	unsigned tag;

	for (size_t i = 0; i < n; i++)
		if (der_expect(&info, tags[i], &content))
			return -EINVAL;
	return der_read(&info, &tag, &content, spki) || tag != DER_SEQUENCE ? -EINVAL : 0;
}

static int spki_of_csr(struct bytes csr, struct bytes *spki)
{
	static const uint8_t before[] = { DER_INTEGER, DER_SEQUENCE }; /* version, subject */
	struct bytes info;

	return take_signed(csr, &info) ? -EINVAL : take_spki(info, before, sizeof(before), spki);
}

static int spki_of_certificate(struct bytes certificate, struct bytes *spki)
{
	/* version (v3 is always written), serial number, signature, issuer, validity, subject */
	static const uint8_t before[] = {
		DER_CONTEXT_0, DER_INTEGER, DER_SEQUENCE, DER_SEQUENCE, DER_SEQUENCE, DER_SEQUENCE,
	};
	struct bytes info;

	return take_signed(certificate, &info) ? -EINVAL : take_spki(info, before, sizeof(before), spki);
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

	return !spki_of_csr(csr, &of_csr) && !spki_of_certificate(certificate, &of_certificate) &&
	       bytes_equal(of_csr, of_certificate);
}
