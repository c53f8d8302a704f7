/* Reading and checking a pkiMessage.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/message.h"

#include <errno.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "core/base/rsa_key.h"
#include "protocols/scep/ber.h"
#include "protocols/scep/oids.h"
#include "protocols/signed_der.h"

#define CERTIFICATES 0xa0
#define CRLS 0xa1
#define KEY_IDENTIFIER 0x80
#define SIGNED_ATTRIBUTES 0xa0
#define UNSIGNED_ATTRIBUTES 0xa1
#define PRINTABLE_STRING 0x13
#define IA5_STRING 0x16
#define UTF8_STRING 0x0c
#define RSA_BITS_MIN 1024
#define RSA_BITS_MAX 8192
#define RSA_EXPONENT_BITS_MAX 64

/* What stands between the outer octets and the parts. */
struct signed_data {
	struct bytes content, certificates, signer;
};

/* A signer's name for his certificate: issuer and serial number, or key identifier. */
struct signer_id {
	struct bytes issuer, serial, key_identifier;
};

/* ---- SignedData (RFC 5652 5.1) ---- */

/* The octets may be absent, as in a message without an envelope. */
static int read_content(struct bytes in, struct bytes *content)
{
	struct bytes type, wrapped;

	*content = bytes_of(NULL, 0);
	if (der_expect(&in, DER_OID, &type) || !bytes_equal(type, OID(OID_DATA)))
		return -EINVAL;
	if (!in.len)
		return 0;
	return der_expect(&in, DER_CONTEXT_0, &wrapped) || in.len || der_expect(&wrapped, DER_OCTET_STRING, content) ||
	       wrapped.len ? -EINVAL : 0;
}

/* One signer, and no more. */
static int read_signed_data(struct bytes in, struct signed_data *s)
{
	struct bytes version, digests, content, signers, skipped, whole;
	unsigned tag;

	if (der_expect(&in, DER_INTEGER, &version) || der_expect(&in, DER_SET, &digests) ||
	    der_expect(&in, DER_SEQUENCE, &content) || read_content(content, &s->content))
		return -EINVAL;
	s->certificates = bytes_of(NULL, 0);
	if (in.len && in.ptr[0] == CERTIFICATES && der_expect(&in, CERTIFICATES, &s->certificates))
		return -EINVAL;
	if (in.len && in.ptr[0] == CRLS && der_read(&in, &tag, &skipped, &whole))
		return -EINVAL;
	return der_expect(&in, DER_SET, &signers) || in.len || der_expect(&signers, DER_SEQUENCE, &s->signer) ||
	       signers.len ? -EINVAL : 0;
}

static int open_signed_data(struct bytes der, struct signed_data *s)
{
	struct bytes in, type, wrapped, content;

	return der_expect(&der, DER_SEQUENCE, &in) || der.len || der_expect(&in, DER_OID, &type) ||
	       !bytes_equal(type, OID(OID_SIGNED_DATA)) || der_expect(&in, DER_CONTEXT_0, &wrapped) || in.len ||
	       der_expect(&wrapped, DER_SEQUENCE, &content) || wrapped.len ? -EINVAL : read_signed_data(content, s);
}

/* ---- SignerInfo (5.3) ---- */

static int read_signer_id(struct bytes *in, struct signer_id *id)
{
	struct bytes name, content, whole;
	unsigned tag;

	*id = (struct signer_id){ 0 };
	if (in->len && in->ptr[0] == KEY_IDENTIFIER)
		return der_expect(in, KEY_IDENTIFIER, &id->key_identifier);
	return der_expect(in, DER_SEQUENCE, &name) || der_read(&name, &tag, &content, &whole) || tag != DER_SEQUENCE ||
	       der_expect(&name, DER_INTEGER, &id->serial) || name.len ? -EINVAL : (id->issuer = whole, 0);
}

