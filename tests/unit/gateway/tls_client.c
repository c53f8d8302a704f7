/* A TLS client for tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/gateway/tls_client.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

struct tls_client {
	SSL_CTX *context;
	SSL *ssl;
	unsigned records;
};

static bool take_octets(BIO *bio, struct buf *out)
{
	char *text;
	long n = BIO_get_mem_data(bio, &text);
	bool ok = n > 0 && buf_append(out, bytes_of(text, (size_t)n)) == 0;

	BIO_free(bio);
	return ok;
}

bool tls_client_certificate(const char *name, int days, struct buf *certificate, struct buf *key)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
	X509_NAME *subject = X509_get_subject_name(x);
	bool ok;

	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400L * days);
	ok = X509_set_issuer_name(x, subject) && X509_set_pubkey(x, pkey) && X509_sign(x, pkey, EVP_sha256()) > 0 &&
	     PEM_write_bio_X509(cert_bio, x) && PEM_write_bio_PrivateKey(key_bio, pkey, NULL, NULL, 0, NULL, NULL);
	ok = take_octets(cert_bio, certificate) && ok;
	ok = take_octets(key_bio, key) && ok;
	X509_free(x);
	EVP_PKEY_free(pkey);
	return ok;
}

static X509 *read_certificate(struct bytes pem)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return x;
}

static bool take_der(X509 *x, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	bool ok = n > 0 && buf_append(out, bytes_of(der, (size_t)n)) == 0;

	OPENSSL_free(der);
	return ok;
}

bool tls_client_der(struct bytes pem, struct buf *der)
{
	X509 *x = read_certificate(pem);
	bool ok = x && take_der(x, der);

	X509_free(x);
	return ok;
}

bool tls_client_sign(struct bytes request, struct bytes ca_certificate, struct bytes ca_key, long from, long to,
		     struct buf *certificate)
{
	const unsigned char *p = request.ptr;
	X509_REQ *csr = d2i_X509_REQ(NULL, &p, (long)request.len);
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr);
	X509 *ca = read_certificate(ca_certificate), *x = X509_new();
	BIO *bio = BIO_new_mem_buf(ca_key.ptr, (int)ca_key.len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	bool ok;

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 2);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	ok = X509_set_issuer_name(x, X509_get_subject_name(ca)) && X509_set_pubkey(x, X509_REQ_get0_pubkey(csr)) &&
	     sk_X509_EXTENSION_num(extensions) == 1 && X509_add_ext(x, sk_X509_EXTENSION_value(extensions, 0), -1) &&
	     X509_REQ_verify(csr, X509_REQ_get0_pubkey(csr)) == 1 && X509_sign(x, key, EVP_sha256()) > 0 &&
	     take_der(x, certificate);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	EVP_PKEY_free(key);
	BIO_free(bio);
	X509_free(x);
	X509_free(ca);
	X509_REQ_free(csr);
	return ok;
}

static void on_message(int is_written, int version, int type, const void *data, size_t len, SSL *ssl, void *arg)
{
	struct tls_client *c = arg;

	if (!is_written && type == SSL3_RT_HEADER && *(const unsigned char *)data == SSL3_RT_APPLICATION_DATA)
		c->records++;
}

struct tls_client *tls_client_new(int fd, int max_version, const char *protocols)
{
	struct tls_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(c->context, max_version);
	c->ssl = SSL_new(c->context);
	if (protocols)
		SSL_set_alpn_protos(c->ssl, (const unsigned char *)protocols, (unsigned)strlen(protocols));
	SSL_set_msg_callback(c->ssl, on_message);
	SSL_set_msg_callback_arg(c->ssl, c);
	SSL_set_fd(c->ssl, fd);
	if (SSL_connect(c->ssl) != 1)
		tls_client_drop(&c);
	return c;
}

bool tls_client_hello(struct buf *out)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	BIO *said = BIO_new(BIO_s_mem());
	bool ok;

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), said);
	SSL_connect(ssl);
	BIO_up_ref(said);
	ok = take_octets(said, out);
	SSL_free(ssl);
	SSL_CTX_free(context);
	return ok;
}

void tls_client_drop(struct tls_client **client)
{
	if (!*client)
		return;
	SSL_free((*client)->ssl);
	SSL_CTX_free((*client)->context);
	free(*client);
	*client = NULL;
}

bool tls_client_write(struct tls_client *c, const char *text)
{
	int n = (int)strlen(text);

	return SSL_write(c->ssl, text, n) == n;
}

bool tls_client_send(struct tls_client *c, struct bytes data)
{
	return SSL_write(c->ssl, data.ptr, (int)data.len) == (int)data.len;
}

long tls_client_read(struct tls_client *c, char *out, size_t size)
{
	return SSL_read(c->ssl, out, (int)size);
}

unsigned tls_client_records(const struct tls_client *c)
{
	return c->records;
}

const char *tls_client_version(const struct tls_client *c)
{
	return SSL_get_version(c->ssl);
}

const char *tls_client_protocol(const struct tls_client *c)
{
	static _Thread_local char text[32];
	const unsigned char *name = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(c->ssl, &name, &len);
	snprintf(text, sizeof(text), "%.*s", (int)len, len ? (const char *)name : "");
	return text;
}

char *tls_client_peer_name(const struct tls_client *c)
{
	X509 *x = SSL_get1_peer_certificate(c->ssl);
	char name[128] = "";

	if (x)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof(name));
	X509_free(x);
	return strdup(name);
}
