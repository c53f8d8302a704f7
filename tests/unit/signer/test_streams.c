/* What a key signs in pieces, and that it can never be taken for a certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/der.h"
#include "core/base/digest.h"
#include "core/signer/seal.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/unit/core/issue_kit.h"

#define NOW 1772366400ll /* 2026-03-01T12:00:00Z */
#define HEX(text) ((struct bytes){ (const uint8_t *)(text), sizeof(text) - 1 })

static struct issue_kit kit;

static int make_kit(void **state)
{
	issue_kit_init(&kit, "ec-p256", "One", NOW, NOW + 30 * 86400);
	return 0;
}

static int drop_kit(void **state)
{
	issue_kit_fini(&kit);
	return 0;
}

/* ---- what is signed ---- */

/* A TBSCertList of libcrypto, with `n` entries. */
static void build_list(struct issue_kit *k, int n, struct buf *out)
{
	const uint8_t *p = k->certificate.ptr;
	X509 *root = d2i_X509(NULL, &p, (long)k->certificate.len);
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = ASN1_TIME_set(NULL, NOW);
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	EVP_PKEY *key = csr_key("ec-p256");
	uint8_t *der = NULL;
	int size;

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(root));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, now);
	assert_int_equal(X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0), 1);
	for (int i = 1; i <= n; i++) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();

		ASN1_INTEGER_set(serial, i);
		X509_REVOKED_set_serialNumber(r, serial);
		X509_REVOKED_set_revocationDate(r, now);
		X509_CRL_add0_revoked(crl, r);
		ASN1_INTEGER_free(serial);
	}
	/* By a key that nobody knows: only the algorithm stays in it. */
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	EVP_PKEY_free(key);
	size = i2d_re_X509_CRL_tbs(crl, &der);
	assert_true(size > 0);
	assert_int_equal(buf_append(out, bytes_of(der, (size_t)size)), 0);
	OPENSSL_free(der);
	ASN1_INTEGER_free(number);
	ASN1_TIME_free(now);
	X509_CRL_free(crl);
	X509_free(root);
}

static void put(struct buf *out, unsigned tag, struct bytes content)
{
	assert_int_equal(der_write(out, tag, content), 0);
}

/* A ResponseData with this responder (RFC 6960 4.2.1); the responses are for the reader, not for the signer. */
static void build_response(unsigned tag, struct bytes responder, struct buf *out)
{
	OWNED_BUF content = BUF_INIT(65536);

	put(&content, tag, responder);
	put(&content, 0x18, bytes_of_str("20260301120000Z"));
	put(&content, DER_SEQUENCE, HEX("\x30\x00"));
	put(out, DER_SEQUENCE, buf_bytes(&content));
}

static void hash_of(struct bytes spki, struct buf *out)
{
	struct bytes content, algorithm, bits;
	uint8_t hash[DIGEST_MAX];

	assert_int_equal(der_expect(&spki, DER_SEQUENCE, &content), 0);
	assert_int_equal(der_expect(&content, DER_SEQUENCE, &algorithm), 0);
	assert_int_equal(der_expect(&content, DER_BIT_STRING, &bits), 0);
	assert_int_equal(digest_of(DIGEST_SHA1, bytes_of(bits.ptr + 1, bits.len - 1), hash), 0);
	put(out, DER_OCTET_STRING, bytes_of(hash, 20));
}

static int sign_in_pieces(struct signer *s, uint64_t key, enum signer_stream_kind kind, struct bytes octets,
			  size_t size, struct buf *signature, char *why)
{
	struct signer_stream *st = NULL;
	int e = signer_stream_begin(s, key, kind, &st, why);

	while (!e && octets.len) {
		struct bytes piece;

		bytes_take(&octets, octets.len < size ? octets.len : size, &piece);
		e = signer_stream_data(st, piece, why);
	}
	if (!e)
		e = signer_stream_end(st, signature, why);
	signer_stream_drop(&st);
	return e;
}

