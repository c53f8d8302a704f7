/* The webhook of Jamf Pro: a device comes out only as plain words, which stand in scopes, the log and the trail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/own.h"
#include "protocols/mdm/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_plain(const char *value)
{
	if (value && (!*value || strpbrk(value, "*{}\n\r \"=,:/") || strlen(value) >= CA_DEVICE_SIZE))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(arena) arena = NULL;
	struct mdm_device device;
	const char *why = NULL;
	int e;

	if (arena_new(&arena, 1u << 20))
		return 0;
	e = event_read(bytes_of(data, size), arena, &device, &why);
	if (e == EVENT_REFUSED && !why)
		abort();
	if (!e) {
		expect_plain(device.serial_number);
		expect_plain(device.udid);
	}
	return 0;
}
