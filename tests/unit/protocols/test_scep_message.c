/* protocols/scep/message.c: which messages are read, and which of them are taken.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/cms.h>
#include <openssl/evp.h>

#include "core/base/own.h"
#include "protocols/scep/message.h"
#include "tests/unit/protocols/scep_rig.h"

#define CONTENT bytes_of_str("what is enveloped")

static struct scep_client rsa, ec, ec384, other;

static int set_up(void **unused)
{
	scep_client_make(&rsa, "2048", "rsa");
	scep_client_make(&ec, "P-256", "ec");
	scep_client_make(&ec384, "P-384", "ec384");
	scep_client_make(&other, "P-256", "other");
	return 0;
}

static int tear_down(void **unused)
{
	scep_client_fini(&rsa);
	scep_client_fini(&ec);
	scep_client_fini(&ec384);
	scep_client_fini(&other);
	return 0;
}

/* What came of a message: of scep_message_read(), then of scep_message_check(). */
struct result {
	int read, check;
	enum scep_fail fail;
};

static struct result take(struct bytes octets, enum scep_legacy legacy)
{
	OWNED(arena) arena = NULL;
	struct scep_message m;
	const char *why = NULL;
	struct result r = { 0 };

	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	r.read = scep_message_read(&m, octets, arena, &why);
	if (r.read) {
		assert_non_null(why);
		return r;
	}
	why = NULL;
	r.check = scep_message_check(&m, legacy, &r.fail, &why);
	assert_int_equal(r.check != 0, why != NULL);
	scep_message_fini(&m);
	return r;
}

static struct result take_shape(const struct scep_shape *shape, enum scep_legacy legacy)
{
	OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX);

	scep_write_message(shape, &octets);
	return take(buf_bytes(&octets), legacy);
}

/* ---- what is taken ---- */

static void expect_message(struct bytes octets, const struct scep_client *by, const char *digest)
{
	OWNED(arena) arena = NULL;
	struct scep_message m;
	enum scep_fail fail;
	const char *why;

	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	assert_int_equal(scep_message_read(&m, octets, arena, &why), 0);
	assert_int_equal(m.type, SCEP_PKCS_REQ);
	assert_true(bytes_equal_str(m.transaction_id, "transaction"));
	assert_true(bytes_equal_str(m.sender_nonce, "0123456789abcdef"));
	assert_true(bytes_equal(m.content, CONTENT));
	assert_true(bytes_equal(m.signer, buf_bytes(&by->der)));
	assert_int_equal(m.others.len, 0);
	assert_int_equal(scep_message_check(&m, SCEP_LEGACY_NONE, &fail, &why), 0);
	assert_string_equal(m.digest->name, digest);
	assert_int_equal(EVP_PKEY_eq(m.key, by->key), 1);
	scep_message_fini(&m);
}

static void what_libcrypto_writes_is_taken(void **unused)
{
	static const struct {
		const struct scep_client *by;
		const EVP_MD *(*digest)(void);
		const char *name;
	} kinds[] = {
		{ &rsa, EVP_sha256, "SHA256" }, { &rsa, EVP_sha384, "SHA384" }, { &rsa, EVP_sha512, "SHA512" },
		{ &ec, EVP_sha256, "SHA256" },  { &ec384, EVP_sha384, "SHA384" }, { &ec, EVP_sha512, "SHA512" },
	};
	static const unsigned forms[] = { 0, CMS_USE_KEYID, CMS_STREAM, CMS_STREAM | CMS_USE_KEYID };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		for (size_t form = 0; form < sizeof(forms) / sizeof(*forms); form++) {
			OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX);

			scep_cms_message(kinds[i].by, kinds[i].digest(), forms[form], CONTENT, &octets);
			assert_int_equal(octets.ptr[1] == 0x80, (forms[form] & CMS_STREAM) != 0);
			expect_message(buf_bytes(&octets), kinds[i].by, kinds[i].name);
		}
}

static void every_kind_of_text_is_taken(void **unused)
{
	static const unsigned tags[] = { 0x13, 0x16, 0x0c };

	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++) {
		struct scep_shape s = { .by = &ec, .content = CONTENT, .text_tag = tags[i] };
		struct result r = take_shape(&s, SCEP_LEGACY_NONE);

		assert_int_equal(r.read, 0);
		assert_int_equal(r.check, 0);
	}
}

