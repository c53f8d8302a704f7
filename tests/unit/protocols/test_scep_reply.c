/* protocols/scep/reply.c: libcrypto and the own reader take what is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/cms.h>
#include <openssl/evp.h>

#include "core/base/own.h"
#include "protocols/bundle.h"
#include "protocols/scep/reply.h"
#include "tests/unit/protocols/scep_rig.h"

static struct scep_client ra, client;
static struct proto_ra_key key;
static struct arena *arena;
static struct scep_message request;

static int set_up(void **unused)
{
	scep_client_make(&ra, "2048", "ra");
	scep_client_make(&client, "P-256", "client");
	key = (struct proto_ra_key){ .number = 7, .certificate = buf_bytes(&ra.der) };
	return 0;
}

static int tear_down(void **unused)
{
	scep_client_fini(&ra);
	scep_client_fini(&client);
	return 0;
}

static int new_arena(void **unused)
{
	request = (struct scep_message){ .transaction_id = bytes_of_str("a transaction"),
					 .sender_nonce = bytes_of_str("nonce of the client") };
	return arena_new(&arena, 1 << 20);
}

static int drop_arena(void **unused)
{
	arena_drop(&arena);
	return 0;
}

/* ---- the signer ---- */

static int sign_error;

static int sign(void *state, unsigned number, const char *digest, struct bytes attributes, struct buf *signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t out[512];
	size_t n = sizeof(out);

	assert_int_equal(number, 7);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, ra.key, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, out, &n, attributes.ptr, attributes.len), 1);
	EVP_MD_CTX_free(ctx);
	return sign_error ? sign_error : buf_append(signature, bytes_of(out, n));
}

static const struct proto_ra registration_authority = { .sign = sign };

static void write_reply(const struct scep_reply *reply, struct buf *out)
{
	assert_int_equal(scep_reply_write(&registration_authority, &key, reply, arena, out), 0);
}

/* ---- the client ---- */

/* With the content that is there, and not left out. */
static void expect_signed(struct bytes octets, struct bytes content)
{
	const uint8_t *p = octets.ptr;
	BIO *out = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)octets.len);
	char *text;
	long n;

	assert_true(cms && p == octets.ptr + octets.len);
	assert_int_equal(CMS_verify(cms, NULL, NULL, NULL, out, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 1);
	n = BIO_get_mem_data(out, &text);
	assert_true(bytes_equal(bytes_of(text, (size_t)n), content));
	assert_non_null(CMS_get0_content(cms) ? *CMS_get0_content(cms) : NULL);
	CMS_ContentInfo_free(cms);
	BIO_free(out);
}

/* The one value of a signed attribute; false: it is not there. */
static bool find(struct bytes octets, const char *oid, int type, char out[static 300])
{
	const uint8_t *p = octets.ptr;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)octets.len);
	CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	const ASN1_STRING *value = CMS_signed_get0_data_by_OBJ(signer, object, -3, type);
	int n = value ? ASN1_STRING_length(value) : 0;

	assert_in_range(n, 0, 299);
	if (n)
		memcpy(out, ASN1_STRING_get0_data(value), (size_t)n);
	out[n] = '\0';
	ASN1_OBJECT_free(object);
	CMS_ContentInfo_free(cms);
	return value != NULL;
}

static void expect_attribute(struct bytes octets, const char *oid, int type, const char *value)
{
	char found[300];

	assert_true(find(octets, oid, type, found));
	assert_string_equal(found, value);
}

static void expect_no_attribute(struct bytes octets, const char *oid)
{
	char found[300];

	assert_false(find(octets, oid, V_ASN1_PRINTABLESTRING, found));
	assert_false(find(octets, oid, V_ASN1_OCTET_STRING, found));
	assert_false(find(octets, oid, V_ASN1_UTF8STRING, found));
}

