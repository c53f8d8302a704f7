/* A TLS client at the other end of two buffers, and its certificates; for tests of gateway/tls.c without sockets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>

#include "gateway/tls.h"

#define DIALOGUE_PIECE 16384

struct dialogue {
	struct gw_tls *server;
	SSL_CTX *context;
	SSL *client;
	BIO *in, *out;
	uint8_t heard[DIALOGUE_PIECE]; /* by the server's application */
	size_t n_heard;
	bool is_broken;
};

/* A server's context with a certificate of its own; `tickets` may be NULL. */
struct ssl_ctx_st *dialogue_context(struct gw_tickets *tickets, const char *name);

/* `groups`: NULL for the client's own choice. */
void dialogue_begin(struct dialogue *d, struct ssl_ctx_st *server, int version, const char *groups);
void dialogue_end(struct dialogue *d);

/* What the client said to the server, and back. */
void dialogue_carry(struct dialogue *d);

/* Until both are done, and the client took its ticket. False: they do not agree. */
bool dialogue_shake_hands(struct dialogue *d);
