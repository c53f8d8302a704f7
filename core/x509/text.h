/* Text from outside that may be stored, shown and put into documents.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

/* Valid UTF-8 without control characters (C0, DEL, C1) and without those that hide or turn around what stands beside
 * them (bidirectional controls, zero-width characters, the byte order mark). */
bool text_is_clean(struct bytes text);

/* Take one character of UTF-8 from the front. False when there is none or it is not valid. */
bool text_take(struct bytes *text, unsigned long *character);
