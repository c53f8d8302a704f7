/* Envelopes of clients, and for them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/envelope.h"

#include <errno.h>
#include <limits.h>

#include <openssl/cms.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/base/der.h"
#include "core/base/digest.h"
#include "core/base/own.h"
#include "protocols/scep/ber.h"
#include "protocols/scep/certificate_id.h"
#include "protocols/scep/oids.h"
#include "protocols/signed_der.h"

#define DEPTH 12
#define KEY_IDENTIFIER 0x80
#define ORIGINATOR 0xa0
#define CONTENT 0x80
#define CONTENT_IN_PIECES 0xa0
#define UNPROTECTED 0xa1
#define PART_MAX ((size_t)1 << 20)
#define WRAPPED_MAX 1024 /* RSA of 8192 bits */

/* ---- KeyTransRecipientInfo (RFC 5652 6.2.1) ---- */

/* The digest in [n] HashAlgorithm of RSAES-OAEP-params (RFC 8017 A.2.1), or in that of its MGF1. */
static bool says_sha256(struct bytes *in, unsigned tag, bool is_mgf)
{
	struct bytes wrapped, algorithm, oid;

	if (der_expect(in, tag, &wrapped) || der_expect(&wrapped, DER_SEQUENCE, &algorithm) || wrapped.len ||
	    der_expect(&algorithm, DER_OID, &oid))
		return false;
	if (!is_mgf)
		return bytes_equal(oid, OID(OID_SHA256));
	return bytes_equal(oid, OID(OID_MGF1)) && !der_expect(&algorithm, DER_SEQUENCE, &wrapped) && !algorithm.len &&
	       !der_expect(&wrapped, DER_OID, &oid) && bytes_equal(oid, OID(OID_SHA256));
}

/* Without parameters SHA-1; or SHA-256 twice. No label. */
static int read_oaep(struct bytes parameters, enum proto_ra_wrapping *wrapping)
{
	struct bytes in;

	*wrapping = PROTO_RA_OAEP_SHA1;
	if (der_expect(&parameters, DER_SEQUENCE, &in) || parameters.len)
		return SCEP_ENVELOPE_ALGORITHM;
	if (!in.len)
		return 0;
	*wrapping = PROTO_RA_OAEP_SHA256;
	return says_sha256(&in, DER_CONTEXT_0, false) && says_sha256(&in, DER_CONTEXT_0 + 1, true) && !in.len ?
		       0 : SCEP_ENVELOPE_ALGORITHM;
}

static int read_wrapping(struct bytes algorithm, bool takes_oaep, enum proto_ra_wrapping *wrapping)
{
	struct bytes oid;

	if (der_expect(&algorithm, DER_OID, &oid))
		return -EINVAL;
	*wrapping = PROTO_RA_PKCS1;
	if (bytes_equal(oid, OID(OID_RSA)))
		return 0;
	return bytes_equal(oid, OID(OID_OAEP)) && takes_oaep ? read_oaep(algorithm, wrapping) : SCEP_ENVELOPE_ALGORITHM;
}

static int read_recipient_id(struct bytes *in, struct scep_envelope *out)
{
	struct bytes name, content;
	unsigned tag;

	if (in->len && in->ptr[0] == KEY_IDENTIFIER)
		return der_expect(in, KEY_IDENTIFIER, &out->key_identifier);
	return der_expect(in, DER_SEQUENCE, &name) || der_read(&name, &tag, &content, &out->issuer) ||
	       tag != DER_SEQUENCE || der_expect(&name, DER_INTEGER, &out->serial) || name.len ? -EINVAL : 0;
}

/* One, by key transport: to others (key agreement, passwords) nobody can encrypt to an RSA key. */
static int read_recipient(struct bytes in, bool takes_oaep, struct scep_envelope *out)
{
	struct bytes recipient, version, algorithm;

	if (der_expect(&in, DER_SEQUENCE, &recipient))
		return in.len && (in.ptr[0] & 0xe0) == 0xa0 ? SCEP_ENVELOPE_ALGORITHM : -EINVAL;
	if (in.len || der_expect(&recipient, DER_INTEGER, &version) || read_recipient_id(&recipient, out) ||
	    der_expect(&recipient, DER_SEQUENCE, &algorithm) ||
	    der_expect(&recipient, DER_OCTET_STRING, &out->wrapped) || recipient.len)
		return -EINVAL;
	return read_wrapping(algorithm, takes_oaep, &out->wrapping);
}

/* ---- the content ---- */

