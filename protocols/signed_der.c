/* The frame of what is signed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/signed_der.h"

#include <errno.h>

#include "core/base/der.h"

int signed_der_split(struct bytes der, struct signed_der *out)
{
	struct bytes parts;
	unsigned tag;

	if (der_expect(&der, DER_SEQUENCE, &parts) || der.len)
		return -EINVAL;
	if (der_read(&parts, &tag, &out->info, &out->signed_part) || tag != DER_SEQUENCE ||
	    der_expect(&parts, DER_SEQUENCE, &out->algorithm))
		return -EINVAL;
	return der_expect(&parts, DER_BIT_STRING, &out->signature) || parts.len ? -EINVAL : 0;
}

int signed_der_open(struct bytes der, struct bytes *info)
{
	struct signed_der s;
	int e = signed_der_split(der, &s);

	if (!e)
		*info = s.info;
	return e;
}

/* RFC 5280 4.1: version, serial number, algorithm, issuer, dates, subject, key. */
int signed_der_certificate(struct bytes der, struct signed_certificate *out)
{
	struct bytes info, content;
	unsigned tag;

	if (signed_der_open(der, &info))
		return -EINVAL;
	if (info.len && info.ptr[0] == DER_CONTEXT_0 && der_read(&info, &tag, &content, NULL))
		return -EINVAL;
	if (der_expect(&info, DER_INTEGER, &out->serial) || der_expect(&info, DER_SEQUENCE, &content) ||
	    der_read(&info, &tag, &content, &out->issuer) || tag != DER_SEQUENCE ||
	    der_expect(&info, DER_SEQUENCE, &content) || der_read(&info, &tag, &content, &out->subject) ||
	    tag != DER_SEQUENCE || der_read(&info, &tag, &content, &out->spki) || tag != DER_SEQUENCE)
		return -EINVAL;
	return 0;
}

int signed_der_key(struct bytes *info, const uint8_t *before, size_t n, struct bytes *spki)
{
	struct bytes content;
	unsigned tag;

	for (size_t i = 0; i < n; i++)
		if (der_expect(info, before[i], &content))
			return -EINVAL;
	return der_read(info, &tag, &content, spki) || tag != DER_SEQUENCE ? -EINVAL : 0;
}
