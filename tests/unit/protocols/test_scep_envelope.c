/* protocols/scep/envelope.c: what clients encrypt is read, and what is encrypted for them they read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "protocols/scep/envelope.h"
#include "tests/unit/protocols/scep_rig.h"

#define CONTENT bytes_of_str("a request, and its password")

static struct scep_client ra, other, ec, ec384, ec521;
static struct arena *arena;

static int set_up(void **unused)
{
	scep_client_make(&ra, "2048", "ra");
	scep_client_make(&other, "2048", "other");
	scep_client_make(&ec, "P-256", "ec");
	scep_client_make(&ec384, "P-384", "ec");
	scep_client_make(&ec521, "P-521", "ec");
	return 0;
}

static int tear_down(void **unused)
{
	scep_client_fini(&ra);
	scep_client_fini(&other);
	scep_client_fini(&ec);
	scep_client_fini(&ec384);
	scep_client_fini(&ec521);
	return 0;
}

static int new_arena(void **unused)
{
	return arena_new(&arena, 1 << 20);
}

static int drop_arena(void **unused)
{
	arena_drop(&arena);
	return 0;
}

/* ---- by libcrypto ---- */

enum { OAEP_SHA1 = 1 << 28, OAEP_SHA256 = 1 << 29 };

static void set_oaep(CMS_RecipientInfo *to, const EVP_MD *md)
{
	EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(to);

	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md), 1);
}

static void encrypt(const EVP_CIPHER *cipher, unsigned flags, struct buf *out)
{
	BIO *from = BIO_new_mem_buf(CONTENT.ptr, (int)CONTENT.len), *to = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, cipher, CMS_PARTIAL | CMS_BINARY | (flags & CMS_STREAM));
	CMS_RecipientInfo *recipient;
	char *octets;
	long n;

	recipient = CMS_add1_recipient_cert(cms, ra.certificate, CMS_KEY_PARAM | (flags & CMS_USE_KEYID));
	assert_non_null(recipient);
	if (flags & (OAEP_SHA1 | OAEP_SHA256))
		set_oaep(recipient, flags & OAEP_SHA1 ? EVP_sha1() : EVP_sha256());
	if (flags & CMS_STREAM)
		assert_int_equal(i2d_CMS_bio_stream(to, cms, from, CMS_STREAM | CMS_BINARY), 1);
	else
		assert_true(CMS_final(cms, from, NULL, CMS_BINARY) == 1 && i2d_CMS_bio(to, cms) == 1);
	n = BIO_get_mem_data(to, &octets);
	assert_int_equal(buf_append(out, bytes_of(octets, (size_t)n)), 0);
	CMS_ContentInfo_free(cms);
	BIO_free(from);
	BIO_free(to);
}

/* What the signer does. */
static void unwrap(const struct scep_envelope *e, uint8_t key[static PROTO_RA_UNWRAPPED_MAX])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ra.key, NULL);
	const EVP_MD *md = e->wrapping == PROTO_RA_OAEP_SHA1 ? EVP_sha1() : EVP_sha256();
	uint8_t out[512];
	size_t n = sizeof(out);

	assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
	if (e->wrapping != PROTO_RA_PKCS1)
		assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
			    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 &&
			    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1);
	assert_int_equal(EVP_PKEY_decrypt(ctx, out, &n, e->wrapped.ptr, e->wrapped.len), 1);
	assert_int_equal(n, e->cipher->key_size);
	memcpy(key, out, n);
	EVP_PKEY_CTX_free(ctx);
}

