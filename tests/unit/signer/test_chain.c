/* Certificates for keys that lie in the signer too: responders, cross certificates, and CAs that another one signed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/der.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/unit/core/issue_kit.h"

#define NOW 1772366400ll /* 2026-03-01T12:00:00Z */
#define DAY 86400

static struct issue_kit kit;

static int make_kit(void **state)
{
	issue_kit_init(&kit, "ec-p256", "One", NOW, NOW + 30 * DAY);
	return 0;
}

static int drop_kit(void **state)
{
	issue_kit_fini(&kit);
	return 0;
}

static EVP_PKEY *public_key(struct bytes spki)
{
	const uint8_t *p = spki.ptr;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)spki.len);

	assert_non_null(key);
	return key;
}

static X509 *read(struct bytes der)
{
	const uint8_t *p = der.ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);

	assert_non_null(cert);
	return cert;
}

struct extension {
	int nid;
	const char *value;
};

static void add(X509 *cert, X509 *issuer, const struct extension *x)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, x->nid, x->value);
	assert_non_null(ext);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

static void write_tbs(X509 *cert, struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_re_X509_tbs(cert, &der);

	assert_true(n > 0);
	buf_reset(out);
	assert_int_equal(buf_append(out, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
}

/* What the signer says to a certificate for this key, with these extensions. */
static void expect(struct bytes spki, const struct extension *extensions, const char *refusal)
{
	X509 *root = read(buf_bytes(&kit.certificate)), *cert = X509_dup(root);
	EVP_PKEY *key = public_key(spki);
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[SIGNER_WHY_SIZE] = "";
	int e;

	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const uint8_t *)"sub", -1, -1,
				   0);
	while (X509_get_ext_count(cert))
		X509_EXTENSION_free(X509_delete_ext(cert, 0));
	for (; extensions->value; extensions++)
		add(cert, root, extensions);
	write_tbs(cert, &tbs);
	e = signer_sign_certificate(kit.signer, kit.key, buf_bytes(&tbs), &signature, why);
	if (e != (refusal ? SIGNER_REFUSED : 0) || (refusal && !strstr(why, refusal)))
		fail_msg("%d '%s' instead of '%s'", e, why, refusal ? refusal : "");
	EVP_PKEY_free(key);
	X509_free(cert);
	X509_free(root);
}

static void make_key(struct signer *s, enum signer_purpose purpose, const char *ca, struct buf *sealed,
		     struct buf *spki, uint64_t *key)
{
	char why[SIGNER_WHY_SIZE] = "";

	assert_int_equal(signer_generate(s, "ec-p256", purpose, ca, sealed, spki, why), 0);
	assert_int_equal(signer_load(s, buf_bytes(sealed), purpose, ca, bytes_of(NULL, 0), key, why), 0);
}

