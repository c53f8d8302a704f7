/* Telling the exit modules (steps 7 and 8).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* The exit thread's job: deliver what is due. True when there is more. `core` is a `struct ca_core *`. */
bool outbox_run(void *core);

/* Tell every module that asked for it of an event without a request (STARTUP, SHUTDOWN). */
void outbox_announce(struct ca_core *core, enum ca_event event);