static int read_signer(struct scep_message *m, struct bytes in, struct signer_id *id)
{
	struct bytes version, content, whole;
	unsigned tag;

	if (der_expect(&in, DER_INTEGER, &version) || read_signer_id(&in, id) ||
	    der_expect(&in, DER_SEQUENCE, &m->digest_algorithm) || der_read(&in, &tag, &content, &m->attributes) ||
	    tag != SIGNED_ATTRIBUTES || der_expect(&in, DER_SEQUENCE, &m->signature_algorithm) ||
	    der_expect(&in, DER_OCTET_STRING, &m->signature))
		return -EINVAL;
	/* What nobody has signed says nothing. */
	if (in.len && (der_read(&in, &tag, &content, &whole) || tag != UNSIGNED_ATTRIBUTES))
		return -EINVAL;
	return in.len ? -EINVAL : 0;
}

/* ---- attributes ---- */

static int take_text(struct bytes value, unsigned tag, struct bytes *out)
{
	if (out->ptr || (tag != PRINTABLE_STRING && tag != IA5_STRING && tag != UTF8_STRING) || !value.len)
		return -EINVAL;
	*out = value;
	return 0;
}

static int take_octets(struct bytes value, unsigned tag, struct bytes *out)
{
	if (out->ptr || tag != DER_OCTET_STRING || !value.len)
		return -EINVAL;
	*out = value;
	return 0;
}

/* What counts of the signed attributes; the rest may be there. */
struct attributes {
	struct bytes type, digest, message_type, transaction_id, sender_nonce;
};

static int take_type(struct bytes value, unsigned tag, struct bytes *out)
{
	if (out->ptr || tag != DER_OID || !bytes_equal(value, OID(OID_DATA)))
		return -EINVAL;
	*out = value;
	return 0;
}

/* `name` is one `what`, and the message has it. */
#define NEEDED(oid, member, take, name, what) \
	OID_INIT(oid), offsetof(struct attributes, member), take, "the signed attribute " name " is not one " what, \
	"the message has no signed attribute " name

static const struct {
	struct bytes oid;
	size_t place;
	int (*take)(struct bytes value, unsigned tag, struct bytes *out);
	const char *wrong, *absent; /* NULL: it may be */
	size_t max;                 /* 0: any */
	const char *longer;
} attribute_kinds[] = {
	{ NEEDED(OID_CONTENT_TYPE, type, take_type, "contentType", "id-data"), 0, NULL },
	{ NEEDED(OID_MESSAGE_DIGEST, digest, take_octets, "messageDigest", "OCTET STRING"), 0, NULL },
	{ NEEDED(OID_MESSAGE_TYPE, message_type, take_text, "messageType", "text"), 0, NULL },
	{ NEEDED(OID_TRANSACTION_ID, transaction_id, take_text, "transactionID", "text"), SCEP_TRANSACTION_ID_MAX,
	  "the transactionID is longer than 128 octets" },
	{ OID_INIT(OID_SENDER_NONCE), offsetof(struct attributes, sender_nonce), take_octets,
	  "the signed attribute senderNonce is not one OCTET STRING", NULL, SCEP_NONCE_MAX,
	  "the senderNonce is longer than 64 octets" },
};
_Static_assert(SCEP_TRANSACTION_ID_MAX == 128 && SCEP_NONCE_MAX == 64, "as the texts say");

#define ATTRIBUTE_KINDS (sizeof(attribute_kinds) / sizeof(*attribute_kinds))

static struct bytes *place_of(struct attributes *a, size_t kind)
{
	return (struct bytes *)((char *)a + attribute_kinds[kind].place);
}

/* One value each, and none twice: of two, another reader might take the other. */
static int read_attribute(struct bytes in, struct attributes *a, const char **why)
{
	struct bytes oid, values, value;
	unsigned tag;

	*why = "a signed attribute is not one OBJECT IDENTIFIER and one SET";
	if (der_expect(&in, DER_OID, &oid) || der_expect(&in, DER_SET, &values) || in.len)
		return -EINVAL;
	for (size_t i = 0; i < ATTRIBUTE_KINDS; i++)
		if (bytes_equal(attribute_kinds[i].oid, oid)) {
			*why = attribute_kinds[i].wrong;
			return der_read(&values, &tag, &value, NULL) || values.len ? -EINVAL :
				       attribute_kinds[i].take(value, tag, place_of(a, i));
		}
	return 0;
}

static int check_attributes(struct attributes *a, const char **why)
{
	for (size_t i = 0; i < ATTRIBUTE_KINDS; i++) {
		size_t n = place_of(a, i)->len, max = attribute_kinds[i].max;

		*why = n ? attribute_kinds[i].longer : attribute_kinds[i].absent;
		if ((!n && *why) || (max && n > max))
			return -EINVAL;
	}
	return 0;
}

