/* Envelopes of SCEP clients, and what comes out of them with a key that is not theirs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/own.h"
#include "protocols/scep/envelope.h"
#include "protocols/scep/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_with_zeros(const struct scep_envelope *e)
{
	static const uint8_t key[PROTO_RA_UNWRAPPED_MAX];
	OWNED_BUF content = BUF_INIT(SCEP_MESSAGE_MAX + 64);
	bool is_open = scep_envelope_open(e, key, &content);

	if (content.len > e->content.len || (!is_open && content.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes octets = bytes_of(data, size);
	struct scep_envelope e, strict;
	OWNED(arena) arena = NULL;

	if (size > SCEP_MESSAGE_MAX || arena_new(&arena, 1 << 20))
		return 0;
	(void)scep_envelope_is_for(&(struct scep_envelope){ .key_identifier = octets }, octets);
	if (scep_envelope_read(&e, octets, SCEP_LEGACY_DES, true, arena)) {
		/* What the widest lists refuse, the narrowest do. */
		if (scep_envelope_read(&strict, octets, SCEP_LEGACY_NONE, false, arena) == 0)
			abort();
		return 0;
	}
	if (!e.cipher || e.iv.len != e.cipher->iv_size || (!e.key_identifier.ptr && !e.issuer.len))
		abort();
	(void)scep_envelope_is_for(&e, octets);
	open_with_zeros(&e);
	return 0;
}
