/* Messages of SCEP clients, made by libcrypto and by hand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/protocols/scep_rig.h"

#include "core/base/der.h"
#include "tests/test.h"

#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define PRINTABLE_STRING 0x13
#define CONTEXT_1 0xa1
#define OID_SIGNED_DATA "1.2.840.113549.1.7.2"
#define OID_ENVELOPED_DATA "1.2.840.113549.1.7.3"

/* ---- who ---- */

static void add_key_identifier(X509 *x)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_key_identifier, "hash");
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(x, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* With one number that is not the usual one. */
static EVP_PKEY *make_odd_key(const char *algorithm, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
	EVP_PKEY *key = NULL;

	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_params(ctx, params), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *make_key(const char *kind)
{
	static const uint8_t exponent[] = { 1, 0, 0, 0, 0, 0, 0, 0, 1 };
	char curve[] = "P-256", encoding[] = OSSL_PKEY_EC_ENCODING_EXPLICIT;
	OSSL_PARAM ec[] = { OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
			    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING, encoding, 0), OSSL_PARAM_END };
	OSSL_PARAM rsa[] = { OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, (void *)exponent, sizeof(exponent)), OSSL_PARAM_END };

	if (strcmp(kind, "explicit") == 0)
		return make_odd_key("EC", ec);
	if (strcmp(kind, "exponent") == 0)
		return make_odd_key("RSA", rsa);
	return *kind >= '0' && *kind <= '9' ? EVP_RSA_gen((unsigned)strtol(kind, NULL, 10)) : EVP_EC_gen(kind);
}

void scep_client_make(struct scep_client *c, const char *kind, const char *name)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	uint8_t *der = NULL;
	int n;

	c->key = make_key(kind);
	assert_non_null(c->key);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0);
	X509_set_issuer_name(x, subject);
	X509_set_pubkey(x, c->key);
	add_key_identifier(x);
	assert_true(X509_sign(x, c->key, EVP_sha256()) > 0);
	n = i2d_X509(x, &der);
	assert_true(n > 0);
	c->certificate = x;
	c->der = BUF_INIT(SCEP_RIG_MAX);
	assert_int_equal(buf_append(&c->der, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
}

void scep_client_fini(struct scep_client *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->certificate);
	buf_fini(&c->der);
}

/* ---- by libcrypto ---- */

static void add_text(CMS_SignerInfo *signer, const char *oid, int type, struct bytes value)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);

	assert_int_equal(CMS_signed_add1_attr_by_OBJ(signer, object, type, value.ptr, (int)value.len), 1);
	ASN1_OBJECT_free(object);
}

void scep_cms_message(const struct scep_client *c, const EVP_MD *digest, unsigned flags, struct bytes content,
		      struct buf *out)
{
	BIO *from = BIO_new_mem_buf(content.ptr, (int)content.len), *to = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY | (flags & CMS_STREAM));
	CMS_SignerInfo *signer;
	char *octets;
	long n;

	signer = CMS_add1_signer(cms, c->certificate, c->key, digest,
				 CMS_PARTIAL | CMS_NOSMIMECAP | (flags & CMS_USE_KEYID));
	assert_non_null(signer);
	add_text(signer, SCEP_OID_TYPE, V_ASN1_PRINTABLESTRING, bytes_of_str("19"));
	add_text(signer, SCEP_OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING, bytes_of_str("transaction"));
	add_text(signer, SCEP_OID_SENDER_NONCE, V_ASN1_OCTET_STRING, bytes_of("0123456789abcdef", 16));
	if (flags & CMS_STREAM) {
		assert_int_equal(i2d_CMS_bio_stream(to, cms, from, CMS_STREAM | CMS_BINARY), 1);
	} else {
		assert_int_equal(CMS_final(cms, from, NULL, CMS_BINARY), 1);
		assert_int_equal(i2d_CMS_bio(to, cms), 1);
	}
	n = BIO_get_mem_data(to, &octets);
	assert_true(n > 0);
	assert_int_equal(buf_append(out, bytes_of(octets, (size_t)n)), 0);
	CMS_ContentInfo_free(cms);
	BIO_free(from);
	BIO_free(to);
}

/* ---- by hand ---- */

static void put(struct buf *out, unsigned tag, struct bytes content)
{
	assert_int_equal(der_write(out, tag, content), 0);
}

static void wrap(struct buf *b, unsigned tag)
{
	OWNED_BUF content = BUF_INIT(SCEP_RIG_MAX);

	assert_int_equal(buf_append(&content, buf_bytes(b)), 0);
	buf_reset(b);
	put(b, tag, buf_bytes(&content));
}

static void append(struct buf *out, const struct buf *more)
{
	assert_int_equal(buf_append(out, buf_bytes(more)), 0);
}