static void expect_common(struct bytes octets)
{
	char nonce[300];

	expect_attribute(octets, SCEP_OID_TYPE, V_ASN1_PRINTABLESTRING, "3");
	expect_attribute(octets, SCEP_OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING, "a transaction");
	expect_attribute(octets, SCEP_OID_RECIPIENT_NONCE, V_ASN1_OCTET_STRING, "nonce of the client");
	assert_true(find(octets, SCEP_OID_SENDER_NONCE, V_ASN1_OCTET_STRING, nonce));
}

/* ---- tests ---- */

static void a_success_carries_an_envelope(void **unused)
{
	static const char *const digests[] = { "SHA256", "SHA384", "SHA512", "SHA1" };
	static const char *const oids[] = { "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01",
					    "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02",
					    "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03",
					    "\x30\x07\x06\x05\x2b\x0e\x03\x02\x1a" };

	for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++) {
		OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
		struct scep_reply reply = { .to = &request, .envelope = bytes_of_str("an envelope") };

		request.digest = scep_digest_find(bytes_of(oids[i] + 2, (size_t)oids[i][1]), SCEP_LEGACY_DES);
		assert_string_equal(request.digest->name, digests[i]);
		write_reply(&reply, &out);
		expect_signed(buf_bytes(&out), reply.envelope);
		expect_common(buf_bytes(&out));
		expect_attribute(buf_bytes(&out), SCEP_OID_STATUS, V_ASN1_PRINTABLESTRING, "0");
		expect_no_attribute(buf_bytes(&out), SCEP_OID_FAIL);
	}
}

static void a_failure_says_why_and_has_empty_content(void **unused)
{
	static const char *const numbers[] = { "0", "1", "2", "3", "4" };

	for (int fail = SCEP_BAD_ALG; fail <= SCEP_BAD_CERT_ID; fail++) {
		OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
		struct scep_reply reply = { .to = &request, .status = SCEP_FAILURE, .fail = (enum scep_fail)fail,
					    .fail_text = "it was refused" };

		write_reply(&reply, &out);
		expect_signed(buf_bytes(&out), bytes_of(NULL, 0));
		expect_common(buf_bytes(&out));
		expect_attribute(buf_bytes(&out), SCEP_OID_STATUS, V_ASN1_PRINTABLESTRING, "2");
		expect_attribute(buf_bytes(&out), SCEP_OID_FAIL, V_ASN1_PRINTABLESTRING, numbers[fail]);
		expect_attribute(buf_bytes(&out), SCEP_OID_FAIL_TEXT, V_ASN1_UTF8STRING, "it was refused");
	}
}

static void pending_has_empty_content(void **unused)
{
	OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
	struct scep_reply reply = { .to = &request, .status = SCEP_PENDING };

	write_reply(&reply, &out);
	expect_signed(buf_bytes(&out), bytes_of(NULL, 0));
	expect_common(buf_bytes(&out));
	expect_attribute(buf_bytes(&out), SCEP_OID_STATUS, V_ASN1_PRINTABLESTRING, "3");
	expect_no_attribute(buf_bytes(&out), SCEP_OID_FAIL);
	expect_no_attribute(buf_bytes(&out), SCEP_OID_FAIL_TEXT);
}

static void who_sends_no_nonce_gets_none(void **unused)
{
	OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
	struct scep_reply reply = { .to = &request, .status = SCEP_PENDING };

	request.sender_nonce = bytes_of(NULL, 0);
	write_reply(&reply, &out);
	expect_no_attribute(buf_bytes(&out), SCEP_OID_RECIPIENT_NONCE);
}

/* Cut between characters. */
static void a_long_reason_is_cut(void **unused)
{
	OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
	struct scep_reply reply = { .to = &request, .status = SCEP_FAILURE };
	char text[2 * 300 + 1], cut[SCEP_FAIL_TEXT_MAX + 1];

	for (size_t i = 0; i < 300; i++)
		memcpy(text + 2 * i, "\xc3\xa4", 3);
	reply.fail_text = text;
	write_reply(&reply, &out);
	memcpy(cut, text, sizeof(cut));
	cut[SCEP_FAIL_TEXT_MAX - 1] = '\0';
	expect_attribute(buf_bytes(&out), SCEP_OID_FAIL_TEXT, V_ASN1_UTF8STRING, cut);
}

