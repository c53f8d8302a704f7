/* Rows of CRLs: what they are made of, and which are in force.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/store.h"
#include "core/x509/certificate.h"

/* A revoked certificate. */
struct revoked_row {
	unsigned partition;
	uint8_t serial[SERIAL_OCTETS_MAX];
	uint8_t n_serial;
	int8_t reason;
	int64_t revoked_s;
};

/* Where a walk over the revoked certificates of a key stands; at first everything but `key_id`, `partition` and
 * `expired_s` is 0. */
struct revoked_walk {
	int64_t key_id;
	unsigned partition;  /* 0: all of them */
	int64_t expired_s;   /* those that ended before are left out */
	unsigned at_partition;
	uint8_t at[SERIAL_OCTETS_MAX];
	size_t n_at;
};

/* The next page in the order of partition and serial. 0; negative. `*n` less than `max`: that was the last. */
int store_next_revoked(struct ca_core *core, struct revoked_walk *walk, struct revoked_row *rows, size_t max,
		       size_t *n);

#define CRL_URLS_SIZE 2048

/* A CRL in force. */
struct crl_row {
	int64_t key_id;
	unsigned partition;
	uint64_t number;
	int64_t this_update_s, next_update_s;
	int64_t changes;
	int64_t entries;
	char urls[CRL_URLS_SIZE]; /* of a part: those by which certificates name it, one a line; "" for the full list */
};

/* The row of this key and part; number 0 when there is none. */
int store_get_crl(struct ca_core *core, int64_t key_id, unsigned partition, struct crl_row *out);

/* The largest number of any CRL that was ever in force here; 0. */
int store_last_crl(struct ca_core *core, uint64_t *number);

/* How often something changed that the CRLs of this CA say. */
int store_count_changes(struct ca_core *core, const char *ca, int64_t *n);

/* The largest part that was ever published for this key: its certificates may name it for ever. */
int store_last_partition(struct ca_core *core, int64_t key_id, unsigned *partition);

/* From now on these are in force, published together under one number: with their event and their audit record. */
int store_publish(struct ca *ca, const struct crl_row *rows, size_t n, const char *actor);
