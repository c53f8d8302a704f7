/* What came of a command that was given several things.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/results.h"

#include <stdio.h>

#include "gateway/ctl/print.h"

void results_begin(struct results *r, const struct ctl *ctl)
{
	r->document = ctl->format == CTL_JSON ? cJSON_CreateObject() : NULL;
	r->list = r->document ? cJSON_AddArrayToObject(r->document, "results") : NULL;
}

void results_add(struct results *r, cJSON *result)
{
	if (r->list) {
		cJSON_AddItemToArray(r->list, result);
		return;
	}
	print_json_text(result);
	putchar('\n');
	cJSON_Delete(result);
}

void results_end(struct results *r)
{
	if (r->document)
		print_json(r->document);
	*r = (struct results){ NULL, NULL };
}
