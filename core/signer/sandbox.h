/* What the signer's process gives up once it has all it needs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/signer/signer.h"

/* Before the first key and the first thread: no page of this process reaches a disk, when it may lock so many;
 * otherwise the heap of keys alone, when it may lock that. Says what was locked, and for how many keys at once there
 * is room. */
enum signer_memory sandbox_lock_memory(unsigned *keys_max);

/* After the last thread was started: no descriptor, no process and no thread more; of system calls only those that
 * serving and signing need, on all threads. Any other ends the process (in a build with sanitizers it is logged).
 * 0 or -errno. */
int sandbox_close(void);
