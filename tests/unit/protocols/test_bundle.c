/* protocols/bundle: what libcrypto reads in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "protocols/bundle.h"

static EVP_PKEY *key;

static int set_up(void **unused)
{
	key = EVP_EC_gen("P-256");
	return key ? 0 : -1;
}

static int tear_down(void **unused)
{
	EVP_PKEY_free(key);
	return 0;
}

static CMS_ContentInfo *read_bundle(const struct buf *bundle)
{
	const uint8_t *at = bundle->ptr;
	CMS_ContentInfo *read = d2i_CMS_ContentInfo(NULL, &at, (long)bundle->len);

	assert_non_null(read);
	assert_ptr_equal(at, bundle->ptr + bundle->len);
	assert_int_equal(OBJ_obj2nid(CMS_get0_type(read)), NID_pkcs7_signed);
	return read;
}

static X509 *make_certificate(void)
{
	X509 *x = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static X509_CRL *make_crl(void)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0);

	X509_CRL_set1_lastUpdate(crl, now);
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	ASN1_TIME_free(now);
	return crl;
}

/* X.690 11.6, whatever the order in which they came. */
static void certificates_stand_in_the_order_of_der(void **unused)
{
	static const char *const orders[] = {
		"\x30\x01" "b" "\x30\x02" "aa" "\x30\x01" "a", "\x30\x02" "aa" "\x30\x01" "a" "\x30\x01" "b",
		"\x30\x01" "a" "\x30\x01" "b" "\x30\x02" "aa",
	};

	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		OWNED_BUF bundle = BUF_INIT(128);

		assert_int_equal(bundle_write_certificates(bytes_of_str(orders[i]), &bundle), 0);
		assert_non_null(memmem(bundle.ptr, bundle.len, orders[2], strlen(orders[2])));
		buf_reset(&bundle);
		assert_int_equal(bundle_write_in_order(bytes_of_str(orders[i]), &bundle), 0);
		assert_non_null(memmem(bundle.ptr, bundle.len, orders[i], strlen(orders[i])));
	}
}

static void what_is_no_certificate_makes_no_bundle(void **unused)
{
	OWNED_BUF bundle = BUF_INIT(128);

	assert_int_equal(bundle_write_certificates(bytes_of_str("\x30\x01" "a" "\x30"), &bundle), -EBADMSG);
}

static void certificates_are_read_twice_if_they_are_there_twice(void **unused)
{
	OWNED_BUF both = BUF_INIT(65536), bundle = BUF_INIT(65536);
	X509 *x = make_certificate();
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);
	STACK_OF(X509) *found;
	CMS_ContentInfo *read;

	buf_append(&both, bytes_of(der, (size_t)n));
	buf_append(&both, bytes_of(der, (size_t)n));
	assert_int_equal(bundle_write_certificates(buf_bytes(&both), &bundle), 0);
	read = read_bundle(&bundle);
	found = CMS_get1_certs(read);
	assert_int_equal(sk_X509_num(found), 2);
	assert_int_equal(X509_cmp(sk_X509_value(found, 1), x), 0);
	sk_X509_pop_free(found, X509_free);
	CMS_ContentInfo_free(read);
	OPENSSL_free(der);
	X509_free(x);
}

static void lists_are_read_too(void **unused)
{
	OWNED_BUF bundle = BUF_INIT(65536);
	X509_CRL *crl = make_crl();
	uint8_t *der = NULL;
	int n = i2d_X509_CRL(crl, &der);
	STACK_OF(X509_CRL) *found;
	CMS_ContentInfo *read;

	assert_int_equal(bundle_write_crls(bytes_of(der, (size_t)n), &bundle), 0);
	read = read_bundle(&bundle);
	found = CMS_get1_crls(read);
	assert_int_equal(sk_X509_CRL_num(found), 1);
	assert_int_equal(X509_CRL_cmp(sk_X509_CRL_value(found, 0), crl), 0);
	assert_null(CMS_get1_certs(read));
	sk_X509_CRL_pop_free(found, X509_CRL_free);
	CMS_ContentInfo_free(read);
	OPENSSL_free(der);
	X509_CRL_free(crl);
}

static void an_empty_one_and_one_that_does_not_fit(void **unused)
{
	OWNED_BUF bundle = BUF_INIT(65536), small = BUF_INIT(40);
	CMS_ContentInfo *read;

	assert_int_equal(bundle_write_certificates(bytes_of(NULL, 0), &bundle), 0);
	read = read_bundle(&bundle);
	assert_null(CMS_get1_certs(read));
	CMS_ContentInfo_free(read);
	assert_int_equal(bundle_write_certificates(bytes_of_str("\x30\x08" "12345678"), &small), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_are_read_twice_if_they_are_there_twice),
		cmocka_unit_test(certificates_stand_in_the_order_of_der),
		cmocka_unit_test(what_is_no_certificate_makes_no_bundle),
		cmocka_unit_test(lists_are_read_too),
		cmocka_unit_test(an_empty_one_and_one_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
