/* What a function prints, for tests of the tool.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* From here on what goes to `fd` (1 or 2) is kept; printed_end() gives it back, until the next one. */
void printed_begin(int fd);
const char *printed_end(void);