static void what_libcrypto_writes_is_opened(void **unused)
{
	const EVP_CIPHER *const cbc[] = { EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc(),
					      EVP_des_ede3_cbc() };
	static const unsigned forms[] = { 0, CMS_USE_KEYID, CMS_STREAM, CMS_STREAM | CMS_USE_KEYID, OAEP_SHA1,
					  OAEP_SHA256 };

	for (size_t i = 0; i < sizeof(cbc) / sizeof(*cbc); i++)
		for (size_t form = 0; form < sizeof(forms) / sizeof(*forms); form++) {
			OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX), content = BUF_INIT(SCEP_RIG_MAX);
			uint8_t key[PROTO_RA_UNWRAPPED_MAX];
			struct scep_envelope e;

			encrypt(cbc[i], forms[form], &octets);
			assert_int_equal(scep_envelope_read(&e, buf_bytes(&octets), SCEP_LEGACY_SHA1_3DES, true,
							    arena), 0);
			assert_true(scep_envelope_is_for(&e, buf_bytes(&ra.der)));
			assert_false(scep_envelope_is_for(&e, buf_bytes(&other.der)));
			unwrap(&e, key);
			assert_true(scep_envelope_open(&e, key, &content));
			assert_true(bytes_equal(buf_bytes(&content), CONTENT));
		}
}

/* Another key opens nothing, and nothing of what came out is left where it was written. */
static void another_key_leaves_nothing(void **unused)
{
	OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX), content = BUF_INIT(SCEP_RIG_MAX);
	uint8_t key[PROTO_RA_UNWRAPPED_MAX];
	struct scep_envelope e;

	encrypt(EVP_aes_128_cbc(), 0, &octets);
	assert_int_equal(scep_envelope_read(&e, buf_bytes(&octets), SCEP_LEGACY_NONE, false, arena), 0);
	unwrap(&e, key);
	assert_true(scep_envelope_open(&e, key, &content));
	buf_reset(&content);
	/* The first block is decrypted, the second one is none. */
	e.content.len = 31;
	assert_false(scep_envelope_open(&e, key, &content));
	assert_int_equal(content.len, 0);
	assert_null(memmem(content.ptr, 16 + EVP_MAX_BLOCK_LENGTH, CONTENT.ptr, 16));
	e.content.len = 15;
	assert_false(scep_envelope_open(&e, key, &content));
	e.content.len = 0;
	assert_false(scep_envelope_open(&e, key, &content));
}

static void algorithms_are_those_of_the_list(void **unused)
{
	const struct {
		const EVP_CIPHER *cipher;
		unsigned flags;
		enum scep_legacy legacy;
		bool takes_oaep;
	} kinds[] = {
		{ EVP_des_ede3_cbc(), 0, SCEP_LEGACY_NONE, true },
		{ EVP_aes_128_ofb(), 0, SCEP_LEGACY_DES, true },
		{ EVP_aes_128_cfb(), 0, SCEP_LEGACY_DES, true },
		{ EVP_aes_128_cbc(), OAEP_SHA1, SCEP_LEGACY_NONE, false },
		{ EVP_camellia_128_cbc(), 0, SCEP_LEGACY_DES, true },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX);
		struct scep_envelope e;

		encrypt(kinds[i].cipher, kinds[i].flags, &octets);
		assert_int_equal(scep_envelope_read(&e, buf_bytes(&octets), kinds[i].legacy, kinds[i].takes_oaep,
						    arena), SCEP_ENVELOPE_ALGORITHM);
	}
}

/* ---- octet by octet ---- */

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

struct shape {
	unsigned recipients; /* how many */
	unsigned recipient_tag;
	const char *outer, *inner, *wrapping, *cipher;
	size_t iv;
	unsigned content_tag;
	const char *more;    /* after the content */
};

#define OID_ENVELOPED_DATA "1.2.840.113549.1.7.3"
#define OID_AES_128_CBC "2.16.840.1.101.3.4.1.2"
#define OID_RSA "1.2.840.113549.1.1.1"
#define GOOD { 1, DER_SEQUENCE, OID_ENVELOPED_DATA, SCEP_OID_DATA, OID_RSA, OID_AES_128_CBC, 16, 0x80, "" }

