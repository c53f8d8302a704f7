/* What stands in the envelopes of GetCert and GetCRL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "protocols/scep/certificate_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct bytes part, struct bytes whole)
{
	return part.ptr >= whole.ptr && part.len <= whole.len && part.ptr + part.len <= whole.ptr + whole.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes octets = bytes_of(data, size);
	struct ca_certificate_id id;

	if (!scep_certificate_id_read(octets, &id))
		return 0;
	if (!is_inside(id.issuer, octets) || !is_inside(id.serial, octets) || id.issuer.len < 2 || id.serial.len == 0 ||
	    id.serial.len > SCEP_SERIAL_MAX || id.serial.ptr[0] == 0)
		abort();
	return 0;
}
