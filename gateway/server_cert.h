/* The certificates of the gateway's own TLS listeners.
 *
 * The gateway submits like anyone: endpoint `internal`, profile `gateway-tls`, the names of the listener as evidence
 * `local-config`. Policy is asked, the request stands in the queue if it is held, and until it is issued the listener
 * stays closed and health says so. Attempts go on with a back-off from 1 to 60 s. Key and certificate are kept in the
 * gateway's data folder (0600) and used again after a restart; after two thirds of its life a certificate is renewed
 * with a new key, and connections that are open keep the old one. A listener with `certificate:` and `key:` files
 * uses those, and reads them again when they change.
 *
 * One thread does all this.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"
#include "gateway/loop.h"

struct gw_certs;

/* `folder` is the gateway's data folder. 0 or -errno. */
int gw_certs_new(struct gw_certs **out, struct gw_server *server, const char *folder);

/* The listener gets its certificate from `ca`. Takes the door, also on failure. 0 or -ENOMEM. */
int gw_certs_add(struct gw_certs *certs, struct gw_listener *listener, struct ca_door *take_ca);

/* The listener has files. 0 or -ENOMEM. */
int gw_certs_add_files(struct gw_certs *certs, struct gw_listener *listener, const char *certificate,
		       const char *key);

/* Try each once, then go on in a thread. 0; -EINVAL with a sentence in `why` when files cannot be used; -errno. */
int gw_certs_start(struct gw_certs *certs, char *why, size_t why_size);

/* Ends the thread: no listener is opened and nothing is submitted any more. Before the server stops. Idempotent. */
void gw_certs_stop(struct gw_certs *certs);
void gw_certs_drop(struct gw_certs **certs);

/* One line a listener; false when one has no certificate or an expired one. */
bool gw_certs_health(struct gw_certs *certs, struct buf *out);
