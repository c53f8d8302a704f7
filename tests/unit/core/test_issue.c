/* core/issue.c: certificates, exact to the second and to RFC 5280.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tests/unit/core/issue_kit.h"

#define NOON_2026 1772366400ll /* 2026-03-01T12:00:00Z */
#define YEAR (365 * 86400ll)

static X509 *parse(const struct buf *der)
{
	const uint8_t *p = der->ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)der->len);

	assert_non_null(cert);
	assert_ptr_equal(p, der->ptr + der->len);
	return cert;
}

/* As `openssl verify -x509_strict -CAfile root cert`. */
static int verify_strict(const struct buf *root_der, X509 *cert, int64_t at_s)
{
	X509 *root = parse(root_der);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int error;

	assert_int_equal(X509_STORE_add_cert(store, root), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), (time_t)at_s);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
	error = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(root);
	return error;
}

static void every_key_type_under_every_ca_verifies_strictly(void **state)
{
	static const char *const ca_keys[] = { "ec-p256", "ec-p384", "rsa-2048", "rsa-3072" };
	static const char *const keys[] = { "rsa", "ec-p256", "ec-p384", "ed25519" };

	for (size_t i = 0; i < sizeof(ca_keys) / sizeof(*ca_keys); i++) {
		struct issue_kit k;

		issue_kit_init(&k, ca_keys[i], "Test CA", NOON_2026, NOON_2026 + 10 * YEAR);
		for (size_t j = 0; j < sizeof(keys) / sizeof(*keys); j++) {
			OWNED_BUF spki = BUF_INIT(8192);
			OWNED_BUF der = BUF_INIT(65536);
			struct issue_plan plan;
			uint8_t *back = NULL;
			X509 *cert;
			int n;

			issue_kit_spki(keys[j], &spki);
			plan = issue_kit_plan(&k, buf_bytes(&spki));
			issue_kit_issue(&k, &plan, &der);
			cert = parse(&der);
			assert_int_equal(verify_strict(&k.certificate, cert, NOON_2026 + 1), X509_V_OK);
			n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &back);
			assert_true(n > 0 && bytes_equal(bytes_of(back, (size_t)n), buf_bytes(&spki)));
			OPENSSL_free(back);
			assert_int_equal(X509_check_host(cert, "a.example", 0, 0, NULL), 1);
			assert_int_equal(X509_get_version(cert), X509_VERSION_3);
			assert_int_equal(X509_check_ca(cert), 0);
			X509_free(cert);
		}
		issue_kit_fini(&k);
	}
}

static void check_dates(struct issue_kit *k, struct bytes spki, int64_t from, int64_t to, int type_from, int type_to)
{
	OWNED_BUF der = BUF_INIT(65536);
	struct issue_plan plan = issue_kit_plan(k, spki);
	int64_t read_from, read_to;
	X509 *cert;

	plan.not_before_s = from;
	plan.not_after_s = to;
	issue_kit_issue(k, &plan, &der);
	assert_int_equal(certificate_dates(buf_bytes(&der), &read_from, &read_to), 0);
	assert_int_equal(read_from, from);
	assert_int_equal(read_to, to);
	cert = parse(&der);
	assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(cert)), type_from);
	assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(cert)), type_to);
	/* The last second is part of the validity (RFC 5280 4.1.2.5); libcrypto's verifier counts it as expired
	 * already. */
	assert_int_equal(verify_strict(&k->certificate, cert, from - 1), X509_V_ERR_CERT_NOT_YET_VALID);
	assert_int_equal(verify_strict(&k->certificate, cert, from), X509_V_OK);
	assert_int_equal(verify_strict(&k->certificate, cert, to - 1), X509_V_OK);
	assert_int_equal(verify_strict(&k->certificate, cert, to + 1), X509_V_ERR_CERT_HAS_EXPIRED);
	X509_free(cert);
}

/* RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
static void validity_is_inclusive_to_the_second_over_2049_and_2050(void **state)
{
	const int64_t last_2049 = 2524607999ll; /* 2049-12-31T23:59:59Z */
	OWNED_BUF spki = BUF_INIT(8192);
	struct issue_kit k;

	issue_kit_init(&k, "ec-p256", "Test CA", NOON_2026, NOON_2026 + 40 * YEAR);
	issue_kit_spki("ec-p256", &spki);
	check_dates(&k, buf_bytes(&spki), NOON_2026 + 60, NOON_2026 + 90 * 86400, V_ASN1_UTCTIME, V_ASN1_UTCTIME);
	check_dates(&k, buf_bytes(&spki), last_2049 - 100, last_2049, V_ASN1_UTCTIME, V_ASN1_UTCTIME);
	check_dates(&k, buf_bytes(&spki), last_2049, last_2049 + 2, V_ASN1_UTCTIME, V_ASN1_GENERALIZEDTIME);
	check_dates(&k, buf_bytes(&spki), last_2049 + 1, last_2049 + 100, V_ASN1_GENERALIZEDTIME,
		    V_ASN1_GENERALIZEDTIME);
	check_dates(&k, buf_bytes(&spki), 2147483647ll, 2147483649ll, V_ASN1_UTCTIME, V_ASN1_UTCTIME);
	issue_kit_fini(&k);
}

