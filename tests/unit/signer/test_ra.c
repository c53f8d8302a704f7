/* Keys of registration authorities: what they unwrap and sign, and what they do not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/base/der.h"
#include "core/base/digest.h"
#include "core/signer/signer.h"

static const uint8_t kek[SIGNER_KEK_SIZE] = { 1, 2, 3 };

struct rig {
	struct signer *signer;
	struct buf sealed, spki;
	uint64_t key;
	EVP_PKEY *public;
	char why[SIGNER_WHY_SIZE];
};

static int begin(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));
	const uint8_t *p;

	g->sealed = BUF_INIT(SIGNER_SEALED_MAX);
	g->spki = BUF_INIT(SIGNER_SPKI_MAX);
	assert_int_equal(signer_new_ra(&g->signer, kek), 0);
	assert_int_equal(signer_generate(g->signer, "rsa-2048", SIGNER_PURPOSE_RA, "scep", &g->sealed, &g->spki,
					 g->why), 0);
	assert_int_equal(signer_load(g->signer, buf_bytes(&g->sealed), SIGNER_PURPOSE_RA, "scep", bytes_of(NULL, 0),
				     &g->key, g->why), 0);
	p = g->spki.ptr;
	g->public = d2i_PUBKEY(NULL, &p, (long)g->spki.len);
	assert_non_null(g->public);
	*state = g;
	return 0;
}

static int end(void **state)
{
	struct rig *g = *state;

	EVP_PKEY_free(g->public);
	signer_drop(&g->signer);
	buf_fini(&g->sealed);
	buf_fini(&g->spki);
	free(g);
	return 0;
}

/* Encrypt with this padding; RSA_NO_PADDING takes a whole block. */
static size_t encrypt(struct rig *g, int padding, const EVP_MD *md, struct bytes in, uint8_t out[static 512])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(g->public, NULL);
	size_t n = 512;

	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
	if (md) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md), 1);
	}
	assert_int_equal(EVP_PKEY_encrypt(ctx, out, &n, in.ptr, in.len), 1);
	EVP_PKEY_CTX_free(ctx);
	return n;
}

static int unwrap(struct rig *g, enum signer_wrapping wrapping, struct bytes wrapped, uint8_t *out, size_t n)
{
	return signer_unwrap(g->signer, g->key, wrapping, wrapped, out, n, g->why);
}

static void what_was_wrapped_is_unwrapped(void **state)
{
	static const struct {
		enum signer_wrapping wrapping;
		int padding;
		const EVP_MD *(*md)(void);
	} ways[] = {
		{ SIGNER_WRAPPING_PKCS1, RSA_PKCS1_PADDING, NULL },
		{ SIGNER_WRAPPING_OAEP_SHA1, RSA_PKCS1_OAEP_PADDING, EVP_sha1 },
		{ SIGNER_WRAPPING_OAEP_SHA256, RSA_PKCS1_OAEP_PADDING, EVP_sha256 },
	};
	static const size_t sizes[] = { 8, 16, 24, 32 };
	uint8_t key[32], wrapped[512], out[32];

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			size_t n;

			assert_int_equal(random_octets(key, sizeof(key)), 0);
			n = encrypt(*state, ways[i].padding, ways[i].md ? ways[i].md() : NULL,
				    bytes_of(key, sizes[s]), wrapped);
			assert_int_equal(unwrap(*state, ways[i].wrapping, bytes_of(wrapped, n), out, sizes[s]), 0);
			assert_memory_equal(out, key, sizes[s]);
		}
}

