/* The core's data folder has one user at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* Lock the folder for this process. 0 with `*fd`; -EWOULDBLOCK when another process has it; -errno. The lock ends with
 * the process, however it ends. */
int folder_lock(const char *folder, int *fd);

/* `*fd` -1 is accepted; it is -1 afterwards. */
void folder_unlock(int *fd);
