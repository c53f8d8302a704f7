/* A TLS client without sockets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/gateway/tls_dialogue.h"

#include "tests/test.h"
#include "tests/unit/gateway/tls_client.h"

struct ssl_ctx_st *dialogue_context(struct gw_tickets *tickets, const char *name)
{
	OWNED_BUF certificate = BUF_INIT(65536), key = BUF_INIT(65536);
	struct ssl_ctx_st *context;
	char why[256];

	assert_true(tls_client_certificate("ca.example", 10, &certificate, &key));
	assert_int_equal(gw_tls_context_new(&context, buf_bytes(&certificate), buf_bytes(&key), why, sizeof(why)), 0);
	if (tickets)
		assert_int_equal(gw_tls_context_share_tickets(context, tickets, name), 0);
	return context;
}

void dialogue_begin(struct dialogue *d, struct ssl_ctx_st *server, int version, const char *groups)
{
	*d = (struct dialogue){ 0 };
	assert_int_equal(gw_tls_new(&d->server, server, false), 0);
	d->context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(d->context, version);
	SSL_CTX_set_max_proto_version(d->context, version);
	if (groups)
		assert_int_equal(SSL_CTX_set1_groups_list(d->context, groups), 1);
	d->client = SSL_new(d->context);
	d->in = BIO_new(BIO_s_mem());
	d->out = BIO_new(BIO_s_mem());
	SSL_set_bio(d->client, d->in, d->out);
	SSL_set_connect_state(d->client);
}

void dialogue_end(struct dialogue *d)
{
	SSL_shutdown(d->client); /* a session that ends badly is not resumed */
	SSL_free(d->client);
	SSL_CTX_free(d->context);
	gw_tls_drop(&d->server);
}

void dialogue_carry(struct dialogue *d)
{
	OWNED_BUF back = BUF_INIT(1 << 20);
	uint8_t piece[DIALOGUE_PIECE];
	int n, r = 0;

	while ((n = BIO_read(d->out, piece, sizeof(piece))) > 0)
		assert_int_equal(gw_tls_feed(d->server, bytes_of(piece, (size_t)n)), 0);
	if (!gw_tls_is_ready(d->server))
		r = gw_tls_handshake(d->server);
	if (!r)
		r = gw_tls_read(d->server, d->heard, sizeof(d->heard), &d->n_heard);
	d->is_broken |= r < 0;
	assert_int_equal(gw_tls_take(d->server, &back), 0);
	BIO_write(d->in, back.ptr, (int)back.len);
}

bool dialogue_shake_hands(struct dialogue *d)
{
	uint8_t piece[DIALOGUE_PIECE];
	int i;

	for (i = 0; i < 10 && !d->is_broken; i++) {
		SSL_do_handshake(d->client);
		dialogue_carry(d);
	}
	SSL_read(d->client, piece, sizeof(piece));
	return !d->is_broken && SSL_is_init_finished(d->client);
}
