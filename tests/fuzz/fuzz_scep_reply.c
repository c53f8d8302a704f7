/* The round of a reply: what was written is read by libcrypto, which verifies, decrypts and unpacks it, and all that
 * the client is told is what was said. Our own readers take it, too.
 *
 * The input: status, failInfo, sizes of transactionID and nonce, algorithms, how many certificates; then the octets of
 * the first two, and text or a certificate an octet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/x509.h>

#include "core/base/own.h"
#include "protocols/bundle.h"
#include "protocols/scep/envelope.h"
#include "protocols/scep/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 6
#define BAG_MAX 8
#define REPLY_MAX ((size_t)1 << 20)
#define NUMBER 3
#define SCEP_OID(n) "2.16.840.1.113733.1.9." #n
#define FAIL_TEXT "1.3.6.1.5.5.7.24.1"

/* ---- who signs, who asks, and what is handed out ---- */

struct owner {
	EVP_PKEY *key;
	X509 *certificate;
	struct bytes der;
};

enum { RA, RSA_CLIENT, EC_CLIENT, OTHER, OWNERS };
static struct owner owners[OWNERS];

static void certify(struct owner *o, const char *name)
{
	X509 *x = o->certificate = X509_new();
	uint8_t *der = NULL;
	int n;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	if (!X509_set_pubkey(x, o->key) || !X509_sign(x, o->key, EVP_sha256()))
		abort();
	n = i2d_X509(x, &der);
	o->der = bytes_of(der, (size_t)n);
}

static void make_owners(void)
{
	static const char *const names[] = { [RA] = "ra", [RSA_CLIENT] = "rsa", [EC_CLIENT] = "ec", [OTHER] = "o" };

	for (size_t i = 0; i < OWNERS; i++) {
		owners[i].key = i == RA || i == RSA_CLIENT ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
		certify(&owners[i], names[i]);
	}
}

static int sign(void *state, unsigned number, const char *digest, struct bytes attributes, struct buf *signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t octets[512];
	size_t n = sizeof(octets);

	if (number != NUMBER || EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, owners[RA].key, NULL) != 1 ||
	    EVP_DigestSign(ctx, octets, &n, attributes.ptr, attributes.len) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	return buf_append(signature, bytes_of(octets, n));
}

/* ---- what is said ---- */

struct said {
	struct scep_reply reply;
	struct scep_message request;
	const struct owner *client;
	enum proto_ra_wrapping wrapping;
	const struct scep_cipher *cipher;
	const struct owner *bag[BAG_MAX];
	size_t n_bag;
	char text[400];
};

static const struct scep_digest *digest_of(unsigned choice)
{
	static const struct bytes algorithms[] = {
		{ (const uint8_t *)"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01", 11 },
		{ (const uint8_t *)"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02", 11 },
		{ (const uint8_t *)"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03", 11 },
		{ (const uint8_t *)"\x06\x05\x2b\x0e\x03\x02\x1a", 7 },
	};

	return choice ? scep_digest_find(algorithms[choice - 1], SCEP_LEGACY_DES) : NULL;
}

/* That of the request, of 128 to 256 bits, or an old one, for which AES-128 comes. */
static const struct scep_cipher *cipher_of(unsigned choice)
{
	static const char *const algorithms[] = {
		"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x02\x04\x10" "0123456789abcdef",
		"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x16\x04\x10" "0123456789abcdef",
		"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a\x04\x10" "0123456789abcdef",
		"\x06\x05\x2b\x0e\x03\x02\x07\x04\x08" "01234567",
	};
	struct bytes iv;

	return scep_cipher_for_reply(scep_cipher_find(bytes_of_str(algorithms[choice]), SCEP_LEGACY_DES, &iv));
}

static void choose(struct said *s, const uint8_t *head)
{
	static const enum scep_status statuses[] = { SCEP_SUCCESS, SCEP_FAILURE, SCEP_PENDING };

	s->reply = (struct scep_reply){ .to = &s->request, .status = statuses[head[0] % 3],
					.fail = (enum scep_fail)(head[1] % 5) };
	s->request.digest = digest_of(head[4] % 5);
	s->cipher = cipher_of(head[4] / 8 % 4);
	s->client = &owners[head[4] & 0x80 ? EC_CLIENT : RSA_CLIENT];
	s->wrapping = (enum proto_ra_wrapping)(head[4] / 32 % 3);
	s->n_bag = head[5] % BAG_MAX + 1u;
}