/* In pieces it is constructed, with an implicit tag that says nothing of strings (RFC 5652 5.2.1 speaks of it). */
static int put_together(struct bytes pieces, struct arena *arena, struct bytes *out)
{
	uint8_t *to = arena_alloc(arena, pieces.len + 1);
	struct bytes piece;
	size_t n = 0;

	if (!to)
		return -ENOMEM;
	while (pieces.len) {
		if (der_expect(&pieces, DER_OCTET_STRING, &piece))
			return -EINVAL;
		memcpy(to + n, piece.ptr, piece.len);
		n += piece.len;
	}
	*out = bytes_of(to, n);
	return 0;
}

static int read_content(struct bytes in, enum scep_legacy legacy, struct arena *arena, struct scep_envelope *out)
{
	struct bytes type, algorithm, pieces;
	int e = 0;

	if (der_expect(&in, DER_OID, &type) || !bytes_equal(type, OID(OID_DATA)) ||
	    der_expect(&in, DER_SEQUENCE, &algorithm))
		return -EINVAL;
	if (in.len && in.ptr[0] == CONTENT_IN_PIECES)
		e = der_expect(&in, CONTENT_IN_PIECES, &pieces) ? -EINVAL : put_together(pieces, arena, &out->content);
	else if (der_expect(&in, CONTENT, &out->content))
		e = -EINVAL;
	if (e || in.len)
		return e ? e : -EINVAL;
	out->cipher = scep_cipher_find(algorithm, legacy, &out->iv);
	return out->cipher ? 0 : SCEP_ENVELOPE_ALGORITHM;
}

/* ---- the envelope ---- */

static int read_enveloped(struct bytes in, enum scep_legacy legacy, bool takes_oaep, struct arena *arena,
			  struct scep_envelope *out)
{
	struct bytes version, recipients, content, skipped;
	unsigned tag;
	int e, by_recipient;

	if (der_expect(&in, DER_INTEGER, &version))
		return -EINVAL;
	if (in.len && in.ptr[0] == ORIGINATOR && der_read(&in, &tag, &skipped, NULL))
		return -EINVAL;
	if (der_expect(&in, DER_SET, &recipients) || der_expect(&in, DER_SEQUENCE, &content))
		return -EINVAL;
	if (in.len && (der_expect(&in, UNPROTECTED, &skipped) || in.len))
		return -EINVAL;
	by_recipient = read_recipient(recipients, takes_oaep, out);
	if (by_recipient < 0)
		return by_recipient;
	e = read_content(content, legacy, arena, out);
	return e ? e : by_recipient;
}

int scep_envelope_read(struct scep_envelope *out, struct bytes octets, enum scep_legacy legacy, bool takes_oaep,
		       struct arena *arena)
{
	OWNED_BUF buf = BUF_INIT(octets.len + 64);
	struct bytes der = octets, in, type, wrapped, content;
	int e;

	*out = (struct scep_envelope){ 0 };
	if (der_check(octets, DEPTH)) {
		e = scep_ber_to_der(octets, &buf);
		if (e)
			return e == -ENOMEM ? e : -EINVAL;
		der = arena_copy(arena, buf_bytes(&buf));
		if (!der.ptr)
			return -ENOMEM;
	}
	if (der_expect(&der, DER_SEQUENCE, &in) || der.len || der_expect(&in, DER_OID, &type) ||
	    !bytes_equal(type, OID(OID_ENVELOPED_DATA)) || der_expect(&in, DER_CONTEXT_0, &wrapped) || in.len ||
	    der_expect(&wrapped, DER_SEQUENCE, &content) || wrapped.len)
		return -EINVAL;
	return read_enveloped(content, legacy, takes_oaep, arena, out);
}

static X509 *read_certificate(struct bytes der)
{
	const uint8_t *p = der.ptr;

	return d2i_X509(NULL, &p, (long)der.len);
}

static bool has_key_identifier(struct bytes certificate, struct bytes identifier)
{
	X509 *x = read_certificate(certificate);
	const ASN1_OCTET_STRING *own = x ? X509_get0_subject_key_id(x) : NULL;
	bool is_it = own && bytes_equal(bytes_of(ASN1_STRING_get0_data(own), (size_t)ASN1_STRING_length(own)),
					identifier);

	X509_free(x);
	ERR_clear_error();
	return is_it;
}

bool scep_envelope_is_for(const struct scep_envelope *envelope, struct bytes certificate)
{
	struct signed_certificate c;

	if (envelope->key_identifier.ptr)
		return has_key_identifier(certificate, envelope->key_identifier);
	return signed_der_certificate(certificate, &c) == 0 && bytes_equal(c.issuer, envelope->issuer) &&
	       bytes_equal(c.serial, envelope->serial);
}

