/* core/ocsp_message.c: requests that libcrypto makes, responses that libcrypto reads, and octets that are neither.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/bn.h>
#include <openssl/ocsp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "core/base/der.h"
#include "core/ocsp_message.h"
#include "core/x509/issuer.h"
#include "tests/scenarios/csr_maker.h"

#define ROUNDS 1000
#define DAY 86400

/* ---- a responder with a certificate of its own, made by libcrypto ---- */

struct responder {
	EVP_PKEY *key;
	X509 *certificate;
	X509_NAME *issuer_name;
	ASN1_BIT_STRING *issuer_key;
	STACK_OF(X509) *certificates;
	struct buf der, key_hash, spki;
};

static void add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void responder_init(struct responder *r, const char *key_kind)
{
	X509 *x = X509_new();
	uint8_t hash[SHA_DIGEST_LENGTH], *der = NULL;
	int n;

	*r = (struct responder){ .key = csr_key(key_kind), .certificate = x, .der = BUF_INIT(65536),
				 .key_hash = BUF_INIT(64), .spki = BUF_INIT(8192) };
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)"CA", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_gmtime_adj(X509_getm_notBefore(x), -DAY);
	X509_gmtime_adj(X509_getm_notAfter(x), DAY);
	X509_set_pubkey(x, r->key);
	add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(x, r->key, EVP_sha256()) > 0);
	r->issuer_name = X509_get_subject_name(x);
	r->issuer_key = X509_get0_pubkey_bitstr(x);
	r->certificates = sk_X509_new_null();
	sk_X509_push(r->certificates, x);
	n = i2d_X509(x, &der);
	assert_int_equal(buf_append(&r->der, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
	der = NULL;
	n = i2d_PUBKEY(r->key, &der);
	assert_int_equal(buf_append(&r->spki, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
	assert_int_equal(X509_pubkey_digest(x, EVP_sha1(), hash, NULL), 1);
	assert_int_equal(buf_append(&r->key_hash, bytes_of(hash, sizeof(hash))), 0);
}

static void responder_fini(struct responder *r)
{
	sk_X509_free(r->certificates);
	X509_free(r->certificate);
	EVP_PKEY_free(r->key);
	buf_fini(&r->der);
	buf_fini(&r->key_hash);
	buf_fini(&r->spki);
}

static void sign(const struct responder *r, struct bytes data, struct buf *signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t octets[1024];
	size_t n = sizeof(octets);
	const EVP_MD *md = EVP_PKEY_get_bits(r->key) == 384 ? EVP_sha384() : EVP_sha256();

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, r->key), 1);
	assert_int_equal(EVP_DigestSign(ctx, octets, &n, data.ptr, data.len), 1);
	assert_int_equal(buf_append(signature, bytes_of(octets, n)), 0);
	EVP_MD_CTX_free(ctx);
}

/* ---- random requests ---- */

static unsigned below(unsigned n)
{
	unsigned value;

	assert_int_equal(RAND_bytes((uint8_t *)&value, sizeof(value)), 1);
	return value % n;
}

static ASN1_INTEGER *random_serial(void)
{
	uint8_t octets[20];
	BIGNUM *n;
	ASN1_INTEGER *serial;

	assert_int_equal(RAND_bytes(octets, sizeof(octets)), 1);
	octets[0] &= 0x7f;
	n = BN_bin2bn(octets, 1 + (int)below(sizeof(octets)), NULL);
	serial = BN_to_ASN1_INTEGER(n, NULL);
	BN_free(n);
	return serial;
}

static const EVP_MD *digest_at(unsigned i)
{
	return i == DIGEST_SHA1 ? EVP_sha1() : i == DIGEST_SHA256 ? EVP_sha256() : EVP_sha384();
}

static OCSP_REQUEST *random_request(const struct responder *r, struct buf *der)
{
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	uint8_t *octets = NULL, nonce[OCSP_NONCE_MAX];
	int n_nonce = (int)below(OCSP_NONCE_MAX + 1), n;

	for (unsigned i = below(OCSP_CERTS_MAX) + 1; i; i--) {
		ASN1_INTEGER *serial = random_serial();

		assert_non_null(OCSP_request_add0_id(request, OCSP_cert_id_new(digest_at(below(3)), r->issuer_name,
									       r->issuer_key, serial)));
		ASN1_INTEGER_free(serial);
	}
	assert_int_equal(RAND_bytes(nonce, sizeof(nonce)), 1);
	if (n_nonce)
		assert_int_equal(OCSP_request_add1_nonce(request, nonce, n_nonce), 1);
	if (below(4) == 0)
		assert_int_equal(OCSP_request_set1_name(request, r->issuer_name), 1);
	if (below(4) == 0)
		assert_int_equal(OCSP_request_sign(request, r->certificate, r->key, NULL, NULL, 0), 1);
	n = i2d_OCSP_REQUEST(request, &octets);
	assert_true(n > 0);
	assert_int_equal(buf_append(der, bytes_of(octets, (size_t)n)), 0);
	OPENSSL_free(octets);
	return request;
}

/* What was read is what libcrypto wrote. */
static void compare_ids(const struct responder *r, OCSP_REQUEST *request, const struct ocsp_request *read)
{
	assert_int_equal(read->n_ids, OCSP_request_onereq_count(request));
	for (size_t i = 0; i < read->n_ids; i++) {
		OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, (int)i));
		const uint8_t *at = read->ids[i].whole.ptr;
		OCSP_CERTID *again = d2i_OCSP_CERTID(NULL, &at, (long)read->ids[i].whole.len);
		uint8_t hash[DIGEST_MAX];
		ASN1_OCTET_STRING *name = NULL;

		assert_int_equal(OCSP_id_cmp(id, again), 0);
		assert_ptr_equal(at, read->ids[i].whole.ptr + read->ids[i].whole.len);
		OCSP_id_get0_info(&name, NULL, NULL, NULL, id);
		assert_true(bytes_equal(read->ids[i].name_hash, bytes_of(ASN1_STRING_get0_data(name),
									 (size_t)ASN1_STRING_length(name))));
		assert_int_equal(digest_of(read->ids[i].digest, bytes_of(r->issuer_key->data,
									 (size_t)r->issuer_key->length),
					   hash),
				 0);
		assert_true(bytes_equal(read->ids[i].key_hash,
					bytes_of(hash, digest_size(read->ids[i].digest))));
		OCSP_CERTID_free(again);
	}
}

