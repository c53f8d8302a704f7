/* A CA's certificate that came from elsewhere.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/chain.h"

#include <errno.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define CHAIN_MAX 9

static X509 *take_certificate(struct bytes *in)
{
	const uint8_t *p = in->ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)in->len);

	if (cert) {
		in->len -= (size_t)(p - in->ptr);
		in->ptr = p;
	}
	return cert;
}

/* The certificates, the own one first. NULL when they cannot be read. */
static STACK_OF(X509) *read_all(struct bytes in, struct bytes *own)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	const uint8_t *begin = in.ptr;

	while (all && in.len) {
		X509 *cert = sk_X509_num(all) < CHAIN_MAX ? take_certificate(&in) : NULL;

		if (!cert || sk_X509_push(all, cert) <= 0) {
			X509_free(cert);
			sk_X509_pop_free(all, X509_free);
			ERR_clear_error();
			return NULL;
		}
		if (sk_X509_num(all) == 1)
			*own = bytes_of(begin, (size_t)(in.ptr - begin));
	}
	return all;
}

static bool has_key(X509 *cert, struct bytes spki)
{
	uint8_t *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool same = n > 0 && bytes_equal(bytes_of(der, (size_t)n), spki);

	OPENSSL_free(der);
	return same;
}

static const char *check_own(X509 *cert, struct bytes spki)
{
	const uint32_t usage = KU_KEY_CERT_SIGN | KU_CRL_SIGN;

	if (!has_key(cert, spki))
		return "the first certificate is not for the key that waits: it answers another certification request";
	if (!(X509_get_extension_flags(cert) & EXFLAG_BCONS) || X509_check_ca(cert) != 1)
		return "the certificate does not say that it is that of a CA (basicConstraints CA:TRUE)";
	if (!(X509_get_extension_flags(cert) & EXFLAG_KUSAGE) || (X509_get_key_usage(cert) & usage) != usage)
		return "the certificate's key usage must have both keyCertSign and cRLSign";
	if (!X509_get0_subject_key_id(cert))
		return "the certificate has no subject key identifier";
	if (X509_NAME_entry_count(X509_get_subject_name(cert)) == 0)
		return "the certificate has no subject";
	return NULL;
}

/* Each must be signed by the next: libcrypto would find a path in any order, the clients of this CA may not. */
static const char *check_order(STACK_OF(X509) *all)
{
	for (int i = 0; i + 1 < sk_X509_num(all); i++)
		if (X509_check_issued(sk_X509_value(all, i + 1), sk_X509_value(all, i)) != X509_V_OK)
			return "a certificate is not followed by that of its issuer";
	return NULL;
}

static const char *check_path(STACK_OF(X509) *all, int64_t now_s)
{
	X509 *anchor = sk_X509_value(all, sk_X509_num(all) - 1);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	const char *why = "there is no memory to verify the path";

	if (store && ctx && X509_STORE_add_cert(store, anchor) == 1 &&
	    X509_STORE_CTX_init(ctx, store, sk_X509_value(all, 0), all) == 1) {
		/* The last one need not be a root: whoever brings it says that it is the one. */
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
		X509_STORE_CTX_set_time(ctx, 0, (time_t)now_s);
		why = X509_verify_cert(ctx) == 1 ? NULL :
						   X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return why;
}

const char *chain_check(struct bytes certificates, struct bytes spki, int64_t now_s, struct bytes *own)
{
	STACK_OF(X509) *all = read_all(certificates, own);
	const char *why = NULL;

	if (!all || sk_X509_num(all) == 0)
		why = "the certificates cannot be read, or are too many";
	else if (sk_X509_num(all) < 2)
		why = "the certificate of the issuer is missing: it must follow, and its own issuer's, up to the root";
	if (!why)
		why = check_own(sk_X509_value(all, 0), spki);
	if (!why)
		why = check_order(all);
	if (!why)
		why = check_path(all, now_s);
	sk_X509_pop_free(all, X509_free);
	return why;
}

int chain_same_subject(struct bytes a, struct bytes b, bool *same)
{
	X509 *first = take_certificate(&a), *second = take_certificate(&b);
	bool ok = first && second;

	if (ok)
		*same = X509_NAME_cmp(X509_get_subject_name(first), X509_get_subject_name(second)) == 0;
	X509_free(first);
	X509_free(second);
	ERR_clear_error();
	return ok ? 0 : -EINVAL;
}

static int append(X509 *cert, struct buf *der)
{
	uint8_t *octets = NULL;
	int n = i2d_X509(cert, &octets);
	int e = n > 0 ? buf_append(der, bytes_of(octets, (size_t)n)) : -ENOMEM;

	OPENSSL_free(octets);
	return e;
}

static int read_pem(struct bytes text, struct buf *der)
{
	BIO *in = BIO_new_mem_buf(text.ptr, (int)text.len);
	X509 *cert;
	int e = in ? 0 : -ENOMEM;

	while (!e && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
		e = append(cert, der);
		X509_free(cert);
	}
	BIO_free(in);
	ERR_clear_error();
	return e;
}

int chain_read(struct bytes text, struct buf *der)
{
	X509 *cert;
	int e = 0;

	if (text.len && text.ptr[0] != 0x30) {
		e = read_pem(text, der);
		return !e && der->len == 0 ? -EINVAL : e;
	}
	while (!e && text.len) {
		cert = take_certificate(&text);
		e = cert ? append(cert, der) : -EINVAL;
		X509_free(cert);
	}
	ERR_clear_error();
	return !e && der->len == 0 ? -EINVAL : e;
}
