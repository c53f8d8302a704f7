/* core/ocsp.c through the door: what is said of certificates, and who says it, as libcrypto's OCSP client sees it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/create.h"
#include "core/ocsp.h"
#include "core/signer/signer_int.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

#define START_MS 1772366400000 /* 2026-03-01T12:00:00Z */
#define HOUR_MS 3600000
#define DAY_MS (24 * HOUR_MS)

static struct rig rig;
static X509 *ca;

static X509 *read_certificate(struct bytes der)
{
	const uint8_t *at = der.ptr;
	X509 *x = d2i_X509(NULL, &at, (long)der.len);

	assert_non_null(x);
	return x;
}

static void start_core(void)
{
	struct conf_error error = { 0 };

	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void start(const struct rig_settings *settings)
{
	script_reset();
	clock_fake_set(START_MS);
	rig_init(&rig, settings);
	start_core();
	assert_true(ocsp_settle(rig.core, 10000));
	ca = read_certificate(buf_bytes(&rig.ca_certificate));
}

static void stop(void)
{
	X509_free(ca);
	rig_fini(&rig);
	clock_fake_end();
	assert_string_equal(script_complaint(), "");
}

static const struct rig_settings answers = { .ca = "status: {public-url: http://pki.example/status}" };
static const struct rig_settings answers_over_link = { .over_link = true,
						       .ca = "status: {public-url: http://pki.example/status}" };

/* ---- asking ---- */

struct asked {
	int outcome;             /* OCSP_RESPONSE_STATUS_… */
	int status[OCSP_CERTS_MAX], reason[OCSP_CERTS_MAX];
	int64_t revoked_s[OCSP_CERTS_MAX];
	int64_t this_update_s, next_update_s;
	bool is_cachable;
	struct buf der, signer; /* the response; the certificate in it */
};

static void asked_fini(struct asked *a)
{
	buf_fini(&a->der);
	buf_fini(&a->signer);
}
#define ASKED __attribute__((cleanup(asked_fini))) struct asked

static int64_t seconds_of(const ASN1_GENERALIZEDTIME *t)
{
	struct tm tm;

	assert_int_equal(ASN1_TIME_to_tm(t, &tm), 1);
	return timegm(&tm);
}

static void keep_signer(struct asked *a, const OCSP_BASICRESP *basic)
{
	uint8_t *der = NULL;
	int n;

	assert_int_equal(sk_X509_num(OCSP_resp_get0_certs(basic)), 1);
	n = i2d_X509(sk_X509_value(OCSP_resp_get0_certs(basic), 0), &der);
	assert_int_equal(buf_append(&a->signer, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
}

/* The signature is one that a client which trusts nothing but `root` accepts, at the time of the test's clock. */
static void verify(OCSP_BASICRESP *basic, X509 *root)
{
	X509_STORE *store = X509_STORE_new();
	X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);

	assert_int_equal(X509_STORE_add_cert(store, root), 1);
	X509_VERIFY_PARAM_set_time(param, clock_wall_s());
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	assert_int_equal(OCSP_basic_verify(basic, NULL, store, 0), 1);
	X509_STORE_free(store);
}

static void read_answer(struct asked *a, OCSP_REQUEST *request, X509 *root, bool has_nonce)
{
	const uint8_t *at = a->der.ptr;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)a->der.len);
	OCSP_BASICRESP *basic;

	assert_non_null(response);
	a->outcome = OCSP_response_status(response);
	if (a->outcome == OCSP_RESPONSE_STATUS_SUCCESSFUL) {
		basic = OCSP_response_get1_basic(response);
		assert_non_null(basic);
		if (root)
			verify(basic, root);
		assert_int_equal(OCSP_check_nonce(request, basic), has_nonce ? 1 : 2);
		assert_int_equal(OCSP_resp_count(basic), OCSP_request_onereq_count(request));
		for (int i = 0; i < OCSP_resp_count(basic); i++) {
			ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *to = NULL;
			OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, i));

			assert_int_equal(OCSP_resp_find(basic, id, -1) >= 0, 1);
			a->reason[i] = -1; /* left alone where there is none */
			a->status[i] = OCSP_single_get0_status(OCSP_resp_get0(basic, i), &a->reason[i], &revoked, &from,
							       &to);
			a->revoked_s[i] = revoked ? seconds_of(revoked) : 0;
			assert_int_equal(seconds_of(from), a->this_update_s);
			assert_int_equal(seconds_of(to), a->next_update_s);
		}
		keep_signer(a, basic);
		OCSP_BASICRESP_free(basic);
	}
	OCSP_RESPONSE_free(response);
}

