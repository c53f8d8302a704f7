/* core/signer: what it opens, and what it signs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/signer/seal.h"
#include "core/base/der.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/unit/core/issue_kit.h"

#define NOW 1772366400ll

static uint8_t opened[SIGNER_SEALED_MAX];
static size_t n_opened;

static int open_seal(const uint8_t *by_kek, struct bytes bound, struct bytes sealed)
{
	return seal_open(by_kek, bound, sealed, opened, &n_opened);
}

static void what_is_sealed_opens_with_the_same_key_and_binding_only(void **state)
{
	static const uint8_t other_kek[SIGNER_KEK_SIZE] = { 1, 2, 4 };
	struct bytes secret = bytes_of("a private key", 13), bound = bytes_of("CA one", 6);
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF again = BUF_INIT(SIGNER_SEALED_MAX);

	assert_int_equal(seal_close(issue_kit_kek, bound, secret, &sealed), 0);
	assert_int_equal(open_seal(issue_kit_kek, bound, buf_bytes(&sealed)), 0);
	assert_true(bytes_equal(bytes_of(opened, n_opened), secret));
	assert_int_equal(open_seal(other_kek, bound, buf_bytes(&sealed)), -EBADMSG);
	assert_int_equal(open_seal(issue_kit_kek, bytes_of("CA two", 6), buf_bytes(&sealed)), -EBADMSG);
	/* The same secret never looks the same twice. */
	assert_int_equal(seal_close(issue_kit_kek, bound, secret, &again), 0);
	assert_false(bytes_equal(buf_bytes(&again), buf_bytes(&sealed)));
	assert_null(memmem(sealed.ptr, sealed.len, secret.ptr, secret.len));
}

static void no_changed_octet_of_a_seal_opens(void **state)
{
	struct bytes bound = bytes_of("CA one", 6);
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);

	assert_int_equal(seal_close(issue_kit_kek, bound, bytes_of("a private key", 13), &sealed), 0);
	for (size_t i = 0; i < sealed.len; i++) {
		sealed.ptr[i] ^= 0x40;
		assert_int_equal(open_seal(issue_kit_kek, bound, buf_bytes(&sealed)), -EBADMSG);
		sealed.ptr[i] ^= 0x40;
		assert_int_equal(open_seal(issue_kit_kek, bound, bytes_of(sealed.ptr, i)), -EBADMSG);
	}
}

static int load(const uint8_t *kek, struct issue_kit *k, enum signer_purpose purpose, const char *ca,
		struct bytes cert)
{
	char why[SIGNER_WHY_SIZE] = "";
	struct signer *s = NULL;
	uint64_t key;
	int e;

	assert_int_equal(signer_new(&s, kek), 0);
	e = signer_load(s, buf_bytes(&k->sealed), purpose, ca, cert, &key, why);
	assert_true(e == 0 || why[0]);
	signer_drop(&s);
	return e;
}

static void a_key_loads_for_its_own_ca_purpose_and_certificate_only(void **state)
{
	static const uint8_t other_kek[SIGNER_KEK_SIZE] = { 9 };
	struct issue_kit k, other;

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	issue_kit_init(&other, "ec-p256", "Two", NOW, NOW + 86400);
	assert_int_equal(load(issue_kit_kek, &k, SIGNER_PURPOSE_CA, "One", buf_bytes(&k.certificate)), 0);
	assert_int_equal(load(other_kek, &k, SIGNER_PURPOSE_CA, "One", buf_bytes(&k.certificate)), SIGNER_REFUSED);
	assert_int_equal(load(issue_kit_kek, &k, SIGNER_PURPOSE_CA, "Two", buf_bytes(&k.certificate)),
			 SIGNER_REFUSED);
	assert_int_equal(load(issue_kit_kek, &k, (enum signer_purpose)2, "One", buf_bytes(&k.certificate)),
			 SIGNER_REFUSED);
	assert_int_equal(load(issue_kit_kek, &k, SIGNER_PURPOSE_CA, "One", buf_bytes(&other.certificate)),
			 SIGNER_REFUSED);
	assert_int_equal(load(issue_kit_kek, &k, SIGNER_PURPOSE_CA, "One", bytes_of("\x30\x00", 2)), SIGNER_REFUSED);
	issue_kit_fini(&other);
	issue_kit_fini(&k);
}

/* The certificate of `k` with this part of its TBS changed to as many other octets. */
static void change(const struct issue_kit *k, const char *from, const char *to, struct buf *out)
{
	size_t n = strlen(from), at = 0;

	buf_reset(out);
	assert_int_equal(n, strlen(to));
	assert_int_equal(buf_append(out, buf_bytes(&k->certificate)), 0);
	/* The last one: an issuer stands before a subject. */
	for (size_t i = 0; i + n <= out->len; i++)
		if (memcmp(out->ptr + i, from, n) == 0)
			at = i;
	assert_true(at > 0);
	memcpy(out->ptr + at, to, n);
}

