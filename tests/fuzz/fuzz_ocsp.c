/* An OCSP request, as anybody on the network may send it, and the answer that repeats parts of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "core/ocsp_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct bytes part, struct bytes all)
{
	return part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len;
}

/* Whatever is read well can be answered, in DER. */
static void answer(const struct ocsp_request *request)
{
	static const uint8_t key_hash[20];
	OWNED_BUF out = BUF_INIT(OCSP_RESPONSE_MAX);
	struct ocsp_single singles[OCSP_CERTS_MAX];
	struct ocsp_response r = { .key_hash = bytes_of(key_hash, sizeof(key_hash)), .this_update_s = 1,
				   .next_update_s = 2, .singles = singles, .n_singles = request->n_ids,
				   .nonce = request->nonce };

	for (size_t i = 0; i < request->n_ids; i++)
		singles[i] = (struct ocsp_single){ .cert_id = request->ids[i].whole,
						   .status = (enum ocsp_status)(i % 3), .reason = (int)(i % 7) };
	if (ocsp_data_write(&r, &out) || der_check(buf_bytes(&out), 32))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocsp_request request;
	const char *why = NULL;

	if (ocsp_request_read(&request, bytes_of(data, size), &why)) {
		if (!why)
			abort();
		return 0;
	}
	if (request.n_ids == 0 || request.n_ids > OCSP_CERTS_MAX || request.nonce.len > OCSP_NONCE_MAX)
		abort();
	for (size_t i = 0; i < request.n_ids; i++)
		if (!is_inside(request.ids[i].whole, bytes_of(data, size)) || request.ids[i].serial.len == 0)
			abort();
	answer(&request);
	return 0;
}
