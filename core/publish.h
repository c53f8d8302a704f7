/* Publishing CRLs: one thread makes them, on time and after revocations, and keeps the files that are in force.
 *
 * A publication of a CA is a list for each of its keys that has not ended, and one for each part of that key's
 * certificates, all under one number. The number grows with every publication of this core, whatever happens to the
 * store or to the clock: the larger of the store's and of the anchor's, a small file beside the store that is durable
 * before anything with the new number can be seen. thisUpdate never goes back either. A file is complete and durable
 * before the store says that it is in force; who reads the one before goes on reading it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

struct publisher;

/* Open what is in force, and begin. */
int publisher_start(struct publisher **out, struct ca_core *core);
void publisher_stop(struct publisher **p);

/* Publish now, and wait up to `wait_ms`; `actor` asked for it. 0 with the number; 1: not in time, it goes on; negative:
 * it failed, the log says why. */
int publisher_publish(struct publisher *p, struct ca *ca, const char *actor, unsigned wait_ms, uint64_t *number);

/* Everything that is due now is published when it returns; for tests. */
void publisher_settle(struct publisher *p);

/* Is a list of a CA late: past the middle between its interval and its end? NULL, or the name of the CA. */
const char *publisher_late(struct publisher *p);

/* The lists in force, under the publisher's lock: `tell` only copies. */
struct published_list {
	const struct ca *ca;
	unsigned key_index, partition;
	int64_t entries;
	struct ca_crl info;
};
void publisher_list(struct publisher *p, void (*tell)(void *arg, const struct published_list *list), void *arg);

/* Contract as ca_get_crl_page(). */
int publisher_read(struct publisher *p, const struct ca *ca, unsigned key_index, unsigned partition, uint64_t number,
		   uint64_t offset, struct buf *out, struct ca_crl *info);
