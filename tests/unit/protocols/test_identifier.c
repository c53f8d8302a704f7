/* Identifiers: names and addresses that may be proven here, and the many that may not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/identifier.h"

#include "tests/test.h"

#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void expect(const char *type, const char *value, int outcome)
{
	struct acme_identifier id;
	const char *why = NULL;
	int e = acme_identifier_read(&id, type, value, &why);

	if (e != outcome || (e && !why))
		fail_msg("%s %s: %d (%s) instead of %d", type, value, e, why ? why : "", outcome);
}

static void expect_read(const char *type, const char *value, const char *canonical)
{
	struct acme_identifier id;
	const char *why = NULL;

	assert_int_equal(acme_identifier_read(&id, type, value, &why), 0);
	assert_string_equal(id.value, canonical);
	assert_string_equal(acme_identifier_type(id.kind), type);
}

static void reads_dns_names_in_lower_case(void **state)
{
	expect_read("dns", "example.com", "example.com");
	expect_read("dns", "WWW.Example.COM", "www.example.com");
	expect_read("dns", "a-b.example", "a-b.example");
	expect_read("dns", "1.2.3.example", "1.2.3.example");
	expect_read("dns", "xn--bcher-kva.example", "xn--bcher-kva.example");
	expect_read("dns", "XN--BCHER-KVA.example", "xn--bcher-kva.example");
	expect_read("dns", LABEL63 ".example", LABEL63 ".example");
}

static void refuses_text_that_is_no_dns_name(void **state)
{
	static const char *const names[] = {
		"", ".", "..", "example.com.", ".example.com", "a..b", "-a.example", "a-.example", "a_b.example",
		"example.com:80", "user@example.com", "a/b.example", "a%00b.example", "a b.example", "a\tb.example",
		"b\xc3\xbc" "cher.example", "http://example.com", "*a.example", "a*.example", "a.*.example",
		"[::1].example",
		LABEL63 "a.example", LABEL63 "." LABEL63 "." LABEL63 "." LABEL63, "192.0.2.1", "a.123",
		"2130706433.1",
		"ab--cd.example", "xn--.example", "xn--a.example", "xn--99999999.example", "xn--example-.example",
		"xn--\x01.example", "a,b.example", "a;b.example", "a?b.example", "a#b.example", "a\\b.example",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect("dns", names[i], ACME_IDENTIFIER_MALFORMED);
}

static void refuses_names_it_cannot_certify(void **state)
{
	expect("dns", "*.example.com", ACME_IDENTIFIER_REJECTED);
	expect("dns", "*.*.example.com", ACME_IDENTIFIER_REJECTED);
	expect("dns", "localhost", ACME_IDENTIFIER_REJECTED);
	expect("dns", "com", ACME_IDENTIFIER_REJECTED);
}

static void reads_addresses_in_canonical_form_only(void **state)
{
	expect_read("ip", "192.0.2.1", "192.0.2.1");
	expect_read("ip", "2001:db8::1", "2001:db8::1");
	expect("ip", "192.0.2.01", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "192.0.2", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "0xc0.0.2.1", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "3221225985", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "192.0.2.1:80", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "2001:DB8::1", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "2001:db8:0:0:0:0:0:1", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "[2001:db8::1]", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "fe80::1%eth0", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "::ffff:192.0.2.1", ACME_IDENTIFIER_REJECTED);
	expect("ip", "example.com", ACME_IDENTIFIER_MALFORMED);
	expect("ip", "", ACME_IDENTIFIER_MALFORMED);
}

static void refuses_other_types(void **state)
{
	expect("email", "a@example.com", ACME_IDENTIFIER_UNSUPPORTED_TYPE);
	expect("DNS", "example.com", ACME_IDENTIFIER_UNSUPPORTED_TYPE);
	expect("", "example.com", ACME_IDENTIFIER_UNSUPPORTED_TYPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_dns_names_in_lower_case),
		cmocka_unit_test(refuses_text_that_is_no_dns_name),
		cmocka_unit_test(refuses_names_it_cannot_certify),
		cmocka_unit_test(reads_addresses_in_canonical_form_only),
		cmocka_unit_test(refuses_other_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
