/* A TLS client and a throw-away certificate for tests; apart from the tests because OpenSSL's names and those of
 * core/base/conf.h do not go together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* A self-signed P-256 certificate for `name`, valid for `days`, and its key, both PEM. False on failure. */
bool tls_client_certificate(const char *name, int days, struct buf *certificate, struct buf *key);

/* What a CA does, in short: certify the key and the names of a PKCS#10 (DER), from `from` to `to` seconds after now.
 * Appends DER. */
bool tls_client_sign(struct bytes request, struct bytes ca_certificate, struct bytes ca_key, long from, long to,
		     struct buf *certificate);
/* PEM to DER. */
bool tls_client_der(struct bytes pem, struct buf *der);

struct tls_client;

/* Handshake over a connected socket, offering `protocols` (ALPN wire format; NULL: none). NULL when it fails. */
struct tls_client *tls_client_new(int fd, int max_version, const char *protocols);
void tls_client_drop(struct tls_client **client);

/* What such a client says first, appended. */
bool tls_client_hello(struct buf *out);

bool tls_client_write(struct tls_client *client, const char *text);
bool tls_client_send(struct tls_client *client, struct bytes data);
long tls_client_read(struct tls_client *client, char *out, size_t size);
const char *tls_client_version(const struct tls_client *client);
/* TLS records with data that came in, tickets of TLS 1.3 included. */
unsigned tls_client_records(const struct tls_client *client);
/* What ALPN agreed on; "" for nothing. Lives until the next call. */
const char *tls_client_protocol(const struct tls_client *client);
/* The common name of the server's certificate; the caller frees it. */
char *tls_client_peer_name(const struct tls_client *client);