/* False: there are not as many octets. */
static bool read_said(struct said *s, struct bytes in)
{
	struct bytes head, rest;

	if (!bytes_take(&in, HEAD, &head))
		return false;
	choose(s, head.ptr);
	if (!bytes_take(&in, head.ptr[2] % SCEP_TRANSACTION_ID_MAX + 1u, &s->request.transaction_id) ||
	    !bytes_take(&in, head.ptr[3] % (SCEP_NONCE_MAX + 1u), &s->request.sender_nonce))
		return false;
	if (s->reply.status != SCEP_SUCCESS) {
		memcpy(s->text, in.ptr, in.len < sizeof(s->text) - 1 ? in.len : sizeof(s->text) - 1);
		s->reply.fail_text = s->text;
		return true;
	}
	if (!bytes_take(&in, s->n_bag, &rest))
		return false;
	for (size_t i = 0; i < s->n_bag; i++)
		s->bag[i] = &owners[rest.ptr[i] % OWNERS];
	return true;
}

static void write_reply(struct said *s, struct arena *arena, struct buf *envelope, struct buf *out)
{
	static const struct proto_ra ra = { .sign = sign };
	const struct proto_ra_key key = { .number = NUMBER, .certificate = owners[RA].der };
	OWNED_BUF all = BUF_INIT(REPLY_MAX), bag = BUF_INIT(REPLY_MAX);

	for (size_t i = 0; s->reply.status == SCEP_SUCCESS && i < s->n_bag; i++)
		buf_append(&all, s->bag[i]->der);
	if (s->reply.status == SCEP_SUCCESS &&
	    (bundle_write_in_order(buf_bytes(&all), &bag) ||
	     scep_envelope_write(s->client->der, s->client->key, s->wrapping, s->cipher, buf_bytes(&bag), envelope)))
		abort();
	s->reply.envelope = buf_bytes(envelope);
	if (scep_reply_write(&ra, &key, &s->reply, arena, out))
		abort();
}

/* ---- what is read ---- */

static CMS_ContentInfo *read_cms(struct bytes der)
{
	const uint8_t *p = der.ptr;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.len);

	if (!cms || p != der.ptr + der.len)
		abort();
	return cms;
}

static struct bytes contents_of(BIO *b)
{
	char *ptr;
	long n = BIO_get_mem_data(b, &ptr);

	return bytes_of(ptr, (size_t)n);
}

/* Its one value; .ptr NULL: there is no such attribute. */
static struct bytes attribute(const CMS_SignerInfo *si, const char *oid, int type)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	const ASN1_STRING *value = NULL;

	if (CMS_signed_get_attr_by_OBJ(si, object, -1) >= 0) {
		value = CMS_signed_get0_data_by_OBJ(si, object, -3, type);
		if (!value)
			abort();
	}
	ASN1_OBJECT_free(object);
	return value ? bytes_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)) : bytes_of(NULL, 0);
}

static bool is_number(struct bytes value, int number)
{
	return value.len == 1 && value.ptr[0] == '0' + number;
}

/* As much of the text as there is room for, and no half of a character more. */
static bool is_text(struct bytes value, const char *text)
{
	size_t n = strnlen(text, SCEP_FAIL_TEXT_MAX);

	while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return value.len == n && !memcmp(n ? (const char *)value.ptr : text, text, n) && (n || !value.ptr);
}

static void check_attributes(const struct said *s, const CMS_SignerInfo *si)
{
	struct bytes fail = attribute(si, SCEP_OID(4), V_ASN1_PRINTABLESTRING);
	struct bytes text = attribute(si, FAIL_TEXT, V_ASN1_UTF8STRING);
	struct bytes nonce = attribute(si, SCEP_OID(6), V_ASN1_OCTET_STRING);

	if (!is_number(attribute(si, SCEP_OID(2), V_ASN1_PRINTABLESTRING), SCEP_CERT_REP) ||
	    !is_number(attribute(si, SCEP_OID(3), V_ASN1_PRINTABLESTRING), (int)s->reply.status) ||
	    attribute(si, SCEP_OID(5), V_ASN1_OCTET_STRING).len != 16 ||
	    !bytes_equal(attribute(si, SCEP_OID(7), V_ASN1_PRINTABLESTRING), s->request.transaction_id))
		abort();
	if (!bytes_equal(nonce, s->request.sender_nonce) || (nonce.ptr && !nonce.len))
		abort();
	if (s->reply.status == SCEP_FAILURE ? !is_number(fail, (int)s->reply.fail) || !is_text(text, s->text) :
					      fail.ptr || text.ptr)
		abort();
}