void scep_put_oid(struct buf *out, const char *oid)
{
	OWNED_BUF content = BUF_INIT(64);

	assert_int_equal(der_oid_parse(oid, &content), 0);
	put(out, DER_OID, buf_bytes(&content));
}

void scep_put_attribute(struct buf *out, const char *oid, struct bytes values)
{
	OWNED_BUF attribute = BUF_INIT(SCEP_RIG_MAX);

	scep_put_oid(&attribute, oid);
	put(&attribute, DER_SET, values);
	wrap(&attribute, DER_SEQUENCE);
	append(out, &attribute);
}

/* With one value, as many times as it shall stand there. */
static void put_value(struct buf *out, const char *oid, unsigned tag, struct bytes content, unsigned times)
{
	OWNED_BUF value = BUF_INIT(SCEP_RIG_MAX);

	put(&value, tag, content);
	for (; times; times--)
		scep_put_attribute(out, oid, buf_bytes(&value));
}

static unsigned times(const struct scep_shape *s, enum scep_wrong none, enum scep_wrong twice)
{
	return s->wrong == none ? 0 : s->wrong == twice ? 2 : 1;
}

static void put_type(const struct scep_shape *s, struct buf *out, unsigned text_tag)
{
	OWNED_BUF values = BUF_INIT(SCEP_RIG_MAX);
	struct bytes text = bytes_of_str(s->type ? s->type : "19");

	if (s->wrong == SCEP_TYPE_OF_TWO_VALUES || s->wrong == SCEP_TYPE_OF_NO_VALUE) {
		for (int i = 0; i < 2 && s->wrong == SCEP_TYPE_OF_TWO_VALUES; i++)
			put(&values, text_tag, text);
		scep_put_attribute(out, SCEP_OID_TYPE, buf_bytes(&values));
		return;
	}
	put_value(out, SCEP_OID_TYPE, s->wrong == SCEP_TYPE_AS_OCTETS ? DER_OCTET_STRING : text_tag, text,
		  times(s, SCEP_NO_TYPE, SCEP_TYPE_TWICE));
}

static const char *digest_name(const struct scep_shape *s)
{
	return s->digest ? s->digest : "SHA256";
}

static void put_attributes(const struct scep_shape *s, struct buf *out)
{
	unsigned text_tag = s->text_tag ? s->text_tag : PRINTABLE_STRING;
	OWNED_BUF type = BUF_INIT(64);
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t n = 0;

	assert_int_equal(der_oid_parse(s->wrong == SCEP_ATTRIBUTE_OF_OTHER_TYPE ? OID_SIGNED_DATA : SCEP_OID_DATA,
				       &type), 0);
	put_value(out, SCEP_OID_CONTENT_TYPE, DER_OID, buf_bytes(&type),
		  times(s, SCEP_NO_CONTENT_TYPE, SCEP_WRONGS_));
	assert_int_equal(EVP_Q_digest(NULL, digest_name(s), NULL, s->content.ptr, s->content.len, digest, &n), 1);
	put_value(out, SCEP_OID_MESSAGE_DIGEST, DER_OCTET_STRING, bytes_of(digest, n),
		  times(s, SCEP_NO_DIGEST, SCEP_WRONGS_));
	put_type(s, out, text_tag);
	put_value(out, SCEP_OID_TRANSACTION_ID, text_tag,
		  s->transaction_id.ptr ? s->transaction_id : bytes_of_str("transaction"),
		  times(s, SCEP_NO_TRANSACTION_ID, SCEP_TRANSACTION_ID_TWICE));
	if (s->nonce.ptr)
		put_value(out, SCEP_OID_SENDER_NONCE, DER_OCTET_STRING, s->nonce,
			  times(s, SCEP_WRONGS_, SCEP_NONCE_TWICE));
}

static void put_algorithm(struct buf *out, const char *oid)
{
	OWNED_BUF algorithm = BUF_INIT(64);

	scep_put_oid(&algorithm, oid);
	wrap(&algorithm, DER_SEQUENCE);
	append(out, &algorithm);
}

static void put_name(struct buf *out, const struct scep_client *c)
{
	OWNED_BUF name = BUF_INIT(SCEP_RIG_MAX);
	const uint8_t *issuer;
	size_t n;

	assert_int_equal(X509_NAME_get0_der(X509_get_issuer_name(c->certificate), &issuer, &n), 1);
	assert_int_equal(buf_append(&name, bytes_of(issuer, n)), 0);
	put(&name, DER_INTEGER, bytes_of("\x01", 1));
	wrap(&name, DER_SEQUENCE);
	append(out, &name);
}

