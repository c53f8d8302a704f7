/* Names of certificates.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/certificate_id.h"

#include "core/base/der.h"
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

bool scep_certificate_names(struct bytes certificate, struct bytes *issuer, struct bytes *subject)
{
	struct bytes info, content;
	unsigned tag;

	if (signed_der_open(certificate, &info))
		return false;
	if (info.len && info.ptr[0] == DER_CONTEXT_0 && der_read(&info, &tag, &content, NULL))
		return false;
	return !der_expect(&info, DER_INTEGER, &content) && !der_expect(&info, DER_SEQUENCE, &content) &&
	       !der_read(&info, &tag, &content, issuer) && tag == DER_SEQUENCE &&
	       !der_expect(&info, DER_SEQUENCE, &content) && !der_read(&info, &tag, &content, subject) &&
	       tag == DER_SEQUENCE;
}
