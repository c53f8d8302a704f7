/* Whatever Intune answers: codes, tokens, the list of its services.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "gateway/validator/intune.h"
#include "protocols/jose/json_gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bytes octets = { data, size };
	OWNED_BUF token = BUF_INIT(65536), uri = BUF_INIT(65536);
	char why[TARGET_WHY_SIZE] = "";
	OWNED_JSON tree = NULL;
	int64_t lifetime_s = 0;
	int e = intune_read(octets, why);

	if (e == 0 && (json_parse(&tree, octets, TARGET_REPLY_MAX) ||
		       strcmp(json_get_string(tree, "code"), "Success") != 0))
		abort();
	if (e > JUDGEMENT_NONE)
		abort();
	/* It goes into a header. */
	if (intune_read_token(octets, &token, &lifetime_s) == 0 &&
	    (!token.len || memchr(token.ptr, '\n', token.len) || memchr(token.ptr, '\r', token.len) || lifetime_s < 1))
		abort();
	(void)intune_read_service(octets, &uri);
	return 0;
}
