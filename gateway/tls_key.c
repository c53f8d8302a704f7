/* The gateway's own key and certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/tls_key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

static int take_bio(BIO *bio, struct buf *out)
{
	char *octets;
	long n = BIO_get_mem_data(bio, &octets);

	return n > 0 ? buf_append(out, bytes_of(octets, (size_t)n)) : -EINVAL;
}

int gw_tls_key_new(struct buf *pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_secmem());
	int r = -EIO;

	if (key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		r = take_bio(bio, pem);
	BIO_free(bio);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

static int no_password(char *out, int size, int writing, void *arg)
{
	return -1;
}

static EVP_PKEY *read_key(struct bytes pem)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

static GENERAL_NAME *new_name(const char *text)
{
	unsigned char octets[16];
	int size = inet_pton(AF_INET, text, octets) == 1 ? 4 : inet_pton(AF_INET6, text, octets) == 1 ? 16 : 0;
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value = size ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

	if (!name || !value || ASN1_STRING_set(value, size ? (const void *)octets : text, size ? size : -1) != 1) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(value);
		return NULL;
	}
	GENERAL_NAME_set0_value(name, size ? GEN_IPADD : GEN_DNS, value);
	return name;
}

static GENERAL_NAMES *new_names(const char *const *names, size_t n_names)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	GENERAL_NAME *name;
	size_t i;

	for (i = 0; list && i < n_names; i++) {
		name = new_name(names[i]);
		if (name && sk_GENERAL_NAME_push(list, name) > 0)
			continue;
		GENERAL_NAME_free(name);
		GENERAL_NAMES_free(list);
		return NULL;
	}
	return list;
}

static bool add_names(X509_REQ *request, const char *const *names, size_t n_names)
{
	GENERAL_NAMES *list = new_names(names, n_names);
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	bool ok = list && X509V3_add1_i2d(&extensions, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) == 1 &&
		  X509_REQ_add_extensions(request, extensions) == 1;

	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	GENERAL_NAMES_free(list);
	return ok;
}

static int append_der(unsigned char *der, int n, struct buf *out)
{
	int r = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -EINVAL;

	OPENSSL_free(der);
	return r;
}

int gw_tls_key_request(struct bytes key_pem, const char *const *names, size_t n_names, struct buf *der)
{
	EVP_PKEY *key = read_key(key_pem);
	X509_REQ *request = X509_REQ_new();
	unsigned char *octets = NULL;
	int r = -EINVAL;

	if (key && request && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
	    X509_REQ_set_pubkey(request, key) == 1 && add_names(request, names, n_names) &&
	    X509_REQ_sign(request, key, EVP_sha256()) > 0) {
		int n = i2d_X509_REQ(request, &octets);

		r = append_der(octets, n, der);
	}
	X509_REQ_free(request);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

int gw_tls_key_public(struct bytes key_pem, struct buf *der)
{
	EVP_PKEY *key = read_key(key_pem);
	unsigned char *octets = NULL;
	int n = key ? i2d_PUBKEY(key, &octets) : 0;

	EVP_PKEY_free(key);
	return append_der(octets, n, der);
}

static X509 *take_der(struct bytes *in)
{
	const unsigned char *p = in->ptr;
	X509 *x = in->len ? d2i_X509(NULL, &p, (long)in->len) : NULL;

	if (x) {
		in->len -= (size_t)(p - in->ptr);
		in->ptr = p;
	}
	return x;
}

static int print_one(struct bytes *der, BIO *bio)
{
	X509 *x = take_der(der);
	int r = x && PEM_write_bio_X509(bio, x) == 1 ? 0 : -EINVAL;

	X509_free(x);
	return r;
}

int gw_tls_chain_print(struct bytes certificate, struct bytes chain, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int r = bio ? print_one(&certificate, bio) : -ENOMEM;

	while (!r && chain.len)
		r = print_one(&chain, bio);
	if (!r)
		r = take_bio(bio, pem);
	BIO_free(bio);
	ERR_clear_error();
	return r;
}

static bool has_names(X509 *x, const char *const *names, size_t n_names)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool has_all = list && (size_t)sk_GENERAL_NAME_num(list) == n_names;
	unsigned char octets[16];
	size_t i;

	GENERAL_NAMES_free(list);
	for (i = 0; has_all && i < n_names; i++) {
		bool is_ip = inet_pton(AF_INET, names[i], octets) == 1 || inet_pton(AF_INET6, names[i], octets) == 1;

		has_all = is_ip ? X509_check_ip_asc(x, names[i], 0) == 1
				: X509_check_host(x, names[i], 0, X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
	}
	return has_all;
}

static bool read_time(const ASN1_TIME *t, int64_t *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*out = timegm(&tm);
	return true;
}

int gw_tls_chain_read(struct bytes pem, const char *const *names, size_t n_names, struct bytes issuer,
		      struct gw_tls_facts *out)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL, *ca = take_der(&issuer);
	int r = -EINVAL;

	if (x && read_time(X509_get0_notBefore(x), &out->not_before_s) &&
	    read_time(X509_get0_notAfter(x), &out->not_after_s)) {
		out->has_names = has_names(x, names, n_names);
		out->is_from = ca && X509_verify(x, X509_get0_pubkey(ca)) == 1;
		r = 0;
	}
	X509_free(ca);
	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return r;
}
