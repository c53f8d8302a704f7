/* Durations of the scenario language: "3d", "-1h", "+90s", "500ms".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds; 0 for text that is no duration. */
static inline int64_t duration_ms(const char *text)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	char *end;
	long long n = strtoll(text, &end, 10);

	for (size_t i = 0; end != text && i < sizeof(units) / sizeof(*units); i++)
		if (strcmp(end, units[i].unit) == 0)
			return n * units[i].ms;
	return 0;
}
