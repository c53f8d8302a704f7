/* What a webhook answers, and what it is told of a request that somebody made.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "gateway/validator/webhook.h"
#include "protocols/jose/json_gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_answer(struct bytes octets)
{
	char why[TARGET_WHY_SIZE] = "";
	OWNED_JSON tree = NULL;
	int e = webhook_read(octets, why);

	/* What allows is one object that says so, for every reader. */
	if (e == 0 && (json_parse(&tree, octets, TARGET_REPLY_MAX) || !cJSON_IsTrue(json_get(tree, "allow"))))
		abort();
	if (e != 0 && e != JUDGEMENT_DENIED && e != JUDGEMENT_NONE)
		abort();
	if (e && !*why && e != JUDGEMENT_DENIED)
		abort();
}

static void tell(struct bytes request)
{
	static const uint8_t key[32];
	const struct judgement what = { "phones", request, bytes_of_str("challenge"), "transaction", key };
	OWNED_BUF out = BUF_INIT((size_t)1 << 20);

	if (!webhook_write(&what, 1800000000, &out) && json_check(buf_bytes(&out), out.max))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* DER begins with a SEQUENCE, and JSON with no zero. */
	if (size && *data == 0x30)
		tell(bytes_of(data, size));
	else
		read_answer(bytes_of(data, size));
	return 0;
}