/* What the client sent as its id comes back octet for octet, whatever it is. */
static void an_id_is_echoed(void **unused)
{
	OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
	struct scep_reply reply = { .to = &request, .status = SCEP_PENDING };

	request.transaction_id = bytes_of_str("=?@_*&\x80\xff\n\"");
	write_reply(&reply, &out);
	expect_attribute(buf_bytes(&out), SCEP_OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING, "=?@_*&\x80\xff\n\"");
}

static void the_own_reader_takes_it(void **unused)
{
	OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
	struct scep_reply reply = { .to = &request, .envelope = bytes_of_str("an envelope") };
	struct scep_message read;
	enum scep_fail fail;
	const char *why;

	write_reply(&reply, &out);
	assert_int_equal(scep_message_read(&read, buf_bytes(&out), arena, &why), 0);
	assert_int_equal(read.type, SCEP_CERT_REP);
	assert_true(bytes_equal(read.content, reply.envelope));
	assert_int_equal(scep_message_check(&read, SCEP_LEGACY_NONE, &fail, &why), 0);
	scep_message_fini(&read);
}

static void nonces_are_fresh(void **unused)
{
	OWNED_BUF first = BUF_INIT(SCEP_RIG_MAX), second = BUF_INIT(SCEP_RIG_MAX);
	struct scep_reply reply = { .to = &request, .status = SCEP_PENDING };
	struct scep_message a, b;
	const char *why;

	write_reply(&reply, &first);
	write_reply(&reply, &second);
	assert_int_equal(scep_message_read(&a, buf_bytes(&first), arena, &why), 0);
	assert_int_equal(scep_message_read(&b, buf_bytes(&second), arena, &why), 0);
	assert_int_equal(a.sender_nonce.len, 16);
	assert_false(bytes_equal(a.sender_nonce, b.sender_nonce));
}

static void a_signer_that_is_away_is_said(void **unused)
{
	OWNED_BUF out = BUF_INIT(SCEP_RIG_MAX);
	struct scep_reply reply = { .to = &request, .status = SCEP_PENDING };

	sign_error = -EAGAIN;
	assert_int_equal(scep_reply_write(&registration_authority, &key, &reply, arena, &out), -EAGAIN);
	assert_int_equal(out.len, 0);
	sign_error = 0;
}

/* Clients take the first certificate for theirs. */
static void the_leaf_is_first_in_the_bag(void **unused)
{
	OWNED_BUF all = BUF_INIT(SCEP_RIG_MAX), bag = BUF_INIT(SCEP_RIG_MAX);
	STACK_OF(X509) *certificates;
	CMS_ContentInfo *cms;
	const uint8_t *p;

	/* In the order of encodings, the shorter one would be first. */
	assert_true(client.der.len < ra.der.len);
	buf_append(&all, buf_bytes(&ra.der));
	buf_append(&all, buf_bytes(&client.der));
	assert_int_equal(bundle_write_in_order(buf_bytes(&all), &bag), 0);
	p = bag.ptr;
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)bag.len);
	certificates = CMS_get1_certs(cms);
	assert_int_equal(sk_X509_num(certificates), 2);
	assert_int_equal(X509_cmp(sk_X509_value(certificates, 0), ra.certificate), 0);
	sk_X509_pop_free(certificates, X509_free);
	CMS_ContentInfo_free(cms);
}

int main(void)
{
#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, new_arena, drop_arena)
	const struct CMUnitTest tests[] = {
		IN_ARENA(a_success_carries_an_envelope),
		IN_ARENA(a_failure_says_why_and_has_empty_content),
		IN_ARENA(pending_has_empty_content),
		IN_ARENA(who_sends_no_nonce_gets_none),
		IN_ARENA(a_long_reason_is_cut),
		IN_ARENA(an_id_is_echoed),
		IN_ARENA(the_own_reader_takes_it),
		IN_ARENA(nonces_are_fresh),
		IN_ARENA(a_signer_that_is_away_is_said),
		IN_ARENA(the_leaf_is_first_in_the_bag),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