/* What the gate knows of the issuer is what the key has signed, not what the core says. */
static void a_certificate_that_the_key_has_not_signed_is_refused(void **state)
{
	OWNED_BUF certificate = BUF_INIT(65536);
	char why[SIGNER_WHY_SIZE] = "";
	struct signer *s = NULL;
	struct issue_kit k;
	uint64_t key;

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	assert_int_equal(signer_new(&s, issue_kit_kek), 0);
	/* Longer: notAfter is the second of the two dates. */
	change(&k, "260302120000Z", "360302120000Z", &certificate);
	assert_int_equal(signer_load(s, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "One", buf_bytes(&certificate), &key,
				     why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "was not signed by this key"));
	change(&k, "One", "Two", &certificate);
	assert_int_equal(signer_load(s, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "One", buf_bytes(&certificate), &key,
				     why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "by another authority"));
	/* Octets after it, and a changed signature. */
	buf_reset(&certificate);
	buf_append(&certificate, buf_bytes(&k.certificate));
	buf_append_char(&certificate, 0);
	assert_int_equal(load(issue_kit_kek, &k, SIGNER_PURPOSE_CA, "One", buf_bytes(&certificate)), SIGNER_REFUSED);
	certificate.ptr[k.certificate.len - 1] ^= 1;
	assert_int_equal(load(issue_kit_kek, &k, SIGNER_PURPOSE_CA, "One",
			      bytes_of(certificate.ptr, k.certificate.len)), SIGNER_REFUSED);
	assert_int_equal(signer_load(s, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "One", buf_bytes(&k.certificate), &key,
				     why), 0);
	signer_drop(&s);
	issue_kit_fini(&k);
}

/* The key of a CA that exists would otherwise sign a second root, for whoever took the core over. */
static void a_key_of_an_earlier_run_is_not_loaded_without_its_certificate(void **state)
{
	struct issue_kit k;

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	assert_int_equal(load(issue_kit_kek, &k, SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0)), SIGNER_REFUSED);
	assert_int_equal(load(issue_kit_kek, &k, SIGNER_PURPOSE_CA, "One", buf_bytes(&k.certificate)), 0);
	issue_kit_fini(&k);
}

/* Of the keys that were made only the last ones are remembered, so that nobody fills the memory. */
static void the_keys_that_were_made_are_forgotten_in_turn(void **state)
{
	OWNED_BUF first = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF last = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF spki = BUF_INIT(4096);
	char why[SIGNER_WHY_SIZE] = "";
	struct signer *s = NULL;
	uint64_t key;

	assert_int_equal(signer_new(&s, issue_kit_kek), 0);
	assert_int_equal(signer_generate(s, "ec-p256", SIGNER_PURPOSE_CA, "One", &first, &spki, why), 0);
	for (unsigned i = 0; i < 16; i++) {
		buf_reset(&last);
		buf_reset(&spki);
		assert_int_equal(signer_generate(s, "ec-p256", SIGNER_PURPOSE_CA, "One", &last, &spki, why), 0);
	}
	assert_int_equal(signer_load(s, buf_bytes(&last), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &key, why), 0);
	assert_int_equal(signer_load(s, buf_bytes(&first), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &key, why),
			 SIGNER_REFUSED);
	assert_non_null(strstr(why, "not made in this run"));
	signer_drop(&s);
}

static int sign(struct issue_kit *k, struct bytes tbs)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[SIGNER_WHY_SIZE] = "";
	int e = signer_sign_certificate(k->signer, k->key, tbs, &signature, why);

	assert_true(e == 0 ? signature.len > 0 : signature.len == 0);
	assert_true(e == 0 || why[0]);
	return e;
}

static void a_key_that_is_loaded_again_has_the_same_number(void **state)
{
	char why[SIGNER_WHY_SIZE] = "";
	struct issue_kit k, other;
	uint64_t key, bare;

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	issue_kit_init(&other, "ec-p256", "One", NOW, NOW + 86400);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(signer_load(k.signer, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "One",
					     buf_bytes(&k.certificate), &key, why), 0);
		assert_true(key == k.key);
	}
	/* Without its certificate it may sign something else, so it is another one. */
	assert_int_equal(signer_load(k.signer, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &bare,
				     why), 0);
	assert_true(bare != key);
	/* And no signer knows the number of another one. */
	k.key = other.key;
	assert_int_equal(sign(&k, bytes_of("\x30\x00", 2)), SIGNER_UNKNOWN_KEY);
	issue_kit_fini(&other);
	issue_kit_fini(&k);
}

