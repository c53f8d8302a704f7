/* Strict DER, read from the front and written to a buffer (X.690 8 and 10).
 *
 * The reader takes definite, minimal lengths and low tag numbers only: what it accepts has exactly one encoding of
 * its framing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT_0 = 0xa0,
};

/* Take the next element: its tag, its content, and (unless NULL) the whole element. 0 or -EINVAL. */
int der_read(struct bytes *in, unsigned *tag, struct bytes *content, struct bytes *whole);

/* The same, and the tag must be `tag`. */
int der_expect(struct bytes *in, unsigned tag, struct bytes *content);

/* Every element inside (constructed ones entered) is well formed, none nested deeper than `depth`. 0 or -EINVAL. */
int der_check(struct bytes in, unsigned depth);

/* The content of an OID as dotted text, always terminated. 0; -EINVAL when malformed or longer than `size`. */
int der_oid_print(struct bytes content, char *out, size_t size);

/* Dotted text to the content of an OID. 0 or -EINVAL. */
int der_oid_parse(const char *text, struct buf *out);

/* A Time of RFC 5280 4.1.2.5: UTCTime before 2050, GeneralizedTime from then on. 0; -EINVAL: before 1950 or after 9999;
 * -EMSGSIZE, -ENOMEM. */
int der_write_time(struct buf *out, int64_t seconds);

/* The tag and the length alone, of content that follows. Returns how many octets, at most DER_HEAD_MAX. */
#define DER_HEAD_MAX 10
size_t der_head(unsigned tag, uint64_t length, uint8_t out[static DER_HEAD_MAX]);

/* Append one element. 0, -EMSGSIZE, -ENOMEM. */
int der_write(struct buf *out, unsigned tag, struct bytes content);
