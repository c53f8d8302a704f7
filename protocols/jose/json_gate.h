/* JSON from outside: a strict gate in front of cJSON.
 *
 * cJSON accepts numbers and escapes that are no JSON, invalid UTF-8, duplicate members, and cuts a string at an
 * escaped NUL, so what it reads is not always what another program reads. The gate reads the text first and refuses
 * everything that two readers could understand differently; only then cJSON builds the tree. Members are read with
 * cJSON_GetObjectItemCaseSensitive only, or with the getters here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#include <cjson/cJSON.h>

#define JSON_DEPTH_MAX 16
#define JSON_NODES_MAX 2000

enum {
	JSON_REFUSED = 1, /* not the JSON we read: grammar, UTF-8, a member twice, NUL, or over a limit */
};

/* Judge a text of at most `max` octets: RFC 8259 grammar, valid UTF-8 (no lone surrogates), no byte order mark,
 * no member twice in one object after unescaping, no NUL, at most JSON_DEPTH_MAX nested objects and arrays and
 * JSON_NODES_MAX values, nothing behind the value. 0, JSON_REFUSED, -ENOMEM. */
int json_check(struct bytes text, size_t max);

/* The same, then the tree; the caller frees it (OWNED_JSON). */
int json_parse(cJSON **out, struct bytes text, size_t max);

/* A local tree that is freed at the end of the block. */
#define OWNED_JSON __attribute__((cleanup(json_drop))) cJSON *
void json_drop(cJSON **tree);

/* A member by its exact name; NULL when it is absent or `object` is no object. */
const cJSON *json_get(const cJSON *object, const char *name);

/* The text of a member; NULL when it is absent or no string. Borrowed from the tree. */
const char *json_get_string(const cJSON *object, const char *name);
