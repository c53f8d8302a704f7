/* A PKCS#10 as the EST adapter reads it: what it says of itself, and what is made of it when the server makes the key.
 * Of that the adapter reads the same names, and nothing that was for the server alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/own.h"
#include "protocols/csr.h"
#include "protocols/est/envelope.h"
#include "protocols/est/keygen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim)
{
	if (!claim)
		abort();
}

/* One for all inputs: its value is nobody's concern. */
static const struct est_key *the_key(void)
{
	static struct est_key *key;

	must(key || est_key_new(&key, EST_KEYGEN_ED25519) == 0);
	return key;
}

static void check_rewritten(const struct proto_csr *csr)
{
	OWNED_BUF made = BUF_INIT(CA_REQUEST_MAX);
	struct proto_csr again;

	if (est_key_request(the_key(), csr->der, NULL, &made))
		return; /* libcrypto is stricter, or it became too large */
	must(proto_csr_read(&again, buf_bytes(&made)) == 0);
	must(bytes_equal(again.subject, csr->subject) && bytes_equal(again.alt_names, csr->alt_names));
	must(!bytes_equal(again.spki, csr->spki));
	must(!again.challenge.ptr && !again.link.ptr && !again.shared_key.ptr);
	must(!again.public_key.ptr && !again.capabilities.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct est_capabilities can;
	struct proto_csr csr;

	(void)est_capabilities_read(bytes_of(data, size), &can);
	if (size > CA_REQUEST_MAX || proto_csr_read(&csr, bytes_of(data, size)))
		return 0;
	if (csr.capabilities.ptr)
		(void)est_capabilities_read(csr.capabilities, &can);
	check_rewritten(&csr);
	return 0;
}
