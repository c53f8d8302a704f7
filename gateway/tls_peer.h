/* Who is at the other end of a TLS connection: the certificates that a client showed, and values that only the two ends
 * of this connection know.
 *
 * A client that is asked may show any certificate or none. The handshake proves that it has the key and says nothing
 * else of it: whether it is trusted, valid or known is judged for each request by who knows what it is for. It fails
 * only over what cannot be used at all: more than GW_TLS_CERTIFICATES_MAX octets or GW_TLS_DEPTH_MAX certificates, both
 * refused before one is read, octets that are no certificate, a key with which nothing was signed or whose signature
 * costs too much to check.
 *
 * A session that is resumed is the same client: certificate and chain are in its ticket, under the key of tickets. One
 * whose certificates have more than GW_TLS_TICKET_MAX octets gets no ticket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <stdbool.h>

#define GW_TLS_CERTIFICATES_MAX 16384 /* octets of the client's list of certificates */
#define GW_TLS_DEPTH_MAX 10           /* certificates in it */
#define GW_TLS_TICKET_MAX 8192        /* octets of certificates in a ticket */
#define GW_TLS_UNIQUE_MAX 64          /* octets of a Finished message; 12 with all that is agreed on here */
#define GW_TLS_EXPORTER_SIZE 32

struct ssl_ctx_st;
struct gw_tls;

struct gw_tls_peer {
	struct bytes certificate; /* DER, the client's own; empty: it showed none */
	struct bytes chain;       /* DER, those that it sent behind it, one after the other */
	struct bytes unique;      /* tls-unique (RFC 5929 3); empty with TLS 1.3, and where another connection may have
				   * the same: a resumed session without extended master secret (RFC 7627) */
	struct bytes exporter;    /* tls-exporter (RFC 9266); empty with TLS 1.2 without extended master secret */
};

/* Distinguished names of authorities. */
struct gw_tls_names;

/* The subjects of the certificates in a PEM text. 0, -ENOMEM; -EINVAL with a sentence in `why`: there is none, one
 * cannot be read, or they are more than a client could be told. */
int gw_tls_names_new(struct gw_tls_names **out, struct bytes pem, char *why, size_t why_size);
void gw_tls_names_drop(struct gw_tls_names **names);

/* Ask each client for a certificate, and tell it to choose by these issuers; NULL: whichever it has. Before
 * connections use the context; after gw_tls_context_share_tickets(). 0 or -ENOMEM. */
int gw_tls_context_ask(struct ssl_ctx_st *context, const struct gw_tls_names *names);

/* After the handshake, on the thread of the connection. Lives as long as `tls`. 0; -ENOMEM; -EIO without the values of
 * the channel. */
int gw_tls_get_peer(struct gw_tls *tls, const struct gw_tls_peer **out);

/* Did the client show a certificate, in this handshake or in the one whose session it resumed? */
bool gw_tls_has_certificate(const struct gw_tls *tls);
bool gw_tls_is_resumed(const struct gw_tls *tls);

/* For the key of a new ticket: false when the session must not get one. */
bool gw_tls_may_keep(const struct gw_tls *tls);