static int64_t seconds_of(const ASN1_GENERALIZEDTIME *t)
{
	struct tm tm;

	assert_int_equal(ASN1_TIME_to_tm(t, &tm), 1);
	return timegm(&tm);
}

static void compare_singles(OCSP_BASICRESP *basic, const struct ocsp_response *r)
{
	static const int statuses[] = { [OCSP_STATUS_GOOD] = V_OCSP_CERTSTATUS_GOOD,
					[OCSP_STATUS_REVOKED] = V_OCSP_CERTSTATUS_REVOKED,
					[OCSP_STATUS_UNKNOWN] = V_OCSP_CERTSTATUS_UNKNOWN };

	assert_int_equal(OCSP_resp_count(basic), r->n_singles);
	for (size_t i = 0; i < r->n_singles; i++) {
		const struct ocsp_single *s = &r->singles[i];
		ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *to = NULL;
		int reason = -2;

		assert_int_equal(OCSP_single_get0_status(OCSP_resp_get0(basic, (int)i), &reason, &revoked, &from, &to),
				 statuses[s->status]);
		assert_int_equal(seconds_of(from), r->this_update_s);
		assert_int_equal(seconds_of(to), r->next_update_s);
		if (s->status != OCSP_STATUS_REVOKED)
			continue;
		assert_int_equal(seconds_of(revoked), s->revoked_s);
		assert_int_equal(reason, s->reason ? s->reason : -1);
	}
}

static void check_response(const struct responder *r, OCSP_REQUEST *request, const struct ocsp_response *said,
			   struct bytes der)
{
	const uint8_t *at = der.ptr;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
	X509_STORE *store = X509_STORE_new();
	OCSP_BASICRESP *basic;

