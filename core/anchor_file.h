/* Reading an anchor file (core/anchor.h): its lines, its heads, and whether they fit together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

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
