/* How often one address or account may do something: a token bucket for each, in a table of fixed size.
 *
 * An IPv6 client owns its /64, so that is what counts. When the table has no free place near an address's own, the
 * fullest bucket there makes way: it loses nothing but a little memory of who is quiet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

struct limit; /* may be used by any number of threads */

/* `burst` at once, `per_hour` again each hour. 0 or -ENOMEM. */
int limit_new(struct limit **out, unsigned per_hour, unsigned burst);
void limit_drop(struct limit **l);

/* Take `n` tokens of `who`, an address or any other text. True: go on. False: too many, try again after
 * `*retry_after_s`. */
bool limit_take(struct limit *l, const char *who, unsigned n, unsigned *retry_after_s);

/* They were not used after all. */
void limit_give_back(struct limit *l, const char *who, unsigned n);
