/* Putting a backup back: offline, on the data folder itself. The daemon that is started next brings back from the
 * anchor what the backup does not know (core/anchor.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/digest.h"

#include <stdbool.h>
#include <stdint.h>

#define RESTORE_WHY_SIZE 512
#define BACKUP_MANIFEST "MANIFEST" /* the archive's last file: the title, then "SHA-256 SIZE NAME" for each other */
#define BACKUP_MANIFEST_TITLE "gatehouse backup 1\n"
#define BACKUP_FILES_MAX 512
#define BACKUP_MANIFEST_MAX ((size_t)BACKUP_FILES_MAX * 256)

struct restore_summary {
	unsigned files;
	uint64_t octets;
	bool kept_anchor; /* the folder has one, which knows more than the backup's: it stays */
};

/* Check the whole archive, then put its files into the folder; what lies there already is kept as NAME.before-restore.
 * The key-encryption key must be there or be brought. 0; negative with a sentence in `why`: nothing was changed, unless
 * it says so. */
int ca_restore(const char *archive, const char *data_folder, struct restore_summary *out,
	       char why[static RESTORE_WHY_SIZE]);

/* The store in the folder was put back by other means: the next start takes it for a restored one. */
int ca_restore_accept(const char *data_folder, char why[static RESTORE_WHY_SIZE]);

/* The names that an archive may hold, besides its manifest. */
bool restore_is_name(const char *name);

/* A line of the manifest behind the title, without its line break. False: it is none. */
struct manifest_line {
	uint8_t hash[SHA256_SIZE];
	uint64_t size;
	const char *name;
};
bool manifest_read(const char *line, struct manifest_line *out);
