/* The core's messages (core/signer/signer.proto), answered by a signer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/signer/signer.h"

/* Appends the answer, without its id. 0; -EBADMSG: that is no call of ours; -ENOMEM. */
int signer_answer(struct signer *s, struct bytes message, struct buf *reply);

/* The outcome in an answer for what failed inside the signer. */
enum { SIGNER_ANSWER_FAILED = 100 };
