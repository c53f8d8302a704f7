/* Revocation lists as this gateway has them: read from the core once, into a file that has no name, and sent to all
 * from there.
 *
 * One thread asks the core about a list, and the others get the one that is held meanwhile. A list that was replaced
 * stays for those who still read it, but only so many of them: the oldest is taken away from its slow readers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"
#include "protocols/http_octets.h"
#include "protocols/status/asks.h"

#define LISTS_SUPERSEDED_MAX 16                              /* lists that were replaced and are still read */
#define LISTS_SUPERSEDED_OCTETS_MAX ((uint64_t)512 << 20)    /* the same in octets on the disk */

struct lists;

/* `folder`: where the files are made; NAME tells those of one gateway apart. */
int lists_new(struct lists **out, struct ca_door *ca, struct asks *asks, const char *folder, const char *name);
void lists_drop(struct lists **lists);

/* The list in force of a key, or of a part of its certificates; `*octets` is a reference of the caller's own. 0;
 * CA_CALL_NOT_FOUND; CA_CALL_BUSY: none is at hand, and the core is asked already or does not answer; negative. */
int lists_get(struct lists *all, unsigned key, unsigned partition, struct ca_crl *info, struct http_octets **octets);

/* What slow readers keep: lists that were replaced. */
size_t lists_count_superseded(struct lists *all);
