/* The CSR gate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CA_REASON_SIZE];
	struct arena *arena = NULL;
	struct csr csr;

	if (arena_new(&arena, 8u << 20))
		return 0;
	(void)csr_parse(&csr, arena, bytes_of(data, size), why);
	arena_drop(&arena);
	return 0;
}
