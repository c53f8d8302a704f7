/* The key-encryption key, under which keys of CAs are sealed at rest: 32 octets in a file of mode 0600.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core.h"

#define KEK_WHY_SIZE 512

/* Read it, or, when `make`, create it unless it is there. 0 or negative with a sentence in `why`. */
int kek_load(const char *path, bool make, uint8_t kek[static CA_KEK_SIZE], char why[static KEK_WHY_SIZE]);