/* Octet for octet and in their order, whatever a SET says of that. */
static void check_bag(const struct said *s, struct bytes bag)
{
	CMS_ContentInfo *cms = read_cms(bag);
	STACK_OF(X509) *all = CMS_get1_certs(cms);

	if (sk_X509_num(all) != (int)s->n_bag || CMS_get1_crls(cms) ||
	    sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)) > 0)
		abort();
	for (size_t i = 0; i < s->n_bag; i++) {
		uint8_t *der = NULL;
		int n = i2d_X509(sk_X509_value(all, (int)i), &der);

		if (n <= 0 || !bytes_equal(bytes_of(der, (size_t)n), s->bag[i]->der))
			abort();
		OPENSSL_free(der);
	}
	sk_X509_pop_free(all, X509_free);
	CMS_ContentInfo_free(cms);
}

static void check_envelope(const struct said *s, struct bytes content)
{
	CMS_ContentInfo *cms = read_cms(content);
	BIO *plain = BIO_new(BIO_s_mem());

	if (!CMS_decrypt(cms, s->client->key, s->client->certificate, NULL, plain, CMS_BINARY))
		abort();
	check_bag(s, contents_of(plain));
	BIO_free(plain);
	CMS_ContentInfo_free(cms);
}

static void check_with_libcrypto(const struct said *s, struct bytes octets)
{
	CMS_ContentInfo *cms = read_cms(octets);
	STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
	BIO *content = BIO_new(BIO_s_mem());
	ASN1_OCTET_STRING **there = CMS_get0_content(cms);

	if (sk_CMS_SignerInfo_num(signers) != 1 || !there || !*there ||
	    !CMS_verify(cms, NULL, NULL, NULL, content, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY))
		abort();
	check_attributes(s, sk_CMS_SignerInfo_value(signers, 0));
	if (s->reply.status == SCEP_SUCCESS)
		check_envelope(s, contents_of(content));
	else if (contents_of(content).len)
		abort();
	BIO_free(content);
	CMS_ContentInfo_free(cms);
}

/* By our own readers. Those of envelopes are for RSA keys alone. */
static void check_with_ours(const struct said *s, struct bytes octets, struct arena *arena)
{
	struct scep_message m;
	struct scep_envelope e;
	enum scep_fail fail;
	const char *why;

	if (scep_message_read(&m, octets, arena, &why) || m.type != SCEP_CERT_REP ||
	    !bytes_equal(m.transaction_id, s->request.transaction_id) || m.sender_nonce.len != 16 ||
	    !bytes_equal(m.content, s->reply.envelope) || !m.content.ptr ||
	    !bytes_equal(m.signer, owners[RA].der) || m.others.len ||
	    scep_message_check(&m, SCEP_LEGACY_SHA1_3DES, &fail, &why))
		abort();
	scep_message_fini(&m);
	if (m.digest != (s->request.digest ? s->request.digest : scep_digest_default()))
		abort();
	if (s->reply.status == SCEP_SUCCESS && s->client == &owners[RSA_CLIENT] &&
	    (scep_envelope_read(&e, m.content, SCEP_LEGACY_NONE, true, arena) || e.cipher != s->cipher ||
	     e.wrapping != s->wrapping || !scep_envelope_is_for(&e, s->client->der)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_BUF envelope = BUF_INIT(REPLY_MAX), out = BUF_INIT(REPLY_MAX);
	struct said s = { .text = "" };
	OWNED(arena) arena = NULL;

	if (!owners[RA].key)
		make_owners();
	if (size > 4096 || !read_said(&s, bytes_of(data, size)))
		return 0;
	if (arena_new(&arena, REPLY_MAX))
		abort();
	write_reply(&s, arena, &envelope, &out);
	check_with_libcrypto(&s, buf_bytes(&out));
	check_with_ours(&s, buf_bytes(&out), arena);
	return 0;
}