static void a_responder_is_certified_for_a_key_that_lies_here(void **state)
{
	static const struct extension good[] = { { NID_basic_constraints, "critical,CA:FALSE" },
						 { NID_key_usage, "critical,digitalSignature" },
						 { NID_ext_key_usage, "OCSPSigning" },
						 { NID_id_pkix_OCSP_noCheck, "" }, { 0 } };
	static const struct {
		struct extension rows[5];
		const char *refusal;
	} bad[] = {
		{ { { NID_basic_constraints, "critical,CA:FALSE" }, { NID_ext_key_usage, "OCSPSigning" } },
		  "ocsp-nocheck" },
		{ { { NID_basic_constraints, "critical,CA:FALSE" }, { NID_id_pkix_OCSP_noCheck, "" } },
		  "OCSP signing alone" },
		{ { { NID_basic_constraints, "critical,CA:FALSE" }, { NID_ext_key_usage, "OCSPSigning,serverAuth" },
		    { NID_id_pkix_OCSP_noCheck, "" } }, "OCSP signing alone" },
		{ { { NID_basic_constraints, "critical,CA:FALSE" }, { NID_ext_key_usage, "anyExtendedKeyUsage" },
		    { NID_id_pkix_OCSP_noCheck, "" } }, "OCSP signing alone" },
		{ { { NID_basic_constraints, "critical,CA:TRUE" }, { NID_ext_key_usage, "OCSPSigning" },
		    { NID_id_pkix_OCSP_noCheck, "" } }, "no authority" },
		{ { { NID_basic_constraints, "critical,CA:FALSE" }, { NID_key_usage, "critical,keyCertSign" },
		    { NID_ext_key_usage, "OCSPSigning" }, { NID_id_pkix_OCSP_noCheck, "" } }, "key usage" },
		/* Nor is it certified for anything else. */
		{ { { NID_basic_constraints, "critical,CA:FALSE" }, { NID_ext_key_usage, "serverAuth" } },
		  "OCSP signing alone" },
	};
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF spki = BUF_INIT(4096);
	OWNED_BUF elsewhere = BUF_INIT(4096);
	OWNED_BUF others = BUF_INIT(4096);
	uint64_t key;

	make_key(kit.signer, SIGNER_PURPOSE_OCSP, "One", &sealed, &spki, &key);
	expect(buf_bytes(&spki), good, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect(buf_bytes(&spki), bad[i].rows, bad[i].refusal);
	/* A key from elsewhere, one of another CA, and the CA's own. */
	issue_kit_spki("ec-p256", &elsewhere);
	expect(buf_bytes(&elsewhere), good, "extended key usage");
	buf_reset(&sealed);
	make_key(kit.signer, SIGNER_PURPOSE_OCSP, "Two", &sealed, &others, &key);
	expect(buf_bytes(&others), good, "extended key usage");
	expect(buf_bytes(&kit.spki), good, "extended key usage");
}

/* ---- cross certificates ---- */

/* A second key of the CA with its own root, `name` as subject. */
static void make_second_root(const char *ca, const char *name, struct buf *spki, struct buf *certificate,
			     uint64_t *key)
{
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[CA_REASON_SIZE] = "";
	uint8_t serial[SERIAL_SIZE];

	make_key(kit.signer, SIGNER_PURPOSE_CA, ca, &sealed, spki, key);
	assert_int_equal(issue_serial(NOW * 1000, serial), 0);
	assert_int_equal(issue_build_root(buf_bytes(spki), name, NULL, NOW, NOW + 60 * DAY, serial, 0, &tbs, why), 0);
	assert_int_equal(signer_sign_certificate(kit.signer, *key, buf_bytes(&tbs), &signature, why), 0);
	assert_int_equal(issue_assemble_root(buf_bytes(&tbs), buf_bytes(&signature), certificate), 0);
	assert_int_equal(
		signer_load(kit.signer, buf_bytes(&sealed), SIGNER_PURPOSE_CA, ca, buf_bytes(certificate), key, why),
		0);
}

static int cross(uint64_t by_key, const struct issuer *by, struct bytes spki, int64_t not_after_s, char *why)
{
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	uint8_t serial[SERIAL_SIZE];
	struct issue_ca plan = { .by = by, .name = issuer_get_name(by), .spki = spki, .not_before_s = NOW,
				 .not_after_s = not_after_s, .path_len = 0 };
	char reason[CA_REASON_SIZE];
	int e;

	assert_int_equal(issue_serial(NOW * 1000, serial), 0);
	assert_int_equal(issue_build_ca(&plan, serial, &tbs, reason), 0);
	e = signer_sign_certificate(kit.signer, by_key, buf_bytes(&tbs), &signature, why);
	assert_true(e || issuer_verifies(by, buf_bytes(&tbs), buf_bytes(&signature)));
	return e;
}

static void two_keys_of_a_ca_certify_each_other(void **state)
{
	OWNED_BUF spki = BUF_INIT(4096);
	OWNED_BUF certificate = BUF_INIT(65536);
	OWNED_BUF elsewhere = BUF_INIT(4096);
	struct issuer *second = NULL;
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t key;

	make_second_root("One", "One", &spki, &certificate, &key);
	assert_int_equal(issuer_new(&second, buf_bytes(&certificate)), 0);
	if (cross(kit.key, kit.issuer, buf_bytes(&spki), NOW + 30 * DAY, why))
		fail_msg("%s", why);
	assert_int_equal(cross(key, second, buf_bytes(&kit.spki), NOW + 30 * DAY, why), 0);
	/* Not beyond the issuer's own end, not itself, and no key from elsewhere. */
	assert_int_equal(cross(kit.key, kit.issuer, buf_bytes(&spki), NOW + 31 * DAY, why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "when its issuer is not"));
	assert_int_equal(cross(kit.key, kit.issuer, buf_bytes(&kit.spki), NOW + 30 * DAY, why), SIGNER_REFUSED);
	issue_kit_spki("ec-p256", &elsewhere);
	assert_int_equal(cross(kit.key, kit.issuer, buf_bytes(&elsewhere), NOW + 30 * DAY, why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "other authorities"));
	issuer_drop(&second);
}

static void a_key_of_another_ca_or_subject_is_not_certified(void **state)
{
	OWNED_BUF spki = BUF_INIT(4096);
	OWNED_BUF certificate = BUF_INIT(65536);
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF bare = BUF_INIT(4096);
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t key;

	make_second_root("Two", "One", &spki, &certificate, &key);
	assert_int_equal(cross(kit.key, kit.issuer, buf_bytes(&spki), NOW + DAY, why), SIGNER_REFUSED);
	buf_reset(&spki);
	buf_reset(&certificate);
	make_second_root("One", "Another", &spki, &certificate, &key);
	assert_int_equal(cross(kit.key, kit.issuer, buf_bytes(&spki), NOW + DAY, why), SIGNER_REFUSED);
	/* Nor one that has no certificate of its own yet, nor a responder's. */
	make_key(kit.signer, SIGNER_PURPOSE_CA, "One", &sealed, &bare, &key);
	assert_int_equal(cross(kit.key, kit.issuer, buf_bytes(&bare), NOW + DAY, why), SIGNER_REFUSED);
	buf_reset(&sealed);
	buf_reset(&bare);
	make_key(kit.signer, SIGNER_PURPOSE_OCSP, "One", &sealed, &bare, &key);
	assert_int_equal(cross(kit.key, kit.issuer, buf_bytes(&bare), NOW + DAY, why), SIGNER_REFUSED);
}

/* ---- a CA that another one signed ---- */

/* An authority outside of the signer. */
struct outside {
	EVP_PKEY *key;
	X509 *certificate;
};

static void put_der(X509 *cert, struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_X509(cert, &der);

	assert_true(n > 0);
	assert_int_equal(buf_append(out, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
}

/* `by` NULL: it signs itself. */
static X509 *certify(const char *name, EVP_PKEY *key, const struct outside *by, EVP_PKEY *by_key,
		     const char *constraints, const char *usage)
{
	const struct extension rows[] = { { NID_basic_constraints, constraints }, { NID_key_usage, usage },
					  { NID_subject_key_identifier, "hash" } };
	X509 *cert = X509_new();

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 77);
	ASN1_TIME_set(X509_getm_notBefore(cert), NOW);
	ASN1_TIME_set(X509_getm_notAfter(cert), NOW + 20 * DAY);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1,
				   0);
	X509_set_issuer_name(cert, X509_get_subject_name(by ? by->certificate : cert));
	X509_set_pubkey(cert, key);
	for (size_t i = 0; i < 3; i++)
		add(cert, by ? by->certificate : cert, &rows[i]);
	assert_true(X509_sign(cert, by_key, EVP_PKEY_is_a(by_key, "ED25519") ? NULL : EVP_sha384()) > 0);
	return cert;
}

#define CA_TRUE "critical,CA:TRUE"
#define USAGE "critical,keyCertSign,cRLSign"

static struct outside make_outside(const char *name, const char *kind, const struct outside *by)
{
	struct outside o = { .key = csr_key(kind) };

	o.certificate = certify(name, o.key, by, by ? by->key : o.key, CA_TRUE, USAGE);
	return o;
}

static void drop_outside(struct outside *o)
{
	EVP_PKEY_free(o->key);
	X509_free(o->certificate);
}

static int load(struct bytes sealed, struct bytes certificates, uint64_t *key, char *why)
{
	return signer_load(kit.signer, sealed, SIGNER_PURPOSE_CA, "Sub", certificates, key, why);
}

static void expect_load(struct bytes sealed, const struct buf *certificates, const char *refusal)
{
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t key;
	int e = load(sealed, buf_bytes(certificates), &key, why);

	if (e != (refusal ? SIGNER_REFUSED : 0) || (refusal && !strstr(why, refusal)))
		fail_msg("%d '%s' instead of '%s'", e, why, refusal ? refusal : "");
}

static void a_ca_is_loaded_with_whoever_signed_it(void **state)
{
	static const char *const kinds[] = { "rsa", "ec-p384", "ed25519" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct outside root = make_outside("Root", kinds[i], NULL),
			       middle = make_outside("Middle", "ec-p256", &root);
		OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
		OWNED_BUF spki = BUF_INIT(4096);
		OWNED_BUF chain = BUF_INIT(65536);
		OWNED_BUF end = BUF_INIT(65536);
		OWNED_BUF leaf = BUF_INIT(65536);
		char why[SIGNER_WHY_SIZE] = "";
		EVP_PKEY *public;
		struct issue_kit sub = { .signer = kit.signer, .certificate = BUF_INIT(65536) };
		struct issue_plan plan;
		uint64_t key;
		X509 *cert;

		make_key(kit.signer, SIGNER_PURPOSE_CA, "Sub", &sealed, &spki, &key);
		public = public_key(buf_bytes(&spki));
		cert = certify("Sub CA", public, &middle, middle.key, CA_TRUE, USAGE);
		put_der(cert, &sub.certificate);
		buf_append(&chain, buf_bytes(&sub.certificate));
		put_der(middle.certificate, &chain);
		expect_load(buf_bytes(&sealed), &chain, NULL);
		put_der(root.certificate, &chain);
		assert_int_equal(load(buf_bytes(&sealed), buf_bytes(&chain), &sub.key, why), 0);
		/* It issues in that name, below those dates. */
		assert_int_equal(issuer_new(&sub.issuer, buf_bytes(&sub.certificate)), 0);
		issue_kit_spki("ec-p256", &end);
		plan = issue_kit_plan(&sub, buf_bytes(&end));
		issue_kit_issue(&sub, &plan, &leaf);
		issuer_drop(&sub.issuer);
		buf_fini(&sub.certificate);
		EVP_PKEY_free(public);
		X509_free(cert);
		drop_outside(&middle);
		drop_outside(&root);
	}
}

static void a_chain_that_does_not_hold_is_refused(void **state)
{
	struct outside root = make_outside("Root", "ec-p256", NULL), twin = make_outside("Root", "ec-p256", NULL),
		       other = make_outside("Other", "ec-p256", NULL);
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF spki = BUF_INIT(4096);
	OWNED_BUF chain = BUF_INIT(1u << 18);
	EVP_PKEY *public;
	X509 *good, *bad;
	uint64_t key;

	make_key(kit.signer, SIGNER_PURPOSE_CA, "Sub", &sealed, &spki, &key);
	public = public_key(buf_bytes(&spki));
	good = certify("Sub CA", public, &root, root.key, CA_TRUE, USAGE);
	put_der(good, &chain);
	expect_load(buf_bytes(&sealed), &chain, "whose certificate must follow");
	put_der(other.certificate, &chain);
	expect_load(buf_bytes(&sealed), &chain, "not the certificate of its issuer");
	buf_reset(&chain);
	put_der(good, &chain);
	put_der(twin.certificate, &chain);
	expect_load(buf_bytes(&sealed), &chain, "does not verify");
	buf_reset(&chain);
	put_der(good, &chain);
	put_der(root.certificate, &chain);
	put_der(twin.certificate, &chain);
	expect_load(buf_bytes(&sealed), &chain, "does not verify");
	buf_reset(&chain);
	put_der(good, &chain);
	for (int i = 0; i < 9; i++)
		put_der(root.certificate, &chain);
	expect_load(buf_bytes(&sealed), &chain, "too many");
	/* For another key, of no authority, below one that is none. */
	bad = certify("Sub CA", other.key, &root, root.key, CA_TRUE, USAGE);
	buf_reset(&chain);
	put_der(bad, &chain);
	put_der(root.certificate, &chain);
	expect_load(buf_bytes(&sealed), &chain, "does not belong to this key");
	X509_free(bad);
	bad = certify("Sub CA", public, &root, root.key, "critical,CA:FALSE", "critical,digitalSignature");
	buf_reset(&chain);
	put_der(bad, &chain);
	put_der(root.certificate, &chain);
	expect_load(buf_bytes(&sealed), &chain, "is no CA certificate");
	X509_free(bad);
	bad = certify("Root", root.key, NULL, root.key, "critical,CA:FALSE", "critical,digitalSignature");
	buf_reset(&chain);
	put_der(good, &chain);
	put_der(bad, &chain);
	expect_load(buf_bytes(&sealed), &chain, "not the certificate of its issuer");
	X509_free(bad);
	X509_free(good);
	EVP_PKEY_free(public);
	drop_outside(&root);
	drop_outside(&twin);
	drop_outside(&other);
}

/* ---- certification requests ---- */

static void a_request_is_for_the_key_itself(void **state)
{
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF spki = BUF_INIT(4096);
	OWNED_BUF info = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF request = BUF_INIT(65536);
	char why[CA_REASON_SIZE] = "";
	EVP_PKEY *public;
	const uint8_t *p;
	X509_REQ *read_back;
	uint64_t key;

	make_key(kit.signer, SIGNER_PURPOSE_CA, "Sub", &sealed, &spki, &key);
	assert_int_equal(issue_build_request(buf_bytes(&spki), "Sub CA", "Example", &info, why), 0);
	assert_int_equal(signer_sign_request(kit.signer, key, buf_bytes(&info), &signature, why), 0);
	assert_int_equal(issue_assemble_request(buf_bytes(&info), buf_bytes(&spki), buf_bytes(&signature), &request),
			 0);
	p = request.ptr;
	read_back = d2i_X509_REQ(NULL, &p, (long)request.len);
	public = public_key(buf_bytes(&spki));
	assert_non_null(read_back);
	assert_int_equal(X509_REQ_verify(read_back, public), 1);
	X509_REQ_free(read_back);
	EVP_PKEY_free(public);
	/* Another key's, one that is none, and as a key with a certificate only in its own name. */
	assert_int_equal(signer_sign_request(kit.signer, kit.key, buf_bytes(&info), &signature, why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "another key"));
	for (size_t n = 0; n < info.len; n++)
		assert_int_equal(signer_sign_request(kit.signer, key, bytes_of(info.ptr, n), &signature, why),
				 SIGNER_REFUSED);
	buf_reset(&info);
	assert_int_equal(issue_build_request(buf_bytes(&kit.spki), "Two", NULL, &info, why), 0);
	assert_int_equal(signer_sign_request(kit.signer, kit.key, buf_bytes(&info), &signature, why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "another subject"));
	buf_reset(&info);
	buf_reset(&signature);
	assert_int_equal(issue_build_request_of(kit.issuer, buf_bytes(&kit.spki), &info), 0);
	assert_int_equal(signer_sign_request(kit.signer, kit.key, buf_bytes(&info), &signature, why), 0);
	/* And no certificate passes for one. */
	assert_int_equal(signer_sign_request(kit.signer, kit.key, buf_bytes(&kit.certificate), &signature, why),
			 SIGNER_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_responder_is_certified_for_a_key_that_lies_here),
		cmocka_unit_test(two_keys_of_a_ca_certify_each_other),
		cmocka_unit_test(a_key_of_another_ca_or_subject_is_not_certified),
		cmocka_unit_test(a_ca_is_loaded_with_whoever_signed_it),
		cmocka_unit_test(a_chain_that_does_not_hold_is_refused),
		cmocka_unit_test(a_request_is_for_the_key_itself),
	};

	return cmocka_run_group_tests(tests, make_kit, drop_kit);
}