/* The answer is the same however it is cut. `refusal` NULL: it signs, and the signature verifies. */
static void expect(uint64_t key, enum signer_stream_kind kind, struct bytes octets, const char *refusal)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 100, SIGNER_PIECE_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
		char why[SIGNER_WHY_SIZE] = "";
		int e = sign_in_pieces(kit.signer, key, kind, octets, sizes[i], &signature, why);

		if (e != (refusal ? SIGNER_REFUSED : 0) || (refusal && !strstr(why, refusal)))
			fail_msg("%d '%s' instead of '%s'", e, why, refusal ? refusal : "");
		assert_int_equal(signature.len == 0, refusal != NULL);
		if (!refusal)
			assert_true(issuer_verifies(kit.issuer, octets, buf_bytes(&signature)));
	}
}

static void signs_a_revocation_list_in_pieces_of_any_size(void **state)
{
	static const int sizes[] = { 0, 1, 3000 };

	for (size_t i = 0; i < 3; i++) {
		OWNED_BUF list = BUF_INIT(1u << 20);

		build_list(&kit, sizes[i], &list);
		expect(kit.key, SIGNER_STREAM_CRL, buf_bytes(&list), NULL);
	}
}

static void signs_an_answer_whose_responder_is_the_key(void **state)
{
	OWNED_BUF by_key = BUF_INIT(4096);
	OWNED_BUF by_name = BUF_INIT(4096);
	OWNED_BUF other = BUF_INIT(4096);
	OWNED_BUF spki = BUF_INIT(4096);
	OWNED_BUF hash = BUF_INIT(64);
	OWNED_BUF other_hash = BUF_INIT(64);

	hash_of(buf_bytes(&kit.spki), &hash);
	build_response(0xa2, buf_bytes(&hash), &by_key);
	build_response(0xa1, issuer_get_name(kit.issuer), &by_name);
	expect(kit.key, SIGNER_STREAM_OCSP, buf_bytes(&by_key), NULL);
	expect(kit.key, SIGNER_STREAM_OCSP, buf_bytes(&by_name), NULL);
	issue_kit_spki("ec-p256", &spki);
	hash_of(buf_bytes(&spki), &other_hash);
	build_response(0xa2, buf_bytes(&other_hash), &other);
	expect(kit.key, SIGNER_STREAM_OCSP, buf_bytes(&other), "the responder is not this key");
	buf_reset(&other);
	build_response(0xa1, HEX("\x30\x00"), &other);
	expect(kit.key, SIGNER_STREAM_OCSP, buf_bytes(&other), "the responder is not this key");
}

/* ---- what is refused ---- */

/* The list with one of its first elements replaced. */
static void change_list(struct bytes list, unsigned which, struct bytes by, struct buf *out)
{
	OWNED_BUF content = BUF_INIT(65536);
	struct bytes in, part, whole;
	unsigned tag;

	assert_int_equal(der_expect(&list, DER_SEQUENCE, &in), 0);
	for (unsigned i = 0; in.len; i++) {
		assert_int_equal(der_read(&in, &tag, &part, &whole), 0);
		buf_append(&content, i == which ? by : whole);
	}
	put(out, DER_SEQUENCE, buf_bytes(&content));
}