/* Each is a block that is wrong in one way. What comes out is no failure, is new each time, and has nothing of it. */
static void what_is_wrong_gives_random_octets(void **state)
{
	uint8_t block[256], wrapped[512], first[16], second[16];

	for (unsigned wrong = 0; wrong < 6; wrong++) {
		size_t n;

		memset(block, 0xaa, sizeof(block));
		block[0] = 0;
		block[1] = 2;
		block[255 - 16] = 0;
		if (wrong == 0)
			block[1] = 1;
		else if (wrong == 1)
			block[2] = 0;
		else if (wrong == 2)
			block[255 - 16] = 1;
		else if (wrong == 3)
			block[100] = 0;
		else if (wrong == 4)
			block[255 - 17] = 0; /* a message of 17 octets */
		else
			block[0] = 0, block[1] = 0;
		n = encrypt(*state, RSA_NO_PADDING, NULL, bytes_of(block, sizeof(block)), wrapped);
		assert_int_equal(unwrap(*state, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, n), first, 16), 0);
		assert_int_equal(unwrap(*state, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, n), second, 16), 0);
		assert_memory_not_equal(first, second, 16);
		assert_memory_not_equal(first, block + 240, 16);
	}
}

static void what_is_no_number_gives_random_octets_too(void **state)
{
	uint8_t wrapped[300], first[16], second[16];

	memset(wrapped, 0xff, sizeof(wrapped));
	for (size_t n = 0; n <= sizeof(wrapped); n += n == 0 ? 1 : n == 255 ? 1 : n == 256 ? 44 : 254) {
		assert_int_equal(unwrap(*state, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, n), first, 16), 0);
		assert_int_equal(unwrap(*state, SIGNER_WRAPPING_OAEP_SHA1, bytes_of(wrapped, n), second, 16), 0);
		assert_memory_not_equal(first, second, 16);
	}
}

static void sizes_have_limits(void **state)
{
	uint8_t wrapped[256] = { 0 }, out[64];

	assert_true(unwrap(*state, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, sizeof(wrapped)), out, 7) < 0);
	assert_true(unwrap(*state, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, sizeof(wrapped)), out, 33) < 0);
}

/* contentType and messageDigest. */
static void write_attributes(struct buf *out, size_t digest_size)
{
	static const char head[] = "\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0b\x06\x09\x2a"
				   "\x86\x48\x86\xf7\x0d\x01\x07\x01";
	static const char oid[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
	static const uint8_t digest[64] = { 7 };
	OWNED_BUF octets = BUF_INIT(256), set = BUF_INIT(256), attribute = BUF_INIT(256), list = BUF_INIT(256);

	assert_int_equal(der_write(&octets, DER_OCTET_STRING, bytes_of(digest, digest_size)), 0);
	assert_int_equal(der_write(&set, DER_SET, buf_bytes(&octets)), 0);
	assert_int_equal(buf_append(&attribute, bytes_of(oid, sizeof(oid) - 1)), 0);
	assert_int_equal(buf_append(&attribute, buf_bytes(&set)), 0);
	assert_int_equal(buf_append(&list, bytes_of(head, sizeof(head) - 1)), 0);
	assert_int_equal(der_write(&list, DER_SEQUENCE, buf_bytes(&attribute)), 0);
	assert_int_equal(der_write(out, DER_SET, buf_bytes(&list)), 0);
}

static void attributes_are_signed_with_each_digest(void **state)
{
	static const struct {
		const char *name;
		size_t size;
	} digests[] = { { "SHA1", 20 }, { "SHA256", 32 }, { "SHA384", 48 }, { "SHA512", 64 } };
	struct rig *g = *state;

	for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++) {
		OWNED_BUF attributes = BUF_INIT(512), signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();

		write_attributes(&attributes, digests[i].size);
		assert_int_equal(signer_sign_attributes(g->signer, g->key, digests[i].name, buf_bytes(&attributes),
							&signature, g->why), 0);
		assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, digests[i].name, NULL, NULL, g->public, NULL), 1);
		assert_int_equal(EVP_DigestVerify(ctx, signature.ptr, signature.len, attributes.ptr, attributes.len),
				 1);
		EVP_MD_CTX_free(ctx);
	}
}

