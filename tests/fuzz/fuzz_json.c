/* The JSON gate: what it lets through, cJSON reads to the last octet and prints as JSON that passes again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/json_gate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_MAX_TAKEN 65536

static void expect(bool claim)
{
	if (!claim)
		abort();
}

/* No two members of an object have the same name, and nothing is nested deeper than the gate allows. */
static void check_tree(const cJSON *node, unsigned depth)
{
	expect(depth <= JSON_DEPTH_MAX + 1);
	for (const cJSON *child = node->child; child; child = child->next) {
		if (cJSON_IsObject(node))
			for (const cJSON *other = child->next; other; other = other->next)
				expect(strcmp(child->string, other->string) != 0);
		check_tree(child, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = bytes_of(data, size);
	OWNED_JSON tree = NULL;
	const char *end = NULL;
	cJSON *again;

	if (json_check(text, SIZE_MAX_TAKEN)) {
		expect(json_parse(&tree, text, SIZE_MAX_TAKEN) == JSON_REFUSED && !tree);
		return 0;
	}
	expect(json_parse(&tree, text, SIZE_MAX_TAKEN) == 0);
	check_tree(tree, 1);
	again = cJSON_ParseWithLengthOpts((const char *)data, size, &end, 0);
	expect(again != NULL);
	for (; end < (const char *)data + size; end++)
		expect(strchr(" \t\r\n", *end) != NULL);
	cJSON_Delete(again);
	return 0;
}
