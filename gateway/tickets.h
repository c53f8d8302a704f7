/* The keys of TLS session tickets (RFC 5077, RFC 8446 4.6.1), one ring for all listeners and loops of the process.
 *
 * A ticket is good on every loop, and after its listener got a new certificate. Keys are random and live in memory
 * only: a new one each 12 hours, the two before it are still accepted, older ones are wiped by the next handshake. So
 * what is recorded of a TLS 1.2 connection that was resumed cannot be read with what is found here 36 hours later.
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

struct gw_tickets;

struct gw_ticket_key {
	uint8_t name[16];   /* stands in the ticket */
	uint8_t cipher[32]; /* AES-256-CBC */
	uint8_t mac[32];    /* HMAC-SHA-256 */
};

/* 0, -ENOMEM, -EIO without random octets. */
int gw_tickets_new(struct gw_tickets **out, int64_t now_ms);
void gw_tickets_drop(struct gw_tickets **tickets);

/* A copy of the key for new tickets; wipe it after use. 0; -EIO when a new one is due and there are no random octets.
 */
int gw_tickets_get(struct gw_tickets *tickets, int64_t now_ms, struct gw_ticket_key *out);

/* A copy of the key of this name; wipe it after use. 0; GW_TICKETS_OLD: it is good, and the client is to get a ticket
 * of the newest key; GW_TICKETS_UNKNOWN; -EIO as above. */
enum { GW_TICKETS_OLD = 1, GW_TICKETS_UNKNOWN = 2 };
int gw_tickets_find(struct gw_tickets *tickets, const uint8_t name[static 16], int64_t now_ms,
		    struct gw_ticket_key *out);