static void a_list_that_is_not_this_cas_is_refused(void **state)
{
	static const struct {
		unsigned which;
		struct bytes by;
		const char *refusal;
	} rows[] = {
		{ 0, { NULL, 0 }, "elements are not those" },              /* version 1 */
		{ 0, HEX("\x02\x01\x00"), "version 2" },
		{ 0, HEX("\x02\x01\x02"), "version 2" },
		{ 0, HEX("\x02\x02\x00\x01"), "version 2" },
		{ 1, HEX("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"), "signature algorithm" },
		{ 1, HEX("\x30\x00"), "signature algorithm" },
		{ 2, HEX("\x30\x00"), "the issuer is not" },
		{ 2, HEX("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03Two"), "the issuer is not" },
		{ 3, HEX("\x17\x0d" "260301120000X"), "thisUpdate" },
		{ 3, HEX("\x30\x1e\x17\x0d" "260301120000Z\x17\x0d" "270301120000Z"), "elements are not those" },
		{ 3, HEX("\x04\x00"), "elements are not those" },
		{ 4, HEX("\x17\x0d" "2603x1120000Z"), "nextUpdate" },
		{ 4, HEX("\x05\x00"), "elements are not those" },
		{ 5, { NULL, 0 }, NULL },                                  /* nothing is revoked */
		{ 6, { NULL, 0 }, "not whole" },                           /* no extensions */
		{ 6, HEX("\xa3\x00"), "elements are not those" },
	};
	OWNED_BUF list = BUF_INIT(65536);

	build_list(&kit, 2, &list);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		OWNED_BUF changed = BUF_INIT(65536);

		change_list(buf_bytes(&list), rows[i].which, rows[i].by, &changed);
		expect(kit.key, SIGNER_STREAM_CRL, buf_bytes(&changed), rows[i].refusal);
	}
}

static void no_part_of_a_list_is_signed_and_nothing_behind_it(void **state)
{
	OWNED_BUF list = BUF_INIT(65536);

	build_list(&kit, 2, &list);
	for (size_t n = 0; n < list.len; n++)
		expect(kit.key, SIGNER_STREAM_CRL, bytes_of(list.ptr, n), "not whole");
	buf_append_char(&list, 0);
	expect(kit.key, SIGNER_STREAM_CRL, buf_bytes(&list), "more behind");
}