/* Who is asked about: a certificate, or a serial of an issuer. */
struct subject {
	X509 *issuer, *certificate;
	unsigned serial; /* without a certificate */
};

static struct asked ask(const struct subject *about, size_t n, bool has_nonce, X509 *root)
{
	static const EVP_MD *(*const digests[])(void) = { EVP_sha1, EVP_sha256, EVP_sha384 };
	struct ca_ocsp_answer out = CA_OCSP_ANSWER_INIT;
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	struct asked a = { .der = BUF_INIT(65536), .signer = BUF_INIT(65536) };
	uint8_t *der = NULL;
	int size;

	for (size_t i = 0; i < n; i++) {
		ASN1_INTEGER *serial = about[i].certificate ?
					       ASN1_INTEGER_dup(X509_get0_serialNumber(about[i].certificate)) :
					       ASN1_INTEGER_new();

		if (!about[i].certificate)
			ASN1_INTEGER_set(serial, about[i].serial);
		OCSP_request_add0_id(request, OCSP_cert_id_new(digests[i % 3](), X509_get_subject_name(about[i].issuer),
							       X509_get0_pubkey_bitstr(about[i].issuer), serial));
		ASN1_INTEGER_free(serial);
	}
	if (has_nonce)
		OCSP_request_add1_nonce(request, NULL, 32);
	size = i2d_OCSP_REQUEST(request, &der);
	assert_int_equal(ca_ocsp(rig.door, bytes_of(der, (size_t)size), &out), 0);
	OPENSSL_free(der);
	a.this_update_s = out.this_update_s;
	a.next_update_s = out.next_update_s;
	a.is_cachable = out.is_cachable;
	assert_int_equal(buf_append(&a.der, buf_bytes(&out.der)), 0);
	buf_fini(&out.der);
	read_answer(&a, request, root, has_nonce);
	OCSP_REQUEST_free(request);
	return a;
}

static struct asked ask_one(X509 *certificate)
{
	return ask(&(struct subject){ .issuer = ca, .certificate = certificate }, 1, false, ca);
}