static void a_message_may_be_without_nonce_and_content(void **unused)
{
	struct scep_shape s = { .by = &ec };
	struct result r = take_shape(&s, SCEP_LEGACY_NONE);

	assert_int_equal(r.read, 0);
	assert_int_equal(r.check, 0);
}

/* ---- what is not read ---- */

static void one_thing_wrong_is_enough(void **unused)
{
	for (enum scep_wrong wrong = SCEP_NOTHING_WRONG; wrong < SCEP_WRONGS_; wrong++) {
		struct scep_shape s = { .by = &ec, .other = &other, .wrong = wrong, .content = CONTENT,
					.nonce = bytes_of_str("nonce") };
		bool is_bent = wrong == SCEP_SIGNATURE_BENT || wrong == SCEP_CONTENT_BENT;
		struct result r = take_shape(&s, SCEP_LEGACY_DES);

		if (r.read != (wrong == SCEP_NOTHING_WRONG || is_bent ? 0 : -EINVAL))
			fail_msg("wrong %d: read %d", wrong, r.read);
		assert_int_equal(r.check, is_bent ? -EKEYREJECTED : 0);
		if (is_bent)
			assert_int_equal(r.fail, SCEP_BAD_MESSAGE_CHECK);
	}
}

static void types_are_numbers(void **unused)
{
	static const struct {
		const char *text;
		int type; /* -1: not read */
	} types[] = {
		{ "0", 0 },   { "3", 3 },     { "17", 17 },   { "019", 19 },  { "255", 255 },  { "256", -1 },
		{ "19 ", -1 }, { " 19", -1 }, { "-1", -1 },   { "+19", -1 },  { "0x13", -1 },  { "", -1 },
		{ "1.9", -1 }, { "999", -1 }, { "0019", -1 }, { "PKCSReq", -1 }, { "1\n", -1 },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct scep_shape s = { .by = &ec, .content = CONTENT, .type = types[i].text };
		OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX);
		OWNED(arena) arena = NULL;
		struct scep_message m;
		const char *why;

		assert_int_equal(arena_new(&arena, 1 << 20), 0);
		scep_write_message(&s, &octets);
		assert_int_equal(scep_message_read(&m, buf_bytes(&octets), arena, &why),
				 types[i].type < 0 ? -EINVAL : 0);
		if (types[i].type >= 0)
			assert_int_equal(m.type, types[i].type);
	}
}

static void lengths_have_limits(void **unused)
{
	static const uint8_t octets[SCEP_TRANSACTION_ID_MAX + 1] = { 'x', 'x' };
	static const struct {
		size_t id, nonce;
		bool is_read;
	} lengths[] = {
		{ 1, 1, true }, { SCEP_TRANSACTION_ID_MAX, SCEP_NONCE_MAX, true }, { 0, 16, false }, { 16, 0, false },
		{ SCEP_TRANSACTION_ID_MAX + 1, 16, false }, { 16, SCEP_NONCE_MAX + 1, false },
	};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct scep_shape s = { .by = &ec, .content = CONTENT,
					.transaction_id = bytes_of(octets, lengths[i].id),
					.nonce = bytes_of(octets, lengths[i].nonce) };

		assert_int_equal(take_shape(&s, SCEP_LEGACY_NONE).read, lengths[i].is_read ? 0 : -EINVAL);
	}
}

/* Cut at every octet, and with every length one too long: nothing of it is a message. */
static void what_was_cut_is_no_message(void **unused)
{
	static const unsigned forms[] = { 0, CMS_STREAM };

	for (size_t form = 0; form < sizeof(forms) / sizeof(*forms); form++) {
		OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX);

		scep_cms_message(&ec, EVP_sha256(), forms[form], CONTENT, &octets);
		for (size_t n = 0; n < octets.len; n++) {
			uint8_t *copy = malloc(n + 1);

			memcpy(copy, octets.ptr, n);
			assert_int_equal(take(bytes_of(copy, n), SCEP_LEGACY_NONE).read, -EINVAL);
			free(copy);
		}
	}
}

/* Whatever one octet becomes, nobody's signature stands under what is taken; unless it is an octet that says nothing:
 * a version, or the set of digests. */
static void an_octet_changed_is_seen(void **unused)
{
	OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX);
	unsigned n_taken = 0;

	scep_cms_message(&ec, EVP_sha256(), 0, CONTENT, &octets);
	for (size_t i = 0; i < octets.len; i++) {
		struct result r;

		octets.ptr[i] ^= 0x55;
		r = take(buf_bytes(&octets), SCEP_LEGACY_NONE);
		n_taken += r.read == 0 && r.check == 0;
		octets.ptr[i] ^= 0x55;
	}
	/* Of the certificate only the key counts here, and the names by which it is found. */
	assert_in_range(n_taken, 1, ec.der.len);
}

