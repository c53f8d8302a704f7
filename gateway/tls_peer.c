/* Certificates of clients, and bindings to the channel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/tls_peer.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/tls_int.h"

/* RFC 9266 2 */
#define EXPORTER_LABEL "EXPORTER-Channel-Binding"

/* What a client may sign its handshake with. DSA is not among them: its keys choose what checking them costs. */
#define CLIENT_SIGNATURES \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:" \
	"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:" \
	"rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512"

/* The curves of such keys. TLS 1.2 has one list for them and for the key exchange, where only quick ones are taken. */
#define CLIENT_CURVES_12 "P-256:P-384:P-521:brainpoolP256r1:brainpoolP384r1:brainpoolP512r1"

/* Keys beyond these cost more to check a signature with than all the rest of a handshake. */
#define RSA_BITS_MAX 8192
#define RSA_EXPONENT_BITS_MAX 64

#define NAMES_MAX 16384 /* octets; a client reads them in each handshake */

/* ---- who is asked for ---- */

struct gw_tls_names {
	STACK_OF(X509_NAME) *list;
};

static int refuse_names(char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "%s", what);
	ERR_clear_error();
	return -EINVAL;
}

static int add_names(STACK_OF(X509_NAME) *list, BIO *pem, char *why, size_t why_size)
{
	size_t octets = 0;
	X509_NAME *name;
	X509 *x;

	while ((x = PEM_read_bio_X509(pem, NULL, NULL, NULL)) != NULL) {
		name = X509_NAME_dup(X509_get_subject_name(x));
		X509_free(x);
		if (!name || !sk_X509_NAME_push(list, name)) {
			X509_NAME_free(name);
			return -ENOMEM;
		}
		octets += 2 + (size_t)i2d_X509_NAME(name, NULL);
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return refuse_names(why, why_size, "one of its certificates cannot be read");
	if (sk_X509_NAME_num(list) == 0)
		return refuse_names(why, why_size, "there is no certificate in it");
	if (octets > NAMES_MAX)
		return refuse_names(why, why_size, "there are too many certificates in it: their subjects have more "
						   "than 16384 octets");
	ERR_clear_error();
	return 0;
}

int gw_tls_names_new(struct gw_tls_names **out, struct bytes pem, char *why, size_t why_size)
{
	struct gw_tls_names *names = calloc(1, sizeof(*names));
	BIO *bio = BIO_new_mem_buf(pem.ptr ? pem.ptr : (const uint8_t *)"", (int)pem.len);
	int r = -ENOMEM;

	if (names && bio && (names->list = sk_X509_NAME_new_null()) != NULL)
		r = add_names(names->list, bio, why, why_size);
	BIO_free(bio);
	if (r)
		gw_tls_names_drop(&names);
	else
		*out = names;
	return r;
}

void gw_tls_names_drop(struct gw_tls_names **names)
{
	if (!*names)
		return;
	sk_X509_NAME_pop_free((*names)->list, X509_NAME_free);
	free(*names);
	*names = NULL;
}

/* ---- during the handshake ---- */

static size_t number_at(const uint8_t *p, size_t octets)
{
	size_t n = 0;

	while (octets--)
		n = n << 8 | *p++;
	return n;
}

/* Of a list as it comes (RFC 5246 7.4.2, RFC 8446 4.4.2), up to its end or to what is none. */
static int count_certificates(const uint8_t *p, size_t left, bool has_extensions)
{
	size_t n;
	int count = 0;

	for (; left >= 3; p += n, left -= n, count++) {
		n = 3 + number_at(p, 3);
		if (has_extensions && n + 2 <= left)
			n += 2 + number_at(p + n, 2);
		if (n > left)
			break;
	}
	return count;
}

/* OpenSSL reads all certificates of a list, each in 0.2 ms, before it asks about any, and has no limit for how many. It
 * shows a message before it reads it: of a list that is too long the length is made one that no message has. */
static void limit_depth(int is_sent, int version, int type, const void *message, size_t size, SSL *ssl, void *arg)
{
	uint8_t *list = (uint8_t *)(uintptr_t)message + SSL3_HM_HEADER_LENGTH;
	const uint8_t *end = (const uint8_t *)message + size;
	bool is_13 = SSL_version(ssl) >= TLS1_3_VERSION;

	if (is_sent || type != SSL3_RT_HANDSHAKE || size < SSL3_HM_HEADER_LENGTH + 4 ||
	    *(const uint8_t *)message != SSL3_MT_CERTIFICATE)
		return;
	if (is_13)
		list += 1 + *list; /* the context of the request */
	if (list + 3 > end || count_certificates(list + 3, (size_t)(end - list) - 3, is_13) <= GW_TLS_DEPTH_MAX)
		return;
	memset(list, 0xff, 3);
}

static bool is_cheap(EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	bool is;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA_PSS)
		return true;
	is = EVP_PKEY_get_bits(key) <= RSA_BITS_MAX && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
	     BN_num_bits(e) <= RSA_EXPONENT_BITS_MAX;
	BN_free(e);
	return is;
}

static size_t count_octets(const STACK_OF(X509) *sent)
{
	size_t octets = 0;
	int i;

	for (i = 0; i < sk_X509_num(sent); i++)
		octets += (size_t)i2d_X509(sk_X509_value(sent, i), NULL);
	return octets;
}

