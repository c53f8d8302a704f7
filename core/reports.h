/* What the gateway of this daemon tells of itself, for who asks the core how the daemon is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

#define REPORTS_TEXT_MAX 65536
#define REPORTS_DUE_S 10  /* of the first one: starting is no fault */
#define REPORTS_LATE_S 30 /* it tells more often, and when something changed at once */

struct reports;
struct ca_core;

int reports_new(struct reports **out);
void reports_drop(struct reports **r);

/* A gateway was connected: from now on it is missed when it tells nothing. */
void reports_expect(struct ca_core *core);

/* One line a part, as ca_core_health() has them, in place of those before; what is no printable ASCII in it is not
 * kept. 0; -EMSGSIZE; -ENOMEM. */
int reports_take(struct ca_core *core, bool is_well, struct bytes text);

/* Append the lines, "gateway" in front of each, or one that says that there is no news; nothing where no gateway ever
 * was. False when it is not well; one that has just been started, or whose core was, has its time. */
bool reports_print(struct ca_core *core, struct buf *out);
