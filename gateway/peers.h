/* How many connections each client address has: one client must not take the places of all.
 *
 * An IPv6 client is known by its /64: everything below belongs to one subscriber.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/socket.h>

struct gw_peers;

struct gw_peer_key {
	uint8_t octets[16]; /* 0: not counted */
};

/* `limit` connections an address; 0: no limit. 0 or -ENOMEM. */
int gw_peers_new(struct gw_peers **out, unsigned limit);
void gw_peers_drop(struct gw_peers **p);

/* Count one more. False when the address has as many as it may; `key` is for gw_peers_leave() then too. */
bool gw_peers_enter(struct gw_peers *p, const struct sockaddr *address, struct gw_peer_key *key);
void gw_peers_leave(struct gw_peers *p, struct gw_peer_key *key);
