/* What each client address may do: one client must not take the places of all, nor the time.
 *
 * An address has so many connections at once. One whose connections are cut as floods again and again may not connect
 * for a while: what a flood costs most is the handshake of its next connection. Three cuts are forgiven, for many
 * clients may stand behind one address; then each cut pauses the address, and each pause that passes forgives one.
 *
 * An IPv6 client is known by its /64: everything below belongs to one subscriber. At most 1,024 addresses are
 * remembered as flooding; when there are more, the one that was nearest to its end is forgotten.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/socket.h>

struct gw_peers;

struct gw_peer_key {
	uint8_t octets[16];
	bool is_counted;
};

/* `limit` connections an address; 0: no limit. `pause_ms`: how long one that floods may not connect; 0: it may.
 * 0 or -ENOMEM. */
int gw_peers_new(struct gw_peers **out, unsigned limit, unsigned pause_ms);
void gw_peers_drop(struct gw_peers **p);

/* One more connection. 0; GW_PEERS_FULL: the address has as many as it may; GW_PEERS_PAUSED: it flooded. `key` is for
 * gw_peers_blame() and gw_peers_leave(), whatever came back. */
enum { GW_PEERS_FULL = 1, GW_PEERS_PAUSED = 2 };
int gw_peers_enter(struct gw_peers *p, const struct sockaddr *address, int64_t now_ms, struct gw_peer_key *key);
void gw_peers_leave(struct gw_peers *p, struct gw_peer_key *key);

/* A connection of this address was cut as a flood. True: this began a pause. */
bool gw_peers_blame(struct gw_peers *p, const struct gw_peer_key *key, int64_t now_ms);