static void put_signature(const struct scep_shape *s, struct bytes attributes, struct buf *out)
{
	OWNED_BUF to_sign = BUF_INIT(SCEP_RIG_MAX);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[1024];
	size_t n = sizeof(signature);

	put(&to_sign, DER_SET, attributes);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, digest_name(s), NULL, NULL, s->by->key, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, signature, &n, to_sign.ptr, to_sign.len), 1);
	EVP_MD_CTX_free(ctx);
	if (s->wrong == SCEP_SIGNATURE_BENT)
		signature[n - 1] ^= 1;
	put(out, DER_OCTET_STRING, bytes_of(signature, n));
}

#define OID_SHA256 "2.16.840.1.101.3.4.2.1"
#define OID_RSA_SHA256 "1.2.840.113549.1.1.11"
#define OID_ECDSA_SHA256 "1.2.840.10045.4.3.2"

static const char *digest_oid(const struct scep_shape *s)
{
	return s->digest_oid ? s->digest_oid : OID_SHA256;
}

static void put_signer(const struct scep_shape *s, struct buf *out)
{
	OWNED_BUF signer = BUF_INIT(SCEP_RIG_MAX), attributes = BUF_INIT(SCEP_RIG_MAX);

	put_attributes(s, &attributes);
	put(&signer, DER_INTEGER, bytes_of("\x01", 1));
	put_name(&signer, s->by);
	put_algorithm(&signer, digest_oid(s));
	if (s->wrong != SCEP_NO_ATTRIBUTES && s->wrong != SCEP_UNSIGNED_ALONE)
		put(&signer, DER_CONTEXT_0, buf_bytes(&attributes));
	put_algorithm(&signer, s->signature_oid ? s->signature_oid : EVP_PKEY_is_a(s->by->key, "RSA") ?
							OID_RSA_SHA256 : OID_ECDSA_SHA256);
	put_signature(s, buf_bytes(&attributes), &signer);
	if (s->wrong == SCEP_UNSIGNED_ALONE)
		put(&signer, CONTEXT_1, buf_bytes(&attributes));
	wrap(&signer, DER_SEQUENCE);
	append(out, &signer);
}

static void put_content(const struct scep_shape *s, struct buf *out)
{
	OWNED_BUF content = BUF_INIT(SCEP_RIG_MAX), octets = BUF_INIT(SCEP_RIG_MAX);

	put(&octets, DER_OCTET_STRING, s->content);
	if (s->wrong == SCEP_CONTENT_BENT)
		octets.ptr[octets.len - 1] ^= 1;
	if (s->wrong == SCEP_CONTENT_TWICE)
		put(&octets, DER_OCTET_STRING, s->content);
	wrap(&octets, DER_CONTEXT_0);
	scep_put_oid(&content, s->wrong == SCEP_CONTENT_OF_OTHER_TYPE ? OID_ENVELOPED_DATA : SCEP_OID_DATA);
	append(&content, &octets);
	wrap(&content, DER_SEQUENCE);
	append(out, &content);
}

static void put_certificates(const struct scep_shape *s, struct buf *out)
{
	unsigned n = s->wrong == SCEP_NO_CERTIFICATE ? 0 : s->wrong == SCEP_NINE_CERTIFICATES ? 9 : 1;
	OWNED_BUF all = BUF_INIT(SCEP_RIG_MAX);

	for (unsigned i = 0; i < n; i++)
		append(&all, s->wrong == SCEP_CERTIFICATE_OF_ANOTHER ? &s->other->der : &s->by->der);
	if (s->wrong == SCEP_GARBAGE_CERTIFICATE)
		put(&all, DER_SEQUENCE, bytes_of("\x02\x01\x01", 3));
	put(out, DER_CONTEXT_0, buf_bytes(&all));
}

void scep_write_message(const struct scep_shape *s, struct buf *out)
{
	OWNED_BUF data = BUF_INIT(SCEP_RIG_MAX), signers = BUF_INIT(SCEP_RIG_MAX), digests = BUF_INIT(64);
	OWNED_BUF whole = BUF_INIT(SCEP_RIG_MAX);

	put_algorithm(&digests, digest_oid(s));
	for (unsigned n = times(s, SCEP_NO_SIGNER, SCEP_TWO_SIGNERS); n; n--)
		put_signer(s, &signers);
	put(&data, DER_INTEGER, bytes_of("\x01", 1));
	put(&data, DER_SET, buf_bytes(&digests));
	put_content(s, &data);
	put_certificates(s, &data);
	put(&data, DER_SET, buf_bytes(&signers));
	wrap(&data, DER_SEQUENCE);
	wrap(&data, DER_CONTEXT_0);
	scep_put_oid(&whole, s->wrong == SCEP_OTHER_CONTENT_INFO ? OID_ENVELOPED_DATA : OID_SIGNED_DATA);
	append(&whole, &data);
	put(out, DER_SEQUENCE, buf_bytes(&whole));
	if (s->wrong == SCEP_TRAILING_OCTETS)
		buf_append(out, bytes_of("\0\0", 2));
}