	assert_non_null(response);
	assert_ptr_equal(at, der.ptr + der.len);
	assert_int_equal(OCSP_response_status(response), OCSP_RESPONSE_STATUS_SUCCESSFUL);
	basic = OCSP_response_get1_basic(response);
	assert_non_null(basic);
	assert_int_equal(X509_STORE_add_cert(store, r->certificate), 1);
	assert_int_equal(OCSP_basic_verify(basic, r->certificates, store, 0), 1);
	/* 1: equal; 2: neither has one. */
	assert_int_equal(OCSP_check_nonce(request, basic), said->nonce.len ? 1 : 2);
	compare_singles(basic, said);
	X509_STORE_free(store);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
}

static void one_round(const struct responder *r, int64_t now)
{
	static const int reasons[] = { 0, 1, 2, 3, 4, 5, 6, 9, 10 };
	OWNED_BUF der = BUF_INIT(65536);
	OWNED_BUF data = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(1024);
	OWNED_BUF response = BUF_INIT(OCSP_RESPONSE_MAX);
	OCSP_REQUEST *request = random_request(r, &der);
	struct ocsp_single singles[OCSP_CERTS_MAX];
	struct ocsp_request read;
	struct ocsp_response said;
	const char *why = NULL;

	assert_int_equal(ocsp_request_read(&read, buf_bytes(&der), &why), 0);
	compare_ids(r, request, &read);
	for (size_t i = 0; i < read.n_ids; i++)
		singles[i] = (struct ocsp_single){ .cert_id = read.ids[i].whole, .status = (enum ocsp_status)below(3),
						   .revoked_s = now - below(1000 * DAY), .reason = reasons[below(9)] };
	said = (struct ocsp_response){ .key_hash = buf_bytes(&r->key_hash), .this_update_s = now - below(60),
				       .next_update_s = now + 60 + below(DAY), .singles = singles,
				       .n_singles = read.n_ids, .nonce = read.nonce };
	assert_int_equal(ocsp_data_write(&said, &data), 0);
	sign(r, buf_bytes(&data), &signature);
	assert_int_equal(ocsp_response_write(buf_bytes(&data), signature_algorithm_of(buf_bytes(&r->spki)),
					     buf_bytes(&signature), buf_bytes(&r->der), &response),
			 0);
	assert_int_equal(der_check(buf_bytes(&response), 16), 0);
	check_response(r, request, &said, buf_bytes(&response));
	OCSP_REQUEST_free(request);
}

static void a_thousand_random_requests_are_read_and_answered_as_libcrypto_expects(void **state)
{
	static const char *const kinds[] = { "ec-p256", "ec-p384", "rsa-3072" };
	int64_t now = time(NULL);

	for (size_t k = 0; k < 3; k++) {
		struct responder r;

		responder_init(&r, kinds[k]);
		for (int i = 0; i < ROUNDS / 3 + 1; i++)
			one_round(&r, now);
		responder_fini(&r);
	}
}

/* ---- requests that are none ---- */

/* A request put together by hand: each part can be replaced. */
struct parts {
	struct bytes algorithm;   /* content of the AlgorithmIdentifier */
	struct bytes serial;      /* content of the INTEGER */
	size_t n_hash, n_ids;
	struct bytes before;      /* octets in front of the list */
	struct bytes single_more; /* behind each CertID */
	struct bytes extensions;  /* Extension elements, one after the other */
	struct bytes behind_tbs, behind;
};

#define SHA1 "\x06\x05\x2b\x0e\x03\x02\x1a"
#define NONCE_OID "\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x02"
#define RAW(s) bytes_of(s, sizeof(s) - 1)

static struct parts good_parts(void)
{
	return (struct parts){ .algorithm = RAW(SHA1 "\x05\x00"), .serial = RAW("\x01\x02"), .n_hash = 20, .n_ids = 1 };
}

