/* The pager: on a terminal, when there is more than one screen of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/ctl/ctl.h"

/* From here on standard output is kept, when it is a terminal and the command is one that is paged. */
void pager_begin(const struct ctl *ctl);

/* Print what was kept, through GATEHOUSE_PAGER, PAGER or less when it is more than a screen. */
void pager_end(void);
