/* What the validator reads from a gateway that was taken over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/validator/http01.h"
#include "gateway/validator/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Judges what was asked as the validator does, and contacts nobody. */
static int check(void *state, const struct validation *what, unsigned wait_ms, struct validation_result *out)
{
	if (what->kind != VALIDATION_HTTP_01 || !http01_is_valid(what))
		return -1;
	*out = (struct validation_result){ .problem = VALIDATION_PROBLEM_DNS };
	snprintf(out->detail, sizeof(out->detail), "%s", what->token);
	return what->key % 3 ? (int)(what->key % 3) : 0;
}

static int judge(void *state, const struct judgement *what, struct buf *statement)
{
	size_t n = strlen(what->endpoint) + strlen(what->transaction_id) + what->request.len + what->challenge.len;

	if (n % 4)
		return (int)(n % 4);
	return buf_append(statement, bytes_of(what->transaction_key, VERDICT_TRANSACTION_SIZE));
}

static int notify(void *state, const struct notification *what)
{
	size_t n = strlen(what->endpoint) + strlen(what->description) + strlen(what->issuer) + what->request.len;

	return (int)(n % 5);
}

static bool health(const struct validator *v, struct buf *out)
{
	return buf_printf(out, "validator: ok\n") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct validator_face face = { .door = { .check = check, .judge = judge, .notify = notify },
						    .health = health };
	OWNED_BUF reply = BUF_INIT(1u << 18);
	int e = validator_answer(&face.door, bytes_of(data, size), &reply);

	/* An answer in which everything is zero has no octets. */
	if (e > 0 || (e < 0 && reply.len))
		abort();
	return 0;
}