static void put_id(const struct parts *p, struct buf *out)
{
	static const uint8_t zeros[64];
	OWNED_BUF id = BUF_INIT(1024), one = BUF_INIT(2048);

	csr_put(&id, DER_SEQUENCE, p->algorithm);
	csr_put(&id, DER_OCTET_STRING, bytes_of(zeros, p->n_hash));
	csr_put(&id, DER_OCTET_STRING, bytes_of(zeros, p->n_hash));
	csr_put(&id, DER_INTEGER, p->serial);
	csr_put(&one, DER_SEQUENCE, buf_bytes(&id));
	buf_append(&one, p->single_more);
	csr_put(out, DER_SEQUENCE, buf_bytes(&one));
}

static int read_parts(const struct parts *p, struct ocsp_request *out)
{
	OWNED_BUF list = BUF_INIT(65536), tbs = BUF_INIT(65536), request = BUF_INIT(65536), whole = BUF_INIT(65536);
	OWNED_BUF sequence = BUF_INIT(65536);
	const char *why = NULL;
	int e;

	for (size_t i = 0; i < p->n_ids; i++)
		put_id(p, &list);
	buf_append(&tbs, p->before);
	csr_put(&tbs, DER_SEQUENCE, buf_bytes(&list));
	if (p->extensions.len) {
		csr_put(&sequence, DER_SEQUENCE, p->extensions);
		csr_put(&tbs, 0xa2, buf_bytes(&sequence));
	}
	csr_put(&request, DER_SEQUENCE, buf_bytes(&tbs));
	buf_append(&request, p->behind_tbs);
	csr_put(&whole, DER_SEQUENCE, buf_bytes(&request));
	buf_append(&whole, p->behind);
	e = ocsp_request_read(out, buf_bytes(&whole), &why);
	assert_true(e == 0 || (e == OCSP_OUTCOME_MALFORMED_REQUEST && why));
	return e;
}

static int read_with(struct parts p)
{
	struct ocsp_request out;

	return read_parts(&p, &out);
}

static void reads_only_der_of_the_known_structure(void **state)
{
	struct parts p = good_parts();

	assert_int_equal(read_with(p), 0);
	p.behind = RAW("\0");
	assert_int_not_equal(read_with(p), 0);
	p = good_parts();
	p.behind_tbs = RAW("\x05\0");
	assert_int_not_equal(read_with(p), 0);
	/* A signature is passed over, but it is DER and nothing follows it. */
	p.behind_tbs = RAW("\xa0\x04\x30\x02\x05\0");
	assert_int_equal(read_with(p), 0);
	p.behind_tbs = RAW("\xa0\x04\x30\x02\x05\0\x05\0");
	assert_int_not_equal(read_with(p), 0);
	p.behind_tbs = RAW("\xa0\x03\x30\x02\x05");
	assert_int_not_equal(read_with(p), 0);
	/* Version 1 is not written; there is no other; a name is DER. */
	p = good_parts();
	p.before = RAW("\xa0\x03\x02\x01\x00");
	assert_int_not_equal(read_with(p), 0);
	p.before = RAW("\xa0\x03\x02\x01\x01");
	assert_int_not_equal(read_with(p), 0);
	p.before = RAW("\xa1\x04\x82\x02xy");
	assert_int_equal(read_with(p), 0);
	p.before = RAW("\xa1\x04\x82\x03xy");
	assert_int_not_equal(read_with(p), 0);
}

static void reads_a_certid_only_as_rfc_6960_writes_it(void **state)
{
	static const char *const serials[] = { "", "\0\1", "\xff\x80", "0123456789012345678901" };
	static const size_t lengths[] = { 0, 2, 2, 22 };
	struct ocsp_request out;
	struct parts p = good_parts();

	for (size_t i = 0; i < 4; i++) {
		p.serial = bytes_of(serials[i], lengths[i]);
		assert_int_not_equal(read_with(p), 0);
	}
	p.serial = RAW("\0\xff");
	assert_int_equal(read_with(p), 0);
	p.serial = RAW("\x80"); /* -128: nobody's, but a number */
	assert_int_equal(read_with(p), 0);
	p = good_parts();
	p.algorithm = RAW(SHA1); /* parameters may be absent */
	assert_int_equal(read_with(p), 0);
	p.algorithm = RAW(SHA1 "\x05\x01\0");
	assert_int_not_equal(read_with(p), 0);
	p.algorithm = RAW(SHA1 "\x05\0\x05\0");
	assert_int_not_equal(read_with(p), 0);
	p.algorithm = RAW("\x06\0");
	assert_int_not_equal(read_with(p), 0);
	p = good_parts();
	p.n_hash = 32;
	assert_int_not_equal(read_with(p), 0);
	/* A digest that is not known here is no fault of the request. */
	p.algorithm = RAW("\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\0");
	assert_int_equal(read_parts(&p, &out), 0);
	assert_int_equal(out.ids[0].digest, DIGEST_KINDS_);
}

