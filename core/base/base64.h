/* Strict base64url (RFC 4648 5, no padding), base64 (RFC 4648 4) and hexadecimal.
 *
 * Decoders refuse every other spelling of the same octets: padding in base64url, missing padding in base64,
 * white space, foreign letters, and non-zero trailing bits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* Append the encoding or the octets to `out`. 0; -EINVAL for text that is not strict; -EMSGSIZE; -ENOMEM. */
int base64url_encode(struct buf *out, struct bytes data);
int base64url_decode(struct buf *out, struct bytes text);
int base64_encode(struct buf *out, struct bytes data);
int base64_decode(struct buf *out, struct bytes text);

/* Lower case; `out` has room for 2 * len + 1. Returns `out`. */
const char *hex_print(struct bytes data, char *out);

/* Either case, an even number of digits, exactly `size` octets. 0 or -EINVAL. */
int hex_parse(const char *text, uint8_t *out, size_t size);

/* A SHA-256 fingerprint as people write it: 64 digits of either case, with or without ':' between octets. 0 or
 * -EINVAL. */
#define HEX_FINGERPRINT_SIZE 32
int hex_parse_fingerprint(const char *text, uint8_t out[static HEX_FINGERPRINT_SIZE]);
