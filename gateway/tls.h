/* TLS without sockets: octets of the network in, octets of the application out, and back.
 *
 * TLS 1.2 and 1.3, no renegotiation, no compression, no early data, ALPN h2 and http/1.1. A context holds
 * certificate, chain and key and is shared by connections; a connection keeps the context it began with, so a
 * listener may change to a new certificate while connections live.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "gateway/tickets.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct gw_tls;     /* one connection */

/* From PEM text: the certificate and its chain, and the key that belongs to it. 0; -EINVAL with a sentence in `why`.
 */
int gw_tls_context_new(struct ssl_ctx_st **out, struct bytes chain, struct bytes key, char *why, size_t why_size);

/* Tickets of the context are made with these keys, and are good in each other context of the same name that uses them.
 * Before connections use it; the keys must outlive those. 0; -EIO. */
int gw_tls_context_share_tickets(struct ssl_ctx_st *context, struct gw_tickets *tickets, const char *name);

/* Append its certificate and chain (DER, one after the other), and its key (PKCS#8). 0; -EIO; -EMSGSIZE; -ENOMEM. */
int gw_tls_context_print(struct ssl_ctx_st *context, struct buf *chain, struct buf *key);

struct ssl_ctx_st *gw_tls_context_ref(struct ssl_ctx_st *context); /* returns it; NULL stays NULL */
void gw_tls_context_drop(struct ssl_ctx_st **context);

/* Takes a reference of the context. `http1_only`: h2 is not offered; it never is where the context asks for a client
 * certificate. 0 or -ENOMEM. */
int gw_tls_new(struct gw_tls **out, struct ssl_ctx_st *context, bool http1_only);
void gw_tls_drop(struct gw_tls **tls);

/* Go on with the handshake: 0: it is over, GW_TLS_MORE, -EPROTO as for gw_tls_read(). */
int gw_tls_handshake(struct gw_tls *tls);
bool gw_tls_is_ready(const struct gw_tls *tls); /* it is over */
bool gw_tls_is_h2(const struct gw_tls *tls);    /* and HTTP/2 was agreed on */

/* Octets from the network. 0 or -ENOMEM. */
int gw_tls_feed(struct gw_tls *tls, struct bytes data);

/* Octets for the application; does the handshake on the way. 0 with `*n` > 0; GW_TLS_MORE: feed more;
 * GW_TLS_CLOSED: the client ended the connection; -EPROTO: broken, what gw_tls_take() gives tells the client why. */
enum { GW_TLS_MORE = 1, GW_TLS_CLOSED = 2 };
int gw_tls_read(struct gw_tls *tls, uint8_t *room, size_t size, size_t *n);

/* Octets of the application; after the handshake only. 0 or -EPROTO. */
int gw_tls_write(struct gw_tls *tls, struct bytes data);

/* Say that nothing more comes. */
void gw_tls_close(struct gw_tls *tls);

/* Append what the network is to get. 0, -ENOMEM, -EMSGSIZE. */
int gw_tls_take(struct gw_tls *tls, struct buf *out);