static void lengths_have_one_spelling(void **state)
{
	static const struct bytes rows[] = {
		HEX("\x30\x80\x02\x01\x01\x00\x00"), HEX("\x30\x81\x7f\x02\x01\x01"),
		HEX("\x30\x82\x00\x90\x02\x01\x01"), HEX("\x30\x85\x01\x00\x00\x00\x00\x02\x01\x01"),
		HEX("\x30\x20\x1f\x81\x01\x00"),     HEX("\x30\xff"),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect(kit.key, SIGNER_STREAM_CRL, rows[i], "no DER");
	expect(kit.key, SIGNER_STREAM_CRL, HEX("\x30\x03\x02\x02\x01\x01"), "longer than the whole");
	expect(kit.key, SIGNER_STREAM_CRL, HEX("\x30\x84\x7f\xff\xff\xff\x02\x84\x7f\xff\x00\x00"), "too long");
	expect(kit.key, SIGNER_STREAM_CRL, HEX("\x31\x00"), "no SEQUENCE");
	expect(kit.key, SIGNER_STREAM_CRL, HEX("\x30\x00"), "not whole");
}

/* A TBSCertificate without version: its serial number is where a list has its version, and may be 1. */
static void build_version_1(struct bytes tbs, struct buf *out)
{
	OWNED_BUF content = BUF_INIT(65536);
	struct bytes in, part, whole;
	unsigned tag;

	put(&content, DER_INTEGER, HEX("\x01"));
	assert_int_equal(der_expect(&tbs, DER_SEQUENCE, &in), 0);
	for (unsigned i = 0; in.len; i++) {
		assert_int_equal(der_read(&in, &tag, &part, &whole), 0);
		if (i >= 2 && i <= 6)
			buf_append(&content, whole);
	}
	put(out, DER_SEQUENCE, buf_bytes(&content));
}

static void expect_refused_by_both(struct bytes octets)
{
	expect(kit.key, SIGNER_STREAM_CRL, octets, " ");
	expect(kit.key, SIGNER_STREAM_OCSP, octets, " ");
}

static void no_stream_is_ever_a_certificate(void **state)
{
	OWNED_BUF spki = BUF_INIT(8192);
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF old = BUF_INIT(65536);
	OWNED_BUF info = BUF_INIT(65536);
	OWNED_BUF list = BUF_INIT(65536);
	OWNED_BUF response = BUF_INIT(4096);
	char why[CA_REASON_SIZE] = "";
	const uint8_t *p;
	X509_CINF *read;
	struct issue_plan plan;

	issue_kit_spki("ec-p256", &spki);
	plan = issue_kit_plan(&kit, buf_bytes(&spki));
	assert_int_equal(issue_build(&plan, &tbs, why), 0);
	expect_refused_by_both(buf_bytes(&tbs));
	build_version_1(buf_bytes(&tbs), &old);
	/* It is one, for a reader that knows version 1, and has the issuer and the algorithm of the key. */
	p = old.ptr;
	read = d2i_X509_CINF(NULL, &p, (long)old.len);
	assert_non_null(read);
	X509_CINF_free(read);
	expect_refused_by_both(buf_bytes(&old));
	assert_int_equal(issue_build_request(buf_bytes(&kit.spki), "One", NULL, &info, why), 0);
	expect_refused_by_both(buf_bytes(&info));
	/* And one kind is not the other. */
	build_list(&kit, 1, &list);
	expect(kit.key, SIGNER_STREAM_OCSP, buf_bytes(&list), "elements are not those");
	build_response(0xa1, issuer_get_name(kit.issuer), &response);
	expect(kit.key, SIGNER_STREAM_CRL, buf_bytes(&response), "elements are not those");
	expect(kit.key, (enum signer_stream_kind)3, buf_bytes(&response), "no stream of that kind");
	p = list.ptr;
	assert_null(d2i_X509_CINF(NULL, &p, (long)list.len));
	p = response.ptr;
	assert_null(d2i_X509_CINF(NULL, &p, (long)response.len));
}

/* ---- purposes ---- */

static uint64_t make_key(const char *type, enum signer_purpose purpose, struct buf *spki)
{
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t key = 0;

	assert_int_equal(signer_generate(kit.signer, type, purpose, "One", &sealed, spki, why), 0);
	assert_int_equal(signer_load(kit.signer, buf_bytes(&sealed), purpose, "One", bytes_of(NULL, 0), &key, why),
			 0);
	assert_int_equal(
		signer_load(kit.signer, buf_bytes(&sealed), purpose, "One", buf_bytes(&kit.certificate), &key, why),
		SIGNER_REFUSED);
	return key;
}

static void a_responders_key_signs_answers_only(void **state)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF spki = BUF_INIT(4096);
	OWNED_BUF hash = BUF_INIT(64);
	OWNED_BUF answer = BUF_INIT(4096);
	OWNED_BUF named = BUF_INIT(4096);
	OWNED_BUF list = BUF_INIT(65536);
	char why[SIGNER_WHY_SIZE] = "";
	uint8_t mac[SIGNER_MAC_SIZE];
	uint64_t key = make_key("ec-p256", SIGNER_PURPOSE_OCSP, &spki);

	hash_of(buf_bytes(&spki), &hash);
	build_response(0xa2, buf_bytes(&hash), &answer);
	assert_int_equal(signer_sign_ocsp(kit.signer, key, buf_bytes(&answer), &signature, why), 0);
	assert_true(signature.len > 0);
	buf_reset(&signature);
	assert_int_equal(sign_in_pieces(kit.signer, key, SIGNER_STREAM_OCSP, buf_bytes(&answer), 10, &signature, why),
			 0);
	/* Not in the CA's name, and nothing else. */
	build_response(0xa1, issuer_get_name(kit.issuer), &named);
	expect(key, SIGNER_STREAM_OCSP, buf_bytes(&named), "the responder is not this key");
	build_list(&kit, 1, &list);
	expect(key, SIGNER_STREAM_CRL, buf_bytes(&list), "not for that");
	buf_reset(&signature);
	assert_int_equal(signer_sign_certificate(kit.signer, key, HEX("\x30\x00"), &signature, why), SIGNER_REFUSED);
	assert_int_equal(signer_sign_request(kit.signer, key, HEX("\x30\x00"), &signature, why), SIGNER_REFUSED);
	assert_int_equal(signer_mac(kit.signer, key, HEX("a"), HEX("b"), mac, why), SIGNER_REFUSED);
	/* The CA's key answers in one message as well, and not for the responder. */
	assert_int_equal(signer_sign_ocsp(kit.signer, kit.key, buf_bytes(&answer), &signature, why), SIGNER_REFUSED);
	assert_int_equal(signature.len, 0);
	assert_int_equal(signer_sign_ocsp(kit.signer, kit.key, buf_bytes(&named), &signature, why), 0);
}

