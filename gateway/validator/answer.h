/* The gateway's messages (gateway/validator/validator.proto), answered by a validator.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/validator/validator.h"

/* Appends the answer, without its id. 0; -EBADMSG: that is no call of ours; -ENOMEM. */
int validator_answer(const struct validator *v, struct bytes message, struct buf *reply);

/* The outcome in an answer for what failed inside the validator. */
enum { VALIDATOR_ANSWER_FAILED = 100 };
