/* core/crl.c against libcrypto: the same octets as its X509_CRL API writes for the same entries, and a signature over
 * them that it verifies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/der.h"
#include "core/crl.h"
#include "core/issue.h"
#include "tests/scenarios/csr_maker.h"

#define NOON_2026 1772366400ll /* 2026-03-01T12:00:00Z */
#define YEAR (365 * 86400ll)
#define LISTS 10000
#define ENTRIES_MAX 40

static const char *const types[] = { "ec-p256", "ec-p384", "rsa" };
static struct {
	EVP_PKEY *key;
	const EVP_MD *md;
	X509 *certificate;
	struct issuer *issuer;
} cas[3];

static uint64_t seed = 20260301;

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)((seed >> 33) % n);
}

static void sign(size_t i, struct bytes octets, struct buf *signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = 1024;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, cas[i].md, NULL, cas[i].key), 1);
	assert_int_equal(EVP_DigestSign(ctx, buf_room(signature, n), &n, octets.ptr, octets.len), 1);
	buf_added(signature, n);
	EVP_MD_CTX_free(ctx);
}

static void make_ca(size_t i)
{
	OWNED_BUF tbs = BUF_INIT(65536), signature = BUF_INIT(4096), der = BUF_INIT(65536), spki = BUF_INIT(8192);
	uint8_t serial[SERIAL_SIZE] = { 1, 2, 3 };
	char why[CA_REASON_SIZE] = "";
	uint8_t *octets = NULL;
	const uint8_t *p;
	int n;

	cas[i].key = csr_key(types[i]);
	cas[i].md = i == 1 ? EVP_sha384() : EVP_sha256();
	n = i2d_PUBKEY(cas[i].key, &octets);
	assert_int_equal(buf_append(&spki, bytes_of(octets, (size_t)n)), 0);
	OPENSSL_free(octets);
	assert_int_equal(issue_build_root(buf_bytes(&spki), i == 1 ? "T\xc3\xa9st CA" : "Test CA", NULL, NOON_2026,
					  NOON_2026 + 40 * YEAR, serial, 0, &tbs, why), 0);
	sign(i, buf_bytes(&tbs), &signature);
	assert_int_equal(issue_assemble_root(buf_bytes(&tbs), buf_bytes(&signature), &der), 0);
	assert_int_equal(issuer_new(&cas[i].issuer, buf_bytes(&der)), 0);
	p = der.ptr;
	cas[i].certificate = d2i_X509(NULL, &p, (long)der.len);
	assert_non_null(cas[i].certificate);
}

static int make_cas(void **state)
{
	for (size_t i = 0; i < 3; i++)
		make_ca(i);
	return 0;
}

static int drop_cas(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		X509_free(cas[i].certificate);
		issuer_drop(&cas[i].issuer);
		EVP_PKEY_free(cas[i].key);
	}
	return 0;
}

struct list {
	struct crl_head head;
	uint8_t serials[ENTRIES_MAX][20];
	struct crl_entry entries[ENTRIES_MAX];
	size_t n;
};

static void choose(struct list *l, size_t ca)
{
	static const int reasons[] = { 0, 1, 2, 3, 4, 5, 6, 9 };
	static const char *const urls[] = { "http://pki.example:8080/status/crl/0-17.crl",
					    "http://old.example/crl/0-17.crl\nhttp://pki.example/crl/0-17.crl" };

	l->head = (struct crl_head){
		.issuer = cas[ca].issuer,
		.number = below(3) ? below(1000) + 1 : (uint64_t)below(1u << 31) << below(33),
		.this_update_s = NOON_2026 + (int64_t)below(30) * YEAR + below(86400),
		.partition_urls = below(3) ? NULL : urls[below(2)],
	};
	l->head.next_update_s = l->head.this_update_s + 60 + below(400u * 86400);
	l->n = below(4) ? below(ENTRIES_MAX) : 0;
	for (size_t i = 0; i < l->n; i++) {
		size_t n = 1 + below(20);

		for (size_t j = 0; j < n; j++)
			l->serials[i][j] = (uint8_t)below(256);
		l->serials[i][0] = (uint8_t)(1 + below(255));
		l->entries[i] = (struct crl_entry){ bytes_of(l->serials[i], n),
						    NOON_2026 + (int64_t)below(30) * YEAR + below(86400),
						    reasons[below(8)] };
	}
}

