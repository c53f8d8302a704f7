/* Names of certificates.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/certificate_id.h"

#include "core/base/der.h"
#include "core/base/own.h"
#include "protocols/signed_der.h"

bool scep_certificate_id_read(struct bytes octets, struct ca_certificate_id *out)
{
	struct bytes parts, skipped;
	unsigned tag;

	if (der_expect(&octets, DER_SEQUENCE, &parts) || octets.len ||
	    der_read(&parts, &tag, &skipped, &out->issuer) || tag != DER_SEQUENCE ||
	    der_expect(&parts, DER_INTEGER, &out->serial) || parts.len || !out->serial.len || out->serial.ptr[0] & 0x80)
		return false;
	while (out->serial.len && out->serial.ptr[0] == 0)
		(void)bytes_take(&out->serial, 1, &skipped);
	return out->serial.len && out->serial.len <= SCEP_SERIAL_MAX;
}

int scep_certificate_id_write(struct bytes certificate, struct buf *out)
{
	OWNED_BUF id = BUF_INIT(certificate.len + 64);
	struct signed_certificate c;
	int e = signed_der_certificate(certificate, &c);

	if (!e)
		e = buf_append(&id, c.issuer);
	if (!e)
		e = der_write(&id, DER_INTEGER, c.serial);
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&id));
}
