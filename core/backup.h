/* The core's part of a backup: a copy of its store, sealed keys in it, and of the anchor, read by the tool in pieces.
 *
 * One at a time; a new one takes the place of the one before. The key-encryption key is never part of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

#define BACKUP_FILES 2
#define BACKUP_PIECE ((size_t)196608)

struct backup; /* ca_core.backup */
int backup_new(struct backup **out);
void backup_drop(struct backup **b);

struct backup_file {
	const char *name; /* in the archive: "core/core.db" */
	uint64_t size;
};

/* Copy, and write down who asked. 0 with the files and a number for backup_read(); negative with a sentence. */
int backup_begin(struct ca_core *core, const char *actor, uint64_t *number,
		 struct backup_file files[static BACKUP_FILES], char why[static CA_REASON_SIZE]);

/* Up to BACKUP_PIECE octets of a file, appended to `out`; none at its end. CA_CALL_NOT_FOUND: another backup began, or
 * there is no such file. */
int backup_read(struct ca_core *core, uint64_t number, unsigned file, uint64_t offset, struct buf *out);
