/* What the files of the filter language share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/filter.h"

/* The number of a word of a field of the kind FILTER_WORD, without case. */
bool filter_find_word(const struct filter_field *field, const char *text, int64_t *number);

/* Read the value of a term: core/filter_value.c. 0; FILTER_WRONG with what it should have been in `why`; -ENOMEM. */
int filter_read_value(struct filter *term, struct arena *arena, const char *text, int64_t now_s,
		      char why[static FILTER_WHY_SIZE]);