/* Decimal, up to 255; -1: no such number. */
static int read_message_type(struct bytes text)
{
	int n = 0;

	if (text.len > 3)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -1;
		n = 10 * n + (text.ptr[i] - '0');
	}
	return n > 255 ? -1 : n;
}

static int read_attributes(struct scep_message *m, const char **why)
{
	struct bytes in = m->attributes, list, one;
	struct attributes a = { 0 };

	*why = "the signed attributes are no SET of SEQUENCEs";
	if (der_expect(&in, SIGNED_ATTRIBUTES, &list))
		return -EINVAL;
	while (list.len) {
		if (der_expect(&list, DER_SEQUENCE, &one))
			return -EINVAL;
		if (read_attribute(one, &a, why))
			return -EINVAL;
	}
	if (check_attributes(&a, why))
		return -EINVAL;
	*why = "the messageType is no decimal number up to 255";
	m->type = read_message_type(a.message_type);
	m->transaction_id = a.transaction_id;
	m->sender_nonce = a.sender_nonce;
	m->message_digest = a.digest;
	return m->type < 0 ? -EINVAL : 0;
}

/* ---- the signer's certificate ---- */

static bool has_key_identifier(struct bytes der, struct bytes identifier)
{
	const uint8_t *p = der.ptr;
	X509 *x = d2i_X509(NULL, &p, (long)der.len);
	const ASN1_OCTET_STRING *own = x ? X509_get0_subject_key_id(x) : NULL;
	bool is_it = own && bytes_equal(bytes_of(ASN1_STRING_get0_data(own), (size_t)ASN1_STRING_length(own)),
					identifier);

	X509_free(x);
	ERR_clear_error();
	return is_it;
}

static bool is_named(const struct signer_id *id, struct bytes der, const struct signed_certificate *c)
{
	if (id->key_identifier.ptr)
		return has_key_identifier(der, id->key_identifier);
	return bytes_equal(c->serial, id->serial) && bytes_equal(c->issuer, id->issuer);
}

/* The one that the signer names, and the others, which are moved together. */
static int find_signer(struct scep_message *m, struct bytes certificates, const struct signer_id *id,
		       struct arena *arena)
{
	uint8_t *others = arena_alloc(arena, certificates.len + 1);
	struct signed_certificate c;
	struct bytes content, whole;
	size_t n = 0, n_others = 0;
	unsigned tag;

	if (!others)
		return -ENOMEM;
	while (certificates.len) {
		if (der_read(&certificates, &tag, &content, &whole) || ++n > SCEP_CERTIFICATES_MAX ||
		    signed_der_certificate(whole, &c))
			return -EINVAL;
		if (!m->signer.ptr && is_named(id, whole, &c)) {
			m->signer = whole;
			m->signer_spki = c.spki;
			continue;
		}
		memcpy(others + n_others, whole.ptr, whole.len);
		n_others += whole.len;
	}
	m->others = bytes_of(others, n_others);
	return m->signer.ptr ? 0 : -EINVAL;
}

/* ---- the whole ---- */

/* Most clients write DER; what is BER is written anew. */
static int to_der(struct bytes octets, struct arena *arena, struct bytes *der)
{
	OWNED_BUF buf = BUF_INIT(octets.len + 64);
	int e;

	*der = octets;
	if (der_check(octets, SCEP_BER_DEPTH) == 0)
		return 0;
	e = scep_ber_to_der(octets, &buf);
	if (e)
		return e == -ENOMEM ? e : -EINVAL;
	*der = arena_copy(arena, buf_bytes(&buf));
	return der->ptr ? 0 : -ENOMEM;
}

int scep_message_read(struct scep_message *out, struct bytes octets, struct arena *arena, const char **why)
{
	struct signed_data s;
	struct signer_id id;
	struct bytes der;
	int e;

	*out = (struct scep_message){ 0 };
	*why = "the message is no SignedData in DER or BER (RFC 5652)";
	e = octets.len > SCEP_MESSAGE_MAX ? -EINVAL : to_der(octets, arena, &der);
	if (e)
		return e;
	if (open_signed_data(der, &s))
		return -EINVAL;
	out->content = s.content;
	*why = "the SignerInfo of the message has no signed attributes, or is none (RFC 5652 5.3)";
	if (read_signer(out, s.signer, &id) || read_attributes(out, why))
		return -EINVAL;
	*why = "the certificate of its signer is not in the message";
	return find_signer(out, s.certificates, &id, arena);
}

