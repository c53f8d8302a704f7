/* The query of a SCEP request: operation, and a message in base64 of every form.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/base64.h"
#include "protocols/http_msg.h"
#include "protocols/scep/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read has one strict spelling, which is read as the same. */
static void check_message(struct bytes octets)
{
	OWNED_BUF text = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);

	if (base64_encode(&text, octets) || scep_query_message(buf_bytes(&text), &again) ||
	    !bytes_equal(octets, buf_bytes(&again)))
		abort();
}

static void take(const char *query)
{
	OWNED_BUF octets = BUF_INIT(1 << 16);
	char word[SCEP_WORD_SIZE];
	struct bytes value;

	scep_query_word(query, "operation", word);
	for (const char *c = word; *c; c++)
		if (*c <= ' ' || *c > '~')
			abort();
	scep_query_word(query, "message", word);
	value = http_query_find(query, "message");
	if (value.ptr && memchr(value.ptr, '&', value.len))
		abort();
	if (scep_query_message(value, &octets) == 0)
		check_message(buf_bytes(&octets));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *query = malloc(size + 1);

	if (!query)
		return 0;
	memcpy(query, data, size);
	query[size] = '\0';
	take(query);
	free(query);
	return 0;
}
