/* One Call of the administrator's tool answered by one Reply: the direct form of the admin door.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/admin.h"
#include "core/base/arena.h"

#include "admin.pb-c.h"

/* What came over the socket: a Call, unpacked into the arena. A text in it that is none is refused as
 * CA_ADMIN_INVALID. 0; -EBADMSG: the octets are no Call, or one that would fill the arena. */
int admin_answer(struct ca_core *core, const struct ca_admin_caller *who, struct bytes message, struct arena *arena,
		 Gatehouse__Admin__Reply *reply);

/* Everything in `reply` lives in the arena. */
void admin_call(struct ca_core *core, const struct ca_admin_caller *who, const Gatehouse__Admin__Call *call,
		struct arena *arena, Gatehouse__Admin__Reply *reply);