static void keeps_its_limits(void **state)
{
	OWNED_BUF large = BUF_INIT(65536);
	struct ocsp_request out;
	struct parts p = good_parts();
	const char *why;

	p.n_ids = 0;
	assert_int_not_equal(read_with(p), 0);
	p.n_ids = OCSP_CERTS_MAX;
	assert_int_equal(read_with(p), 0);
	p.n_ids = OCSP_CERTS_MAX + 1;
	assert_int_not_equal(read_with(p), 0);
	while (large.len <= OCSP_REQUEST_MAX)
		buf_append_str(&large, "0");
	assert_int_equal(ocsp_request_read(&out, buf_bytes(&large), &why), OCSP_OUTCOME_MALFORMED_REQUEST);
	assert_int_equal(ocsp_request_read(&out, bytes_of(NULL, 0), &why), OCSP_OUTCOME_MALFORMED_REQUEST);
}

/* An Extension with a nonce of `n` octets. */
static void put_nonce(size_t n, struct buf *out)
{
	static const uint8_t octets[200] = { 7 };
	OWNED_BUF value = BUF_INIT(512), content = BUF_INIT(512);

	csr_put(&value, DER_OCTET_STRING, bytes_of(octets, n));
	buf_append(&content, RAW(NONCE_OID));
	csr_put(&content, DER_OCTET_STRING, buf_bytes(&value));
	csr_put(out, DER_SEQUENCE, buf_bytes(&content));
}

static void takes_a_nonce_of_1_to_128_octets_once(void **state)
{
	static const struct {
		size_t n;
		bool is_good;
	} lengths[] = { { 0, false }, { 1, true }, { 32, true }, { 128, true }, { 129, false } };
	struct ocsp_request out;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		OWNED_BUF extensions = BUF_INIT(1024);
		struct parts p = good_parts();

		put_nonce(lengths[i].n, &extensions);
		p.extensions = buf_bytes(&extensions);
		assert_int_equal(read_parts(&p, &out) == 0, lengths[i].is_good);
		if (lengths[i].is_good)
			assert_int_equal(out.nonce.len, lengths[i].n);
		put_nonce(lengths[i].n, &extensions);
		p.extensions = buf_bytes(&extensions);
		assert_int_not_equal(read_parts(&p, &out), 0);
	}
}

