/* Reading an anchor file (core/anchor.h): its lines, its heads, and whether they fit together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/digest.h"

#define ANCHOR_MAGIC "gatehouse-anchor 1\n" /* the first line */
#define ANCHOR_LINE_MAX ((size_t)131072)
#define ANCHOR_TAIL_MAX ((size_t)(8u << 20)) /* octets since the last head that a start reads again */

struct anchor_head {
	int64_t seq, seen_ms;
	uint8_t hash[SHA256_SIZE], running[SHA256_SIZE], mac[SHA256_SIZE];
};

/* What stands behind the word `head`. False: it is none. */
bool anchor_read_head(const char *rest, struct anchor_head *out);

/* How far RUNNING covers a head's line: the octets before RUNNING itself. */
size_t anchor_covered(const char *head_line);

/* RUNNING of a head whose text since the one before is `text`. 0 or -EIO. */
int anchor_running(const uint8_t before[static SHA256_SIZE], struct bytes text, uint8_t out[static SHA256_SIZE]);

/* The last head of the open file, and everything after its line into `rest` (for a file without one: everything).
 * 0; 1: there is no head; -EBADMSG: what stands there is no anchor; -errno. */
int anchor_read_tail(int fd, struct anchor_head *head, struct buf *rest);

/* A line of a whole anchor, without its line break. */
struct anchor_line {
	size_t number;
	const char *word, *rest;
	bool is_sworn; /* a head covers it, and nothing was begun anew between the two */
};
typedef int anchor_line_fn(void *arg, const struct anchor_line *line); /* 0: go on */

struct anchor_end {
	struct anchor_head head; /* the last one; seq 0: there is none */
	size_t line;             /* of ANCHOR_CHANGED */
};

#define ANCHOR_CHANGED 1

/* Tell every line of the file in order, each head behind what it covers and what no head covers last. Lines that a
 * crash tore are left out, and those that were not sworn to and stand there again. `fn` returns negative to end it.
 *
 * 0; ANCHOR_CHANGED: `line`, or one since the head before it, is not as the head says, and none of them was told;
 * -EBADMSG: no anchor; -errno; what `fn` returned. That the signer wrote the last head is the caller's to ask. */
int anchor_walk(const char *path, anchor_line_fn *fn, void *arg, struct anchor_end *end);
