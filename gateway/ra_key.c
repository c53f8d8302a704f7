/* A key of a registration authority as octets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ra_key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/der.h"

#define SEALED "GATEHOUSE SEALED KEY"
#define PUBLIC "PUBLIC KEY"
#define CERTIFICATE "CERTIFICATE"
#define REQUEST_MAX 65536

void gw_ra_key_fini(struct gw_ra_key *key)
{
	buf_fini(&key->sealed);
	buf_fini(&key->spki);
	buf_fini(&key->certificate);
	buf_fini(&key->chain);
}

/* ---- the file ---- */

static bool print_block(BIO *bio, const char *name, struct bytes der)
{
	return !der.len || PEM_write_bio(bio, name, "", der.ptr, (long)der.len) > 0;
}

static bool print_chain(BIO *bio, struct bytes chain)
{
	struct bytes whole, content;
	unsigned tag;

	while (chain.len)
		if (der_read(&chain, &tag, &content, &whole) || !print_block(bio, CERTIFICATE, whole))
			return false;
	return true;
}

int gw_ra_key_print(const struct gw_ra_key *key, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;
	int e = -ENOMEM;

	if (bio && print_block(bio, SEALED, buf_bytes(&key->sealed)) &&
	    print_block(bio, PUBLIC, buf_bytes(&key->spki)) &&
	    print_block(bio, CERTIFICATE, buf_bytes(&key->certificate)) && print_chain(bio, buf_bytes(&key->chain)) &&
	    (n = BIO_get_mem_data(bio, &text)) > 0)
		e = buf_append(pem, bytes_of(text, (size_t)n));
	BIO_free(bio);
	ERR_clear_error();
	return e;
}

static int take_block(struct gw_ra_key *key, const char *name, struct bytes der)
{
	if (strcmp(name, SEALED) == 0 && !key->sealed.len)
		return buf_append(&key->sealed, der);
	if (strcmp(name, PUBLIC) == 0 && !key->spki.len)
		return buf_append(&key->spki, der);
	if (strcmp(name, CERTIFICATE) == 0)
		return buf_append(key->certificate.len ? &key->chain : &key->certificate, der);
	return -EINVAL;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* Its dates, and whether it is of the key. */
static int look_at_certificate(struct gw_ra_key *key)
{
	const uint8_t *p = key->certificate.ptr;
	X509 *x = d2i_X509(NULL, &p, (long)key->certificate.len);
	uint8_t *spki = NULL;
	int n = x ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki) : -1, e = -EINVAL;

	if (n > 0 && bytes_equal(bytes_of(spki, (size_t)n), buf_bytes(&key->spki))) {
		key->not_before_s = seconds_of(X509_get0_notBefore(x));
		key->not_after_s = seconds_of(X509_get0_notAfter(x));
		e = 0;
	}
	OPENSSL_free(spki);
	X509_free(x);
	ERR_clear_error();
	return e;
}

int gw_ra_key_read(struct gw_ra_key *key, struct bytes pem)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	char *name, *header;
	uint8_t *der;
	long n;
	int e = bio ? 0 : -ENOMEM;

	while (!e && PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
		e = take_block(key, name, bytes_of(der, (size_t)n));
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (!e && (!key->sealed.len || !key->spki.len))
		e = -EINVAL;
	return !e && key->certificate.len ? look_at_certificate(key) : e;
}

int gw_ra_key_take(struct gw_ra_key *key, struct bytes certificate, struct bytes chain)
{
	int e;

	buf_reset(&key->certificate);
	buf_reset(&key->chain);
	e = buf_append(&key->certificate, certificate);
	if (!e)
		e = buf_append(&key->chain, chain);
	if (!e)
		e = look_at_certificate(key);
	if (e) {
		buf_reset(&key->certificate);
		buf_reset(&key->chain);
	}
	return e;
}

bool gw_ra_key_is_of_type(const struct gw_ra_key *key, const char *type)
{
	const uint8_t *p = key->spki.ptr;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)key->spki.len);
	char text[32] = "";

	if (pkey && EVP_PKEY_is_a(pkey, "RSA"))
		snprintf(text, sizeof(text), "rsa-%d", EVP_PKEY_get_bits(pkey));
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return strcmp(text, type) == 0;
}

struct bytes gw_ra_first_of(struct bytes chain)
{
	struct bytes content, whole;
	unsigned tag;

	return der_read(&chain, &tag, &content, &whole) ? bytes_of(NULL, 0) : whole;
}

bool gw_ra_is_same_issuer(struct bytes a, struct bytes b)
{
	const uint8_t *p = a.ptr, *q = b.ptr;
	X509 *x = d2i_X509(NULL, &p, (long)a.len), *y = d2i_X509(NULL, &q, (long)b.len);
	bool is_same = x && y && X509_NAME_cmp(X509_get_subject_name(x), X509_get_subject_name(y)) == 0 &&
		       EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(y)) == 1;

	X509_free(x);
	X509_free(y);
	ERR_clear_error();
	return is_same;
}

