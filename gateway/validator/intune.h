/* What Microsoft Intune is told, and what it answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/validator/target.h"

#define INTUNE_E_FAIL (-2147467259) /* what any failure is to it: 0x80004005 */

/* 0: a token was appended, for so long; JUDGEMENT_NONE: that is none; negative. */
int intune_read_token(struct bytes reply, struct buf *token, int64_t *lifetime_s);

/* 0: where the service is was appended, as it was said; JUDGEMENT_NONE; negative. */
int intune_read_service(struct bytes reply, struct buf *uri);

/* 0: "Success"; JUDGEMENT_DENIED: a code that says why not; JUDGEMENT_NONE: whatever else; -ENOMEM. `why` has the code.
 */
int intune_read(struct bytes reply, char why[static TARGET_WHY_SIZE]);

/* Append the body. 0; -EINVAL: a part is no text; -EMSGSIZE; -ENOMEM. */
int intune_write_request(const struct judgement *what, struct buf *out);
int intune_write_notification(const struct notification *what, struct buf *out);
