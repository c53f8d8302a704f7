/* Whose key a PKCS#10 request and a certificate carry, for every kind of key, and octets that are neither.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/csr_key.h"

#include "core/base/base64.h"
#include "protocols/jose/jwk.h"
#include "tests/test.h"
#include "tests/unit/protocols/signing.h"

static const char *const algs[] = { "ES256", "ES384", "RS256", "EdDSA" };

#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

static struct signing_key own[N_ALGS], other[N_ALGS];
static struct buf csrs[N_ALGS]; /* with the keys of `own` */

static int make_keys(void **state)
{
	for (size_t i = 0; i < N_ALGS; i++) {
		char *text;

		own[i] = signing_key_make(algs[i], 2048);
		other[i] = signing_key_make(algs[i], 2048);
		text = signing_csr(own[i].key, "DNS:www.example.com");
		csrs[i] = BUF_INIT(8192);
		assert_int_equal(base64url_decode(&csrs[i], bytes_of_str(text)), 0);
		free(text);
	}
	return 0;
}

static int drop_keys(void **state)
{
	for (size_t i = 0; i < N_ALGS; i++) {
		signing_key_fini(&own[i]);
		signing_key_fini(&other[i]);
		buf_fini(&csrs[i]);
	}
	return 0;
}

/* acme_csr_key() with the account key of this JWK. */
static int judge(struct bytes csr, const char *jwk)
{
	struct jwk *key = NULL;
	const char *why = NULL;
	int outcome;

	assert_int_equal(jwk_read(&key, bytes_of_str(jwk), &why), 0);
	outcome = acme_csr_key(csr, buf_bytes(&key->spki));
	jwk_drop(&key);
	return outcome;
}

static void knows_the_key_of_the_account_from_every_other(void **state)
{
	for (size_t i = 0; i < N_ALGS; i++)
		for (size_t k = 0; k < N_ALGS; k++) {
			assert_int_equal(judge(buf_bytes(&csrs[i]), own[k].jwk), i == k ? CSR_KEY_OF_ACCOUNT : 0);
			assert_int_equal(judge(buf_bytes(&csrs[i]), other[k].jwk), 0);
		}
}

static void knows_a_certificate_for_the_key_of_the_request(void **state)
{
	for (size_t i = 0; i < N_ALGS; i++)
		for (size_t k = 0; k < N_ALGS; k++) {
			struct bytes same = signing_certificate(own[k].key, "www.example.com", NULL);
			struct bytes foreign = signing_certificate(other[k].key, "www.example.com", NULL);

			assert_int_equal(acme_csr_is_for(buf_bytes(&csrs[i]), same), i == k);
			assert_false(acme_csr_is_for(buf_bytes(&csrs[i]), foreign));
			free((void *)same.ptr);
			free((void *)foreign.ptr);
		}
}

/* A copy that ends where the content ends, so that a read behind it is found out. */
static struct bytes part_of(const struct buf *whole, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, whole->ptr, len);
	return bytes_of(copy, len);
}

static void refuses_a_request_that_is_cut_short_or_goes_on(void **state)
{
	for (size_t len = 0; len <= csrs[0].len; len++) {
		struct bytes part = part_of(&csrs[0], len);

		assert_int_equal(judge(part, other[0].jwk), len < csrs[0].len ? CSR_KEY_NO_CSR : 0);
		free((void *)part.ptr);
	}
	buf_append_char(&csrs[0], 0x30);
	assert_int_equal(judge(buf_bytes(&csrs[0]), other[0].jwk), CSR_KEY_NO_CSR);
	csrs[0].len--;
}

static void takes_no_certificate_for_a_request_nor_a_request_for_a_certificate(void **state)
{
	struct bytes certificate = signing_certificate(own[0].key, "www.example.com", NULL);

	assert_int_equal(judge(certificate, own[0].jwk), CSR_KEY_NO_CSR);
	assert_false(acme_csr_is_for(certificate, certificate));
	assert_false(acme_csr_is_for(buf_bytes(&csrs[0]), buf_bytes(&csrs[0])));
	assert_false(acme_csr_is_for(buf_bytes(&csrs[0]), bytes_of(certificate.ptr, certificate.len - 1)));
	free((void *)certificate.ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_key_of_the_account_from_every_other),
		cmocka_unit_test(knows_a_certificate_for_the_key_of_the_request),
		cmocka_unit_test(refuses_a_request_that_is_cut_short_or_goes_on),
		cmocka_unit_test(takes_no_certificate_for_a_request_nor_a_request_for_a_certificate),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
