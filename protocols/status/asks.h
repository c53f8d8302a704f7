/* Who may ask the core. Handlers of this adapter ask for anybody in the world, and a core that is away must not get all
 * workers with them.
 *
 * The places are the gateway's (struct proto_waits). A moment's crowd before a core that is well waits its turn, a
 * quarter of a second at most; where nothing moves nobody waits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

struct asks;

int asks_new(struct asks **out, const struct proto_waits *waits); /* 0 or -ENOMEM */
void asks_drop(struct asks **asks);

/* Before the core is asked; asks_leave() after it. False: too many wait for it, and none of them gets on. */
bool asks_enter(struct asks *a);
void asks_leave(struct asks *a);
