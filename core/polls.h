/* When each pending request was last asked for. Kept in memory: after a restart everybody was just here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

struct polls;

/* How long a client waits before it asks again for a request of this age; `least_s` at least. */
unsigned polls_pause_s(int64_t age_s, unsigned least_s);

int polls_new(struct polls **out);
void polls_drop(struct polls **p);
/* Asked for now, and told to come back after `pause_s`. */
void polls_note(struct polls *p, int64_t id, unsigned pause_s);
void polls_forget(struct polls *p, int64_t id);

/* Milliseconds until this client is later than twice the pause it was told; 0 or less: it seems to be gone. Without a
 * poll since the start of the process, `pause_s` counts from there. */
int64_t polls_patience_ms(struct polls *p, int64_t id, unsigned pause_s);