static void more_than_the_limit_is_not_read(void **unused)
{
	static uint8_t octets[SCEP_MESSAGE_MAX + 1];
	struct scep_shape s = { .by = &ec, .content = bytes_of(octets, sizeof(octets)) };

	assert_int_equal(take_shape(&s, SCEP_LEGACY_NONE).read, -EINVAL);
}

/* ---- what is read and not taken ---- */

#define OID_MD5 "1.2.840.113549.2.5"
#define OID_SHA1 "1.3.14.3.2.26"
#define OID_SHA224 "2.16.840.1.101.3.4.2.4"
#define OID_RSA "1.2.840.113549.1.1.1"
#define OID_RSA_PSS "1.2.840.113549.1.1.10"
#define OID_RSA_MD5 "1.2.840.113549.1.1.4"
#define OID_RSA_SHA1 "1.2.840.113549.1.1.5"
#define OID_RSA_SHA512 "1.2.840.113549.1.1.13"
#define OID_ECDSA_SHA256 "1.2.840.10045.4.3.2"
#define OID_ED25519 "1.3.101.112"

static void algorithms_are_those_of_the_list(void **unused)
{
	static const struct {
		const struct scep_client *by;
		const char *digest, *digest_oid, *signature_oid;
		enum scep_legacy legacy;
		bool is_taken;
	} kinds[] = {
		{ &rsa, "SHA1", OID_SHA1, OID_RSA_SHA1, SCEP_LEGACY_NONE, false },
		{ &rsa, "SHA1", OID_SHA1, OID_RSA, SCEP_LEGACY_NONE, false },
		{ &rsa, "SHA1", OID_SHA1, OID_RSA_SHA1, SCEP_LEGACY_SHA1_3DES, true },
		{ &rsa, "SHA1", OID_SHA1, OID_RSA, SCEP_LEGACY_DES, true },
		{ &rsa, "MD5", OID_MD5, OID_RSA_MD5, SCEP_LEGACY_DES, false },
		{ &rsa, "MD5", OID_MD5, OID_RSA, SCEP_LEGACY_DES, false },
		{ &rsa, "SHA224", OID_SHA224, OID_RSA, SCEP_LEGACY_DES, false },
		{ &rsa, NULL, NULL, OID_RSA, SCEP_LEGACY_NONE, true },
		{ &rsa, NULL, NULL, OID_RSA_PSS, SCEP_LEGACY_DES, false },
		{ &rsa, NULL, NULL, OID_RSA_SHA512, SCEP_LEGACY_DES, false },  /* over another digest */
		{ &rsa, NULL, NULL, OID_ECDSA_SHA256, SCEP_LEGACY_DES, false }, /* of another key */
		{ &ec, NULL, NULL, OID_RSA, SCEP_LEGACY_DES, false },
		{ &ec, NULL, NULL, OID_ED25519, SCEP_LEGACY_DES, false },
		{ &ec, "SHA1", OID_SHA1, "1.2.840.10045.4.1", SCEP_LEGACY_NONE, false },
		{ &ec, "SHA1", OID_SHA1, "1.2.840.10045.4.1", SCEP_LEGACY_SHA1_3DES, true },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct scep_shape s = { .by = kinds[i].by, .content = CONTENT, .digest = kinds[i].digest,
					.digest_oid = kinds[i].digest_oid, .signature_oid = kinds[i].signature_oid };
		struct result r = take_shape(&s, kinds[i].legacy);

		assert_int_equal(r.read, 0);
		if (r.check != (kinds[i].is_taken ? 0 : -EKEYREJECTED))
			fail_msg("kind %zu: %d", i, r.check);
		if (!kinds[i].is_taken)
			assert_int_equal(r.fail, SCEP_BAD_ALG);
	}
}

static void keys_are_of_a_kind_and_a_size(void **unused)
{
	static const char *const kinds[] = { "512", "P-224", "secp256k1", "brainpoolP256r1", "explicit", "exponent" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct scep_client weak;
		struct scep_shape s = { .by = &weak, .content = CONTENT };
		struct result r;

		scep_client_make(&weak, kinds[i], "weak");
		r = take_shape(&s, SCEP_LEGACY_DES);
		assert_int_equal(r.read, 0);
		if (r.check != -EKEYREJECTED)
			fail_msg("%s is taken", kinds[i]);
		assert_int_equal(r.fail, SCEP_BAD_ALG);
		scep_client_fini(&weak);
	}
}

