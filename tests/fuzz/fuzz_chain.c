/* The certificates of `gatehouse ca import`: any octets are read or refused, and what was read is read again alike.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/chain.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1772366400ll
#define MAX 65536

static void expect(bool claim)
{
	if (!claim)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_BUF der = BUF_INIT(MAX), again = BUF_INIT(MAX);
	struct bytes own = { 0 };
	bool same;

	if (chain_read(bytes_of(data, size), &der))
		return 0;
	expect(der.len > 0);
	expect(chain_read(buf_bytes(&der), &again) == 0 && bytes_equal(buf_bytes(&der), buf_bytes(&again)));
	/* Nobody has the key of such octets. */
	expect(chain_check(buf_bytes(&der), bytes_of_str("no key"), NOW, &own) != NULL);
	expect(!own.ptr || (own.ptr >= der.ptr && own.ptr + own.len <= der.ptr + der.len));
	expect(chain_same_subject(buf_bytes(&der), buf_bytes(&again), &same) == 0 && same);
	return 0;
}
