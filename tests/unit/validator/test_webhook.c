/* What webhooks are told, and what of their answers allows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "gateway/validator/webhook.h"

/* PKCS#10 without a true key or signature: CN=a"b, then CN=phone; SAN dns x.example, ip 192.0.2.1, email, uri. */
static const char csr[] =
	"\x30\x81\x94\x30\x81\x84\x02\x01\x00\x30\x1d\x31\x1b\x30\x0a\x06\x03\x55\x04\x03\x0c\x03\x61\x22"
	"\x62\x30\x0d\x06\x03\x55\x04\x03\x0c\x06\x70\x68\x6f\x6e\x65\x31\x30\x0c\x30\x05\x06\x03\x2b\x65"
	"\x70\x03\x03\x00\xaa\xbb\xa0\x52\x30\x50\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e\x31\x43\x30"
	"\x41\x30\x3f\x06\x03\x55\x1d\x11\x04\x38\x30\x36\x82\x09\x78\x2e\x65\x78\x61\x6d\x70\x6c\x65\x87"
	"\x04\xc0\x00\x02\x01\x81\x0b\x61\x40\x62\x2e\x65\x78\x61\x6d\x70\x6c\x65\x86\x0d\x75\x72\x6e\x3a"
	"\x78\x2d\x79\x3a\x7a\x2d\x7a\x3a\x31\x82\x02\xff\xfe\x87\x03\x61\x62\x63\x30\x05\x06\x03\x2b\x65"
	"\x70\x03\x04\x00\xcc\xdd\xee";

static int write_it(const char *challenge, const char *transaction, struct buf *out)
{
	static const uint8_t key[32];
	const struct judgement what = { "phones", bytes_of(csr, sizeof(csr) - 1), bytes_of_str(challenge), transaction,
					key };

	return webhook_write(&what, 1800000000, out);
}

static void says_everything(void **state)
{
	OWNED_BUF out = BUF_INIT(65536);
	const char *text;

	assert_int_equal(write_it("se\"cret", "t1", &out), 0);
	text = buf_str(&out);
	assert_non_null(strstr(text, "{\"timestamp\":\"2027-01-15T08:00:00Z\",\"provisionerName\":\"phones\","
				     "\"x509CertificateRequest\":{\"version\":0,"
				     "\"subject\":{\"commonName\":\"phone1\"},"));
	assert_non_null(strstr(text, "\"dnsNames\":[\"x.example\"],\"emailAddresses\":[\"a@b.example\"],"
				     "\"ipAddresses\":[\"192.0.2.1\"],\"uris\":[\"urn:x-y:z-z:1\"],"));
	assert_non_null(strstr(text, "\"publicKeyAlgorithm\":\"Ed25519\",\"raw\":\"MIGUMIGEAgEAMB0x"));
	assert_non_null(strstr(text, "\"scepChallenge\":\"se\\\"cret\",\"scepTransactionID\":\"t1\"}"));
}

static void says_nothing_that_is_no_text(void **state)
{
	OWNED_BUF out = BUF_INIT(65536);
	static const uint8_t key[32];
	const struct judgement none = { "phones", bytes_of("\x30\x00", 2), bytes_of_str("x"), "t", key };

	assert_int_equal(write_it("\xff\xfe", "t", &out), -EINVAL);
	assert_int_equal(write_it("x", "\xc3", &out), -EINVAL);
	assert_int_equal(webhook_write(&none, 0, &out), -EINVAL);
}

static void says_what_became_of_it(void **state)
{
	OWNED_BUF out = BUF_INIT(65536);
	struct notification n = { .endpoint = "phones", .request = bytes_of(csr, sizeof(csr) - 1),
				  .transaction_id = "t1", .is_issued = true, .not_after = "2027-01-15T08:00:00.000Z",
				  .certificate = bytes_of("\x30\x00", 2), .description = "" };
	const char *text;

	assert_int_equal(webhook_write_end(&n, 1800000000, &out), 0);
	text = buf_str(&out);
	assert_non_null(strstr(text, "{\"timestamp\":\"2027-01-15T08:00:00Z\",\"provisionerName\":\"phones\","
				     "\"x509CertificateRequest\":{\"version\":0,"));
	assert_non_null(strstr(text, "\"x509Certificate\":{\"raw\":\"MAA=\",\"notAfter\":\"2027-01-15T08:00:00.000Z\"},"
				     "\"scepTransactionID\":\"t1\"}"));
	/* Who asks again does not bring his request. */
	buf_reset(&out);
	n = (struct notification){ .endpoint = "phones", .transaction_id = "t2", .description = "not \"this\" one",
				   .fail = 2 };
	assert_int_equal(webhook_write_end(&n, 1800000000, &out), 0);
	assert_string_equal(buf_str(&out), "{\"timestamp\":\"2027-01-15T08:00:00Z\",\"provisionerName\":\"phones\","
					   "\"scepTransactionID\":\"t2\",\"scepErrorCode\":2,"
					   "\"scepErrorDescription\":\"not \\\"this\\\" one\"}");
	n.description = "\xff";
	assert_int_equal(webhook_write_end(&n, 0, &out), -EINVAL);
	n.description = "";
	n.request = bytes_of("\x30\x00", 2);
	assert_int_equal(webhook_write_end(&n, 0, &out), -EINVAL);
}

static void only_one_answer_allows(void **state)
{
	static const struct {
		const char *reply;
		int outcome;
		const char *why;
	} rows[] = {
		{ "{\"allow\":true}", 0, "" },
		{ " {\"data\":{\"allow\":false},\"allow\":true}\n", 0, "" },
		{ "{\"allow\":false}", JUDGEMENT_DENIED, "it gave no reason" },
		{ "{\"allow\":false,\"error\":{\"message\":\"no\"}}", JUDGEMENT_DENIED, "no" },
		{ "{\"allow\":false,\"error\":\"never\"}", JUDGEMENT_DENIED, "never" },
		{ "{\"allow\":true,\"error\":{\"message\":\"no\"}}", 0, "" },
		{ "", JUDGEMENT_NONE, NULL },
		{ "true", JUDGEMENT_NONE, NULL },
		{ "{}", JUDGEMENT_NONE, NULL },
		{ "{\"Allow\":true}", JUDGEMENT_NONE, NULL },
		{ "{\"allow\":\"true\"}", JUDGEMENT_NONE, NULL },
		{ "{\"allow\":1}", JUDGEMENT_NONE, NULL },
		{ "{\"allow\":null}", JUDGEMENT_NONE, NULL },
		{ "{\"allow\":[true]}", JUDGEMENT_NONE, NULL },
		{ "{\"allow\":false,\"allow\":true}", JUDGEMENT_NONE, NULL },
		{ "{\"allow\":true,\"\\u0061llow\":true}", JUDGEMENT_NONE, NULL },
		{ "{\"data\":{\"allow\":true}}", JUDGEMENT_NONE, NULL },
		{ "[{\"allow\":true}]", JUDGEMENT_NONE, NULL },
		{ "{\"allow\":true}x", JUDGEMENT_NONE, NULL },
		{ "{\"allow\":true", JUDGEMENT_NONE, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char why[TARGET_WHY_SIZE];

		assert_int_equal(webhook_read(bytes_of_str(rows[i].reply), why), rows[i].outcome);
		if (rows[i].why)
			assert_string_equal(why, rows[i].why);
		else
			assert_true(*why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_everything),
		cmocka_unit_test(says_nothing_that_is_no_text),
		cmocka_unit_test(says_what_became_of_it),
		cmocka_unit_test(only_one_answer_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
