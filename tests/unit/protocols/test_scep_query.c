/* protocols/scep/query.c: a query in every form in which clients send it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "protocols/http_msg.h"
#include "protocols/scep/query.h"

/* Octets whose base64 has each of '+', '/' and '='. */
#define MESSAGE "\xfb\xef\xbe\xff\xff\xff\x30\x82\x01\x02\xfb\xff\xfe"

static void every_form_of_base64_is_read(void **unused)
{
	static const char *const forms[] = {
		"++++////MIIBAvv//g==",                              /* as it is: jscep, macOS */
		"%2B%2B%2B%2B%2F%2F%2F%2FMIIBAvv%2F%2Fg%3D%3D",      /* every escape: certmonger, curl */
		"%2b%2b%2b%2b////MII%0ABAvv//g%3d%3d%0A",            /* lines, '/' as it is: sscep, strongSwan, IOS */
		"%2B%2B%2B%2B////MIIBAvv//g",                        /* no padding */
		"----____MIIBAvv__g",                                /* base64url: micromdm */
		"%2D%2D%2D%2D____MIIBAvv__g%3D%3D",
		"    ////MIIBAvv//g==",                              /* blanks that were '+' */
		"%20%20%20%20////MIIBAvv//g==",
		"++++////\r\nMIIB%0D%0AAvv//g==%0D%0A",
		"++++%09////MIIBAvv//g==",
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		OWNED_BUF out = BUF_INIT(64);

		if (scep_query_message(bytes_of_str(forms[i]), &out))
			fail_msg("'%s' is not read", forms[i]);
		assert_true(bytes_equal(buf_bytes(&out), bytes_of(MESSAGE, sizeof(MESSAGE) - 1)));
	}
}

static void nothing_else_is_read(void **unused)
{
	static const char *const forms[] = {
		"", "=", "====", "%", "%2", "MII%", "MII%4", "%zzMII", "MII%g0", "MIIB!", "MIIB%00", "MIIB%25",
		"%252B%252B", /* escaped twice */ "A", "MIIBA", "MIIB\x80", "MIIB%80", "{\"a\":1}",
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		OWNED_BUF out = BUF_INIT(64);

		if (scep_query_message(bytes_of_str(forms[i]), &out) != -EINVAL)
			fail_msg("'%s' is read", forms[i]);
	}
}

static void a_message_has_a_limit(void **unused)
{
	OWNED_BUF out = BUF_INIT(8), exact = BUF_INIT(9);

	assert_int_equal(scep_query_message(bytes_of_str("AAAABBBBCCCC"), &out), -EMSGSIZE);
	assert_int_equal(scep_query_message(bytes_of_str("AAAABBBBCCCC"), &exact), 0);
}

#define TWENTY "aaaaaaaaaabbbbbbbbbb"

static void words_are_found(void **unused)
{
	static const struct {
		const char *query, *operation;
	} queries[] = {
		{ "operation=GetCACaps", "GetCACaps" },
		{ "message=x&operation=GetCACert", "GetCACert" },
		{ "operation=GetCACert&operation=PKIOperation", "GetCACert" },
		{ "operation=Get%43ACaps", "GetCACaps" },
		{ "xoperation=GetCACaps", "" },
		{ "operation", "" },
		{ "operation=", "" },
		{ "operation=&operation=GetCACaps", "" },
		{ "operation=Get%0ACaps", "" },
		{ "operation=Get%00Caps", "" },
		{ "operation=%", "" },
		{ "operation=" TWENTY TWENTY TWENTY "aaaaaaaaaabbbbbbbbb", TWENTY TWENTY TWENTY "aaaaaaaaaabbbbbbbbb" },
		{ "operation=" TWENTY TWENTY TWENTY TWENTY, "" },
		{ "&&&", "" },
		{ "", "" },
		{ NULL, "" },
	};
	char out[SCEP_WORD_SIZE];

	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++)
		assert_string_equal(scep_query_word(queries[i].query, "operation", out), queries[i].operation);
	assert_string_equal(scep_query_word("operation=GetCACert&message=%53cep.1", "message", out), "Scep.1");
}

static void parameters_are_found_by_their_whole_name(void **unused)
{
	assert_true(bytes_equal_str(http_query_find("a=1&message=x=y&b=2", "message"), "x=y"));
	assert_null(http_query_find("a=1&messages=x", "message").ptr);
	assert_null(http_query_find("message", "message").ptr);
	assert_null(http_query_find(NULL, "message").ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_of_base64_is_read),
		cmocka_unit_test(nothing_else_is_read),
		cmocka_unit_test(a_message_has_a_limit),
		cmocka_unit_test(words_are_found),
		cmocka_unit_test(parameters_are_found_by_their_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
