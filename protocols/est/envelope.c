/* CMS with libcrypto.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/envelope.h"

#include <errno.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "core/base/der.h"

#define FLAGS (CMS_BINARY | CMS_PARTIAL)

/* ---- what the client can ---- */

static const struct {
	const char *dotted;
	unsigned content, wrap;
	bool oaep;
} algorithms[] = {
	{ "2.16.840.1.101.3.4.1.2", EST_AES_128, 0, false },
	{ "2.16.840.1.101.3.4.1.22", EST_AES_192, 0, false },
	{ "2.16.840.1.101.3.4.1.42", EST_AES_256, 0, false },
	{ "2.16.840.1.101.3.4.1.5", 0, EST_AES_128, false },
	{ "2.16.840.1.101.3.4.1.25", 0, EST_AES_192, false },
	{ "2.16.840.1.101.3.4.1.45", 0, EST_AES_256, false },
	{ "1.2.840.113549.1.1.7", 0, 0, true },
};

static void take_algorithm(const char *dotted, struct est_capabilities *out)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++)
		if (strcmp(algorithms[i].dotted, dotted) == 0) {
			out->content |= algorithms[i].content;
			out->wrap |= algorithms[i].wrap;
			out->has_oaep = out->has_oaep || algorithms[i].oaep;
		}
}

int est_capabilities_read(struct bytes list, struct est_capabilities *out)
{
	struct bytes capability, oid, parameters;
	char dotted[128];
	unsigned tag;

	*out = (struct est_capabilities){ 0 };
	while (list.len) {
		if (der_expect(&list, DER_SEQUENCE, &capability) || der_expect(&capability, DER_OID, &oid))
			return -EINVAL;
		if (capability.len && (der_read(&capability, &tag, &parameters, NULL) || capability.len))
			return -EINVAL;
		if (der_oid_print(oid, dotted, sizeof(dotted)) == 0)
			take_algorithm(dotted, out);
	}
	return 0;
}

unsigned est_aes_strongest(unsigned sizes)
{
	return sizes & EST_AES_256 ? 32 : sizes & EST_AES_192 ? 24 : sizes & EST_AES_128 ? 16 : 0;
}

unsigned est_aes_size(size_t octets)
{
	return octets == 32 ? EST_AES_256 : octets == 24 ? EST_AES_192 : EST_AES_128;
}

static const EVP_CIPHER *content_cipher(unsigned octets)
{
	return octets == 16 ? EVP_aes_128_cbc() : octets == 24 ? EVP_aes_192_cbc() : EVP_aes_256_cbc();
}

static const EVP_CIPHER *wrap_cipher(unsigned octets)
{
	return octets == 16 ? EVP_aes_128_wrap() : octets == 24 ? EVP_aes_192_wrap() : EVP_aes_256_wrap();
}

static int wrap_nid(size_t octets)
{
	return octets == 16 ? NID_id_aes128_wrap : octets == 24 ? NID_id_aes192_wrap : NID_id_aes256_wrap;
}

/* ---- certificates ---- */

static X509 *read_certificate(struct bytes *rest)
{
	const unsigned char *p = rest->ptr;
	X509 *certificate = d2i_X509(NULL, &p, (long)rest->len);

	if (certificate)
		*rest = bytes_of(p, rest->len - (size_t)(p - rest->ptr));
	return certificate;
}

int est_certificate_identifier(struct bytes der, struct buf *out)
{
	X509 *certificate = read_certificate(&der);
	const ASN1_OCTET_STRING *own = certificate ? X509_get0_subject_key_id(certificate) : NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int e = -EINVAL;

	if (own)
		e = buf_append(out, bytes_of(ASN1_STRING_get0_data(own), (size_t)ASN1_STRING_length(own)));
	else if (certificate && X509_pubkey_digest(certificate, EVP_sha1(), digest, &n) == 1)
		e = buf_append(out, bytes_of(digest, n));
	X509_free(certificate);
	ERR_clear_error();
	return e;
}

bool est_certificate_encrypts(struct bytes der)
{
	X509 *certificate = read_certificate(&der);
	const EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate) : NULL;
	uint32_t usage = certificate ? X509_get_key_usage(certificate) : 0; /* all where it is unrestricted */
	bool encrypts = false;

	if (key && EVP_PKEY_is_a(key, "RSA"))
		encrypts = usage & KU_KEY_ENCIPHERMENT;
	else if (key && EVP_PKEY_is_a(key, "EC"))
		encrypts = usage & KU_KEY_AGREEMENT;
	X509_free(certificate);
	ERR_clear_error();
	return encrypts;
}

static STACK_OF(X509) *read_chain(struct bytes chain)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	X509 *certificate;

	while (all && chain.len) {
		certificate = read_certificate(&chain);
		if (certificate && sk_X509_push(all, certificate) > 0)
			continue;
		X509_free(certificate);
		sk_X509_pop_free(all, X509_free);
		return NULL;
	}
	return all;
}

/* ---- the envelope ---- */

static int set_type(CMS_ContentInfo *cms, const char *dotted)
{
	ASN1_OBJECT *type = OBJ_txt2obj(dotted, 1);
	int e = type && CMS_set1_eContentType(cms, type) == 1 ? 0 : -EIO;

	ASN1_OBJECT_free(type);
	return e;
}

/* In one piece: CMS_final() would take it through buffers on the stack, which nobody overwrites. */
static bool fill(CMS_ContentInfo *cms, struct bytes content)
{
	BIO *to = CMS_dataInit(cms, NULL);
	bool ok = to && BIO_write(to, content.ptr, (int)content.len) == (int)content.len && BIO_flush(to) == 1 &&
		  CMS_dataFinal(cms, to) == 1;

	BIO_free_all(to);
	return ok;
}

