/* A CA's certificate that came from elsewhere: what is taken, and why not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/chain.h"

#include <errno.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tests/test.h"

#define NOW 1772366400ll /* 2026-03-01T12:00:00Z */
#define DAY 86400
#define CA_USAGE "critical,keyCertSign,cRLSign"

enum { ROOT, MIDDLE, OWN, OTHER, N_KEYS };
static EVP_PKEY *keys[N_KEYS];
static const char *const names[N_KEYS] = { "Root", "Middle", "Own", "Other" };

/* A certificate as a test wants it; NULL leaves an extension out. */
struct wish {
	int subject, issuer;
	const char *constraints, *usage;
	bool has_no_key_id, has_no_subject;
	int64_t from_s, until_s; /* 0: a day before NOW, 30 days after */
};

static void add(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *x;
	X509V3_CTX ctx;

	if (!value)
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(x);
	assert_int_equal(X509_add_ext(cert, x, -1), 1);
	X509_EXTENSION_free(x);
}

static void name(X509_NAME *to, int key)
{
	const uint8_t *text = (const uint8_t *)names[key];

	assert_int_equal(X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_UTF8, text, -1, -1, 0), 1);
}

/* The certificate of the issuer, for what is taken from it: its key identifier. */
static X509 *issuer_of(int key)
{
	X509 *cert = X509_new();

	X509_set_pubkey(cert, keys[key]);
	add(cert, cert, NID_subject_key_identifier, "hash");
	return cert;
}