/* In place of building a path. What OpenSSL does after this is to check the signature of the handshake. */
static int take_any(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
	struct gw_tls *tls = SSL_get_app_data(ssl);
	EVP_PKEY *key = X509_get0_pubkey(X509_STORE_CTX_get0_cert(store));

	if (key && !is_cheap(key)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	tls->keeps_no_ticket = count_octets(sent) > GW_TLS_TICKET_MAX;
	if (tls->keeps_no_ticket)
		SSL_set_num_tickets(ssl, 0); /* TLS 1.3; for TLS 1.2 there is gw_tls_may_keep() */
	/* The key exchange of TLS 1.2 is over by now. */
	if (SSL_version(ssl) < TLS1_3_VERSION)
		SSL_set1_groups_list(ssl, CLIENT_CURVES_12);
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static int append_chain(const STACK_OF(X509) *chain, struct buf *out)
{
	unsigned char *der;
	int i, n, r = 0;

	for (i = 0; i < sk_X509_num(chain) && !r; i++) {
		der = NULL;
		n = i2d_X509(sk_X509_value(chain, i), &der);
		r = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -ENOMEM;
		OPENSSL_free(der);
	}
	return r;
}

/* OpenSSL puts the client's own certificate into a ticket and leaves out those behind it. A session that was resumed
 * hands on what its ticket had. 1, or 0 without memory, which ends the handshake. */
static int keep_chain(SSL *ssl, void *arg)
{
	OWNED_BUF chain = BUF_INIT(GW_TLS_TICKET_MAX);

	if (SSL_session_reused(ssl) || !gw_tls_may_keep(SSL_get_app_data(ssl)))
		return 1;
	return append_chain(SSL_get_peer_cert_chain(ssl), &chain) == 0 &&
	       (chain.len == 0 || SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), chain.ptr, chain.len) == 1);
}

bool gw_tls_may_keep(const struct gw_tls *tls)
{
	return !tls->keeps_no_ticket;
}

int gw_tls_context_ask(struct ssl_ctx_st *context, const struct gw_tls_names *names)
{
	STACK_OF(X509_NAME) *copy = names ? SSL_dup_CA_list(names->list) : NULL;

	if ((names && !copy) || SSL_CTX_set1_client_sigalgs_list(context, CLIENT_SIGNATURES) != 1 ||
	    SSL_CTX_set_session_ticket_cb(context, keep_chain, NULL, NULL) != 1) {
		sk_X509_NAME_pop_free(copy, X509_NAME_free);
		return -ENOMEM;
	}
	if (copy)
		SSL_CTX_set_client_CA_list(context, copy);
	SSL_CTX_set_msg_callback(context, limit_depth);
	SSL_CTX_set_max_cert_list(context, GW_TLS_CERTIFICATES_MAX);
	SSL_CTX_set_cert_verify_callback(context, take_any, NULL);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return 0;
}

/* ---- after the handshake ---- */

bool gw_tls_has_certificate(const struct gw_tls *tls)
{
	return SSL_get0_peer_certificate(tls->ssl) != NULL;
}

bool gw_tls_is_resumed(const struct gw_tls *tls)
{
	return SSL_session_reused(tls->ssl) == 1;
}

static int append_resumed_chain(struct gw_tls *tls)
{
	void *kept = NULL;
	size_t n = 0;

	SSL_SESSION_get0_ticket_appdata(SSL_get_session(tls->ssl), &kept, &n);
	return buf_append(&tls->certificates, bytes_of(kept, n));
}

static int describe_certificates(struct gw_tls *tls)
{
	X509 *own = SSL_get0_peer_certificate(tls->ssl);
	unsigned char *der = NULL;
	size_t own_len;
	int n, r;

	if (!own)
		return 0;
	n = i2d_X509(own, &der);
	r = n > 0 ? buf_append(&tls->certificates, bytes_of(der, (size_t)n)) : -ENOMEM;
	OPENSSL_free(der);
	own_len = tls->certificates.len;
	if (!r)
		r = gw_tls_is_resumed(tls) ? append_resumed_chain(tls) :
					     append_chain(SSL_get_peer_cert_chain(tls->ssl), &tls->certificates);
	if (r)
		return r;
	tls->peer.certificate = bytes_of(tls->certificates.ptr, own_len);
	tls->peer.chain = bytes_of(tls->certificates.ptr + own_len, tls->certificates.len - own_len);
	return 0;
}

/* The first Finished message of the handshake: the client's, but the server's in a resumed one. Without extended
 * master secret whoever is in the middle of two connections can make the master secrets of both the same, and then the
 * Finished messages of both resumed sessions are too (the triple handshake, RFC 7627 1). */
static void describe_bindings(struct gw_tls *tls)
{
	bool is_12 = SSL_version(tls->ssl) < TLS1_3_VERSION, is_resumed = gw_tls_is_resumed(tls);
	bool is_extended = !is_12 || SSL_get_extms_support(tls->ssl) == 1;
	size_t n = 0;

	if (is_12 && (is_extended || !is_resumed))
		n = is_resumed ? SSL_get_finished(tls->ssl, tls->unique, sizeof(tls->unique)) :
				 SSL_get_peer_finished(tls->ssl, tls->unique, sizeof(tls->unique));
	if (n <= sizeof(tls->unique))
		tls->peer.unique = bytes_of(tls->unique, n);
	/* The context is an empty one, not none: TLS 1.2 tells them apart (RFC 5705 4). */
	if (is_extended && SSL_export_keying_material(tls->ssl, tls->exporter, sizeof(tls->exporter), EXPORTER_LABEL,
						      strlen(EXPORTER_LABEL), (const unsigned char *)"", 0, 1) == 1)
		tls->peer.exporter = bytes_of(tls->exporter, sizeof(tls->exporter));
	ERR_clear_error();
}

int gw_tls_get_peer(struct gw_tls *tls, const struct gw_tls_peer **out)
{
	int r = tls->is_described ? 0 : describe_certificates(tls);

	if (r)
		return r;
	if (!tls->is_described)
		describe_bindings(tls);
	tls->is_described = true;
	*out = &tls->peer;
	return 0;
}
