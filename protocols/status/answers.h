/* OCSP answers that were given a moment ago, by the octets of their request.
 *
 * An answer is given again for ANSWERS_LIFETIME_MS and no longer: a revocation shows within that time, and a flood of
 * the same question does not reach the core. Any number of threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

#define ANSWERS_LIFETIME_MS 500

struct answers;

int answers_new(struct answers **out); /* 0 or -ENOMEM */
void answers_drop(struct answers **a);

/* True: `out` is filled. `now_ms`: monotonic. */
bool answers_recall(struct answers *a, struct bytes request, int64_t now_ms, struct ca_ocsp_answer *out);

/* `asked_ms`: when the core was asked. */
void answers_remember(struct answers *a, struct bytes request, int64_t asked_ms, const struct ca_ocsp_answer *answer);