static void nothing_else_is_signed(void **state)
{
	static const char tbs[] = "\x30\x03\x02\x01\x00", empty[] = "\x31\x00";
	struct rig *g = *state;
	OWNED_BUF attributes = BUF_INIT(512), signature = BUF_INIT(SIGNER_SIGNATURE_MAX);

	write_attributes(&attributes, 32);
	assert_int_equal(signer_sign_attributes(g->signer, g->key, "MD5", buf_bytes(&attributes), &signature, g->why),
			 SIGNER_REFUSED);
	assert_int_equal(signer_sign_attributes(g->signer, g->key, "SHA512", buf_bytes(&attributes), &signature,
						g->why), SIGNER_REFUSED);
	assert_int_equal(signer_sign_attributes(g->signer, g->key, "SHA256", bytes_of(tbs, 5), &signature, g->why),
			 SIGNER_REFUSED);
	assert_int_equal(signer_sign_attributes(g->signer, g->key, "SHA256", bytes_of(empty, 2), &signature, g->why),
			 SIGNER_REFUSED);
	assert_int_equal(signer_sign_certificate(g->signer, g->key, bytes_of(tbs, 5), &signature, g->why),
			 SIGNER_REFUSED);
	assert_int_equal(signature.len, 0);
}

/* A signer has keys of registration authorities or all others: neither opens what the other has sealed. */
static void the_two_signers_have_no_keys_of_each_other(void **state)
{
	struct rig *g = *state;
	struct signer *other;
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX), spki = BUF_INIT(SIGNER_SPKI_MAX);
	uint64_t key;

	assert_int_equal(signer_new(&other, kek), 0);
	assert_int_equal(signer_load(other, buf_bytes(&g->sealed), SIGNER_PURPOSE_RA, "scep", bytes_of(NULL, 0), &key,
				     g->why), SIGNER_REFUSED);
	assert_int_equal(signer_generate(other, "rsa-2048", SIGNER_PURPOSE_RA, "scep", &sealed, &spki, g->why),
			 SIGNER_REFUSED);
	assert_int_equal(signer_generate(g->signer, "ec-p256", SIGNER_PURPOSE_CA, "scep", &sealed, &spki, g->why),
			 SIGNER_REFUSED);
	assert_int_equal(signer_generate(g->signer, "ec-p256", SIGNER_PURPOSE_RA, "scep", &sealed, &spki, g->why),
			 SIGNER_REFUSED);
	signer_drop(&other);
}

static void a_key_is_of_one_endpoint(void **state)
{
	struct rig *g = *state;
	uint64_t key;

	assert_int_equal(signer_load(g->signer, buf_bytes(&g->sealed), SIGNER_PURPOSE_RA, "other", bytes_of(NULL, 0),
				     &key, g->why), SIGNER_REFUSED);
}

static void a_key_that_was_unloaded_is_unknown(void **state)
{
	struct rig *g = *state;
	uint64_t before = g->key;
	uint8_t wrapped[256] = { 0, 1 }, out[16];

	assert_int_equal(signer_unload(g->signer, before), 0);
	assert_int_equal(signer_unload(g->signer, before), 0);
	assert_int_equal(unwrap(g, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, sizeof(wrapped)), out, sizeof(out)),
			 SIGNER_UNKNOWN_KEY);
	assert_int_equal(signer_load(g->signer, buf_bytes(&g->sealed), SIGNER_PURPOSE_RA, "scep", bytes_of(NULL, 0),
				     &g->key, g->why), 0);
	assert_true(g->key != before);
	assert_int_equal(unwrap(g, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, sizeof(wrapped)), out, sizeof(out)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_wrapped_is_unwrapped, begin, end),
		cmocka_unit_test_setup_teardown(what_is_wrong_gives_random_octets, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_number_gives_random_octets_too, begin, end),
		cmocka_unit_test_setup_teardown(sizes_have_limits, begin, end),
		cmocka_unit_test_setup_teardown(attributes_are_signed_with_each_digest, begin, end),
		cmocka_unit_test_setup_teardown(nothing_else_is_signed, begin, end),
		cmocka_unit_test_setup_teardown(the_two_signers_have_no_keys_of_each_other, begin, end),
		cmocka_unit_test_setup_teardown(a_key_is_of_one_endpoint, begin, end),
		cmocka_unit_test_setup_teardown(a_key_that_was_unloaded_is_unknown, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