static void a_key_without_a_certificate_signs_no_list_and_no_answer(void **state)
{
	OWNED_BUF list = BUF_INIT(65536);
	OWNED_BUF hash = BUF_INIT(64);
	OWNED_BUF answer = BUF_INIT(4096);
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t bare;

	assert_int_equal(signer_load(kit.signer, buf_bytes(&kit.sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0),
				     &bare, why), 0);
	build_list(&kit, 1, &list);
	hash_of(buf_bytes(&kit.spki), &hash);
	build_response(0xa2, buf_bytes(&hash), &answer);
	expect(bare, SIGNER_STREAM_CRL, buf_bytes(&list), "not for that");
	expect(bare, SIGNER_STREAM_OCSP, buf_bytes(&answer), "not for that");
}

static void a_mac_is_one_of_hmac_sha256_under_the_sealed_secret(void **state)
{
	static const uint8_t secret[SIGNER_MAC_SIZE] = { 7, 7, 7 };
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF none = BUF_INIT(64);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	uint8_t mac[SIGNER_MAC_SIZE], expected[SIGNER_MAC_SIZE], moved[SIGNER_MAC_SIZE];
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t key;

	assert_int_equal(seal_close(issue_kit_kek, bytes_of_str("gatehouse key, purpose 3, CA One"),
				    bytes_of(secret, sizeof(secret)), &sealed), 0);
	assert_int_equal(
		signer_load(kit.signer, buf_bytes(&sealed), SIGNER_PURPOSE_MAC, "One", bytes_of(NULL, 0), &key, why),
		0);
	assert_int_equal(signer_mac(kit.signer, key, HEX("audit"), HEX("head"), mac, why), 0);
	assert_non_null(HMAC(EVP_sha256(), secret, sizeof(secret), (const uint8_t *)"\x05" "audithead", 10, expected,
			     NULL));
	assert_memory_equal(mac, expected, sizeof(mac));
	assert_int_equal(signer_mac(kit.signer, key, HEX("audith"), HEX("ead"), moved, why), 0);
	assert_memory_not_equal(moved, mac, sizeof(mac));
	/* Under no other purpose, and it signs nothing. */
	assert_int_equal(
		signer_load(kit.signer, buf_bytes(&sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &key, why),
		SIGNER_REFUSED);
	key = make_key("hmac", SIGNER_PURPOSE_MAC, &none);
	assert_int_equal(none.len, 0);
	assert_int_equal(signer_sign_certificate(kit.signer, key, HEX("\x30\x00"), &signature, why), SIGNER_REFUSED);
	assert_int_equal(signer_sign_request(kit.signer, key, HEX("\x30\x00"), &signature, why), SIGNER_REFUSED);
	assert_int_equal(signer_sign_ocsp(kit.signer, key, HEX("\x30\x00"), &signature, why), SIGNER_REFUSED);
	expect(key, SIGNER_STREAM_CRL, HEX("\x30\x00"), "not for that");
	expect(key, SIGNER_STREAM_OCSP, HEX("\x30\x00"), "not for that");
	/* Keys of CAs make none; and each purpose has its own kinds. */
	assert_int_equal(signer_mac(kit.signer, kit.key, HEX("a"), HEX("b"), mac, why), SIGNER_REFUSED);
	assert_int_equal(signer_generate(kit.signer, "hmac", SIGNER_PURPOSE_CA, "One", &sealed, &none, why),
			 SIGNER_REFUSED);
	assert_int_equal(signer_generate(kit.signer, "ec-p256", SIGNER_PURPOSE_MAC, "One", &sealed, &none, why),
			 SIGNER_REFUSED);
	assert_int_equal(signer_generate(kit.signer, "ec-p256", (enum signer_purpose)4, "One", &sealed, &none, why),
			 SIGNER_REFUSED);
}

/* ---- many streams ---- */

static void of_too_many_streams_the_one_that_rests_is_forgotten(void **state)
{
	struct signer_stream *streams[17] = { NULL };
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF list = BUF_INIT(65536);
	char why[SIGNER_WHY_SIZE] = "";

	build_list(&kit, 1, &list);
	for (size_t i = 0; i < 16; i++) {
		assert_int_equal(signer_stream_begin(kit.signer, kit.key, SIGNER_STREAM_CRL, &streams[i], why), 0);
		assert_int_equal(signer_stream_data(streams[i], bytes_of(list.ptr, 5), why), 0);
	}
	assert_int_equal(signer_stream_data(streams[0], bytes_of(list.ptr + 5, 1), why), 0);
	assert_int_equal(signer_stream_begin(kit.signer, kit.key, SIGNER_STREAM_CRL, &streams[16], why), 0);
	assert_int_equal(signer_stream_data(streams[1], bytes_of(list.ptr + 5, 1), why), SIGNER_UNKNOWN_KEY);
	assert_int_equal(signer_stream_data(streams[0], bytes_of(list.ptr + 6, list.len - 6), why), 0);
	assert_int_equal(signer_stream_end(streams[0], &signature, why), 0);
	assert_true(issuer_verifies(kit.issuer, buf_bytes(&list), buf_bytes(&signature)));
	/* What was refused once is over. */
	assert_int_equal(signer_stream_data(streams[2], HEX("\xff\xff"), why), SIGNER_REFUSED);
	assert_int_equal(signer_stream_data(streams[2], bytes_of(list.ptr + 5, 1), why), SIGNER_UNKNOWN_KEY);
	for (size_t i = 0; i < 17; i++)
		signer_stream_drop(&streams[i]);
	assert_int_equal(signer_stream_begin(kit.signer, kit.key ^ 0xffff00, SIGNER_STREAM_CRL, &streams[0], why),
			 SIGNER_UNKNOWN_KEY);
}

static void a_piece_is_not_longer_than_a_message(void **state)
{
	OWNED_BUF piece = BUF_INIT(SIGNER_PIECE_MAX + 1);
	struct signer_stream *st = NULL;
	char why[SIGNER_WHY_SIZE] = "";

	memset(buf_room(&piece, SIGNER_PIECE_MAX + 1), 0x30, SIGNER_PIECE_MAX + 1);
	buf_added(&piece, SIGNER_PIECE_MAX + 1);
	assert_int_equal(signer_stream_begin(kit.signer, kit.key, SIGNER_STREAM_CRL, &st, why), 0);
	assert_int_equal(signer_stream_data(st, buf_bytes(&piece), why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "too long"));
	signer_stream_drop(&st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_a_revocation_list_in_pieces_of_any_size),
		cmocka_unit_test(signs_an_answer_whose_responder_is_the_key),
		cmocka_unit_test(a_list_that_is_not_this_cas_is_refused),
		cmocka_unit_test(no_part_of_a_list_is_signed_and_nothing_behind_it),
		cmocka_unit_test(lengths_have_one_spelling),
		cmocka_unit_test(no_stream_is_ever_a_certificate),
		cmocka_unit_test(a_responders_key_signs_answers_only),
		cmocka_unit_test(a_key_without_a_certificate_signs_no_list_and_no_answer),
		cmocka_unit_test(a_mac_is_one_of_hmac_sha256_under_the_sealed_secret),
		cmocka_unit_test(of_too_many_streams_the_one_that_rests_is_forgotten),
		cmocka_unit_test(a_piece_is_not_longer_than_a_message),
	};

	return cmocka_run_group_tests(tests, make_kit, drop_kit);
}