/* Octets of Extension elements, and whether a request may carry them. */
static void passes_over_what_it_need_not_know_and_refuses_what_is_critical(void **state)
{
	static const struct {
		struct bytes octets;
		bool is_good;
	} cases[] = {
		{ { (const uint8_t *)"\x30\x06\x06\x02\x2a\x03\x04\x00", 8 }, true },
		/* critical */
		{ { (const uint8_t *)"\x30\x09\x06\x02\x2a\x03\x01\x01\xff\x04\x00", 11 }, false },
		/* critical FALSE is not DER, nor is TRUE as 01 */
		{ { (const uint8_t *)"\x30\x09\x06\x02\x2a\x03\x01\x01\x00\x04\x00", 11 }, false },
		{ { (const uint8_t *)"\x30\x09\x06\x02\x2a\x03\x01\x01\x01\x04\x00", 11 }, false },
		/* twice the same */
		{ { (const uint8_t *)"\x30\x06\x06\x02\x2a\x03\x04\x00\x30\x06\x06\x02\x2a\x03\x04\x00", 16 }, false },
		/* no value; more behind it */
		{ { (const uint8_t *)"\x30\x04\x06\x02\x2a\x03", 6 }, false },
		{ { (const uint8_t *)"\x30\x08\x06\x02\x2a\x03\x04\x00\x05\x00", 10 }, false },
		/* a nonce without its inner OCTET STRING */
		{ { (const uint8_t *)"\x30\x0e" NONCE_OID "\x04\x01\x07", 16 }, false },
		/* acceptable responses with and without basic, critical or not */
		{ { (const uint8_t *)"\x30\x1a\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x04\x04\x0d\x30\x0b\x06\x09\x2b"
				     "\x06\x01\x05\x05\x07\x30\x01\x01", 28 }, true },
		{ { (const uint8_t *)"\x30\x1a\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x04\x04\x0d\x30\x0b\x06\x09\x2b"
				     "\x06\x01\x05\x05\x07\x30\x01\x63", 28 }, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED_BUF single = BUF_INIT(1024), list = BUF_INIT(1024);
		struct parts p = good_parts();

		p.extensions = cases[i].octets;
		assert_int_equal(read_with(p) == 0, cases[i].is_good);
		if (i > 6)
			continue;
		p = good_parts();
		csr_put(&list, DER_SEQUENCE, cases[i].octets);
		csr_put(&single, 0xa0, buf_bytes(&list));
		p.single_more = buf_bytes(&single);
		assert_int_equal(read_with(p) == 0, cases[i].is_good);
	}
}

/* No octet of a good request can be cut off, and none changed so that something is read outside of it. */
static void no_cut_request_is_a_request(void **state)
{
	OWNED_BUF der = BUF_INIT(65536);
	struct ocsp_request out;
	struct responder r;
	const char *why;

	responder_init(&r, "ec-p256");
	OCSP_REQUEST_free(random_request(&r, &der));
	for (size_t n = 0; n < der.len; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, der.ptr, n);
		assert_int_equal(ocsp_request_read(&out, bytes_of(copy, n), &why), OCSP_OUTCOME_MALFORMED_REQUEST);
		free(copy);
	}
	responder_fini(&r);
}

static void a_failure_is_an_outcome_and_nothing_else(void **state)
{
	static const enum ocsp_outcome outcomes[] = { OCSP_OUTCOME_MALFORMED_REQUEST, OCSP_OUTCOME_INTERNAL_ERROR,
						      OCSP_OUTCOME_TRY_LATER, OCSP_OUTCOME_UNAUTHORIZED };

	for (size_t i = 0; i < 4; i++) {
		OWNED_BUF der = BUF_INIT(64);
		const uint8_t *at;
		OCSP_RESPONSE *response;

		assert_int_equal(ocsp_failure_write(outcomes[i], &der), 0);
		at = der.ptr;
		response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
		assert_non_null(response);
		assert_int_equal(OCSP_response_status(response), (int)outcomes[i]);
		OCSP_RESPONSE_free(response);
	}
}

static void a_time_beyond_the_calendar_is_not_written(void **state)
{
	const struct ocsp_single single = { .cert_id = RAW("\x30\0"), .status = OCSP_STATUS_GOOD };
	struct ocsp_response r = { .key_hash = RAW("01234567890123456789"), .singles = &single, .n_singles = 1,
				   .this_update_s = 2524608000, .next_update_s = 253402300799 };
	OWNED_BUF out = BUF_INIT(1024);

	assert_int_equal(ocsp_data_write(&r, &out), 0);
	r.next_update_s++;
	buf_reset(&out);
	assert_int_equal(ocsp_data_write(&r, &out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_random_requests_are_read_and_answered_as_libcrypto_expects),
		cmocka_unit_test(reads_only_der_of_the_known_structure),
		cmocka_unit_test(reads_a_certid_only_as_rfc_6960_writes_it),
		cmocka_unit_test(keeps_its_limits),
		cmocka_unit_test(takes_a_nonce_of_1_to_128_octets_once),
		cmocka_unit_test(passes_over_what_it_need_not_know_and_refuses_what_is_critical),
		cmocka_unit_test(no_cut_request_is_a_request),
		cmocka_unit_test(a_failure_is_an_outcome_and_nothing_else),
		cmocka_unit_test(a_time_beyond_the_calendar_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
