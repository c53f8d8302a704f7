/* A key-encryption key of a passphrase: scrypt (RFC 7914), with its salt beside the data.
 *
 * The file `kek.salt` in the data folder has one line: "scrypt N R P SALT CHECK", numbers in decimal, octets in hex.
 * The check tells a wrong passphrase from damaged keys; it helps a thief of the file no more than a sealed key does.
 * One guess takes 128 MiB of memory and a good part of a second.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/kek.h"

#define PASSPHRASE_MAX 1024
#define PASSPHRASE_MIN 8 /* to make a key of */

enum { PASSPHRASE_WRONG = 1 };

/* The key of this passphrase; `make`: with a new salt, unless there is one. 0; PASSPHRASE_WRONG; negative; both with
 * a sentence in `why`. */
int passphrase_derive(const char *data_folder, struct bytes passphrase, bool make, uint8_t kek[static CA_KEK_SIZE],
		      char why[static KEK_WHY_SIZE]);

/* The first line of a file that nobody else may read. 0 or negative with a sentence. */
int passphrase_read(const char *path, struct buf *out, char why[static KEK_WHY_SIZE]);

/* Ask at the terminal of this process, which does not show what is typed. 0; -ENOTTY: there is no terminal, with a
 * sentence; negative. */
int passphrase_ask(const char *question, struct buf *out, char why[static KEK_WHY_SIZE]);
