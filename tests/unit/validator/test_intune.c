/* What Intune is told, and what of its answers allows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "gateway/validator/intune.h"

static void says_what_it_is_asked(void **state)
{
	static const uint8_t key[32];
	const struct judgement what = { "phones", bytes_of("\x30\x00", 2), bytes_of_str("secret"), "t\"1", key };
	const struct judgement bad = { "phones", bytes_of("\x30\x00", 2), bytes_of_str("secret"), "\xff", key };
	OWNED_BUF out = BUF_INIT(4096);

	assert_int_equal(intune_write_request(&what, &out), 0);
	assert_string_equal(buf_str(&out), "{\"request\":{\"transactionId\":\"t\\\"1\",\"certificateRequest\":\"MAA=\","
					   "\"callerInfo\":\"Gatehouse\"}}");
	assert_int_equal(intune_write_request(&bad, &out), -22);
}

static void says_what_became_of_it(void **state)
{
	struct notification n = { .endpoint = "phones", .request = bytes_of("\x30\x00", 2), .transaction_id = "t1",
				  .is_issued = true, .thumbprint = "AB", .serial = "01", .issuer = "CN=CA",
				  .not_after = "2027-01-15T08:00:00.000Z", .description = "" };
	char long_one[1000];
	OWNED_BUF out = BUF_INIT(4096);

	assert_int_equal(intune_write_notification(&n, &out), 0);
	assert_string_equal(buf_str(&out),
			    "{\"notification\":{\"transactionId\":\"t1\",\"certificateRequest\":\"MAA=\","
			    "\"certificateThumbprint\":\"AB\",\"certificateSerialNumber\":\"01\","
			    "\"certificateExpirationDateUtc\":\"2027-01-15T08:00:00.000Z\","
			    "\"issuingCertificateAuthority\":\"CN=CA\",\"caConfiguration\":\"phones\","
			    "\"certificateAuthority\":\"CN=CA\",\"callerInfo\":\"Gatehouse\"}}");
	buf_reset(&out);
	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	n.is_issued = false;
	n.description = long_one;
	assert_int_equal(intune_write_notification(&n, &out), 0);
	long_one[255] = '\0';
	assert_non_null(strstr(buf_str(&out), "\"hResult\":-2147467259,\"errorDescription\":\"xxx"));
	assert_non_null(strstr(buf_str(&out), long_one));
	long_one[255] = 'x';
	long_one[256] = '\0';
	assert_null(strstr(buf_str(&out), long_one));
}

static void only_success_allows(void **state)
{
	static const struct {
		const char *reply;
		int outcome;
		const char *why;
	} rows[] = {
		{ "{\"code\":\"Success\"}", 0, "Success" },
		{ "{\"code\":\"Success\",\"errorDescription\":\"\"}", 0, "Success" },
		{ "{\"code\":\"ChallengeExpired\",\"errorDescription\":\"old\"}", JUDGEMENT_DENIED,
		  "ChallengeExpired: old" },
		{ "{\"code\":\"BadUserIdInChallenge\"}", JUDGEMENT_DENIED, "BadUserIdInChallenge" },
		{ "{\"code\":\"success\"}", JUDGEMENT_NONE, "success" },
		{ "{\"code\":\"Success \"}", JUDGEMENT_NONE, "Success " },
		{ "{\"code\":\"\"}", JUDGEMENT_NONE, "" },
		{ "{\"code\":true}", JUDGEMENT_NONE, "it answered with no code" },
		{ "{\"Code\":\"Success\"}", JUDGEMENT_NONE, "it answered with no code" },
		{ "{\"code\":\"ChallengeExpired\",\"code\":\"Success\"}", JUDGEMENT_NONE, "it answered with no code" },
		{ "{\"x\":{\"code\":\"Success\"}}", JUDGEMENT_NONE, "it answered with no code" },
		{ "\"Success\"", JUDGEMENT_NONE, "it answered with no code" },
		{ "{\"code\":\"Success\"", JUDGEMENT_NONE, "it answered with no code" },
		{ "", JUDGEMENT_NONE, "it answered with no code" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char why[TARGET_WHY_SIZE];

		assert_int_equal(intune_read(bytes_of_str(rows[i].reply), why), rows[i].outcome);
		assert_string_equal(why, rows[i].why);
	}
}

static void takes_tokens_that_are_some(void **state)
{
	static const struct {
		const char *reply;
		int outcome;
		int64_t lifetime_s;
	} rows[] = {
		{ "{\"access_token\":\"a.b-c\",\"expires_in\":3599}", 0, 3599 },
		{ "{\"access_token\":\"a\",\"expires_in\":1e300}", 0, 86400 },
		{ "{\"access_token\":\"a\",\"expires_in\":0}", JUDGEMENT_NONE, 0 },
		{ "{\"access_token\":\"a\",\"expires_in\":\"3599\"}", JUDGEMENT_NONE, 0 },
		{ "{\"access_token\":\"a\"}", JUDGEMENT_NONE, 0 },
		{ "{\"access_token\":\"\",\"expires_in\":3599}", JUDGEMENT_NONE, 0 },
		{ "{\"access_token\":\"a\\r\\nX: y\",\"expires_in\":3599}", JUDGEMENT_NONE, 0 },
		{ "[]", JUDGEMENT_NONE, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		OWNED_BUF token = BUF_INIT(4096);
		int64_t lifetime_s = 0;

		assert_int_equal(intune_read_token(bytes_of_str(rows[i].reply), &token, &lifetime_s), rows[i].outcome);
		assert_int_equal(lifetime_s, rows[i].lifetime_s);
		assert_int_equal(token.len != 0, rows[i].outcome == 0);
	}
}

static void finds_the_service(void **state)
{
	static const struct {
		const char *reply;
		int outcome;
	} rows[] = {
		{ "{\"value\":[{\"providerName\":\"x\",\"uri\":\"y\"},"
		  "{\"providerName\":\"scepREQUESTValidationFEService\",\"uri\":\"https://s/\"}]}", 0 },
		{ "{\"value\":[{\"providerName\":\"ScepRequestValidationFEService\"}]}", JUDGEMENT_NONE },
		{ "{\"value\":{\"providerName\":\"ScepRequestValidationFEService\",\"uri\":\"https://s/\"}}",
		  JUDGEMENT_NONE },
		{ "{\"value\":[1,null,\"ScepRequestValidationFEService\"]}", JUDGEMENT_NONE },
		{ "{\"value\":[]}", JUDGEMENT_NONE },
		{ "", JUDGEMENT_NONE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		OWNED_BUF uri = BUF_INIT(4096);

		assert_int_equal(intune_read_service(bytes_of_str(rows[i].reply), &uri), rows[i].outcome);
		assert_string_equal(buf_str(&uri), rows[i].outcome ? "" : "https://s/");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_it_is_asked),
		cmocka_unit_test(says_what_became_of_it),
		cmocka_unit_test(only_success_allows),
		cmocka_unit_test(takes_tokens_that_are_some),
		cmocka_unit_test(finds_the_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
