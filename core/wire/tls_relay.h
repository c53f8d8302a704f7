/* TLS between two processes that know each other's certificate, as a relay: a thread of its own moves octets between a
 * TCP connection and one end of a socketpair, so that whoever has the other end sees a plain stream socket.
 *
 * TLS 1.3 only. Each side shows a certificate, and each accepts exactly the certificates that were pinned by their
 * SHA-256: no path is built, and neither names nor dates are looked at. A pinned certificate is a public key with a
 * name on it; it stops being good when it is taken out of the configuration. No sessions are resumed.
 *
 * The process ignores SIGPIPE.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/digest.h"

/* Of a handshake. Who connects may have to wait for a place first. */
#define TLS_RELAY_SERVER_MS 2000
#define TLS_RELAY_CLIENT_MS 5000
#define TLS_RELAY_WHY_SIZE 256

struct tls_relay; /* our certificate, whom we know, and the connections under way */

struct tls_relay_options {
	const char *certificate, *key; /* PEM files; nobody but their owner may read the key */
	/* Is this the SHA-256 of a certificate that we know? Called on any thread. */
	bool (*is_known)(void *arg, const uint8_t fingerprint[static SHA256_SIZE]);
	void *arg;
};

/* 0; -EINVAL with a sentence in `why`; -ENOMEM. */
int tls_relay_new(struct tls_relay **out, const struct tls_relay_options *options, char why[static TLS_RELAY_WHY_SIZE]);

/* Ends all connections and waits for their threads. Nobody may be in tls_relay_join(). */
void tls_relay_drop(struct tls_relay **r);

enum tls_relay_side { TLS_RELAY_CLIENT, TLS_RELAY_SERVER };

/* Do the handshake on a connected TCP socket, within the time of its side, and relay from then on. Takes `fd`. 0 with
 * the plain end, which is the caller's, and the certificate of the other side; -ETIMEDOUT; -EACCES: not TLS 1.3, or not
 * somebody we know; -errno; each with a sentence in `why`. A client that is not known to its server hears so when it
 * reads: the plain end is at its end then. */
int tls_relay_join(struct tls_relay *r, int take_fd, enum tls_relay_side side, int *plain,
		   uint8_t fingerprint[static SHA256_SIZE], char why[static TLS_RELAY_WHY_SIZE]);