static void the_san_is_critical_when_and_only_when_the_subject_is_empty(void **state)
{
	OWNED_BUF spki = BUF_INIT(8192);
	struct issue_kit k;

	issue_kit_init(&k, "ec-p256", "Test CA", NOON_2026, NOON_2026 + YEAR);
	issue_kit_spki("ec-p256", &spki);
	for (int with_subject = 0; with_subject < 2; with_subject++) {
		OWNED_BUF der = BUF_INIT(65536);
		struct issue_plan plan = issue_kit_plan(&k, buf_bytes(&spki));
		X509 *cert;
		int at;

		plan.n_subject = (size_t)with_subject;
		issue_kit_issue(&k, &plan, &der);
		cert = parse(&der);
		at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
		assert_true(at >= 0);
		assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(cert, at)), !with_subject);
		assert_int_equal(verify_strict(&k.certificate, cert, NOON_2026 + 1), X509_V_OK);
		X509_free(cert);
	}
	issue_kit_fini(&k);
}

static int build(struct issue_plan *plan)
{
	OWNED_BUF tbs = BUF_INIT(65536);
	char why[CA_REASON_SIZE] = "";
	int e = issue_build(plan, &tbs, why);

	assert_true(e == 0 || why[0]);
	return e;
}

static void refuses_to_build_what_rfc_5280_forbids(void **state)
{
	static const char *const nothing[] = { NULL };
	struct subject_part too_long = { "CN", "01234567890123456789012345678901234567890123456789012345678901234" };
	struct subject_part unknown = { "favouriteColour", "blue" };
	struct ca_extension constraints = { "2.5.29.19", CA_EXT_ORIGIN_POLICY, bytes_of("\x30\x03\x01\x01\xff", 5) };
	struct ca_extension garbage = { "1.2.3", CA_EXT_ORIGIN_POLICY, bytes_of("\x30\x03\x01", 3) };
	OWNED_BUF spki = BUF_INIT(8192);
	struct issue_plan plan, good;
	struct issue_kit k;

	issue_kit_init(&k, "ec-p256", "Test CA", NOON_2026, NOON_2026 + YEAR);
	issue_kit_spki("ec-p256", &spki);
	plan = good = issue_kit_plan(&k, buf_bytes(&spki));
	assert_int_equal(build(&plan), 0);
	plan.n_subject = plan.n_names = 0;
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	plan = good;
	plan.not_after_s = plan.not_before_s;
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	plan = good;
	plan.subject = &too_long;
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	plan.subject = &unknown;
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	plan = good;
	plan.n_extensions = 1;
	plan.extensions = &constraints;
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	plan.extensions = &garbage;
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	plan = good;
	plan.spki = bytes_of("\x30\x00", 2);
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	plan = good;
	memset(plan.serial, 0, sizeof(plan.serial));
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	/* No purpose is any purpose (RFC 5280 4.2.1.12): there is no such certificate. */
	plan = good;
	plan.ext_key_usage = nothing;
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	/* RFC 5280 4.2.1.3: at least one bit. */
	plan = good;
	plan.key_usage = nothing;
	assert_int_equal(build(&plan), CA_STATUS_BUILD_FAILURE);
	issue_kit_fini(&k);
}

