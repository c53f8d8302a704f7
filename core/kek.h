/* The key-encryption key, under which keys of CAs are sealed at rest: 32 octets in a file of mode 0600, or made of a
 * passphrase (core/passphrase.h). Neither ever comes from a command line or from an environment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core.h"

#define KEK_WHY_SIZE 512

/* Where it comes from: the first that is there. */
struct kek_source {
	const char *data_folder;
	const char *passphrase_file; /* mode 0600; its first line counts; NULL: none */
	bool prompts;                /* ask at the terminal */
	const char *key_file;        /* NULL: <data>/kek */
};

/* Read it, or, when `make`, create it unless it is there. 0 or negative with a sentence in `why`. */
int kek_load(const char *path, bool make, uint8_t kek[static CA_KEK_SIZE], char why[static KEK_WHY_SIZE]);

/* The same from any source; to `make` one of a passphrase that is asked for, it is asked for twice. */
int kek_get(const struct kek_source *source, bool make, uint8_t kek[static CA_KEK_SIZE],
	    char why[static KEK_WHY_SIZE]);