bool scep_envelope_open(const struct scep_envelope *envelope, const uint8_t *key, struct buf *out)
{
	const EVP_CIPHER *cipher = scep_cipher_get(envelope->cipher);
	EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;
	size_t size = envelope->content.len + EVP_MAX_BLOCK_LENGTH;
	uint8_t *to = buf_room(out, size);
	int n = 0, last = 0;
	bool ok = ctx && to && EVP_DecryptInit_ex2(ctx, cipher, key, envelope->iv.ptr, NULL) == 1 &&
		  EVP_DecryptUpdate(ctx, to, &n, envelope->content.ptr, (int)envelope->content.len) == 1 &&
		  EVP_DecryptFinal_ex(ctx, to + n, &last) == 1;

	if (ok)
		buf_added(out, (size_t)(n + last));
	else if (to)
		OPENSSL_cleanse(to, size); /* blocks before the wrong one may be a client's */
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* ---- for the owner of an RSA key ---- */

/* OID with NULL, as RFC 4055 2.1 and 2.2 have it. */
#define SHA256_IDENTIFIER "\x30\x0d\x06\x09" OID_SHA256 "\x05\x00"
#define MGF1_SHA256 "\x30\x1a\x06\x09" OID_MGF1 SHA256_IDENTIFIER

static const struct wrapping {
	struct bytes algorithm; /* the AlgorithmIdentifier, whole */
	int padding;
	const EVP_MD *(*md)(void);
} wrappings[] = {
	[PROTO_RA_PKCS1] = { OID_INIT(RSA_ENCRYPTION), RSA_PKCS1_PADDING, NULL },
	[PROTO_RA_OAEP_SHA1] = { OID_INIT("\x30\x0d\x06\x09" OID_OAEP "\x30\x00"), RSA_PKCS1_OAEP_PADDING, EVP_sha1 },
	[PROTO_RA_OAEP_SHA256] = { OID_INIT("\x30\x3c\x06\x09" OID_OAEP "\x30\x2f\xa0\x0f" SHA256_IDENTIFIER
					    "\xa1\x1c" MGF1_SHA256), RSA_PKCS1_OAEP_PADDING, EVP_sha256 },
};

static bool set_padding(EVP_PKEY_CTX *ctx, const struct wrapping *w)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, w->padding) == 1 &&
	       (!w->md || (EVP_PKEY_CTX_set_rsa_oaep_md(ctx, w->md()) == 1 &&
			   EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, w->md()) == 1));
}

static int wrap_key(EVP_PKEY *key, const struct wrapping *w, struct bytes secret, struct buf *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t wrapped[WRAPPED_MAX];
	size_t n = sizeof(wrapped);
	bool ok = ctx && EVP_PKEY_encrypt_init(ctx) == 1 && set_padding(ctx, w) &&
		  EVP_PKEY_encrypt(ctx, wrapped, &n, secret.ptr, secret.len) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok ? der_write(out, DER_OCTET_STRING, bytes_of(wrapped, n)) : -EIO;
}

/* The SET with one KeyTransRecipientInfo. */
static int write_recipient(struct bytes certificate, EVP_PKEY *key, const struct wrapping *w, struct bytes secret,
			   struct buf *out)
{
	OWNED_BUF content = BUF_INIT(PART_MAX), recipient = BUF_INIT(PART_MAX);
	int e = der_write(&content, DER_INTEGER, bytes_of("\0", 1));

	if (!e)
		e = scep_certificate_id_write(certificate, &content);
	if (!e)
		e = buf_append(&content, w->algorithm);
	if (!e)
		e = wrap_key(key, w, secret, &content);
	if (!e)
		e = der_write(&recipient, DER_SEQUENCE, buf_bytes(&content));
	return e ? e : der_write(out, DER_SET, buf_bytes(&recipient));
}

static int encrypt(const struct scep_cipher *cipher, const uint8_t *secret, const uint8_t *iv, struct bytes content,
		   struct buf *out)
{
	OWNED_BUF encrypted = BUF_INIT(content.len + EVP_MAX_BLOCK_LENGTH);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *to = buf_room(&encrypted, content.len + EVP_MAX_BLOCK_LENGTH);
	int n = 0, last = 0;
	bool ok = ctx && to && content.len < INT_MAX &&
		  EVP_EncryptInit_ex2(ctx, scep_cipher_get(cipher), secret, iv, NULL) == 1 &&
		  EVP_EncryptUpdate(ctx, to, &n, content.ptr, (int)content.len) == 1 &&
		  EVP_EncryptFinal_ex(ctx, to + n, &last) == 1;

	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	if (!ok)
		return -EIO;
	buf_added(&encrypted, (size_t)(n + last));
	return der_write(out, CONTENT, buf_bytes(&encrypted));
}

