/* Extensions, written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/extension.h"

#include <errno.h>

#include "core/base/der.h"

#define ELEMENT_MAX 65536

int extension_write(struct buf *out, const char *oid, bool is_critical, struct bytes value)
{
	static const uint8_t yes[] = { 0xff };
	OWNED_BUF content = BUF_INIT(ELEMENT_MAX), name = BUF_INIT(64);
	int e;

	if (der_oid_parse(oid, &name))
		return -EINVAL;
	der_write(&content, DER_OID, buf_bytes(&name));
	if (is_critical)
		der_write(&content, DER_BOOLEAN, bytes_of(yes, 1));
	e = der_write(&content, DER_OCTET_STRING, value);
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&content));
}