static X509 *issue(const char *name)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_int_equal(rig_submit(rig.door, "acme:1", name, name, &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
	return read_certificate(buf_bytes(&out.certificate));
}

static void expect_one(X509 *certificate, int outcome, int status, int reason)
{
	ASKED a = ask_one(certificate);

	assert_int_equal(a.outcome, outcome);
	if (outcome)
		return;
	assert_int_equal(a.status[0], status);
	assert_int_equal(a.reason[0], reason);
}

/* ---- what is said ---- */

static void revocation_shows_in_the_next_answer(const struct rig_settings *settings)
{
	X509 *x;

	start(settings);
	x = issue("a.example");
	for (int round = 0; round < 3; round++) {
		expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
		expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
		assert_true(rig_write(&rig, "UPDATE certificates SET revoked_ms=1772366000000, revoked_reason=6"));
		expect_one(x, 0, V_OCSP_CERTSTATUS_REVOKED, 6);
		assert_true(rig_write(&rig, "UPDATE certificates SET revoked_ms=1772366001999, revoked_reason=1"));
		{
			ASKED a = ask_one(x);

			assert_int_equal(a.status[0], V_OCSP_CERTSTATUS_REVOKED);
			assert_int_equal(a.reason[0], 1);
			assert_int_equal(a.revoked_s[0], 1772366001);
		}
		assert_true(rig_write(&rig, "UPDATE certificates SET revoked_ms=1772366001999, revoked_reason=0"));
		expect_one(x, 0, V_OCSP_CERTSTATUS_REVOKED, -1);
		assert_true(rig_write(&rig, "UPDATE certificates SET revoked_ms=NULL, revoked_reason=NULL"));
	}
	X509_free(x);
	stop();
}

static void a_revocation_shows_in_the_next_answer(void **state)
{
	revocation_shows_in_the_next_answer(&answers);
	revocation_shows_in_the_next_answer(&answers_over_link);
}

static void what_was_not_issued_is_never_good(void **state)
{
	X509 *x;

	start(&answers);
	x = issue("a.example");
	{
		ASKED a = ask(&(struct subject){ .issuer = ca, .serial = 4711 }, 1, false, ca);

		assert_int_equal(a.outcome, 0);
		assert_int_equal(a.status[0], V_OCSP_CERTSTATUS_UNKNOWN);
		assert_false(a.is_cachable);
	}
	/* The right serial of the wrong issuer. */
	{
		ASKED a = ask(&(struct subject){ .issuer = x, .certificate = x }, 1, false, NULL);

		assert_int_equal(a.outcome, OCSP_RESPONSE_STATUS_UNAUTHORIZED);
		assert_int_equal(a.this_update_s, 0);
	}
	/* Planned, perhaps signed, and not stored. The exit modules have looked at what was there. */
	rig_settle(&rig);
	assert_true(rig_write(&rig, "PRAGMA foreign_keys=OFF; CREATE TABLE away AS SELECT * FROM certificates;"
				    "DELETE FROM certificates;"
				    "UPDATE requests SET state=8, key_until_ms=0, tbs=NULL"));
	expect_one(x, OCSP_RESPONSE_STATUS_TRYLATER, 0, 0);
	/* It failed: nobody has it. */
	assert_true(rig_write(&rig, "UPDATE requests SET state=30"));
	expect_one(x, 0, V_OCSP_CERTSTATUS_UNKNOWN, -1);
	assert_true(rig_write(&rig, "UPDATE requests SET state=20; INSERT INTO certificates SELECT * FROM away"));
	expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	X509_free(x);
	stop();
}

static void many_questions_get_one_answer(void **state)
{
	struct subject about[OCSP_CERTS_MAX];
	X509 *all[OCSP_CERTS_MAX];
	char name[32];

	start(&answers);
	for (int i = 0; i < OCSP_CERTS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		all[i] = i % 5 == 4 ? NULL : issue(name);
		about[i] = (struct subject){ .issuer = ca, .certificate = all[i], .serial = 1000 + (unsigned)i };
	}
	assert_true(rig_write(&rig, "UPDATE certificates SET revoked_ms=1772366000000, revoked_reason=4"
				    " WHERE request_id % 2 = 0"));
	{
		ASKED a = ask(about, OCSP_CERTS_MAX, true, ca);
		int request = 0;

		assert_int_equal(a.outcome, 0);
		assert_false(a.is_cachable);
		for (int i = 0; i < OCSP_CERTS_MAX; i++)
			assert_int_equal(a.status[i], !all[i]		? V_OCSP_CERTSTATUS_UNKNOWN :
						      ++request % 2 == 0 ? V_OCSP_CERTSTATUS_REVOKED :
									   V_OCSP_CERTSTATUS_GOOD);
	}
	for (int i = 0; i < OCSP_CERTS_MAX; i++)
		X509_free(all[i]);
	stop();
}

/* ---- what is kept ---- */

static bool is_same(const struct asked *a, const struct asked *b)
{
	return bytes_equal(buf_bytes(&a->der), buf_bytes(&b->der));
}

static void a_signature_is_used_for_half_of_its_life_and_never_with_a_nonce(void **state)
{
	struct subject about;
	X509 *x;

	start(&answers);
	x = issue("a.example");
	about = (struct subject){ .issuer = ca, .certificate = x };
	{
		ASKED first = ask_one(x);
		ASKED again = ask_one(x);
		ASKED with_nonce = ask(&about, 1, true, ca);

		assert_true(first.is_cachable && is_same(&first, &again));
		assert_int_equal(first.this_update_s, START_MS / 1000);
		assert_int_equal(first.next_update_s, START_MS / 1000 + 3600);
		assert_false(with_nonce.is_cachable);
		clock_fake_advance(HOUR_MS / 2 - 1000);
		{
			ASKED later = ask_one(x);

			assert_true(is_same(&first, &later));
		}
		clock_fake_advance(1000);
		{
			ASKED later = ask_one(x);

			assert_false(is_same(&first, &later));
			assert_int_equal(later.this_update_s, START_MS / 1000 + 1800);
		}
	}
	X509_free(x);
	stop();
}

static void thisUpdate_does_not_go_back_with_the_clock(void **state)
{
	X509 *x, *y;

	start(&answers);
	x = issue("a.example");
	y = issue("b.example");
	clock_fake_advance(10 * 60000);
	expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	/* Within five minutes. */
	clock_fake_advance(-4 * 60000);
	{
		ASKED a = ask_one(y);

		assert_int_equal(a.outcome, 0);
		assert_int_equal(a.this_update_s, START_MS / 1000 + 600);
	}
	clock_fake_advance(-2 * 60000);
	expect_one(x, OCSP_RESPONSE_STATUS_TRYLATER, 0, 0);
	expect_one(y, OCSP_RESPONSE_STATUS_TRYLATER, 0, 0);
	clock_fake_advance(2 * 60000);
	expect_one(y, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	X509_free(x);
	X509_free(y);
	stop();
}

/* ---- who says it ---- */

static void restart(void)
{
	rig_stop(&rig);
	start_core();
	assert_true(ocsp_settle(rig.core, 10000));
}

static void check_responder(struct bytes der)
{
	X509 *x = read_certificate(der);
	int at = X509_get_ext_by_NID(x, NID_id_pkix_OCSP_noCheck, -1);
	ASN1_INTEGER *serial = X509_get_serialNumber(x);

	assert_true(at >= 0);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_OCSP_SIGN);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(ASN1_STRING_length(serial), 16);
	assert_int_equal(X509_check_issued(ca, x), X509_V_OK);
	X509_free(x);
}

static void its_responder_is_renewed_in_time_and_outlives_a_restart(void **state)
{
	X509 *x;

	start(&answers);
	x = issue("a.example");
	{
		ASKED first = ask_one(x);

		check_responder(buf_bytes(&first.signer));
		restart();
		{
			ASKED again = ask_one(x);

			assert_true(bytes_equal(buf_bytes(&first.signer), buf_bytes(&again.signer)));
		}
		clock_fake_advance(3 * DAY_MS);
		assert_true(ocsp_settle(rig.core, 10000));
		assert_int_equal(rig_number(&rig, "SELECT count(*) FROM ocsp_responders"), 1);
		clock_fake_advance(DAY_MS);
		assert_true(ocsp_settle(rig.core, 10000));
		{
			ASKED later = ask_one(x);

			assert_false(bytes_equal(buf_bytes(&first.signer), buf_bytes(&later.signer)));
			check_responder(buf_bytes(&later.signer));
		}
	}
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM audit WHERE payload LIKE '%\"issue-responder\"%'"), 2);
	/* The key of the first is gone once its certificate has ended; the certificate stays. */
	for (int i = 0; i < 2; i++) {
		clock_fake_advance(4 * DAY_MS);
		assert_true(ocsp_settle(rig.core, 10000));
	}
	assert_int_equal(rig_number(&rig, "SELECT length(sealed) FROM ocsp_responders ORDER BY id"), 0);
	/* All of them are about one key: a signer has places for so many. */
	assert_true(rig_number(&rig, "SELECT count(*) FROM ocsp_responders") > 2);
	assert_int_equal(rig_number(&rig, "SELECT count(DISTINCT spki) FROM ocsp_responders"), 1);
	assert_true(rig_number(&rig, "SELECT min(length(certificate)) FROM ocsp_responders") > 100);
	X509_free(x);
	stop();
}

/* It was planned, and perhaps signed, when the core died: the same octets are signed again. */
static void a_planned_responder_is_finished(void **state)
{
	X509 *x;

	start(&answers);
	x = issue("a.example");
	rig_stop(&rig);
	assert_true(rig_write(&rig, "UPDATE ocsp_responders SET certificate=NULL"));
	start_core();
	assert_true(ocsp_settle(rig.core, 10000));
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM ocsp_responders"), 1);
	expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	X509_free(x);
	stop();
}

/* A CA whose certificates name no endpoint gets one when somebody asks. */
static void a_responder_is_made_when_somebody_asks(void **state)
{
	X509 *x;

	start(&(struct rig_settings){ 0 });
	x = issue("a.example");
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM ocsp_responders"), 0);
	expect_one(x, OCSP_RESPONSE_STATUS_TRYLATER, 0, 0);
	assert_true(ocsp_settle(rig.core, 10000));
	expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	X509_free(x);
	stop();
}

static void an_rsa_ca_answers_with_rsa(void **state)
{
	X509 *x;

	start(&(struct rig_settings){ .ca_key = "rsa-3072",
				      .ca = "status: {public-url: http://pki.example/status}" });
	x = issue("a.example");
	{
		ASKED a = ask_one(x);
		X509 *signer = read_certificate(buf_bytes(&a.signer));

		assert_int_equal(a.status[0], V_OCSP_CERTSTATUS_GOOD);
		assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(signer)), EVP_PKEY_RSA);
		X509_free(signer);
	}
	X509_free(x);
	stop();
}

