/* Writing JSON into a buffer, without a tree and without blanks.
 *
 * Errors stick to the buffer (core/base/buf.h): write everything, then check `buf_status()` once. Members appear in
 * the order in which they are written; `key` is NULL inside an array.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

struct json_writer {
	struct buf *out;
	bool comma; /* something stands before the next value */
};

/* `bracket` is '{' or '['; json_close() takes the closing one. */
void json_open(struct json_writer *w, const char *key, char bracket);
void json_close(struct json_writer *w, char bracket);

/* A string of valid UTF-8; NULL writes nothing at all, so absent values need no condition. */
void json_string(struct json_writer *w, const char *key, const char *value);
void json_stringf(struct json_writer *w, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void json_number(struct json_writer *w, const char *key, int64_t value);
void json_bool(struct json_writer *w, const char *key, bool value);

/* A value that is JSON already; NULL writes nothing. */
void json_raw(struct json_writer *w, const char *key, const char *value);
