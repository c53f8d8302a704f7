/* TLS through memory BIOs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "gateway/tls_int.h"

/* Only forward secrecy with authenticated encryption; TLS 1.3 has nothing else. */
#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS "X25519:P-256:P-384"

/* A certificate of the client belongs to one request; over HTTP/2 it could not be asked for later, and other streams
 * would share it (RFC 9113 9.2.3, RFC 8740): where one may be asked for, h2 is never offered. */
static bool offers_h2(SSL *ssl)
{
	const struct gw_tls *tls = SSL_get_app_data(ssl);

	return !tls->http1_only && SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE;
}

/* A client that offers only other protocols is told so (RFC 7301 3.2); one that offers none gets HTTP/1.1. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
			   unsigned in_len, void *arg)
{
	static const unsigned char all[] = "\x02h2\x08http/1.1", h2_len = 3;
	const unsigned char *ours = offers_h2(ssl) ? all : all + h2_len;
	unsigned n = (unsigned)(all + sizeof(all) - 1 - ours);

	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, n, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static int fail(char *why, size_t why_size, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	snprintf(why, why_size, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return -EINVAL;
}

/* The first certificate is the server's, the others are its chain. */
static int use_chain(SSL_CTX *context, struct bytes pem, char *why, size_t why_size)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	int r = 0;

	if (!cert || SSL_CTX_use_certificate(context, cert) != 1)
		r = fail(why, why_size, "the certificate cannot be used");
	X509_free(cert);
	while (!r && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (SSL_CTX_add0_chain_cert(context, cert) != 1) {
			X509_free(cert);
			r = fail(why, why_size, "the chain cannot be used");
		}
	}
	ERR_clear_error(); /* the end of the text is an error too */
	BIO_free(bio);
	return r;
}

/* An encrypted key must not make OpenSSL ask at the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
	return -1;
}

static int use_key(SSL_CTX *context, struct bytes pem, char *why, size_t why_size)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	int r = 0;

	if (!key)
		r = fail(why, why_size, "the key cannot be read");
	else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
		r = fail(why, why_size, "the key does not belong to the certificate");
	EVP_PKEY_free(key);
	BIO_free(bio);
	return r;
}

static bool set_habits(SSL_CTX *context)
{
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
					     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
	SSL_CTX_set_options(context, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION); /* limits hold for what is on the wire */
#endif
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets only: no state here */
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(context, 1) == 1 && SSL_CTX_set_max_early_data(context, 0) == 1 &&
	       SSL_CTX_set1_groups_list(context, GROUPS) == 1 && SSL_CTX_set_cipher_list(context, CIPHERS_12) == 1;
}

int gw_tls_context_new(struct ssl_ctx_st **out, struct bytes chain, struct bytes key, char *why, size_t why_size)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	int r;

	if (!context)
		return -ENOMEM;
	r = set_habits(context) ? 0 : fail(why, why_size, "TLS cannot be set up");
	if (!r)
		r = use_chain(context, chain, why, why_size);
	if (!r)
		r = use_key(context, key, why, why_size);
	if (r)
		SSL_CTX_free(context);
	else
		*out = context;
	return r;
}

static int print_certificate(X509 *certificate, struct buf *out)
{
	unsigned char *der = NULL;
	int n = certificate ? i2d_X509(certificate, &der) : -1;
	int r = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -EIO;

	OPENSSL_free(der);
	return r;
}

static int print_key(EVP_PKEY *key, struct buf *out)
{
	PKCS8_PRIV_KEY_INFO *info = key ? EVP_PKEY2PKCS8(key) : NULL;
	unsigned char *der = NULL;
	int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	int r = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -EIO;

	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	PKCS8_PRIV_KEY_INFO_free(info);
	return r;
}

int gw_tls_context_print(struct ssl_ctx_st *context, struct buf *chain, struct buf *key)
{
	STACK_OF(X509) *above = NULL;
	int r = print_certificate(SSL_CTX_get0_certificate(context), chain);

	SSL_CTX_get0_chain_certs(context, &above);
	for (int i = 0; !r && i < sk_X509_num(above); i++)
		r = print_certificate(sk_X509_value(above, i), chain);
	if (!r)
		r = print_key(SSL_CTX_get0_privatekey(context), key);
	ERR_clear_error();
	return r;
}

/* ---- tickets ---- */

static int find_key(SSL *ssl, const unsigned char *name, bool is_new, struct gw_ticket_key *key)
{
	struct gw_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return is_new ? gw_tickets_get(tickets, clock_mono_ms(), key) :
			gw_tickets_find(tickets, name, clock_mono_ms(), key);
}