/* ---- the request ---- */

#define OID_COMMON_NAME "\x06\x03\x55\x04\x03"
#define OID_SUBJECT_ALT_NAME "\x06\x03\x55\x1d\x11"
#define OID_EXTENSION_REQUEST "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define SHA256_WITH_RSA "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"
#define OCTETS(text) bytes_of(text, sizeof(text) - 1)
#define UTF8_STRING 0x0c
#define DNS_NAME 0x82
#define IP_ADDRESS 0x87

/* What is in `b` becomes the content of an element with this tag. */
static int wrap(struct buf *b, unsigned tag)
{
	OWNED_BUF content = BUF_INIT(REQUEST_MAX);
	int e = buf_append(&content, buf_bytes(b));

	buf_reset(b);
	return e ? e : der_write(b, tag, buf_bytes(&content));
}

static int write_name(struct buf *out, const char *name)
{
	uint8_t octets[16];

	if (inet_pton(AF_INET, name, octets) == 1)
		return der_write(out, IP_ADDRESS, bytes_of(octets, 4));
	if (inet_pton(AF_INET6, name, octets) == 1)
		return der_write(out, IP_ADDRESS, bytes_of(octets, 16));
	return der_write(out, DNS_NAME, bytes_of_str(name));
}

/* RFC 2986 4.1 with an extensionRequest (RFC 2985 5.4.2) of the subjectAltName. */
static int write_attributes(struct buf *out, const char *const *names, size_t n_names)
{
	OWNED_BUF list = BUF_INIT(REQUEST_MAX), extension = BUF_INIT(REQUEST_MAX);
	int e = 0;

	for (size_t i = 0; !e && i < n_names; i++)
		e = write_name(&list, names[i]);
	if (!e)
		e = wrap(&list, DER_SEQUENCE);
	if (!e)
		e = buf_append(&extension, OCTETS(OID_SUBJECT_ALT_NAME));
	if (!e)
		e = der_write(&extension, DER_OCTET_STRING, buf_bytes(&list));
	if (!e)
		e = wrap(&extension, DER_SEQUENCE);
	if (!e)
		e = wrap(&extension, DER_SEQUENCE);
	if (!e)
		e = wrap(&extension, DER_SET);
	if (e)
		return e;
	buf_reset(&list);
	e = buf_append(&list, OCTETS(OID_EXTENSION_REQUEST));
	if (!e)
		e = buf_append(&list, buf_bytes(&extension));
	if (!e)
		e = wrap(&list, DER_SEQUENCE);
	return e ? e : der_write(out, DER_CONTEXT_0, buf_bytes(&list));
}

static int write_subject(struct buf *out, const char *common_name)
{
	OWNED_BUF part = BUF_INIT(REQUEST_MAX);
	int e = buf_append(&part, OCTETS(OID_COMMON_NAME));

	if (!e)
		e = der_write(&part, UTF8_STRING, bytes_of_str(common_name));
	if (!e)
		e = wrap(&part, DER_SEQUENCE);
	if (!e)
		e = wrap(&part, DER_SET);
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&part));
}

static int write_info(struct buf *out, struct bytes spki, const char *const *names, size_t n_names)
{
	int e = der_write(out, DER_INTEGER, bytes_of("\0", 1));

	if (!e)
		e = write_subject(out, names[0]);
	if (!e)
		e = buf_append(out, spki);
	if (!e)
		e = write_attributes(out, names, n_names);
	return e ? e : wrap(out, DER_SEQUENCE);
}

int gw_ra_key_request(struct signer *signer, uint64_t number, struct bytes spki, const char *const *names,
		      size_t n_names, struct buf *der, char why[static SIGNER_WHY_SIZE])
{
	OWNED_BUF info = BUF_INIT(REQUEST_MAX), bits = BUF_INIT(SIGNER_SIGNATURE_MAX + 1);
	OWNED_BUF whole = BUF_INIT(REQUEST_MAX);
	int e = write_info(&info, spki, names, n_names);

	if (!e)
		e = buf_append_char(&bits, '\0');
	if (!e)
		e = signer_sign_request(signer, number, buf_bytes(&info), &bits, why);
	if (!e)
		e = buf_append(&whole, buf_bytes(&info));
	if (!e)
		e = buf_append(&whole, OCTETS(SHA256_WITH_RSA));
	if (!e)
		e = der_write(&whole, DER_BIT_STRING, buf_bytes(&bits));
	return e ? e : der_write(der, DER_SEQUENCE, buf_bytes(&whole));
}
