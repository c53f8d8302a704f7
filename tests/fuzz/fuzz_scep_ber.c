/* BER of SCEP messages: whatever comes out is strict DER, and comes out of itself again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/der.h"
#include "protocols/scep/ber.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_BUF der = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	struct bytes in = bytes_of(data, size);

	if (size > 1 << 16 || scep_ber_to_der(in, &der))
		return 0;
	/* An element without content counts as one that is empty there. */
	if (der_check(buf_bytes(&der), SCEP_BER_DEPTH + 1) || der.len > size + 16)
		abort();
	if (scep_ber_to_der(buf_bytes(&der), &again) || !bytes_equal(buf_bytes(&der), buf_bytes(&again)))
		abort();
	return 0;
}
