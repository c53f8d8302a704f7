/* protocols/scep/next.c: which root is the next one, and when the core is asked. The test plays the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/base/own.h"
#include "protocols/scep/scep_int.h"
#include "tests/unit/protocols/scep_rig.h"

static struct scep_client ra, first, second, third, intermediate;
static struct buf second_by_first, first_by_second, third_by_second;

/* ---- certificates ---- */

/* The key of `subject` with the name of all, made by `issuer`. */
static void certify(const struct scep_client *subject, const struct scep_client *issuer, struct buf *out)
{
	X509 *x = X509_dup(subject->certificate);
	uint8_t *der = NULL;
	int n;

	*out = BUF_INIT(SCEP_RIG_MAX);
	X509_set_issuer_name(x, X509_get_subject_name(issuer->certificate));
	assert_true(X509_sign(x, issuer->key, EVP_sha256()) > 0);
	n = i2d_X509(x, &der);
	assert_int_equal(buf_append(out, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
	X509_free(x);
}

static int set_up(void **unused)
{
	struct buf der;

	scep_client_make(&ra, "2048", "ra");
	scep_client_make(&first, "P-256", "root");
	scep_client_make(&second, "P-256", "root");
	scep_client_make(&third, "P-256", "root");
	scep_client_make(&intermediate, "P-256", "intermediate");
	certify(&second, &first, &second_by_first);
	certify(&first, &second, &first_by_second);
	certify(&third, &second, &third_by_second);
	certify(&intermediate, &first, &der);
	buf_fini(&intermediate.der);
	intermediate.der = der;
	return 0;
}

static int tear_down(void **unused)
{
	scep_client_fini(&ra);
	scep_client_fini(&first);
	scep_client_fini(&second);
	scep_client_fini(&third);
	scep_client_fini(&intermediate);
	buf_fini(&second_by_first);
	buf_fini(&first_by_second);
	buf_fini(&third_by_second);
	return 0;
}

/* ---- the core ---- */

static struct bytes chain[3], keys[3][3];
static unsigned n_asked;
static bool is_away;

static int append(struct buf *out, const struct bytes certificates[static 3])
{
	int e = 0;

	for (size_t i = 0; !e && i < 3; i++)
		e = buf_append(out, certificates[i]);
	return e;
}

int ca_get_chain(struct ca_door *ca, struct buf *out)
{
	n_asked++;
	return append(out, chain);
}

int ca_get_key_chain(struct ca_door *ca, unsigned key, struct buf *out)
{
	if (is_away)
		return CA_CALL_BUSY;
	return key < 3 && keys[key][0].len ? append(out, keys[key]) : CA_CALL_NOT_FOUND;
}

static void use_one_root(void)
{
	memset(chain, 0, sizeof(chain));
	memset(keys, 0, sizeof(keys));
	chain[0] = keys[0][0] = buf_bytes(&first.der);
	n_asked = 0;
	is_away = false;
}

/* The second has replaced the first one. */
static void use_two_roots(void)
{
	use_one_root();
	chain[0] = keys[1][0] = buf_bytes(&second_by_first);
	chain[1] = keys[1][1] = buf_bytes(&first.der);
	keys[0][0] = buf_bytes(&first_by_second);
	keys[0][1] = buf_bytes(&second.der);
}

/* ---- the endpoint ---- */

static unsigned n_signed;

static int list(void *state, struct arena *arena, struct proto_ra_key **out, size_t *n)
{
	*out = arena_alloc(arena, sizeof(**out));
	assert_non_null(*out);
	**out = (struct proto_ra_key){ .number = 7, .certificate = buf_bytes(&ra.der), .chain = chain[0] };
	*n = 1;
	return 0;
}

static int sign(void *state, unsigned number, const char *digest, struct bytes attributes, struct buf *signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t out[512];
	size_t n = sizeof(out);

	n_signed++;
	assert_int_equal(number, 7);
	assert_string_equal(digest, "SHA256");
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, ra.key, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, out, &n, attributes.ptr, attributes.len), 1);
	EVP_MD_CTX_free(ctx);
	return buf_append(signature, bytes_of(out, n));
}

static const struct proto_ra registration_authority = { .list = list, .sign = sign };

static void start(struct scep *s)
{
	*s = (struct scep){ .ra = &registration_authority };
	n_signed = 0;
	assert_int_equal(scep_next_new(&s->next), 0);
}

/* The body of an answer with this status. */
static void get(struct scep *s, int status, struct buf *body)
{
	OWNED(arena) arena = NULL;
	struct http_request q = { 0 };
	struct http_reply r = { .body = BUF_INIT(HTTP_REPLY_BODY_MAX) };

	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	q.arena = r.arena = arena;
	assert_int_equal(scep_get_next(s, &q, &r), 0);
	assert_int_equal(r.status, status);
	assert_int_equal(buf_append(body, buf_bytes(&r.body)), 0);
	buf_fini(&r.body);
}

static void expect_none(void)
{
	OWNED_BUF body = BUF_INIT(SCEP_RIG_MAX);
	struct scep s;

	start(&s);
	assert_false(scep_has_next(&s));
	get(&s, 404, &body);
	assert_int_equal(n_signed, 0);
	scep_next_drop(&s.next);
}

