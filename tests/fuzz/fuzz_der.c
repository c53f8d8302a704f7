/* Strict DER: what the reader takes has one encoding, so that writing it again gives the same octets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/der.h"

#define DEPTH 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(struct bytes whole, unsigned tag, struct bytes content)
{
	OWNED_BUF again = BUF_INIT(1u << 20);

	if (der_write(&again, tag, content) || !bytes_equal(buf_bytes(&again), whole))
		abort();
}

static void print_again(struct bytes oid)
{
	OWNED_BUF again = BUF_INIT(1u << 20);
	char text[512];

	if (der_oid_print(oid, text, sizeof(text)))
		return;
	if (der_oid_parse(text, &again) || !bytes_equal(buf_bytes(&again), oid))
		abort();
}

static void walk(struct bytes in, unsigned depth)
{
	struct bytes content, whole;
	unsigned tag;

	while (in.len && der_read(&in, &tag, &content, &whole) == 0) {
		write_again(whole, tag, content);
		if (tag == DER_OID)
			print_again(content);
		if (tag & 0x20 && depth)
			walk(content, depth - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)der_check(bytes_of(data, size), DEPTH);
	walk(bytes_of(data, size), DEPTH);
	return 0;
}
