/* A reply of several parts (RFC 2046 5.1), each of them DER in base64.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

/* What stands between the parts. No base64 has a '-', so nothing that is sent can be taken for the delimiter; and some
 * clients take letters and digits only, and no quotes. */
#define EST_BOUNDARY "GatehouseServerKey"
#define EST_MULTIPART_TYPE "multipart/mixed; boundary=" EST_BOUNDARY

struct est_part {
	const char *type; /* media type with its parameters */
	struct bytes der;
};

/* The body, from the first delimiter to the last one. 0; -EMSGSIZE; -ENOMEM. */
int est_parts_write(const struct est_part *parts, size_t n, bool in_lines, struct buf *out);