static bool use_ticket_key(const struct gw_ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			   EVP_MAC_CTX *mac, bool is_new)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
						  sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, is_new) == 1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL asks for the key of a ticket. What it is told: 1: use it; 2: that, and give the client a new ticket; 0: no
 * such key, so a full handshake; negative: none at all. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
		     int is_new)
{
	struct gw_ticket_key key;
	int r = find_key(ssl, name, is_new, &key), answer = r == GW_TICKETS_OLD ? 2 : 1;

	if (r == GW_TICKETS_UNKNOWN || (is_new && !gw_tls_may_keep(SSL_get_app_data(ssl))))
		return 0;
	if (r < 0)
		return -1;
	if (is_new) {
		memcpy(name, key.name, sizeof(key.name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			answer = -1;
	}
	if (!use_ticket_key(&key, iv, cipher, mac, is_new))
		answer = -1;
	explicit_bzero(&key, sizeof(key));
	return answer;
}

int gw_tls_context_share_tickets(struct ssl_ctx_st *context, struct gw_tickets *tickets, const char *name)
{
	uint8_t digest[SHA256_SIZE];

	/* A session of one listener is not one of another, which may ask its clients for other things. */
	if (digest_sha256(bytes_of_str(name), digest) ||
	    SSL_CTX_set_session_id_context(context, digest, sizeof(digest)) != 1)
		return -EIO;
	SSL_CTX_set_app_data(context, tickets);
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1 ? 0 : -EIO;
}

struct ssl_ctx_st *gw_tls_context_ref(struct ssl_ctx_st *context)
{
	if (context)
		SSL_CTX_up_ref(context);
	return context;
}

void gw_tls_context_drop(struct ssl_ctx_st **context)
{
	SSL_CTX_free(*context);
	*context = NULL;
}

int gw_tls_new(struct gw_tls **out, struct ssl_ctx_st *context, bool http1_only)
{
	struct gw_tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return -ENOMEM;
	tls->ssl = SSL_new(context);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (!tls->ssl || !tls->in || !tls->out) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		SSL_free(tls->ssl);
		free(tls);
		return -ENOMEM;
	}
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_accept_state(tls->ssl);
	SSL_set_app_data(tls->ssl, tls);
	tls->http1_only = http1_only;
	tls->certificates = BUF_INIT(GW_TLS_CERTIFICATES_MAX);
	*out = tls;
	return 0;
}

void gw_tls_drop(struct gw_tls **tls)
{
	if (!*tls)
		return;
	SSL_free((*tls)->ssl);
	buf_fini(&(*tls)->certificates);
	free(*tls);
	*tls = NULL;
}

bool gw_tls_is_ready(const struct gw_tls *tls)
{
	return SSL_is_init_finished(tls->ssl);
}

bool gw_tls_is_h2(const struct gw_tls *tls)
{
	const unsigned char *protocol = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(tls->ssl, &protocol, &len);
	return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

int gw_tls_handshake(struct gw_tls *tls)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(tls->ssl);
	if (r == 1)
		return 0;
	return SSL_get_error(tls->ssl, r) == SSL_ERROR_WANT_READ ? GW_TLS_MORE : -EPROTO;
}

int gw_tls_feed(struct gw_tls *tls, struct bytes data)
{
	return BIO_write(tls->in, data.ptr, (int)data.len) == (int)data.len ? 0 : -ENOMEM;
}

int gw_tls_read(struct gw_tls *tls, uint8_t *room, size_t size, size_t *n)
{
	ERR_clear_error();
	if (SSL_read_ex(tls->ssl, room, size, n) == 1)
		return 0;
	switch (SSL_get_error(tls->ssl, 0)) {
	case SSL_ERROR_WANT_READ:
		return GW_TLS_MORE;
	case SSL_ERROR_ZERO_RETURN:
		return GW_TLS_CLOSED;
	default:
		return -EPROTO;
	}
}

int gw_tls_write(struct gw_tls *tls, struct bytes data)
{
	size_t n;

	ERR_clear_error();
	return SSL_write_ex(tls->ssl, data.ptr, data.len, &n) == 1 && n == data.len ? 0 : -EPROTO;
}

void gw_tls_close(struct gw_tls *tls)
{
	ERR_clear_error();
	if (SSL_is_init_finished(tls->ssl))
		SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

int gw_tls_take(struct gw_tls *tls, struct buf *out)
{
	char *octets;
	long n = BIO_get_mem_data(tls->out, &octets);
	int r = n > 0 ? buf_append(out, bytes_of(octets, (size_t)n)) : 0;

	if (n > 0)
		(void)BIO_reset(tls->out);
	return r;
}
