/* Characters of UTF-8 (RFC 3629: shortest form, no surrogates).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* Octets of the character at the front; 0: there is none. */
size_t utf8_length(struct bytes in);

/* 0; -EINVAL: a surrogate, or above U+10FFFF; -EMSGSIZE, -ENOMEM. */
int utf8_append(struct buf *out, uint32_t character);

/* Nothing but characters, and none of them is NUL. */
bool utf8_is_text(struct bytes in);

/* Octets of the whole characters at the front of `text`, `max` at most: what a message may quote, for "%.*s". */
int utf8_fit(const char *text, size_t max);