static void write_list(const struct list *l, size_t ca, struct buf *tbs, struct buf *der)
{
	OWNED_BUF entries = BUF_INIT(1u << 20), signature = BUF_INIT(4096);
	struct crl_clock clock = { 0 };

	for (size_t i = 0; i < l->n; i++)
		assert_int_equal(crl_add_entry(&entries, &clock, &l->entries[i]), 0);
	assert_int_equal(crl_write_start(tbs, &l->head, entries.len), 0);
	assert_int_equal(buf_append(tbs, buf_bytes(&entries)), 0);
	assert_int_equal(crl_write_end(tbs, &l->head), 0);
	sign(ca, buf_bytes(tbs), &signature);
	assert_int_equal(crl_write_outer(der, l->head.issuer, tbs->len, buf_bytes(&signature)), 0);
	assert_int_equal(buf_append(der, buf_bytes(tbs)), 0);
	assert_int_equal(crl_write_signature(der, l->head.issuer, buf_bytes(&signature)), 0);
}

/* ---- the same by libcrypto ---- */

static void reference_entry(X509_CRL *crl, const struct crl_entry *e)
{
	X509_REVOKED *r = X509_REVOKED_new();
	BIGNUM *number = BN_bin2bn(e->serial.ptr, (int)e->serial.len, NULL);
	ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
	ASN1_TIME *at = ASN1_TIME_set(NULL, e->revoked_s);
	ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

	assert_int_equal(X509_REVOKED_set_serialNumber(r, serial), 1);
	assert_int_equal(X509_REVOKED_set_revocationDate(r, at), 1);
	ASN1_ENUMERATED_set(reason, e->reason);
	if (e->reason)
		assert_int_equal(X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, reason, 0, 0), 1);
	assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
	ASN1_ENUMERATED_free(reason);
	ASN1_TIME_free(at);
	ASN1_INTEGER_free(serial);
	BN_free(number);
}

static void reference_extension(X509_CRL *crl, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);

	assert_non_null(ext);
	assert_int_equal(X509_CRL_add_ext(crl, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static void reference_extensions(X509_CRL *crl, const struct list *l, size_t ca)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, cas[ca].certificate, NULL, NULL, crl, 0);
	reference_extension(crl, &ctx, NID_authority_key_identifier, "keyid:always");
	ASN1_INTEGER_set_uint64(number, l->head.number);
	assert_int_equal(X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0), 1);
	if (l->head.partition_urls) {
		ISSUING_DIST_POINT *point = ISSUING_DIST_POINT_new();
		GENERAL_NAMES *names = GENERAL_NAMES_new();

		for (const char *url = l->head.partition_urls; *url; url += strcspn(url, "\n"), url += *url == '\n') {
			GENERAL_NAME *name = GENERAL_NAME_new();
			ASN1_IA5STRING *text = ASN1_IA5STRING_new();

			ASN1_STRING_set(text, url, (int)strcspn(url, "\n"));
			GENERAL_NAME_set0_value(name, GEN_URI, text);
			sk_GENERAL_NAME_push(names, name);
		}
		point->distpoint = DIST_POINT_NAME_new();
		point->distpoint->type = 0;
		point->distpoint->name.fullname = names;
		assert_int_equal(X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, point, 1, 0), 1);
		ISSUING_DIST_POINT_free(point);
	}
	ASN1_INTEGER_free(number);
}

/* Signed too: that is how libcrypto writes the algorithm. */
static X509_CRL *reference(const struct list *l, size_t ca)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *at = ASN1_TIME_set(NULL, l->head.this_update_s), *next = ASN1_TIME_set(NULL, l->head.next_update_s);

	assert_int_equal(X509_CRL_set_version(crl, 1), 1);
	assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(cas[ca].certificate)), 1);
	assert_int_equal(X509_CRL_set1_lastUpdate(crl, at), 1);
	assert_int_equal(X509_CRL_set1_nextUpdate(crl, next), 1);
	for (size_t i = 0; i < l->n; i++)
		reference_entry(crl, &l->entries[i]);
	reference_extensions(crl, l, ca);
	assert_true(X509_CRL_sign(crl, cas[ca].key, cas[ca].md) > 0);
	ASN1_TIME_free(at);
	ASN1_TIME_free(next);
	return crl;
}

static void writes_what_libcrypto_writes_and_verifies(void **state)
{
	size_t entries = 0;

	for (unsigned i = 0; i < LISTS; i++) {
		OWNED_BUF tbs = BUF_INIT(1u << 20), der = BUF_INIT(1u << 20);
		size_t ca = below(20) ? below(2) : 2;
		struct list l;
		const uint8_t *p;
		uint8_t *octets = NULL;
		X509_CRL *theirs, *ours;
		int n;

		choose(&l, ca);
		write_list(&l, ca, &tbs, &der);
		theirs = reference(&l, ca);
		n = i2d_re_X509_CRL_tbs(theirs, &octets);
		assert_int_equal(n, tbs.len);
		assert_memory_equal(octets, tbs.ptr, tbs.len);
		p = der.ptr;
		ours = d2i_X509_CRL(NULL, &p, (long)der.len);
		assert_non_null(ours);
		assert_ptr_equal(p, der.ptr + der.len);
		assert_int_equal(X509_CRL_verify(ours, cas[ca].key), 1);
		assert_int_equal(X509_CRL_cmp(ours, theirs), 0);
		X509_CRL_free(ours);
		X509_CRL_free(theirs);
		OPENSSL_free(octets);
		entries += l.n;
	}
	print_message("%d lists with %zu entries alike\n", LISTS, entries);
	assert_true(entries > LISTS);
}

