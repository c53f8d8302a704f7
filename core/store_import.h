/* Rows of certificates that were made elsewhere, and of those that are removed for ever.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/store.h"
#include "core/x509/imported.h"

/* PENDING requests for this public key: how many, and the newest. */
int store_find_pending_key(struct ca_core *core, const char *ca, const uint8_t spki_hash[static SHA256_SIZE],
			   unsigned *n, int64_t *id);

struct store_import {
	const struct imported *facts;
	struct bytes der;
	struct ca_request *r;  /* a row that waits for it, as read; or a new one: id, lines, requester, names */
	bool is_existing;
	bool is_foreign;
	int64_t key_id;        /* of ours that signed it; 0: foreign */
	const char *actor;
};

/* 0; STORE_DUPLICATE: there is one with this serial; STORE_CHANGED: the row no longer waits. */
int store_import(struct ca *ca, const struct store_import *import);

/* The octets of a certificate whose row has none (core/store_recover.c): `r` as read, with its line. 0; STORE_CHANGED:
 * it has some by now. */
int store_complete(struct ca *ca, const struct store_import *import);

enum store_purge {
	PURGE_CERTIFICATES = 1, /* that ended before, and that no CRL has to say any more */
	PURGE_REQUESTS = 2,     /* that were denied or failed before, and have no certificate */
	PURGE_UNREVOKED = 3,    /* certificates that ended before and were never revoked */
};

/* Where a purge goes on: the time of the row that was removed last, and its number. */
struct purge_place {
	int64_t key, id;
};
#define PURGE_START ((struct purge_place){ .key = INT64_MIN })

/* Remove up to `max` of them with all that belongs to them, behind `*after`, which moves on. `*n` removed. One audit
 * record when something was. */
int store_purge(struct ca_core *core, enum store_purge what, int64_t before_ms, const char *actor, size_t max,
		struct purge_place *after, size_t *n, bool *more);

/* The statement by which it finds them. */
const char *store_purge_select(enum store_purge what);