/* EncryptedContentInfo (RFC 5652 6.1). */
static int write_content(const struct scep_cipher *cipher, const uint8_t *secret, struct bytes content, struct buf *out)
{
	OWNED_BUF parts = BUF_INIT(PART_MAX), algorithm = BUF_INIT(128);
	uint8_t iv[EVP_MAX_IV_LENGTH];
	int e = random_octets(iv, sizeof(iv));

	if (!e)
		e = der_write(&algorithm, DER_OID, cipher->oid);
	if (!e)
		e = der_write(&algorithm, DER_OCTET_STRING, bytes_of(iv, cipher->iv_size));
	if (!e)
		e = der_write(&parts, DER_OID, OID(OID_DATA));
	if (!e)
		e = der_write(&parts, DER_SEQUENCE, buf_bytes(&algorithm));
	if (!e)
		e = encrypt(cipher, secret, iv, content, &parts);
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&parts));
}

static int write_enveloped(struct bytes certificate, EVP_PKEY *key, const struct wrapping *w,
			   const struct scep_cipher *cipher, struct bytes content, struct buf *out)
{
	uint8_t secret[EVP_MAX_KEY_LENGTH];
	int e = random_octets(secret, cipher->key_size);

	if (!e)
		e = der_write(out, DER_INTEGER, bytes_of("\0", 1));
	if (!e)
		e = write_recipient(certificate, key, w, bytes_of(secret, cipher->key_size), out);
	if (!e)
		e = write_content(cipher, secret, content, out);
	OPENSSL_cleanse(secret, sizeof(secret));
	return e;
}

static int write_for_rsa(struct bytes certificate, EVP_PKEY *key, enum proto_ra_wrapping wrapping,
			 const struct scep_cipher *cipher, struct bytes content, struct buf *out)
{
	OWNED_BUF data = BUF_INIT(PART_MAX), wrapped = BUF_INIT(PART_MAX), whole = BUF_INIT(PART_MAX);
	int e = write_enveloped(certificate, key, &wrappings[wrapping], cipher, content, &data);

	if (!e)
		e = der_write(&wrapped, DER_SEQUENCE, buf_bytes(&data));
	if (!e)
		e = der_write(&whole, DER_OID, OID(OID_ENVELOPED_DATA));
	if (!e)
		e = der_write(&whole, DER_CONTEXT_0, buf_bytes(&wrapped));
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&whole));
}

/* ---- for the owner of an EC key ---- */

static bool fill(CMS_ContentInfo *cms, struct bytes content)
{
	BIO *to = CMS_dataInit(cms, NULL);
	bool ok = to && BIO_write(to, content.ptr, (int)content.len) == (int)content.len && BIO_flush(to) == 1 &&
		  CMS_dataFinal(cms, to) == 1;

	BIO_free_all(to);
	return ok;
}

static int append(CMS_ContentInfo *cms, struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_CMS_ContentInfo(cms, &der);
	int e = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -EIO;

	OPENSSL_free(der);
	return e;
}

/* RFC 5753 8: SHA-256 is what every implementation has; libcrypto by itself takes SHA-1. */
static int write_for_ec(struct bytes certificate, const struct scep_cipher *cipher, struct bytes content,
			struct buf *out)
{
	X509 *x = read_certificate(certificate);
	CMS_ContentInfo *cms = NULL;
	CMS_RecipientInfo *to;
	int e = -EINVAL;

	if (x) {
		cms = CMS_encrypt(NULL, NULL, scep_cipher_get(cipher), CMS_BINARY | CMS_PARTIAL);
		to = cms ? CMS_add1_recipient_cert(cms, x, CMS_KEY_PARAM) : NULL;
		e = to && EVP_PKEY_CTX_set_ecdh_kdf_md(CMS_RecipientInfo_get0_pkey_ctx(to), EVP_sha256()) == 1 &&
				    fill(cms, content) ?
			    append(cms, out) : -EIO;
	}
	CMS_ContentInfo_free(cms);
	X509_free(x);
	ERR_clear_error();
	return e;
}

int scep_envelope_write(struct bytes certificate, EVP_PKEY *key, enum proto_ra_wrapping wrapping,
			const struct scep_cipher *cipher, struct bytes content, struct buf *out)
{
	if (EVP_PKEY_is_a(key, "RSA"))
		return write_for_rsa(certificate, key, wrapping, cipher, content, out);
	return EVP_PKEY_is_a(key, "EC") ? write_for_ec(certificate, cipher, content, out) : -EINVAL;
}