static bool verifies_in_pieces(size_t ca, struct bytes first, struct bytes second, const struct buf *signature)
{
	struct issuer_check *c;
	bool answer;

	assert_int_equal(issuer_check_new(&c, cas[ca].issuer), 0);
	assert_int_equal(issuer_check_add(c, first), 0);
	assert_int_equal(issuer_check_add(c, second), 0);
	answer = issuer_check_ends(c, buf_bytes(signature));
	issuer_check_drop(&c);
	assert_null(c);
	return answer;
}

/* However the octets were cut, the signature verifies over these, in this order, and no others. */
static void a_signature_is_checked_over_pieces(void **state)
{
	uint8_t octets[1000];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)below(256);
	for (size_t ca = 0; ca < 3; ca++) {
		OWNED_BUF signature = BUF_INIT(4096);

		sign(ca, bytes_of(octets, sizeof(octets)), &signature);
		for (size_t cut = 0; cut <= sizeof(octets); cut += 125) {
			assert_true(verifies_in_pieces(ca, bytes_of(octets, cut),
						       bytes_of(octets + cut, sizeof(octets) - cut), &signature));
			octets[500] ^= 1;
			assert_false(verifies_in_pieces(ca, bytes_of(octets, cut),
							bytes_of(octets + cut, sizeof(octets) - cut), &signature));
			octets[500] ^= 1;
		}
		assert_false(verifies_in_pieces(ca, bytes_of(octets + 500, 500), bytes_of(octets, 500), &signature));
		assert_false(verifies_in_pieces((ca + 1) % 3, bytes_of(octets, 500), bytes_of(octets + 500, 500),
						&signature));
	}
}

static void refuses_what_no_entry_may_be(void **state)
{
	static const uint8_t octets[21] = { 1 };
	OWNED_BUF entries = BUF_INIT(4096);
	struct crl_clock clock = { 0 };

	assert_int_equal(crl_add_entry(&entries, &clock, &(struct crl_entry){ bytes_of(octets, 0), NOON_2026, 0 }),
			 -EINVAL);
	assert_int_equal(crl_add_entry(&entries, &clock, &(struct crl_entry){ bytes_of(octets, 21), NOON_2026, 0 }),
			 -EINVAL);
	assert_int_equal(crl_add_entry(&entries, &clock, &(struct crl_entry){ bytes_of(octets, 20), -1, 0 }), -EINVAL);
	assert_int_equal(entries.len, 0);
}

static void reads_the_serial_of_a_certificate(void **state)
{
	static const struct {
		const char *number; /* content of the INTEGER */
		size_t n;
		int result;
		size_t serial;
	} cases[] = {
		{ "\x01", 1, 0, 1 },
		{ "\x00\x80", 2, 0, 1 },
		{ "\x7f\xff", 2, 0, 2 },
		{ "\x00", 1, -EINVAL, 0 },
		{ "\x80", 1, -EINVAL, 0 },
		{ "", 0, -EINVAL, 0 },
		{ "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 21, 0, 20 },
		{ "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 21, -EINVAL,
		  0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED_BUF tbs = BUF_INIT(256), inner = BUF_INIT(256), outer = BUF_INIT(256);
		static const uint8_t version_3[] = { DER_CONTEXT_0, 3, DER_INTEGER, 1, 2 };
		struct bytes serial;

		buf_append(&tbs, bytes_of(version_3, sizeof(version_3)));
		der_write(&tbs, DER_INTEGER, bytes_of(cases[i].number, cases[i].n));
		der_write(&inner, DER_SEQUENCE, buf_bytes(&tbs));
		der_write(&outer, DER_SEQUENCE, buf_bytes(&inner));
		assert_int_equal(certificate_serial(buf_bytes(&outer), &serial), cases[i].result);
		if (cases[i].result == 0)
			assert_int_equal(serial.len, cases[i].serial);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_libcrypto_writes_and_verifies),
		cmocka_unit_test(a_signature_is_checked_over_pieces),
		cmocka_unit_test(refuses_what_no_entry_may_be),
		cmocka_unit_test(reads_the_serial_of_a_certificate),
	};

	return cmocka_run_group_tests(tests, make_cas, drop_cas);
}