/* One door answers for every CA of the core; each response is signed for the first issuer in it. */
static void answers_for_several_cas(void **state)
{
	struct rig_settings settings = answers;
	struct ca_create_options options = { .data_folder = rig.folder, .kek = { .data_folder = rig.folder },
					     .name = "CA2", .key_type = "ec-p384", .lifetime_s = 365 * 86400 };
	struct ca_life_result made = CA_LIFE_RESULT_INIT;
	char why[CREATE_WHY_SIZE] = "";
	X509 *x, *other;

	settings.cas = "{name: CA2, policy: {module: manual}, status: {public-url: 'http://pki.example/2'}}";
	script_reset();
	clock_fake_set(START_MS);
	rig_init(&rig, &settings);
	assert_int_equal(ca_create(&options, &made, why), 0);
	start_core();
	assert_true(ocsp_settle(rig.core, 10000));
	ca = read_certificate(buf_bytes(&rig.ca_certificate));
	other = read_certificate(buf_bytes(&made.certificate));
	x = issue("a.example");
	{
		const struct subject about[] = { { .issuer = other, .serial = 7 }, { .issuer = ca, .certificate = x } };
		ASKED first = ask(about, 1, false, other);
		ASKED both = ask(about, 2, false, NULL);

		assert_int_equal(first.status[0], V_OCSP_CERTSTATUS_UNKNOWN);
		assert_int_equal(both.status[0], V_OCSP_CERTSTATUS_UNKNOWN);
		assert_int_equal(both.status[1], V_OCSP_CERTSTATUS_GOOD);
		assert_true(bytes_equal(buf_bytes(&first.signer), buf_bytes(&both.signer)));
	}
	/* The serial of a certificate of one CA says nothing about the other. */
	{
		ASKED a = ask(&(struct subject){ .issuer = other, .certificate = x }, 1, false, other);

		assert_int_equal(a.status[0], V_OCSP_CERTSTATUS_UNKNOWN);
	}
	X509_free(x);
	X509_free(other);
	stop();
	ca_life_result_fini(&made);
}