static void put_recipient(const struct shape *s, struct buf *out)
{
	OWNED_BUF id = BUF_INIT(256), algorithm = BUF_INIT(256), recipient = BUF_INIT(1024);

	put(&id, DER_SEQUENCE, bytes_of(NULL, 0));
	put(&id, DER_INTEGER, bytes_of("\x01", 1));
	scep_put_oid(&algorithm, s->wrapping);
	put(&recipient, DER_INTEGER, bytes_of("\0", 1));
	put(&recipient, DER_SEQUENCE, buf_bytes(&id));
	put(&recipient, DER_SEQUENCE, buf_bytes(&algorithm));
	put(&recipient, DER_OCTET_STRING, bytes_of_str("wrapped"));
	put(out, s->recipient_tag, buf_bytes(&recipient));
}

static void put_content(const struct shape *s, struct buf *out)
{
	static const uint8_t iv[32];
	OWNED_BUF algorithm = BUF_INIT(256), content = BUF_INIT(1024);

	scep_put_oid(&algorithm, s->cipher);
	put(&algorithm, DER_OCTET_STRING, bytes_of(iv, s->iv));
	scep_put_oid(&content, s->inner);
	put(&content, DER_SEQUENCE, buf_bytes(&algorithm));
	put(&content, s->content_tag, bytes_of_str("0123456789abcdef"));
	put(out, DER_SEQUENCE, buf_bytes(&content));
}

static int read_shape(const struct shape *s)
{
	OWNED_BUF octets = BUF_INIT(4096), recipients = BUF_INIT(2048), whole = BUF_INIT(4096);
	struct scep_envelope e;

	for (unsigned i = 0; i < s->recipients; i++)
		put_recipient(s, &recipients);
	put(&octets, DER_INTEGER, bytes_of("\0", 1));
	put(&octets, DER_SET, buf_bytes(&recipients));
	put_content(s, &octets);
	buf_append_str(&octets, s->more);
	wrap(&octets, DER_SEQUENCE);
	wrap(&octets, DER_CONTEXT_0);
	scep_put_oid(&whole, s->outer);
	buf_append(&whole, buf_bytes(&octets));
	wrap(&whole, DER_SEQUENCE);
	return scep_envelope_read(&e, buf_bytes(&whole), SCEP_LEGACY_NONE, false, arena);
}

static void one_thing_wrong_is_enough(void **unused)
{
	struct shape s = GOOD;

	assert_int_equal(read_shape(&s), 0);
	s.recipients = 0;
	assert_int_equal(read_shape(&s), -EINVAL);
	s.recipients = 2;
	assert_int_equal(read_shape(&s), -EINVAL);
	s = (struct shape)GOOD;
	s.outer = SCEP_OID_DATA;
	assert_int_equal(read_shape(&s), -EINVAL);
	s = (struct shape)GOOD;
	s.inner = OID_ENVELOPED_DATA;
	assert_int_equal(read_shape(&s), -EINVAL);
	s = (struct shape)GOOD;
	s.content_tag = DER_OCTET_STRING;
	assert_int_equal(read_shape(&s), -EINVAL);
	s.content_tag = 0xa0; /* pieces, which these are not */
	assert_int_equal(read_shape(&s), -EINVAL);
	s = (struct shape)GOOD;
	s.more = "\x05";
	assert_int_equal(read_shape(&s), -EINVAL);
	s = (struct shape)GOOD;
	s.recipient_tag = DER_OCTET_STRING;
	assert_int_equal(read_shape(&s), -EINVAL);
}

static void other_algorithms_are_told_apart_from_garbage(void **unused)
{
	struct shape s = GOOD;

	s.recipient_tag = 0xa1; /* key agreement */
	assert_int_equal(read_shape(&s), SCEP_ENVELOPE_ALGORITHM);
	s.recipient_tag = 0xa3; /* a password */
	assert_int_equal(read_shape(&s), SCEP_ENVELOPE_ALGORITHM);
	s = (struct shape)GOOD;
	s.wrapping = "1.2.840.10045.2.1";
	assert_int_equal(read_shape(&s), SCEP_ENVELOPE_ALGORITHM);
	s = (struct shape)GOOD;
	s.cipher = "1.3.6.1.4.1.3029.1.2"; /* Blowfish */
	assert_int_equal(read_shape(&s), SCEP_ENVELOPE_ALGORITHM);
	s.cipher = "1.3.14.3.2.7"; /* DES */
	assert_int_equal(read_shape(&s), SCEP_ENVELOPE_ALGORITHM);
	s = (struct shape)GOOD;
	s.iv = 15;
	assert_int_equal(read_shape(&s), SCEP_ENVELOPE_ALGORITHM);
	s.iv = 17;
	assert_int_equal(read_shape(&s), SCEP_ENVELOPE_ALGORITHM);
}

