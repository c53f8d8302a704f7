/* What stands behind a validator that has no function for it in protocols/validator.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/validator/validator.h"

struct validator_ways {
	bool (*health)(const struct validator *v, struct buf *out);
	void (*drop)(struct validator *v);
};

/* Stands first in what implements it. */
struct validator_face {
	struct validator door;
	const struct validator_ways *ways;
};

/* gateway/validator/answer.c: answer one message of the gateway (gateway/validator/validator.proto) by `v`. 0;
 * -EBADMSG: that is no call of ours; -ENOMEM. */
int validator_answer(const struct validator *v, struct bytes message, struct buf *reply);

/* The outcome in an answer for what failed inside the validator. */
enum { VALIDATOR_ANSWER_FAILED = 100 };
