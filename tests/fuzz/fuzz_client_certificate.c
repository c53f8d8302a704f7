/* Fuzz target: the certificates that a TLS client shows.
 *
 * With TLS 1.2 they come before anything is encrypted: after the hello of a client, the input is what its Certificate
 * message has in it. Nobody signs anything, so no handshake ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/tls.h"
#include "gateway/tls_peer.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void take_octets(BIO *bio, struct buf *out)
{
	char *octets;
	long n = BIO_get_mem_data(bio, &octets);

	must(n > 0 && buf_append(out, bytes_of(octets, (size_t)n)) == 0);
	BIO_free(bio);
}

static struct ssl_ctx_st *make_server(void)
{
	OWNED_BUF certificate = BUF_INIT(65536), key = BUF_INIT(65536);
	BIO *certificate_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	struct ssl_ctx_st *server;
	X509 *x = X509_new();
	char why[256];

	must(x && pkey && X509_gmtime_adj(X509_getm_notBefore(x), 0) && X509_gmtime_adj(X509_getm_notAfter(x), 3600) &&
	     X509_set_pubkey(x, pkey) && X509_sign(x, pkey, EVP_sha256()) && PEM_write_bio_X509(certificate_bio, x) &&
	     PEM_write_bio_PrivateKey(key_bio, pkey, NULL, NULL, 0, NULL, NULL));
	take_octets(certificate_bio, &certificate);
	take_octets(key_bio, &key);
	must(!gw_tls_context_new(&server, buf_bytes(&certificate), buf_bytes(&key), why, sizeof(why)) &&
	     !gw_tls_context_ask(server, NULL));
	X509_free(x);
	EVP_PKEY_free(pkey);
	return server;
}

static void make_hello(struct buf *out)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	BIO *said = BIO_new(BIO_s_mem());
	SSL *client;

	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	client = SSL_new(context);
	BIO_up_ref(said);
	SSL_set_bio(client, BIO_new(BIO_s_mem()), said);
	SSL_connect(client);
	take_octets(said, out);
	SSL_free(client);
	SSL_CTX_free(context);
}

/* A handshake message in records. */
static void feed_message(struct gw_tls *tls, uint8_t type, struct bytes body)
{
	OWNED_BUF message = BUF_INIT(1 << 20);
	uint8_t head[4] = { type, (uint8_t)(body.len >> 16), (uint8_t)(body.len >> 8), (uint8_t)body.len };
	size_t at, n;

	must(buf_append(&message, bytes_of(head, sizeof(head))) == 0 && buf_append(&message, body) == 0);
	for (at = 0; at < message.len; at += n) {
		n = message.len - at < SSL3_RT_MAX_PLAIN_LENGTH ? message.len - at : SSL3_RT_MAX_PLAIN_LENGTH;
		uint8_t record[5] = { SSL3_RT_HANDSHAKE, 3, 3, (uint8_t)(n >> 8), (uint8_t)n };

		must(gw_tls_feed(tls, bytes_of(record, sizeof(record))) == 0 &&
		     gw_tls_feed(tls, bytes_of(message.ptr + at, n)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ssl_ctx_st *server;
	static struct buf hello = BUF_INIT(65536);
	struct gw_tls *tls;
	int r;

	if (!server) {
		server = make_server();
		make_hello(&hello);
	}
	must(gw_tls_new(&tls, server, true) == 0 && gw_tls_feed(tls, buf_bytes(&hello)) == 0 &&
	     gw_tls_handshake(tls) == GW_TLS_MORE);
	feed_message(tls, SSL3_MT_CERTIFICATE, bytes_of(data, size));
	r = gw_tls_handshake(tls);
	must((r == GW_TLS_MORE || r == -EPROTO) && !gw_tls_is_ready(tls));
	gw_tls_drop(&tls);
	return 0;
}
