/* Publishing the core of this process to its intermediaries.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core.h"

/* NULL: no core is there (ca_locate answers CA_LOCATE_AWAY). */
void registry_publish(struct ca_core *core);
