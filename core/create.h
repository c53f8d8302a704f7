/* Creating a CA: key, self-signed certificate, and the key-encryption key when there is none yet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core.h"
#include "core/signer/signer.h"

#define CREATE_WHY_SIZE 512

struct ca_create_options {
	const char *data_folder;  /* the `data:` folder; made when absent */
	const char *key_file;     /* NULL: <data>/kek */
	const char *name;         /* CA name and common name */
	const char *organization; /* NULL: none */
	const char *key_type;     /* "ec-p256", "ec-p384", "rsa-3072", "rsa-4096" */
	int64_t lifetime_s;
};

/* The CA has a key already: nothing was changed. */
enum { CA_CREATE_EXISTS = 1 };

/* As root in a data folder whose core/ belongs to another user, that user gets the files made there.
 * 0 with the certificate (DER) appended; CA_CREATE_EXISTS; negative with a sentence in `why`. */
int ca_create(const struct ca_create_options *options, struct buf *certificate, char why[static CREATE_WHY_SIZE]);
