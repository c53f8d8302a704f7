/* What a webhook of step-ca is told, and what it answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/validator/target.h"

/* Append the body. 0; -EINVAL: the request is no PKCS#10, or the challenge no text; -EMSGSIZE; -ENOMEM. */
int webhook_write(const struct judgement *what, int64_t now_s, struct buf *out);

/* What became of a request. Append the body. 0; -EINVAL: the request is no PKCS#10, or a text is none; -EMSGSIZE;
 * -ENOMEM. */
int webhook_write_end(const struct notification *what, int64_t now_s, struct buf *out);

/* 0: allowed; JUDGEMENT_DENIED, JUDGEMENT_NONE, with `why`; -ENOMEM. */
int webhook_read(struct bytes reply, char why[static TARGET_WHY_SIZE]);
