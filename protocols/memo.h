/* What was found out about many keys, for a while: octets and a number for each.
 *
 * What is dear to find out is found out by one: whoever comes meanwhile waits for what comes of it, and whoever comes
 * later gets it again. In memory only, and bounded: when it is full, what was kept first goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"

#define MEMO_KEY_SIZE 32
#define MEMO_WAITERS_MAX 8 /* threads are few: whoever repeats one message without end must not have them all */

struct memo; /* may be used by any number of threads */

/* At most so many keys, and so many octets of all together. 0 or -ENOMEM. */
int memo_new(struct memo **out, size_t keys_max, size_t octets_max);

/* Nobody may be in any call any more. */
void memo_drop(struct memo **m);

/* Is something known? `number` and `octets`, to which it is appended, may be NULL. */
bool memo_find(struct memo *m, const uint8_t key[static MEMO_KEY_SIZE], int *number, struct buf *octets);

enum {
	MEMO_KNOWN = 1, /* as memo_find() */
	MEMO_BUSY = 2,  /* somebody has been finding it out for `wait_ms`, or too many wait for others */
};

/* 0: nothing is known, and from now on the caller finds it out: he says memo_keep() in any case. MEMO_KNOWN, MEMO_BUSY;
 * -ENOMEM. */
int memo_begin(struct memo *m, const uint8_t key[static MEMO_KEY_SIZE], unsigned wait_ms, int *number,
	       struct buf *octets);

/* It is known for `keep_ms` from now. 0: nothing is, and one of those who wait finds it out anew. */
void memo_keep(struct memo *m, const uint8_t key[static MEMO_KEY_SIZE], int number, struct bytes octets,
	       int64_t keep_ms);

/* Nothing is known any more. Who is finding it out goes on. */
void memo_forget(struct memo *m, const uint8_t key[static MEMO_KEY_SIZE]);
