/* A CA without a running core: creating it, and bringing the certificate of one that was signed elsewhere. The
 * key-encryption key is made with the first one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/kek.h"
#include "core/lifecycle.h"

#define CREATE_WHY_SIZE LIFE_WHY_SIZE

struct ca_create_options {
	const char *data_folder;  /* the `data:` folder; made when absent */
	struct kek_source kek;
	const char *name;         /* CA name and common name */
	const char *organization; /* NULL: none */
	const char *key_type;     /* "ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096" */
	int64_t lifetime_s;
	bool is_intermediate;     /* another authority signs its certificate */
};

/* Besides those of core/lifecycle.h. */
enum { CA_CREATE_IN_USE = 11 /* gatehoused works with the folder: ask it */ };

/* As root in a data folder whose core/ belongs to another user, that user gets the files made there.
 * 0, with a certificate or a request; LIFE_EXISTS, LIFE_REFUSED, CA_CREATE_IN_USE; negative; with a sentence in
 * `why`.
 */
int ca_create(const struct ca_create_options *options, struct ca_life_result *out, char why[static CREATE_WHY_SIZE]);

/* Of `options` the folder, the key-encryption key and the name count. The same, and LIFE_NOT_FOUND, LIFE_WRONG_STATE.
 */
int ca_import(const struct ca_create_options *options, struct bytes certificates, char why[static CREATE_WHY_SIZE]);

/* What people have certificates in: PEM, or DER; to DER, one after the other. 0; -EINVAL: it is neither; -EMSGSIZE,
 * -ENOMEM. */
int ca_read_certificates(struct bytes text, struct buf *der);
