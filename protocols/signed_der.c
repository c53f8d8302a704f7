/* The frame of what is signed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/signed_der.h"

#include <errno.h>

#include "core/base/der.h"

int signed_der_open(struct bytes der, struct bytes *info)
{
	struct bytes parts, algorithm, signature;

	if (der_expect(&der, DER_SEQUENCE, &parts) || der.len)
		return -EINVAL;
	if (der_expect(&parts, DER_SEQUENCE, info) || der_expect(&parts, DER_SEQUENCE, &algorithm))
		return -EINVAL;
	return der_expect(&parts, DER_BIT_STRING, &signature) || parts.len ? -EINVAL : 0;
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
