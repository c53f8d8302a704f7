/* What a device is called by.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/mdm/mdm_int.h"

bool mdm_is_device_value(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

	return n > 0 && n < CA_DEVICE_SIZE && !text[n];
}
