/* Files read and written whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <sys/types.h>

/* Append the whole file to `out`. 0, -errno, -EMSGSIZE past the limit of `out`. */
int file_read(const char *path, struct buf *out);

/* The same for a file that is open, from its beginning; where others read it does not move. */
int file_read_fd(int fd, struct buf *out);

/* All of it, where the file stands. 0 or -errno. */
int file_write_all(int fd, struct bytes data);

/* As file_read(), but refuses (-EPERM) a file that others than its owner may read or that is not a regular file. */
int file_read_secret(const char *path, struct buf *out);

/* Write a temporary file in the same folder, fsync, rename over `name`, fsync the folder. A reader sees the old file
 * or the new one, never a part. `dirfd` may be AT_FDCWD. 0 or -errno; nothing is left behind on failure. */
int file_write_atomic_at(int dirfd, const char *name, struct bytes data, mode_t mode);

/* Remove the temporary files that file_write_atomic_at() leaves in a folder when the process is killed. For whoever
 * writes there, before it does: a write that is under way fails (-ENOENT). 0 or -errno. */
int file_sweep_temporary(const char *folder);

/* Make a folder, and its parents, unless it is there. 0 or -errno. */
int file_make_folder(const char *path, mode_t mode);