static void what_was_cut_is_no_envelope(void **unused)
{
	static const unsigned forms[] = { 0, CMS_STREAM };

	for (size_t form = 0; form < sizeof(forms) / sizeof(*forms); form++) {
		OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX);
		struct scep_envelope e;

		encrypt(EVP_aes_128_cbc(), forms[form], &octets);
		for (size_t n = 0; n < octets.len; n++) {
			uint8_t *copy = malloc(n + 1);

			memcpy(copy, octets.ptr, n);
			assert_int_equal(scep_envelope_read(&e, bytes_of(copy, n), SCEP_LEGACY_NONE, false, arena),
					 -EINVAL);
			free(copy);
		}
	}
}

/* ---- for a client ---- */

static void expect_decrypted(const struct scep_client *c, struct bytes octets, const char *cipher)
{
	BIO *from = BIO_new_mem_buf(octets.ptr, (int)octets.len), *to = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms = d2i_CMS_bio(from, NULL);
	char *text;
	long n;

	assert_non_null(cms);
	assert_int_equal(CMS_decrypt(cms, c->key, c->certificate, NULL, to, 0), 1);
	n = BIO_get_mem_data(to, &text);
	assert_true(bytes_equal(bytes_of(text, (size_t)n), CONTENT));
	assert_non_null(memmem(octets.ptr, octets.len, cipher, 9));
	CMS_ContentInfo_free(cms);
	BIO_free(from);
	BIO_free(to);
}

static const struct scep_cipher *cipher(const char *oid, size_t iv_size, enum scep_legacy legacy)
{
	static const uint8_t iv[16];
	OWNED_BUF algorithm = BUF_INIT(64);
	struct bytes found;

	scep_put_oid(&algorithm, oid);
	put(&algorithm, DER_OCTET_STRING, bytes_of(iv, iv_size));
	return scep_cipher_find(buf_bytes(&algorithm), legacy, &found);
}

static void clients_read_what_is_for_them(void **unused)
{
	static const enum proto_ra_wrapping ways[] = { PROTO_RA_PKCS1, PROTO_RA_OAEP_SHA1, PROTO_RA_OAEP_SHA256 };
	const struct scep_client *const clients[] = { &other, &ec, &ec384, &ec521 };
	const struct scep_cipher *aes = cipher(OID_AES_128_CBC, 16, SCEP_LEGACY_NONE);

	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++)
		for (size_t way = 0; way < sizeof(ways) / sizeof(*ways); way++) {
			OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);

			assert_int_equal(scep_envelope_write(buf_bytes(&clients[i]->der), clients[i]->key, ways[way],
							     aes, CONTENT, &out), 0);
			expect_decrypted(clients[i], buf_bytes(&out), "\x60\x86\x48\x01\x65\x03\x04\x01\x02");
		}
}

/* Of an RSA key's certificate its name and number are needed, and nothing else is read. */
static void the_dates_of_a_client_do_not_matter(void **unused)
{
	static const enum proto_ra_wrapping ways[] = { PROTO_RA_PKCS1, PROTO_RA_OAEP_SHA1, PROTO_RA_OAEP_SHA256 };
	static const uint8_t utc_time[] = { 0x17, 0x0d };
	const struct scep_cipher *aes = cipher(OID_AES_128_CBC, 16, SCEP_LEGACY_NONE);
	OWNED_BUF bent = BUF_INIT(SCEP_RIG_MAX);
	uint8_t *at;

	assert_int_equal(buf_append(&bent, buf_bytes(&other.der)), 0);
	at = memmem(bent.ptr, bent.len, utc_time, sizeof(utc_time));
	assert_non_null(at);
	*at = 0x02;
	for (size_t way = 0; way < sizeof(ways) / sizeof(*ways); way++) {
		OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);

		assert_int_equal(scep_envelope_write(buf_bytes(&bent), other.key, ways[way], aes, CONTENT, &out), 0);
		expect_decrypted(&other, buf_bytes(&out), "\x60\x86\x48\x01\x65\x03\x04\x01\x02");
	}
}