static void octets_that_are_no_request_are_malformed(void **state)
{
	static const char *const octets[] = { "", "x", "\x30\x02\x30\x00" };
	static const size_t sizes[] = { 0, 1, 4 };
	static uint8_t large[CA_OCSP_REQUEST_MAX + 1];

	for (int over_link = 0; over_link < 2; over_link++) {
		start(over_link ? &answers_over_link : &answers);
		for (size_t i = 0; i < 4; i++) {
			struct ca_ocsp_answer out = CA_OCSP_ANSWER_INIT;
			struct bytes request = i < 3 ? bytes_of(octets[i], sizes[i]) : bytes_of(large, sizeof(large));

			assert_int_equal(ca_ocsp(rig.door, request, &out), 0);
			assert_true(bytes_equal(buf_bytes(&out.der), bytes_of("\x30\x03\x0a\x01\x01", 5)));
			assert_false(out.is_cachable);
			buf_fini(&out.der);
		}
		stop();
	}
}

/* ---- what is away ---- */

static int sign_never(struct signer *s, uint64_t key, struct bytes data, struct buf *signature,
		      char why[static SIGNER_WHY_SIZE])
{
	return -ETIMEDOUT;
}

static void while_the_signer_is_away_what_was_signed_is_said(void **state)
{
	struct signer_ways ways;
	const struct signer_ways *before;
	X509 *x, *y;

	start(&answers);
	x = issue("a.example");
	y = issue("b.example");
	expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	before = rig.core->signer->ways;
	ways = *before;
	ways.sign_ocsp = sign_never;
	rig.core->signer->ways = &ways;
	expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	expect_one(y, OCSP_RESPONSE_STATUS_TRYLATER, 0, 0);
	assert_true(rig_write(&rig, "UPDATE certificates SET revoked_ms=1772366000000, revoked_reason=1"));
	expect_one(x, OCSP_RESPONSE_STATUS_TRYLATER, 0, 0);
	rig.core->signer->ways = before;
	expect_one(x, 0, V_OCSP_CERTSTATUS_REVOKED, 1);
	X509_free(x);
	X509_free(y);
	stop();
}