/* Signed by the RA, whose certificate and chain go along; inside a bag with this certificate alone. */
static void expect_signed(struct bytes octets, const struct scep_client *root)
{
	const uint8_t *p = octets.ptr;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)octets.len), *bag;
	STACK_OF(X509) *with = CMS_get1_certs(cms), *inside;
	BIO *out = BIO_new(BIO_s_mem());

	assert_int_equal(CMS_verify(cms, NULL, NULL, NULL, out, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 1);
	bag = d2i_CMS_bio(out, NULL);
	assert_non_null(bag);
	inside = CMS_get1_certs(bag);
	assert_int_equal(sk_X509_num(inside), 1);
	assert_int_equal(X509_cmp(sk_X509_value(inside, 0), root->certificate), 0);
	assert_int_equal(sk_X509_num(with), 3);
	assert_int_equal(X509_cmp(sk_X509_value(with, 0), ra.certificate), 0);
	assert_int_equal(CMS_signed_get_attr_count(sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0)), 2);
	sk_X509_pop_free(with, X509_free);
	sk_X509_pop_free(inside, X509_free);
	CMS_ContentInfo_free(cms);
	CMS_ContentInfo_free(bag);
	BIO_free(out);
}

/* ---- tests ---- */

static void a_root_that_replaces_none_is_not_next(void **unused)
{
	use_one_root();
	expect_none();
	/* Nor when the one before has ended: nothing hangs on it any more. */
	use_two_roots();
	chain[0] = keys[1][0] = buf_bytes(&second.der);
	chain[1] = keys[1][1] = bytes_of(NULL, 0);
	keys[0][0] = buf_bytes(&first.der);
	keys[0][1] = bytes_of(NULL, 0);
	expect_none();
}

static void an_intermediate_has_no_next(void **unused)
{
	use_one_root();
	chain[0] = keys[0][0] = buf_bytes(&intermediate.der);
	chain[1] = keys[0][1] = buf_bytes(&first.der);
	expect_none();
}

static void a_root_that_hangs_on_the_one_before_is_next(void **unused)
{
	OWNED_BUF body = BUF_INIT(SCEP_RIG_MAX);
	struct scep s;

	use_two_roots();
	start(&s);
	assert_true(scep_has_next(&s));
	get(&s, 200, &body);
	expect_signed(buf_bytes(&body), &second);
	scep_next_drop(&s.next);
}

static void of_three_the_newest_is_next(void **unused)
{
	OWNED_BUF body = BUF_INIT(SCEP_RIG_MAX);
	struct scep s;

	use_two_roots();
	chain[0] = keys[2][0] = buf_bytes(&third_by_second);
	chain[1] = keys[2][1] = buf_bytes(&second_by_first);
	chain[2] = keys[2][2] = buf_bytes(&first.der);
	keys[1][0] = buf_bytes(&second.der);
	keys[1][1] = buf_bytes(&third.der);
	start(&s);
	get(&s, 200, &body);
	expect_signed(buf_bytes(&body), &third);
	scep_next_drop(&s.next);
}

static void the_core_and_the_signer_are_asked_once(void **unused)
{
	OWNED_BUF body = BUF_INIT(SCEP_RIG_MAX), again = BUF_INIT(SCEP_RIG_MAX);
	struct scep s;

	use_two_roots();
	start(&s);
	get(&s, 200, &body);
	for (int i = 0; i < 20; i++) {
		buf_reset(&again);
		get(&s, 200, &again);
		assert_true(bytes_equal(buf_bytes(&body), buf_bytes(&again)));
	}
	assert_int_equal(n_signed, 1);
	assert_int_equal(n_asked, 1);
	scep_next_drop(&s.next);
}

/* Who asks does not wait for a core that is away, and nobody asks it for nobody. */
static void what_is_known_is_looked_at_again_by_and_by(void **unused)
{
	OWNED_BUF body = BUF_INIT(SCEP_RIG_MAX);
	struct scep s;

	use_one_root();
	start(&s);
	get(&s, 404, &body);
	use_two_roots();
	get(&s, 404, &body);
	assert_int_equal(n_asked, 0);
	scep_next_tick(&s);
	assert_int_equal(n_asked, 1);
	scep_next_tick(&s);
	assert_int_equal(n_asked, 1);
	get(&s, 200, &body);
	is_away = true;
	scep_next_tick(&s);
	assert_int_equal(n_asked, 2);
	for (int i = 0; i < 3; i++) {
		get(&s, 200, &body);
		scep_next_tick(&s); /* it has just not answered */
	}
	assert_int_equal(n_asked, 2);
	scep_next_drop(&s.next);
}

static void a_core_that_is_away_says_nothing(void **unused)
{
	OWNED_BUF body = BUF_INIT(SCEP_RIG_MAX);
	struct scep s;

	use_two_roots();
	is_away = true;
	start(&s);
	assert_false(scep_has_next(&s));
	get(&s, 503, &body);
	scep_next_drop(&s.next);
	/* No key signs: it has no chain. */
	use_one_root();
	chain[0] = bytes_of(NULL, 0);
	start(&s);
	get(&s, 503, &body);
	scep_next_drop(&s.next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_root_that_replaces_none_is_not_next),
		cmocka_unit_test(an_intermediate_has_no_next),
		cmocka_unit_test(a_root_that_hangs_on_the_one_before_is_next),
		cmocka_unit_test(of_three_the_newest_is_next),
		cmocka_unit_test(the_core_and_the_signer_are_asked_once),
		cmocka_unit_test(what_is_known_is_looked_at_again_by_and_by),
		cmocka_unit_test(a_core_that_is_away_says_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
