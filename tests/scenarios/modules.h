/* Scripted modules for tests: the policies `p` and `p-safe`, the exit recorders `e1` and `e2`.
 *
 * `p` answers what the test told it to say, does on the way what the test told it to do, and holds every answer
 * against what was expected. Whatever went wrong inside a module stands in script_complaint().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/exit.h"
#include "core/policy.h"

/* Forget everything; the next verdicts are ISSUE. */
void script_reset(void);

/* Add a verdict for one of the next calls: "issue", "pend", "deny", "fail", "nothing", "unknown", "zero", or
 * "approved" (pend until `n` officers approved for `rule`, then issue), "kept" (the same, for other keys too). False
 * for an unknown word. */
bool script_say(const char *verdict, const char *rule, const char *reason, unsigned n);

/* What is said when the list is empty. */
bool script_always(const char *verdict, const char *rule, const char *reason, unsigned n);

/* Do this in the next call, before the verdict: words of an operation, and the answer expected of it. */
bool script_do(const char *const *words, size_t n, const char *expected);

/* The next verifies wait until they are released; how many wait now. */
void script_hold(void);
void script_release(void);
unsigned script_waiting(void);

/* Complaints since the last call, one a line; "" when there are none. Valid until the next call. */
const char *script_complaint(void);

/* The most verifies that ran at once since script_reset(), and whether a view ever changed its request. */
unsigned script_most_at_once(void);

/* Every verify takes this long of real time. */
void script_slow(unsigned ms);