static void its_figures_and_its_health_are_told(void **state)
{
	OWNED_BUF health = BUF_INIT(65536), metrics = BUF_INIT(65536);
	X509 *x;

	start(&answers);
	x = issue("a.example");
	expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	expect_one(x, 0, V_OCSP_CERTSTATUS_GOOD, -1);
	assert_true(ca_core_health(rig.core, &health));
	assert_non_null(strstr(buf_str(&health), "ocsp CA1 key 0: ok\n"));
	ca_core_metrics(rig.core, &metrics);
	assert_non_null(strstr(buf_str(&metrics), "gatehouse_ocsp_answers_total{answer=\"good\"} 2\n"));
	assert_non_null(strstr(buf_str(&metrics), "gatehouse_ocsp_cached_total 1\n"));
	assert_non_null(strstr(buf_str(&metrics), "gatehouse_ocsp_responder_not_after_seconds{ca=\"CA1\",key=\"0\"} "));
	/* Past its end it does not answer, and that shows. */
	clock_fake_advance(8 * DAY_MS);
	expect_one(x, OCSP_RESPONSE_STATUS_TRYLATER, 0, 0);
	X509_free(x);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_revocation_shows_in_the_next_answer),
		cmocka_unit_test(what_was_not_issued_is_never_good),
		cmocka_unit_test(many_questions_get_one_answer),
		cmocka_unit_test(a_signature_is_used_for_half_of_its_life_and_never_with_a_nonce),
		cmocka_unit_test(thisUpdate_does_not_go_back_with_the_clock),
		cmocka_unit_test(its_responder_is_renewed_in_time_and_outlives_a_restart),
		cmocka_unit_test(a_planned_responder_is_finished),
		cmocka_unit_test(a_responder_is_made_when_somebody_asks),
		cmocka_unit_test(an_rsa_ca_answers_with_rsa),
		cmocka_unit_test(answers_for_several_cas),
		cmocka_unit_test(octets_that_are_no_request_are_malformed),
		cmocka_unit_test(while_the_signer_is_away_what_was_signed_is_said),
		cmocka_unit_test(its_figures_and_its_health_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
