/* Envelopes of clients, and for them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/envelope.h"

#include <errno.h>

#include <openssl/cms.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/base/der.h"
#include "protocols/scep/ber.h"
#include "protocols/scep/oids.h"

#define DEPTH 12
#define KEY_IDENTIFIER 0x80
#define ORIGINATOR 0xa0
#define CONTENT 0x80
#define CONTENT_IN_PIECES 0xa0
#define UNPROTECTED 0xa1

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

static bool is_name(const X509_NAME *name, struct bytes der)
{
	const uint8_t *own;
	size_t n;

	return X509_NAME_get0_der(name, &own, &n) == 1 && bytes_equal(bytes_of(own, n), der);
}

static bool is_serial(const ASN1_INTEGER *serial, struct bytes content)
{
	uint8_t *der = NULL;
	int n = i2d_ASN1_INTEGER(serial, &der);
	struct bytes whole = bytes_of(der, n > 0 ? (size_t)n : 0), own = { 0 };
	bool is_it = !der_expect(&whole, DER_INTEGER, &own) && bytes_equal(own, content);

	OPENSSL_free(der);
	return is_it;
}

bool scep_envelope_is_for(const struct scep_envelope *envelope, struct bytes certificate)
{
	X509 *x = read_certificate(certificate);
	const ASN1_OCTET_STRING *identifier = x ? X509_get0_subject_key_id(x) : NULL;
	bool is_it;

	if (envelope->key_identifier.ptr)
		is_it = identifier && bytes_equal(bytes_of(ASN1_STRING_get0_data(identifier),
							   (size_t)ASN1_STRING_length(identifier)),
						  envelope->key_identifier);
	else
		is_it = x && is_name(X509_get_issuer_name(x), envelope->issuer) &&
			is_serial(X509_get0_serialNumber(x), envelope->serial);
	X509_free(x);
	ERR_clear_error();
	return is_it;
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

/* ---- for a client ---- */

static bool set_wrapping(CMS_RecipientInfo *to, enum proto_ra_wrapping wrapping)
{
	EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(to);
	const EVP_MD *md = wrapping == PROTO_RA_OAEP_SHA256 ? EVP_sha256() : EVP_sha1();

	/* RFC 5753 8: what every implementation has; libcrypto by itself takes SHA-1. */
	if (CMS_RecipientInfo_type(to) == CMS_RECIPINFO_AGREE)
		return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) == 1;
	if (wrapping == PROTO_RA_PKCS1)
		return true;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1;
}

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

int scep_envelope_write(struct bytes certificate, enum proto_ra_wrapping wrapping, const struct scep_cipher *cipher,
			struct bytes content, struct buf *out)
{
	X509 *x = read_certificate(certificate);
	const EVP_PKEY *key = x ? X509_get0_pubkey(x) : NULL;
	CMS_ContentInfo *cms = NULL;
	CMS_RecipientInfo *to;
	int e = -EINVAL;

	if (key && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC"))) {
		cms = CMS_encrypt(NULL, NULL, scep_cipher_get(cipher), CMS_BINARY | CMS_PARTIAL);
		to = cms ? CMS_add1_recipient_cert(cms, x, CMS_KEY_PARAM) : NULL;
		e = to && set_wrapping(to, wrapping) && fill(cms, content) ? append(cms, out) : -EIO;
	}
	CMS_ContentInfo_free(cms);
	X509_free(x);
	ERR_clear_error();
	return e;
}
