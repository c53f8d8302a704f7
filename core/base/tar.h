/* Archives of plain files in the tar format (POSIX.1-2017 pax, ustar interchange format), which every system can list.
 *
 * Written: regular files with mode 0600, in a fixed order. Read: what was written, and nothing else: no folders, links
 * or extended headers; a header that is not exactly one of ours is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/bytes.h"

#define TAR_BLOCK ((size_t)512)
#define TAR_NAME_SIZE 100 /* with its NUL */

/* The header of a file of `size` octets. The content follows, then zeros up to a full block; two blocks of zeros end an
 * archive. 0; -ENAMETOOLONG; -EFBIG. */
int tar_print(const char *name, uint64_t size, int64_t mtime_s, uint8_t out[static TAR_BLOCK]);

/* 0 with name and size; 1: a block of zeros, the end; -EBADMSG: no header of ours. */
int tar_parse(const uint8_t block[static TAR_BLOCK], char name[static TAR_NAME_SIZE], uint64_t *size);

/* Octets of zeros behind a content of `size`. */
static inline size_t tar_padding(uint64_t size)
{
	return (TAR_BLOCK - (size_t)(size % TAR_BLOCK)) % TAR_BLOCK;
}
