/* The query of a SCEP request (RFC 8894 4.1), as clients write it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#define SCEP_WORD_SIZE 80

/* The value of a parameter without escapes, as `operation` is one: visible ASCII. "": it is not there, or none. */
const char *scep_query_word(const char *query, const char *name, char out[static SCEP_WORD_SIZE]);

/* A message in base64 inside a query, in each of the forms that clients use: percent escapes or not, '+' and '/' as
 * they are, base64url, line breaks, with or without padding. A '+' never is a blank. 0; -EINVAL: it is none; -EMSGSIZE;
 * -ENOMEM. */
int scep_query_message(struct bytes value, struct buf *out);
