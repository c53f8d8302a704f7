/* The body of an EST request: base64 as RFC 8951 has it, and the parts of PKCS#10 that the adapter reads itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/base64.h"
#include "core/base/own.h"
#include "core/base/utf8.h"
#include "protocols/csr.h"
#include "protocols/est/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct bytes part, struct bytes all)
{
	return !part.ptr || (part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len);
}

/* What was read has one strict spelling, which is what the body says without its blanks. */
static void check_base64(struct bytes body, struct bytes der)
{
	OWNED_BUF again = BUF_INIT(1 << 20), bare = BUF_INIT(1 << 20);

	for (size_t i = 0; i < body.len; i++)
		if (!body.ptr[i] || !memchr("\r\n\t ", body.ptr[i], 4))
			buf_append_char(&bare, (char)body.ptr[i]);
	if (base64_encode(&again, der) || !bytes_equal(buf_bytes(&again), buf_bytes(&bare)))
		abort();
}

static void check_challenge(const struct proto_csr *csr, struct arena *arena)
{
	struct bytes text;

	if (!csr->challenge.ptr || proto_csr_challenge(csr, arena, &text))
		return;
	if (!utf8_is_text(text) || text.len > 2 * csr->challenge.len)
		abort();
}

static void check_csr(struct bytes der)
{
	uint8_t first[SHA256_SIZE], second[SHA256_SIZE];
	OWNED(arena) arena = NULL;
	struct proto_csr csr;

	if (proto_csr_read(&csr, der))
		return;
	if (!csr.subject.len || !csr.spki.len || !is_inside(csr.subject, der) || !is_inside(csr.spki, der) ||
	    !is_inside(csr.alt_names, der) || !is_inside(csr.challenge, der))
		abort();
	if (arena_new(&arena, 1u << 24) || proto_csr_names(&csr, arena, first) ||
	    proto_csr_names(&csr, arena, second) ||
	    memcmp(first, second, sizeof(first)) != 0)
		abort();
	check_challenge(&csr, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes body = bytes_of(data, size);
	OWNED_BUF der = BUF_INIT(1 << 20);

	check_csr(body);
	if (est_base64_read(body, &der))
		return 0;
	check_base64(body, buf_bytes(&der));
	check_csr(buf_bytes(&der));
	return 0;
}
