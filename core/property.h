/* Which property is what, and who may read it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/request.h"

enum property_reader { READER_POLICY = 1, READER_EXIT = 2 };

/* Absent, of another type, or not for this reader: NULL, 0, empty. Text lives as long as the request. */
const char *property_text(const struct ca_request *r, enum ca_property p, enum property_reader reader);
int64_t property_number(const struct ca_request *r, enum ca_property p, enum property_reader reader);
struct bytes property_octets(const struct ca_request *r, enum ca_property p, enum property_reader reader);

/* The word under which a reading is recorded: "certificate", "names", "request". */
const char *property_group(enum ca_property p);