/* ---- the signature ---- */

/* By name: a curve of the sender's own making, or another one of the same size, is none of these. */
static bool is_curve_taken(EVP_PKEY *key)
{
	static const char *const curves[] = { SN_X9_62_prime256v1, SN_secp384r1, SN_secp521r1 };
	int is_explicit = 0;
	char name[32];
	size_t n;

	if (EVP_PKEY_get_group_name(key, name, sizeof(name), &n) != 1 ||
	    EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) != 1 ||
	    is_explicit)
		return false;
	for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++)
		if (strcmp(curves[i], name) == 0)
			return true;
	return false;
}

/* An exponent as long as the modulus would cost as much as a private key. */
static bool is_exponent_taken(EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	bool is_taken = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
			BN_num_bits(e) <= RSA_EXPONENT_BITS_MAX;

	BN_free(e);
	return is_taken;
}

static bool is_key_taken(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "RSA"))
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX && is_exponent_taken(key);
	return EVP_PKEY_is_a(key, "EC") && is_curve_taken(key);
}

static bool digests_to(const struct scep_message *m)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	return scep_digest_make(m->digest, m->content, digest) &&
	       bytes_equal(bytes_of(digest, m->digest->size), m->message_digest);
}

/* What is signed has the tag of a SET (RFC 5652 5.4); the octets behind it as they were sent. */
static bool verifies(const struct scep_message *m)
{
	static const uint8_t set = DER_SET;
	struct bytes pieces[] = { bytes_of(&set, 1), bytes_of(m->attributes.ptr + 1, m->attributes.len - 1) };

	return scep_signature_verifies(m->key, m->digest, pieces, 2, m->signature);
}

static int refuse(enum scep_fail *fail, const char **why, enum scep_fail what, const char *text)
{
	*fail = what;
	*why = text;
	return -EKEYREJECTED;
}

static int check_with_key(struct scep_message *m, enum scep_fail *fail, const char **why)
{
	if (!is_key_taken(m->key))
		return refuse(fail, why, SCEP_BAD_ALG, "the key that signs messages is RSA of 1024 to 8192 bits with "
						       "an exponent of up to 64, or EC of P-256, P-384 or P-521");
	if (!scep_signature_fits(m->signature_algorithm, m->key, m->digest))
		return refuse(fail, why, SCEP_BAD_ALG, "the message is signed with an algorithm not taken here");
	if (!digests_to(m) || !verifies(m))
		return refuse(fail, why, SCEP_BAD_MESSAGE_CHECK, "the signature of the message does not verify");
	return 0;
}

/* The usual spelling of an RSA key is read without libcrypto's decoders, and the reply is encrypted to it without them,
 * too. For all others libcrypto will write the reply: whose certificate it does not read must not get one issued. */
static EVP_PKEY *read_key(const struct scep_message *m)
{
	const uint8_t *p = m->signer.ptr;
	EVP_PKEY *key = rsa_key_from_spki(m->signer_spki);
	X509 *x;

	if (key)
		return key;
	x = d2i_X509(NULL, &p, (long)m->signer.len);
	key = x ? X509_get_pubkey(x) : NULL;
	X509_free(x);
	return key;
}

int scep_message_check(struct scep_message *m, enum scep_legacy legacy, enum scep_fail *fail, const char **why)
{
	int e;

	m->digest = scep_digest_find(m->digest_algorithm, legacy);
	if (!m->digest)
		return refuse(fail, why, SCEP_BAD_ALG, "the message is signed over a digest that is not taken here");
	scep_message_fini(m);
	m->key = read_key(m);
	e = m->key ? check_with_key(m, fail, why) :
		     refuse(fail, why, SCEP_BAD_ALG, "the certificate that goes with the message cannot be read");
	ERR_clear_error();
	return e;
}

void scep_message_fini(struct scep_message *m)
{
	EVP_PKEY_free(m->key);
	m->key = NULL;
}
