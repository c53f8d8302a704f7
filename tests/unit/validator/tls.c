/* TLS for a test's server.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/validator/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

void *tls_new(void)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(cert), -3600);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	SSL_CTX_use_certificate(tls, cert);
	SSL_CTX_use_PrivateKey(tls, key);
	X509_free(cert);
	EVP_PKEY_free(key);
	return tls;
}

void tls_drop(void *tls)
{
	SSL_CTX_free(tls);
}

void *tls_accept(void *tls, int fd)
{
	SSL *ssl = SSL_new(tls);

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

long tls_read(void *connection, void *data, size_t len)
{
	return SSL_read(connection, data, (int)len);
}

long tls_write(void *connection, const void *data, size_t len)
{
	return SSL_write(connection, data, (int)len);
}

void tls_close(void *connection)
{
	SSL_shutdown(connection);
	SSL_free(connection);
}
