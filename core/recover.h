/* Finishing what was interrupted, and ending what nobody decided.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* The finisher's job: sign the stored TBS of requests that were left ACTIVE, deny pending ones past their time.
 * `core` is a `struct ca_core *`. */
bool recover_run(void *core);