static int finish(CMS_ContentInfo *cms, struct bytes content, struct buf *out)
{
	int n = fill(cms, content) ? i2d_CMS_ContentInfo(cms, NULL) : -1;
	unsigned char *to = n > 0 ? buf_room(out, (size_t)n) : NULL;

	if (!to)
		return n > 0 ? buf_status(out) : -EIO;
	if (i2d_CMS_ContentInfo(cms, &to) != n)
		return -EIO;
	buf_added(out, (size_t)n);
	return 0;
}

/* libcrypto does not overwrite what was signed, since it takes it for public. */
static void wipe_content(CMS_ContentInfo *cms)
{
	ASN1_OCTET_STRING **content = cms ? CMS_get0_content(cms) : NULL;

	if (content && *content)
		OPENSSL_cleanse((void *)(uintptr_t)ASN1_STRING_get0_data(*content),
				(size_t)ASN1_STRING_length(*content));
}

static int sign(struct bytes package, struct bytes signer_chain, struct bytes signer_key, struct buf *out)
{
	const unsigned char *p = signer_key.ptr;
	STACK_OF(X509) *chain = read_chain(signer_chain);
	X509 *certificate = chain && sk_X509_num(chain) > 0 ? sk_X509_shift(chain) : NULL;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)signer_key.len);
	CMS_ContentInfo *cms = certificate && key ? CMS_sign(NULL, NULL, chain, NULL, FLAGS) : NULL;
	int e = cms ? set_type(cms, "2.16.840.1.101.2.1.2.78.5") : -EIO; /* id-ct-KP-aKeyPackage */

	if (!e && !CMS_add1_signer(cms, certificate, key, EVP_sha256(), FLAGS | CMS_NOSMIMECAP))
		e = -EIO;
	if (!e)
		e = finish(cms, package, out);
	wipe_content(cms);
	CMS_ContentInfo_free(cms);
	EVP_PKEY_free(key);
	X509_free(certificate);
	sk_X509_pop_free(chain, X509_free);
	return e;
}

/* RFC 7030 4.4.2: kekri, whose identifier is the one that the client gave. */
static int add_shared_key(CMS_ContentInfo *cms, const struct est_recipient *r)
{
	unsigned char *key = OPENSSL_memdup(r->key.ptr, r->key.len);
	unsigned char *identifier = OPENSSL_memdup(r->identifier.ptr, r->identifier.len);

	if (key && identifier && CMS_add0_recipient_key(cms, wrap_nid(r->key.len), key, r->key.len, identifier,
							r->identifier.len, NULL, NULL, NULL))
		return 0;
	OPENSSL_clear_free(key, r->key.len);
	OPENSSL_free(identifier);
	return -EIO;
}

/* ktri: the padding stands with the key's context until the key is wrapped. */
static int set_transport(CMS_RecipientInfo *info, const struct est_recipient *r)
{
	EVP_PKEY_CTX *key = CMS_RecipientInfo_get0_pkey_ctx(info);

	if (!r->uses_oaep)
		return 0;
	return key && EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_OAEP_PADDING) > 0 ? 0 : -EIO;
}

/* kari: libcrypto would derive with SHA-1. */
static int set_agreement(CMS_RecipientInfo *info, const struct est_recipient *r)
{
	EVP_PKEY_CTX *key = CMS_RecipientInfo_get0_pkey_ctx(info);
	EVP_CIPHER_CTX *wrap = CMS_RecipientInfo_kari_get0_ctx(info);

	if (!key || !wrap || EVP_PKEY_CTX_set_ecdh_kdf_md(key, EVP_sha256()) <= 0)
		return -EIO;
	return EVP_EncryptInit_ex(wrap, wrap_cipher(r->wrap), NULL, NULL, NULL) == 1 ? 0 : -EIO;
}

static int add_certificate(CMS_ContentInfo *cms, const struct est_recipient *r)
{
	struct bytes der = r->certificate;
	X509 *certificate = read_certificate(&der);
	bool has_identifier = certificate && X509_get0_subject_key_id(certificate);
	CMS_RecipientInfo *info = NULL;
	int e = -EIO;

	if (certificate)
		info = CMS_add1_recipient_cert(cms, certificate,
					       FLAGS | CMS_KEY_PARAM | (has_identifier ? CMS_USE_KEYID : 0));
	if (info)
		e = CMS_RecipientInfo_type(info) == CMS_RECIPINFO_AGREE ? set_agreement(info, r) :
									  set_transport(info, r);
	X509_free(certificate);
	return e;
}

/* What is inside is a whole ContentInfo, and its type says so (RFC 5652 3): whoever decrypts has something that can be
 * verified. */
static int encrypt(struct bytes message, const struct est_recipient *r, struct buf *out)
{
	CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, content_cipher(r->content), FLAGS);
	int e = cms ? set_type(cms, "1.2.840.113549.1.9.16.1.6") : -EIO; /* id-ct-contentInfo */

	if (!e)
		e = r->key.len ? add_shared_key(cms, r) : add_certificate(cms, r);
	if (!e)
		e = finish(cms, message, out);
	CMS_ContentInfo_free(cms);
	return e;
}

int est_envelope_write(struct bytes pkcs8, const struct est_recipient *recipient, struct bytes signer_chain,
		       struct bytes signer_key, struct buf *out)
{
	OWNED_BUF package = BUF_INIT(pkcs8.len + DER_HEAD_MAX), message = BUF_INIT(out->max);
	int e = der_write(&package, DER_SEQUENCE, pkcs8); /* AsymmetricKeyPackage: a list, of one */

	if (!e)
		e = sign(buf_bytes(&package), signer_chain, signer_key, &message);
	if (!e)
		e = encrypt(buf_bytes(&message), recipient, out);
	ERR_clear_error();
	return e;
}