/* Sixteen keys of a few CAs and their responders were too many once. */
static void there_is_room_for_the_keys_of_many_cas(void **state)
{
	uint8_t mac[SIGNER_MAC_SIZE];
	char why[SIGNER_WHY_SIZE] = "", name[32];
	struct signer *s = NULL;
	uint64_t keys[300];

	assert_int_equal(signer_new(&s, issue_kit_kek), 0);
	for (unsigned i = 0; i < 300; i++) {
		OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
		OWNED_BUF spki = BUF_INIT(4096);

		snprintf(name, sizeof(name), "CA %u", i);
		assert_int_equal(signer_generate(s, "hmac", SIGNER_PURPOSE_MAC, name, &sealed, &spki, why), 0);
		assert_int_equal(signer_load(s, buf_bytes(&sealed), SIGNER_PURPOSE_MAC, name, bytes_of(NULL, 0),
					     &keys[i], why), 0);
	}
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(signer_mac(s, keys[i], bytes_of("x", 1), bytes_of("y", 1), mac, why), 0);
	signer_drop(&s);
}

static void a_key_that_has_its_certificate_is_not_kept_without(void **state)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[SIGNER_WHY_SIZE] = "";
	struct issue_kit k;
	uint64_t bare, key;

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	assert_int_equal(signer_load(k.signer, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &bare,
				     why), 0);
	assert_int_equal(signer_sign_request(k.signer, bare, bytes_of("\x30\x00", 2), &signature, why),
			 SIGNER_REFUSED);
	assert_int_equal(signer_load(k.signer, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "One",
				     buf_bytes(&k.certificate), &key, why), 0);
	assert_true(key == k.key);
	assert_int_equal(signer_sign_request(k.signer, bare, bytes_of("\x30\x00", 2), &signature, why),
			 SIGNER_UNKNOWN_KEY);
	issue_kit_fini(&k);
}

static void makes_the_keys_it_says_and_no_others(void **state)
{
	static const char *const bad[] = { "ec-p521", "rsa-1024", "ed25519", "", "EC-P256" };
	struct signer *s = NULL;

	assert_int_equal(signer_new(&s, issue_kit_kek), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
		OWNED_BUF spki = BUF_INIT(4096);
		char why[SIGNER_WHY_SIZE] = "";

		assert_int_equal(signer_generate(s, bad[i], SIGNER_PURPOSE_CA, "One", &sealed, &spki, why),
				 SIGNER_REFUSED);
		assert_int_equal(sealed.len + spki.len, 0);
		assert_string_not_equal(why, "");
	}
	signer_drop(&s);
}

static void refuses_another_issuer(void **state)
{
	OWNED_BUF spki = BUF_INIT(8192);
	OWNED_BUF tbs = BUF_INIT(65536);
	struct issue_kit k, other;
	struct issue_plan plan;
	char why[CA_REASON_SIZE];

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	issue_kit_init(&other, "ec-p256", "Two", NOW, NOW + 86400);
	issue_kit_spki("ec-p256", &spki);
	plan = issue_kit_plan(&other, buf_bytes(&spki));
	assert_int_equal(issue_build(&plan, &tbs, why), 0);
	assert_int_equal(sign(&other, buf_bytes(&tbs)), 0);
	assert_int_equal(sign(&k, buf_bytes(&tbs)), SIGNER_REFUSED);
	issue_kit_fini(&other);
	issue_kit_fini(&k);
}

/* A TBSCertificate of `k` with these extensions, built with libcrypto. */
static void build_with(struct issue_kit *k, const char *const *constraints, size_t n, struct buf *tbs)
{
	const uint8_t *p = k->certificate.ptr;
	X509 *root = d2i_X509(NULL, &p, (long)k->certificate.len), *cert = X509_dup(root);
	EVP_PKEY *key = csr_key("ec-p256");
	uint8_t *der = NULL;
	int size;

	assert_int_equal(X509_set_pubkey(cert, key), 1);
	EVP_PKEY_free(key);
	while (X509_get_ext_count(cert))
		X509_EXTENSION_free(X509_delete_ext(cert, 0));
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const uint8_t *)"sub", -1, -1,
				   0);
	for (size_t i = 0; i < n; i++) {
		X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, constraints[i]);

		assert_non_null(ext);
		X509_add_ext(cert, ext, -1);
		X509_EXTENSION_free(ext);
	}
	size = i2d_re_X509_tbs(cert, &der);
	assert_true(size > 0);
	assert_int_equal(buf_append(tbs, bytes_of(der, (size_t)size)), 0);
	OPENSSL_free(der);
	X509_free(cert);
	X509_free(root);
}