/* RFC 5280 A.1, in characters, not in octets. */
static void subject_components_keep_their_upper_bounds(void **state)
{
	static const struct {
		const char *component;
		size_t max;
	} bounds[] = { { "CN", 64 }, { "O", 64 }, { "OU", 64 }, { "ST", 128 }, { "L", 128 }, { "serialNumber", 64 },
		       { "emailAddress", 255 }, { "DC", 63 }, { "UID", 256 }, { "unstructuredName", 255 },
		       { "unstructuredAddress", 255 } };
	char text[600];

	for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
		memset(text, 'a', sizeof(text));
		text[bounds[i].max] = '\0';
		assert_int_equal(subject_part_check(bounds[i].component, text), 0);
		text[bounds[i].max] = 'a';
		text[bounds[i].max + 1] = '\0';
		assert_int_not_equal(subject_part_check(bounds[i].component, text), 0);
	}
	for (size_t i = 0; i < 64; i++)
		memcpy(text + 2 * i, "\xc3\xbc", 3);
	assert_int_equal(subject_part_check("CN", text), 0);
	assert_int_equal(subject_part_check("C", "DE"), 0);
	assert_int_not_equal(subject_part_check("C", "D"), 0);
	assert_int_not_equal(subject_part_check("C", "DEU"), 0);
	assert_int_not_equal(subject_part_check("CN", ""), 0);
	assert_int_not_equal(subject_part_check("CN", "a\nb"), 0);
	assert_int_not_equal(subject_part_check("CN", "\xff"), 0);
	assert_int_not_equal(subject_part_check("XYZ", "a"), 0);
}

/* 47 bits of clock, then 80 of the CSPRNG: positive, 16 octets, in the order of time, never two alike. */
static void serials_begin_with_the_clock_and_end_at_random(void **state)
{
	uint8_t a[SERIAL_SIZE], b[SERIAL_SIZE];
	const int64_t ms = NOON_2026 * 1000 + 7;
	int64_t clock = 0;

	assert_int_equal(issue_serial(ms, a), 0);
	assert_int_equal(issue_serial(ms, b), 0);
	for (int i = 0; i < 6; i++)
		clock = clock << 8 | a[i];
	assert_int_equal(clock, ms);
	assert_memory_equal(a, b, 6);
	assert_memory_not_equal(a + 6, b + 6, SERIAL_SIZE - 6);
	assert_int_equal(issue_serial(ms + 1, b), 0);
	assert_true(memcmp(b, a, SERIAL_SIZE) > 0);
	/* Far in the future, and before 1970, it is still positive. */
	assert_int_equal(issue_serial(INT64_MAX, a), 0);
	assert_true(a[0] < 0x80);
	assert_int_equal(issue_serial(-1, a), 0);
	assert_true(a[0] < 0x80);
}

static void a_signature_over_other_octets_is_noticed(void **state)
{
	OWNED_BUF spki = BUF_INIT(8192);
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF other = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF certificate = BUF_INIT(65536);
	struct issue_plan plan;
	struct issue_kit k;
	char why[CA_REASON_SIZE];

	issue_kit_init(&k, "ec-p256", "Test CA", NOON_2026, NOON_2026 + YEAR);
	issue_kit_spki("ec-p256", &spki);
	plan = issue_kit_plan(&k, buf_bytes(&spki));
	assert_int_equal(issue_build(&plan, &tbs, why), 0);
	plan.serial[15] ^= 1;
	assert_int_equal(issue_build(&plan, &other, why), 0);
	assert_int_equal(signer_sign_certificate(k.signer, k.key, buf_bytes(&other), &signature, why), 0);
	assert_int_equal(
		issue_assemble(buf_bytes(&tbs), buf_bytes(&signature), k.issuer, &certificate), 1);
	issue_kit_fini(&k);
}

static void knows_the_words_of_profiles_and_refuses_those_of_authorities(void **state)
{
	assert_true(key_usage_known("digitalSignature"));
	assert_false(key_usage_known("keyCertSign"));
	assert_false(key_usage_known("cRLSign"));
	assert_true(ext_key_usage_known("serverAuth"));
	assert_true(ext_key_usage_known("1.3.6.1.5.5.7.3.2"));
	assert_false(ext_key_usage_known("anyExtendedKeyUsage"));
	assert_false(ext_key_usage_known("2.5.29.37.0"));
	assert_false(ext_key_usage_known("1.3.6.1.4.1.311.20.2.1"));
	assert_false(ext_key_usage_known("1.3.6.1.5.5.7.3.9"));
	assert_true(extension_is_reserved("2.5.29.17"));
	assert_true(extension_is_reserved("1.3.6.1.4.1.311.21.10"));
	assert_false(extension_is_reserved("1.2.3.4"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_type_under_every_ca_verifies_strictly),
		cmocka_unit_test(validity_is_inclusive_to_the_second_over_2049_and_2050),
		cmocka_unit_test(the_san_is_critical_when_and_only_when_the_subject_is_empty),
		cmocka_unit_test(refuses_to_build_what_rfc_5280_forbids),
		cmocka_unit_test(subject_components_keep_their_upper_bounds),
		cmocka_unit_test(serials_begin_with_the_clock_and_end_at_random),
		cmocka_unit_test(a_signature_over_other_octets_is_noticed),
		cmocka_unit_test(knows_the_words_of_profiles_and_refuses_those_of_authorities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