/* As RFC 5753 8 asks of everybody: SHA-256 in the agreement, and AES around the key. */
static void keys_are_agreed_with_sha256(void **unused)
{
	static const char sha256kdf[] = "\x2b\x81\x04\x01\x0b\x01", wrap128[] = "\x60\x86\x48\x01\x65\x03\x04\x01\x05";
	const struct scep_cipher *aes = cipher(OID_AES_128_CBC, 16, SCEP_LEGACY_NONE);
	OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);

	assert_int_equal(scep_envelope_write(buf_bytes(&ec.der), ec.key, PROTO_RA_PKCS1, aes, CONTENT, &out), 0);
	assert_non_null(memmem(out.ptr, out.len, sha256kdf, sizeof(sha256kdf) - 1));
	assert_non_null(memmem(out.ptr, out.len, wrap128, sizeof(wrap128) - 1));
}

static void answers_are_never_weaker_than_aes(void **unused)
{
	const struct scep_cipher *aes256 = cipher("2.16.840.1.101.3.4.1.42", 16, SCEP_LEGACY_NONE);
	const struct scep_cipher *des3 = cipher("1.2.840.113549.3.7", 8, SCEP_LEGACY_SHA1_3DES);
	const struct scep_cipher *des = cipher("1.3.14.3.2.7", 8, SCEP_LEGACY_DES);

	assert_null(cipher("1.2.840.113549.3.7", 8, SCEP_LEGACY_NONE));
	assert_null(cipher("1.3.14.3.2.7", 8, SCEP_LEGACY_SHA1_3DES));
	assert_ptr_equal(scep_cipher_for_reply(aes256), aes256);
	assert_string_equal(scep_cipher_for_reply(des3)->name, "AES-128-CBC");
	assert_string_equal(scep_cipher_for_reply(des)->name, "AES-128-CBC");
}

/* In a context of its own: the common one has no single DES even then. */
static void single_des_stays_where_it_is(void **unused)
{
	const EVP_CIPHER *des = scep_cipher_get(cipher("1.3.14.3.2.7", 8, SCEP_LEGACY_DES));
	EVP_CIPHER *common = EVP_CIPHER_fetch(NULL, "DES-CBC", NULL);

	assert_non_null(des);
	assert_int_equal(EVP_CIPHER_get_key_length(des), 8);
	assert_null(common);
	assert_false(OSSL_PROVIDER_available(NULL, "legacy"));
}

static void for_nobody_else_is_anything_written(void **unused)
{
	OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
	const struct scep_cipher *aes = cipher(OID_AES_128_CBC, 16, SCEP_LEGACY_NONE);

	assert_int_equal(scep_envelope_write(bytes_of_str("0"), other.key, PROTO_RA_PKCS1, aes, CONTENT, &out),
			 -EINVAL);
	assert_int_equal(out.len, 0);
}

int main(void)
{
#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, new_arena, drop_arena)
	const struct CMUnitTest tests[] = {
		IN_ARENA(what_libcrypto_writes_is_opened),
		IN_ARENA(another_key_leaves_nothing),
		IN_ARENA(algorithms_are_those_of_the_list),
		IN_ARENA(one_thing_wrong_is_enough),
		IN_ARENA(other_algorithms_are_told_apart_from_garbage),
		IN_ARENA(what_was_cut_is_no_envelope),
		IN_ARENA(clients_read_what_is_for_them),
		IN_ARENA(the_dates_of_a_client_do_not_matter),
		IN_ARENA(keys_are_agreed_with_sha256),
		IN_ARENA(answers_are_never_weaker_than_aes),
		IN_ARENA(single_des_stays_where_it_is),
		IN_ARENA(for_nobody_else_is_anything_written),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
