/* Publishing the core of this process to its intermediaries.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core.h"

void registry_publish(struct ca_core *core);

/* From now on ca_locate() answers CA_LOCATE_AWAY; nothing happens when another core is published. */
void registry_withdraw(struct ca_core *core);
