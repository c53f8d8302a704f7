/* When each pending request was last asked for. Kept in memory: after a restart everybody was just here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

struct polls;

int polls_new(struct polls **out);
void polls_drop(struct polls **p);
void polls_note(struct polls *p, int64_t id, int64_t now_ms);
void polls_forget(struct polls *p, int64_t id);

/* Wall milliseconds of the last poll; the start of the process when there was none since. */
int64_t polls_last(struct polls *p, int64_t id);
