/* What came of a command that was given several things, for programs: `-o json` one document with `results`, `-o jsonl`
 * a line each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/ctl/ctl.h"

struct results {
	cJSON *document, *list; /* NULL: a line each */
};

void results_begin(struct results *r, const struct ctl *ctl);

/* Takes what came of one of them. */
void results_add(struct results *r, cJSON *result);

/* Prints the document and frees. */
void results_end(struct results *r);
