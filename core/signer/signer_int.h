/* What stands behind the signer's door.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/signer/signer.h"

/* One for each function of the door, with the same contract. */
struct signer_ways {
	int (*generate)(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
			struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE]);
	int (*load)(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		    struct bytes certificate, uint64_t *key, char why[static SIGNER_WHY_SIZE]);
	int (*sign_certificate)(struct signer *s, uint64_t key, struct bytes tbs, struct buf *signature,
				char why[static SIGNER_WHY_SIZE]);
	int (*ask_memory)(struct signer *s, enum signer_memory *memory);
	void (*drop)(struct signer *s);
};

/* Stands first in what implements it. */
struct signer {
	const struct signer_ways *ways;
};

/* core/signer/vault.c: say what of the memory is locked. */
void signer_note_memory(struct signer *s, enum signer_memory memory);
