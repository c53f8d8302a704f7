/* Where intermediaries of other machines come in: a TCP socket, and a handshake in which both sides know each other's
 * certificate (core/wire/tls_relay.h).
 *
 * Who has not ended its handshake costs a thread of a few: it has 2 s, and an address has at most 4 such connections
 * (of IPv6 the network, /64), so that one that stays silent keeps no other out. Those that send nothing stay in the
 * kernel at first. When all places are taken, further connections are closed at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/binding.h"

struct tls_door;

/* Rows of `core: listen:`. */
extern const struct conf_option tls_door_rows[];

/* Is there such a door, and is what the section says complete? 0; -EINVAL with `error`. */
int tls_door_check(const struct conf_section *listen, struct conf_error *error);

/* A peer that was let in: `plain` is taken; `who` is for the log. On a thread of the door. */
typedef void tls_door_enter(void *arg, int take_plain, const struct binding *by, const char *who);

/* Listen; -1 in `*fd` when the section names no port. 0; negative with `error`. */
int tls_door_listen(int *fd, const struct conf_section *listen, struct conf_error *error);

/* Serve the listening socket `fd`, which stays the caller's. The bindings must outlive the door. 0; negative with
 * `error`. */
int tls_door_start(struct tls_door **out, int fd, const struct conf_section *listen, const struct bindings *bindings,
		   tls_door_enter *enter, void *arg, struct conf_error *error);

/* To be polled for reading, then accept what is there. */
int tls_door_fd(const struct tls_door *door);
void tls_door_accept(struct tls_door *door);

/* Waits for handshakes under way and ends all connections. */
void tls_door_stop(struct tls_door **door);