static void append(struct buf *out, const struct wish *w)
{
	X509 *cert = X509_new(), *issuer = issuer_of(w->issuer);
	uint8_t *der = NULL;
	int n;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + w->subject);
	if (!w->has_no_subject)
		name(X509_get_subject_name(cert), w->subject);
	name(X509_get_issuer_name(cert), w->issuer);
	ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(w->from_s ? w->from_s : NOW - DAY));
	ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(w->until_s ? w->until_s : NOW + 30 * DAY));
	X509_set_pubkey(cert, keys[w->subject]);
	add(cert, issuer, NID_basic_constraints, w->constraints);
	add(cert, issuer, NID_key_usage, w->usage);
	add(cert, issuer, NID_subject_key_identifier, w->has_no_key_id ? NULL : "hash");
	add(cert, issuer, NID_authority_key_identifier, w->subject == w->issuer ? NULL : "keyid");
	assert_true(X509_sign(cert, keys[w->issuer], EVP_sha256()) > 0);
	n = i2d_X509(cert, &der);
	assert_true(n > 0);
	assert_int_equal(buf_append(out, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
	X509_free(issuer);
	X509_free(cert);
}

#define A_CA .constraints = "critical,CA:TRUE", .usage = CA_USAGE
static const struct wish own = { OWN, MIDDLE, A_CA }, middle = { MIDDLE, ROOT, A_CA }, root = { ROOT, ROOT, A_CA };

static const char *check(const struct wish *const *wishes, size_t n, int key)
{
	OWNED_BUF all = BUF_INIT(65536);
	uint8_t *spki = NULL;
	struct bytes first = { 0 };
	int length = i2d_PUBKEY(keys[key], &spki);
	const char *why;

	for (size_t i = 0; i < n; i++)
		append(&all, wishes[i]);
	why = chain_check(buf_bytes(&all), bytes_of(spki, (size_t)length), NOW, &first);
	if (!why)
		assert_true(first.ptr == all.ptr && first.len > 0 && first.len < all.len);
	OPENSSL_free(spki);
	return why;
}

#define CHECK(key, ...) \
	check((const struct wish *const[]){ __VA_ARGS__ }, \
	      sizeof((const struct wish *const[]){ __VA_ARGS__ }) / sizeof(struct wish *), key)

static void refused(const char *why, const char *part)
{
	if (!why || !strstr(why, part))
		fail_msg("'%s' does not say '%s'", why ? why : "taken", part);
}

static void a_path_up_to_a_root_or_to_any_anchor_is_taken(void **state)
{
	assert_null(CHECK(OWN, &own, &middle, &root));
	assert_null(CHECK(OWN, &own, &middle));
}

static void the_own_one_must_be_that_of_a_ca_with_this_key(void **state)
{
	static const struct wish no_ca = { OWN, MIDDLE, .constraints = "critical,CA:FALSE", .usage = CA_USAGE },
				 unsaid = { OWN, MIDDLE, .constraints = NULL, .usage = CA_USAGE },
				 no_crls = { OWN, MIDDLE, .constraints = "critical,CA:TRUE",
					     .usage = "critical,keyCertSign" },
				 no_usage = { OWN, MIDDLE, .constraints = "critical,CA:TRUE", .usage = NULL },
				 no_id = { OWN, MIDDLE, A_CA, .has_no_key_id = true },
				 no_name = { OWN, MIDDLE, A_CA, .has_no_subject = true };

	refused(CHECK(OTHER, &own, &middle), "not for the key that waits");
	refused(CHECK(OWN, &no_ca, &middle), "basicConstraints CA:TRUE");
	refused(CHECK(OWN, &unsaid, &middle), "basicConstraints CA:TRUE");
	refused(CHECK(OWN, &no_crls, &middle), "keyCertSign and cRLSign");
	refused(CHECK(OWN, &no_usage, &middle), "keyCertSign and cRLSign");
	refused(CHECK(OWN, &no_id, &middle), "no subject key identifier");
	refused(CHECK(OWN, &no_name, &middle), "no subject");
}

static void each_must_be_followed_by_its_issuer(void **state)
{
	static const struct wish stranger = { OTHER, ROOT, A_CA };

	refused(CHECK(OWN, &own), "certificate of the issuer is missing");
	refused(CHECK(OWN, &own, &root), "not followed by that of its issuer");
	refused(CHECK(OWN, &own, &stranger, &middle, &root), "not followed by that of its issuer");
	refused(CHECK(OWN, &own, &middle, &middle, &root), "not followed by that of its issuer");
	refused(CHECK(OWN, &own, &root, &middle), "not followed by that of its issuer");
}

static void the_path_is_verified_as_rfc_5280_says(void **state)
{
	static const struct wish no_more = { MIDDLE, ROOT, .constraints = "critical,CA:TRUE,pathlen:0",
					     .usage = CA_USAGE },
				 ended = { OWN, MIDDLE, A_CA, .until_s = NOW - 1 },
				 not_yet = { OWN, MIDDLE, A_CA, .from_s = NOW + DAY },
				 old_middle = { MIDDLE, ROOT, A_CA, .until_s = NOW - 1 },
				 no_signer = { MIDDLE, ROOT, .constraints = "critical,CA:TRUE",
					       .usage = "critical,cRLSign" },
				 top = { ROOT, ROOT, .constraints = "critical,CA:TRUE,pathlen:0", .usage = CA_USAGE };

	assert_null(CHECK(OWN, &own, &no_more, &root));
	refused(CHECK(OWN, &own, &middle, &top), "path length");
	refused(CHECK(OWN, &ended, &middle, &root), "expired");
	refused(CHECK(OWN, &not_yet, &middle, &root), "not yet valid");
	refused(CHECK(OWN, &own, &old_middle, &root), "expired");
	assert_non_null(CHECK(OWN, &own, &no_signer, &root));
}

static void a_signature_of_another_is_none(void **state)
{
	OWNED_BUF all = BUF_INIT(65536);
	uint8_t *spki = NULL;
	struct bytes first;
	size_t n;
	int length = i2d_PUBKEY(keys[OWN], &spki);

	append(&all, &own);
	n = all.len;
	append(&all, &middle);
	append(&all, &root);
	all.ptr[n - 1] ^= 1;
	assert_non_null(chain_check(buf_bytes(&all), bytes_of(spki, (size_t)length), NOW, &first));
	OPENSSL_free(spki);
}

static void what_is_no_certificate_is_refused(void **state)
{
	const struct wish *many[12];
	struct bytes first, spki = bytes_of_str("none");
	OWNED_BUF one = BUF_INIT(65536);

	for (size_t i = 0; i < 12; i++)
		many[i] = i == 0 ? &own : &middle;
	refused(check(many, 12, OWN), "too many");
	refused(chain_check(bytes_of(NULL, 0), spki, NOW, &first), "cannot be read");
	refused(chain_check(bytes_of_str("0\x03\x02\x01\x05"), spki, NOW, &first), "cannot be read");
	append(&one, &own);
	for (size_t n = 1; n < one.len; n += 7)
		refused(chain_check(bytes_of(one.ptr, n), spki, NOW, &first), "cannot be read");
}

static void pem_and_der_are_read_alike(void **state)
{
	OWNED_BUF der = BUF_INIT(65536), again = BUF_INIT(65536);
	BIO *pem = BIO_new(BIO_s_mem());
	const uint8_t *p;
	char *text;
	long n;

	append(&der, &own);
	append(&der, &middle);
	p = der.ptr;
	BIO_puts(pem, "Subject: whatever stands before\n");
	while (p < der.ptr + der.len) {
		X509 *cert = d2i_X509(NULL, &p, (long)(der.ptr + der.len - p));

		PEM_write_bio_X509(pem, cert);
		X509_free(cert);
	}
	n = BIO_get_mem_data(pem, &text);
	assert_int_equal(chain_read(bytes_of(text, (size_t)n), &again), 0);
	assert_true(bytes_equal(buf_bytes(&der), buf_bytes(&again)));
	buf_reset(&again);
	assert_int_equal(chain_read(buf_bytes(&der), &again), 0);
	assert_true(bytes_equal(buf_bytes(&der), buf_bytes(&again)));
	BIO_free(pem);
}

static void what_is_neither_is_refused_and_limits_hold(void **state)
{
	OWNED_BUF der = BUF_INIT(65536), small = BUF_INIT(100), out = BUF_INIT(65536);

	append(&der, &own);
	assert_int_equal(chain_read(bytes_of(NULL, 0), &out), -EINVAL);
	assert_int_equal(chain_read(bytes_of_str("nothing of the kind"), &out), -EINVAL);
	assert_int_equal(chain_read(bytes_of(der.ptr, der.len - 1), &out), -EINVAL);
	assert_int_equal(chain_read(buf_bytes(&der), &small), -EMSGSIZE);
	assert_int_equal(buf_append_str(&der, "0"), 0);
	buf_reset(&out);
	assert_int_equal(chain_read(buf_bytes(&der), &out), -EINVAL);
}

static void subjects_are_compared(void **state)
{
	OWNED_BUF a = BUF_INIT(65536), b = BUF_INIT(65536), c = BUF_INIT(65536);
	static const struct wish by_other = { OWN, OTHER, A_CA };
	bool same = false;

	append(&a, &own);
	append(&b, &by_other);
	append(&c, &middle);
	assert_int_equal(chain_same_subject(buf_bytes(&a), buf_bytes(&b), &same), 0);
	assert_true(same);
	assert_int_equal(chain_same_subject(buf_bytes(&a), buf_bytes(&c), &same), 0);
	assert_false(same);
	assert_int_equal(chain_same_subject(buf_bytes(&a), bytes_of_str("0"), &same), -EINVAL);
}

static int make_keys(void **state)
{
	for (int i = 0; i < N_KEYS; i++)
		if (!(keys[i] = EVP_EC_gen("P-256")))
			return -1;
	return 0;
}

static int drop_keys(void **state)
{
	for (int i = 0; i < N_KEYS; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_up_to_a_root_or_to_any_anchor_is_taken),
		cmocka_unit_test(the_own_one_must_be_that_of_a_ca_with_this_key),
		cmocka_unit_test(each_must_be_followed_by_its_issuer),
		cmocka_unit_test(the_path_is_verified_as_rfc_5280_says),
		cmocka_unit_test(a_signature_of_another_is_none),
		cmocka_unit_test(what_is_no_certificate_is_refused),
		cmocka_unit_test(pem_and_der_are_read_alike),
		cmocka_unit_test(what_is_neither_is_refused_and_limits_hold),
		cmocka_unit_test(subjects_are_compared),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