static void refuses_to_make_another_authority(void **state)
{
	static const char *const none[] = { "critical,CA:FALSE" };
	static const char *const ca[] = { "critical,CA:TRUE" };
	static const char *const hidden[] = { "critical,CA:TRUE", "critical,CA:FALSE" };
	OWNED_BUF good = BUF_INIT(65536);
	OWNED_BUF sub = BUF_INIT(65536);
	OWNED_BUF two = BUF_INIT(65536);
	struct issue_kit k;

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	build_with(&k, none, 1, &good);
	build_with(&k, ca, 1, &sub);
	build_with(&k, hidden, 2, &two);
	assert_int_equal(sign(&k, buf_bytes(&good)), 0);
	assert_int_equal(sign(&k, buf_bytes(&sub)), SIGNER_REFUSED);
	assert_int_equal(sign(&k, buf_bytes(&two)), SIGNER_REFUSED);
	issue_kit_fini(&k);
}

/* While a CA is being created its key signs its own certificate, and nothing else. */
static void a_key_without_a_certificate_signs_its_own_only(void **state)
{
	OWNED_BUF spki = BUF_INIT(8192);
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[CA_REASON_SIZE] = "";
	uint8_t serial[SERIAL_SIZE] = { 1 };
	struct issue_kit k;
	uint64_t key;

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	assert_int_equal(
		signer_load(k.signer, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &key, why),
		0);
	issue_kit_spki("ec-p256", &spki);
	assert_int_equal(issue_build_root(buf_bytes(&spki), "One", NULL, NOW, NOW + 86400, serial, 0, &tbs, why), 0);
	assert_int_equal(signer_sign_certificate(k.signer, key, buf_bytes(&tbs), &signature, why), SIGNER_REFUSED);
	/* And the key with a certificate does not sign a second root. */
	buf_reset(&tbs);
	assert_int_equal(issue_build_root(buf_bytes(&k.spki), "One", NULL, NOW, NOW + 86400, serial, 0, &tbs, why),
			 0);
	assert_int_equal(signer_sign_certificate(k.signer, k.key, buf_bytes(&tbs), &signature, why), SIGNER_REFUSED);
	issue_kit_fini(&k);
}

static void refuses_octets_that_are_no_tbs_certificate(void **state)
{
	OWNED_BUF spki = BUF_INIT(8192);
	OWNED_BUF tbs = BUF_INIT(65536);
	struct issue_kit k;
	struct issue_plan plan;
	char why[CA_REASON_SIZE];

	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	issue_kit_spki("ec-p256", &spki);
	plan = issue_kit_plan(&k, buf_bytes(&spki));
	assert_int_equal(issue_build(&plan, &tbs, why), 0);
	assert_int_equal(sign(&k, buf_bytes(&tbs)), 0);
	for (size_t n = 0; n < tbs.len; n++)
		assert_int_equal(sign(&k, bytes_of(tbs.ptr, n)), SIGNER_REFUSED);
	buf_append_char(&tbs, 0);
	assert_int_equal(sign(&k, buf_bytes(&tbs)), SIGNER_REFUSED);
	/* A digest, a whole certificate, a key. */
	assert_int_equal(sign(&k, bytes_of(issue_kit_kek, 32)), SIGNER_REFUSED);
	assert_int_equal(sign(&k, buf_bytes(&k.certificate)), SIGNER_REFUSED);
	assert_int_equal(sign(&k, buf_bytes(&spki)), SIGNER_REFUSED);
	k.key += 1;
	assert_int_equal(sign(&k, bytes_of(tbs.ptr, tbs.len - 1)), SIGNER_UNKNOWN_KEY);
	issue_kit_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_opens_with_the_same_key_and_binding_only),
		cmocka_unit_test(no_changed_octet_of_a_seal_opens),
		cmocka_unit_test(a_key_loads_for_its_own_ca_purpose_and_certificate_only),
		cmocka_unit_test(a_certificate_that_the_key_has_not_signed_is_refused),
		cmocka_unit_test(a_key_of_an_earlier_run_is_not_loaded_without_its_certificate),
		cmocka_unit_test(the_keys_that_were_made_are_forgotten_in_turn),
		cmocka_unit_test(a_key_that_is_loaded_again_has_the_same_number),
		cmocka_unit_test(there_is_room_for_the_keys_of_many_cas),
		cmocka_unit_test(a_key_that_has_its_certificate_is_not_kept_without),
		cmocka_unit_test(makes_the_keys_it_says_and_no_others),
		cmocka_unit_test(refuses_another_issuer),
		cmocka_unit_test(refuses_to_make_another_authority),
		cmocka_unit_test(a_key_without_a_certificate_signs_its_own_only),
		cmocka_unit_test(refuses_octets_that_are_no_tbs_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
