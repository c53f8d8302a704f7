/* A certificate that a client shows, with those behind it: as one of ours, as a device's, as an authority's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/csr.h"
#include "core/x509/device.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_forbidden(const void *arg, struct bytes spki)
{
	return spki.len == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes first, rest;
	struct arena *arena = NULL;
	struct device device;
	struct csr names;
	const char *why;

	if (size > 65536 || device_split(bytes_of(data, size), &first, &rest) || arena_new(&arena, 8u << 20))
		return 0;
	(void)csr_read_certificate(&names, arena, first);
	if (device_read(&device, arena, first) == 0) {
		why = device_verify(first, rest, rest, 1800000000, is_forbidden, NULL);
		if (!why && device.is_ca)
			abort();
	}
	(void)device_check_anchors(rest, 1800000000, is_forbidden, NULL);
	arena_drop(&arena);
	return 0;
}