/* Its reply could not be encrypted to it, and would be found out about when everything is issued. */
static void what_libcrypto_does_not_read_gets_no_reply(void **unused)
{
	static const uint8_t utc_time[] = { 0x17, 0x0d };
	OWNED_BUF octets = BUF_INIT(SCEP_RIG_MAX);
	struct scep_shape s = { .by = &ec, .content = CONTENT };
	uint8_t *at;
	struct result r;

	scep_write_message(&s, &octets);
	at = memmem(octets.ptr, octets.len, utc_time, sizeof(utc_time));
	assert_non_null(at);
	*at = 0x02;
	r = take(buf_bytes(&octets), SCEP_LEGACY_NONE);
	assert_int_equal(r.read, 0);
	assert_int_equal(r.check, -EKEYREJECTED);
	assert_int_equal(r.fail, SCEP_BAD_ALG);
}

static void what_is_wrong_is_said(void **unused)
{
	static const uint8_t octets[SCEP_TRANSACTION_ID_MAX + 1] = { 'x', 'x' };
	static const struct {
		enum scep_wrong wrong;
		size_t id, nonce;
		const char *type, *why;
	} cases[] = {
		{ SCEP_TRANSACTION_ID_TWICE, 16, 16, "19", "transactionID is not one text" },
		{ SCEP_NO_TRANSACTION_ID, 16, 16, "19", "no signed attribute transactionID" },
		{ SCEP_NOTHING_WRONG, 129, 16, "19", "transactionID is longer than 128" },
		{ SCEP_NONCE_TWICE, 16, 16, "19", "senderNonce is not one OCTET STRING" },
		{ SCEP_NOTHING_WRONG, 16, 65, "19", "senderNonce is longer than 64" },
		{ SCEP_TYPE_AS_OCTETS, 16, 16, "19", "messageType is not one text" },
		{ SCEP_NO_TYPE, 16, 16, "19", "no signed attribute messageType" },
		{ SCEP_NOTHING_WRONG, 16, 16, "256", "messageType is no decimal number" },
		{ SCEP_NO_CONTENT_TYPE, 16, 16, "19", "no signed attribute contentType" },
		{ SCEP_ATTRIBUTE_OF_OTHER_TYPE, 16, 16, "19", "contentType is not one id-data" },
		{ SCEP_NO_DIGEST, 16, 16, "19", "no signed attribute messageDigest" },
		{ SCEP_NO_ATTRIBUTES, 16, 16, "19", "SignerInfo" },
		{ SCEP_CERTIFICATE_OF_ANOTHER, 16, 16, "19", "certificate of its signer" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scep_shape s = { .by = &ec, .other = &other, .content = CONTENT, .wrong = cases[i].wrong,
					.type = cases[i].type, .transaction_id = bytes_of(octets, cases[i].id),
					.nonce = bytes_of(octets, cases[i].nonce) };
		OWNED_BUF message = BUF_INIT(SCEP_RIG_MAX);
		OWNED(arena) arena = NULL;
		struct scep_message m;
		const char *why;

		assert_int_equal(arena_new(&arena, 1 << 20), 0);
		scep_write_message(&s, &message);
		assert_int_equal(scep_message_read(&m, buf_bytes(&message), arena, &why), -EINVAL);
		if (!strstr(why, cases[i].why))
			fail_msg("\"%s\" in place of \"%s\"", why, cases[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_libcrypto_writes_is_taken),
		cmocka_unit_test(every_kind_of_text_is_taken),
		cmocka_unit_test(a_message_may_be_without_nonce_and_content),
		cmocka_unit_test(one_thing_wrong_is_enough),
		cmocka_unit_test(types_are_numbers),
		cmocka_unit_test(lengths_have_limits),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(what_was_cut_is_no_message),
		cmocka_unit_test(an_octet_changed_is_seen),
		cmocka_unit_test(more_than_the_limit_is_not_read),
		cmocka_unit_test(algorithms_are_those_of_the_list),
		cmocka_unit_test(keys_are_of_a_kind_and_a_size),
		cmocka_unit_test(what_libcrypto_does_not_read_gets_no_reply),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
